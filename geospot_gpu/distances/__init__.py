"""Distances between regions: what can be known of a pair, and how it is shown."""
