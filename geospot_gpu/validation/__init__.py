"""Folds for cross-validation that are as hard as deployment is, and how to see whether they are."""
