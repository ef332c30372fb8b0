"""Sweeps: all pairs of regions, planned, solved in batches, stored, and picked up again."""
