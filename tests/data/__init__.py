"""Small data sets in the files and columns that the real ones are published in."""
