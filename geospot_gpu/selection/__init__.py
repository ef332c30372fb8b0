"""What to do with distances: which samples to take for a target, and which regions are nearest."""
