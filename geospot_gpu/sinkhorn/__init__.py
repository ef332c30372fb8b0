"""Sinkhorn's algorithm: the solver, its bounds, the divergence; GeomLoss and EMD beside it."""

from geospot_gpu.sinkhorn.emd import EMD
from geospot_gpu.sinkhorn.geomloss import GeomLoss
from geospot_gpu.sinkhorn.solver import Sinkhorn

__all__ = ["EMD", "SOLVERS", "GeomLoss", "Sinkhorn"]

SOLVERS: dict[str, type[Sinkhorn] | type[GeomLoss] | type[EMD]] = {
    "sinkhorn": Sinkhorn,
    "geomloss": GeomLoss,
    "emd": EMD,
}
"""All there are, by the name that settings have for them; their arguments are their settings."""
