"""Sinkhorn's algorithm: the solver, its bounds, the divergence, and GeomLoss beside it."""

from geospot_gpu.sinkhorn.geomloss import GeomLoss
from geospot_gpu.sinkhorn.solver import Sinkhorn

__all__ = ["SOLVERS", "GeomLoss", "Sinkhorn"]

SOLVERS: dict[str, type[Sinkhorn] | type[GeomLoss]] = {"sinkhorn": Sinkhorn, "geomloss": GeomLoss}
"""All there are, by the name that settings have for them; their arguments are their settings."""
