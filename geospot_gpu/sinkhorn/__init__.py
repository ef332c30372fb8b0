"""Sinkhorn's algorithm: the solver, its bounds, the divergence, and GeomLoss beside it."""
