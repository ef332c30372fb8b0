"""What the scores of a few labelled points of a target say, beside what is predicted there."""
