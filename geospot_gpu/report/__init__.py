"""One page of all that a run holds, for people who open files and send them to others."""
