"""Scores of models in regions: read, checked and brought into matrices of pairs."""
