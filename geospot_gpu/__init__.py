"""geospot_gpu: optimal-transport distances between regions of the Earth, on GPU or CPU.

>>> import geospot_gpu as gs
>>> regions = gs.Regions.from_points(
...     lon=[0, 1, 90, 91], lat=[0, 0, 0, 0], region=["west", "west", "east", "east"]
... )
>>> distances = gs.pairwise(regions, solver=gs.Sinkhorn(epsilon=0.01))
>>> f"{distances.divergence.sel(source='west', target='east').item():.2f}"
'0.50'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geospot_gpu.cost import GroundCost
    from geospot_gpu.distances.baselines import baselines
    from geospot_gpu.distances.column import Column
    from geospot_gpu.distances.columns import register_column
    from geospot_gpu.distances.pairwise import pairwise
    from geospot_gpu.encoders import Encoder, GeoClip, NoEncoder, Precomputed
    from geospot_gpu.engine.settings import Engine
    from geospot_gpu.engine.warm import WarmStarts
    from geospot_gpu.errors import GeospotError
    from geospot_gpu.points import Points
    from geospot_gpu.points.readers import read_points
    from geospot_gpu.regions import Regions
    from geospot_gpu.regions.grouping import by_column, by_country, by_grid, by_polygons
    from geospot_gpu.runs.run import Run, open_run, sweep
    from geospot_gpu.selection.neighbours import nearest_regions
    from geospot_gpu.selection.points import select_points
    from geospot_gpu.selection.regions import select_regions
    from geospot_gpu.sinkhorn.geomloss import GeomLoss
    from geospot_gpu.sinkhorn.solver import Sinkhorn
    from geospot_gpu.transfer.assessment import assess_transfer
    from geospot_gpu.transfer.contributions import contributions
    from geospot_gpu.transfer.correlation import correlate
    from geospot_gpu.transfer.explanation import explain_distance
    from geospot_gpu.transfer.prediction import predict_scores
    from geospot_gpu.transfer.predictor import Predictor
    from geospot_gpu.transfer.scores import read_scores

__version__ = "0.1.0"

_HOMES = {
    "Column": "geospot_gpu.distances.column",
    "register_column": "geospot_gpu.distances.columns",
    "explain_distance": "geospot_gpu.transfer.explanation",
    "predict_scores": "geospot_gpu.transfer.prediction",
    "assess_transfer": "geospot_gpu.transfer.assessment",
    "Encoder": "geospot_gpu.encoders",
    "Engine": "geospot_gpu.engine.settings",
    "GeoClip": "geospot_gpu.encoders",
    "GeomLoss": "geospot_gpu.sinkhorn.geomloss",
    "GeospotError": "geospot_gpu.errors",
    "GroundCost": "geospot_gpu.cost",
    "NoEncoder": "geospot_gpu.encoders",
    "Points": "geospot_gpu.points",
    "Precomputed": "geospot_gpu.encoders",
    "Predictor": "geospot_gpu.transfer.predictor",
    "Regions": "geospot_gpu.regions",
    "Run": "geospot_gpu.runs.run",
    "Sinkhorn": "geospot_gpu.sinkhorn.solver",
    "WarmStarts": "geospot_gpu.engine.warm",
    "baselines": "geospot_gpu.distances.baselines",
    "by_column": "geospot_gpu.regions.grouping",
    "by_country": "geospot_gpu.regions.grouping",
    "by_grid": "geospot_gpu.regions.grouping",
    "by_polygons": "geospot_gpu.regions.grouping",
    "contributions": "geospot_gpu.transfer.contributions",
    "correlate": "geospot_gpu.transfer.correlation",
    "nearest_regions": "geospot_gpu.selection.neighbours",
    "open_run": "geospot_gpu.runs.run",
    "pairwise": "geospot_gpu.distances.pairwise",
    "read_points": "geospot_gpu.points.readers",
    "read_scores": "geospot_gpu.transfer.scores",
    "select_points": "geospot_gpu.selection.points",
    "select_regions": "geospot_gpu.selection.regions",
    "sweep": "geospot_gpu.runs.run",
}

__all__ = [
    "Column",
    "Encoder",
    "Engine",
    "GeoClip",
    "GeomLoss",
    "GeospotError",
    "GroundCost",
    "NoEncoder",
    "Points",
    "Precomputed",
    "Predictor",
    "Regions",
    "Run",
    "Sinkhorn",
    "WarmStarts",
    "assess_transfer",
    "baselines",
    "by_column",
    "by_country",
    "by_grid",
    "by_polygons",
    "contributions",
    "correlate",
    "explain_distance",
    "nearest_regions",
    "open_run",
    "pairwise",
    "predict_scores",
    "read_points",
    "read_scores",
    "register_column",
    "select_points",
    "select_regions",
    "sweep",
]


def __getattr__(name: str) -> Any:
    """Import public names when they are first used: torch and friends take seconds."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
