"""Pictures: matrices, maps and scatters, for people to look at."""
