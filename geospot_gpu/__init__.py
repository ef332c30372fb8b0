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
    from geospot_gpu.cluster.settings import Ray
    from geospot_gpu.cost import GroundCost
    from geospot_gpu.distances.baselines import baselines
    from geospot_gpu.distances.class_costs import with_class_costs
    from geospot_gpu.distances.column import Column
    from geospot_gpu.distances.columns import register_column
    from geospot_gpu.distances.nearest.search import Neighbours
    from geospot_gpu.distances.pairwise import pairwise
    from geospot_gpu.embedding import Images, Texts
    from geospot_gpu.embedding.base import Embedder
    from geospot_gpu.embedding.embed import Embedded, embed
    from geospot_gpu.encoders import (
        Encoder,
        GeoClip,
        NearestEmbedding,
        NoEncoder,
        Precomputed,
        Raster,
        SatClip,
        Spaces,
        TorchModel,
    )
    from geospot_gpu.encoders.base import Features
    from geospot_gpu.engine.method import Method
    from geospot_gpu.engine.settings import Engine
    from geospot_gpu.engine.warm import WarmStarts
    from geospot_gpu.errors import GeospotError
    from geospot_gpu.feature_costs import FeatureCost, register_feature_cost
    from geospot_gpu.files.places import Place
    from geospot_gpu.pictures.validation import draw_nearest_distances
    from geospot_gpu.points import Points
    from geospot_gpu.points.presets import read_dataset
    from geospot_gpu.points.readers import read_points
    from geospot_gpu.regions import Regions
    from geospot_gpu.regions.drawing import Source
    from geospot_gpu.regions.grouping import (
        by_column,
        by_country,
        by_grid,
        by_h3,
        by_kd,
        by_kmeans,
        by_levels,
        by_polygons,
        by_s2,
    )
    from geospot_gpu.regions.sampling import Sampling
    from geospot_gpu.report.write import write_report
    from geospot_gpu.runs.making import sweep
    from geospot_gpu.runs.run import Run, open_run
    from geospot_gpu.runs.stored_pairs import StoredPairs
    from geospot_gpu.selection.facility import ChoiceLimits
    from geospot_gpu.selection.neighbours import nearest_regions
    from geospot_gpu.selection.points import PointSelection, select_points
    from geospot_gpu.selection.pool import Pool
    from geospot_gpu.selection.problem import Problem
    from geospot_gpu.selection.regions import BesideScatter, Selection, select_regions
    from geospot_gpu.selection.steps import Estimate
    from geospot_gpu.sinkhorn.emd import EMD
    from geospot_gpu.sinkhorn.geomloss import GeomLoss
    from geospot_gpu.sinkhorn.solver import Sinkhorn
    from geospot_gpu.transfer.applicability.applicability import Applicability, applicability
    from geospot_gpu.transfer.applicability.comparison import Comparison
    from geospot_gpu.transfer.assessment import Assessment, assess_transfer
    from geospot_gpu.transfer.contributions import contributions
    from geospot_gpu.transfer.correlation.correlate import Correlations, correlate
    from geospot_gpu.transfer.correlation.verdict import Verdict
    from geospot_gpu.transfer.explanation import Explanation, explain_distance
    from geospot_gpu.transfer.label_shift.correction import PriorCorrection, correct_priors
    from geospot_gpu.transfer.label_shift.split import split_loss
    from geospot_gpu.transfer.prediction import Predictions, predict_scores
    from geospot_gpu.transfer.predictor.evaluation import Evaluation
    from geospot_gpu.transfer.predictor.predictor import Predictor
    from geospot_gpu.transfer.scores.scores import Scores, read_scores
    from geospot_gpu.validation.blocks import SpatialBlocks
    from geospot_gpu.validation.distances import NearestDistances, nearest_distances
    from geospot_gpu.validation.knndm import KNNDM
    from geospot_gpu.validation.regions import RegionFolds

__version__ = "0.1.0"

_HOMES = {
    "Applicability": "geospot_gpu.transfer.applicability.applicability",
    "Assessment": "geospot_gpu.transfer.assessment",
    "BesideScatter": "geospot_gpu.selection.regions",
    "ChoiceLimits": "geospot_gpu.selection.facility",
    "Column": "geospot_gpu.distances.column",
    "Comparison": "geospot_gpu.transfer.applicability.comparison",
    "Correlations": "geospot_gpu.transfer.correlation.correlate",
    "EMD": "geospot_gpu.sinkhorn.emd",
    "Embedded": "geospot_gpu.embedding.embed",
    "Embedder": "geospot_gpu.embedding.base",
    "Encoder": "geospot_gpu.encoders",
    "Engine": "geospot_gpu.engine.settings",
    "Estimate": "geospot_gpu.selection.steps",
    "Evaluation": "geospot_gpu.transfer.predictor.evaluation",
    "Explanation": "geospot_gpu.transfer.explanation",
    "FeatureCost": "geospot_gpu.feature_costs",
    "Features": "geospot_gpu.encoders.base",
    "GeoClip": "geospot_gpu.encoders",
    "GeomLoss": "geospot_gpu.sinkhorn.geomloss",
    "GeospotError": "geospot_gpu.errors",
    "GroundCost": "geospot_gpu.cost",
    "Images": "geospot_gpu.embedding",
    "KNNDM": "geospot_gpu.validation.knndm",
    "Method": "geospot_gpu.engine.method",
    "NearestEmbedding": "geospot_gpu.encoders",
    "NearestDistances": "geospot_gpu.validation.distances",
    "Neighbours": "geospot_gpu.distances.nearest.search",
    "NoEncoder": "geospot_gpu.encoders",
    "Place": "geospot_gpu.files.places",
    "PointSelection": "geospot_gpu.selection.points",
    "Points": "geospot_gpu.points",
    "Pool": "geospot_gpu.selection.pool",
    "Precomputed": "geospot_gpu.encoders",
    "Predictions": "geospot_gpu.transfer.prediction",
    "Predictor": "geospot_gpu.transfer.predictor.predictor",
    "PriorCorrection": "geospot_gpu.transfer.label_shift.correction",
    "Problem": "geospot_gpu.selection.problem",
    "Raster": "geospot_gpu.encoders",
    "Ray": "geospot_gpu.cluster.settings",
    "RegionFolds": "geospot_gpu.validation.regions",
    "Regions": "geospot_gpu.regions",
    "Run": "geospot_gpu.runs.run",
    "Sampling": "geospot_gpu.regions.sampling",
    "SatClip": "geospot_gpu.encoders",
    "Scores": "geospot_gpu.transfer.scores.scores",
    "Selection": "geospot_gpu.selection.regions",
    "Sinkhorn": "geospot_gpu.sinkhorn.solver",
    "Source": "geospot_gpu.regions.drawing",
    "Spaces": "geospot_gpu.encoders",
    "SpatialBlocks": "geospot_gpu.validation.blocks",
    "StoredPairs": "geospot_gpu.runs.stored_pairs",
    "Texts": "geospot_gpu.embedding",
    "TorchModel": "geospot_gpu.encoders",
    "Verdict": "geospot_gpu.transfer.correlation.verdict",
    "WarmStarts": "geospot_gpu.engine.warm",
    "applicability": "geospot_gpu.transfer.applicability.applicability",
    "assess_transfer": "geospot_gpu.transfer.assessment",
    "baselines": "geospot_gpu.distances.baselines",
    "by_column": "geospot_gpu.regions.grouping",
    "by_country": "geospot_gpu.regions.grouping",
    "by_grid": "geospot_gpu.regions.grouping",
    "by_h3": "geospot_gpu.regions.grouping",
    "by_kd": "geospot_gpu.regions.grouping",
    "by_kmeans": "geospot_gpu.regions.grouping",
    "by_levels": "geospot_gpu.regions.grouping",
    "by_polygons": "geospot_gpu.regions.grouping",
    "by_s2": "geospot_gpu.regions.grouping",
    "contributions": "geospot_gpu.transfer.contributions",
    "correct_priors": "geospot_gpu.transfer.label_shift.correction",
    "correlate": "geospot_gpu.transfer.correlation.correlate",
    "draw_nearest_distances": "geospot_gpu.pictures.validation",
    "embed": "geospot_gpu.embedding.embed",
    "explain_distance": "geospot_gpu.transfer.explanation",
    "nearest_distances": "geospot_gpu.validation.distances",
    "nearest_regions": "geospot_gpu.selection.neighbours",
    "open_run": "geospot_gpu.runs.run",
    "pairwise": "geospot_gpu.distances.pairwise",
    "predict_scores": "geospot_gpu.transfer.prediction",
    "read_dataset": "geospot_gpu.points.presets",
    "read_points": "geospot_gpu.points.readers",
    "read_scores": "geospot_gpu.transfer.scores.scores",
    "register_column": "geospot_gpu.distances.columns",
    "register_feature_cost": "geospot_gpu.feature_costs",
    "select_points": "geospot_gpu.selection.points",
    "select_regions": "geospot_gpu.selection.regions",
    "split_loss": "geospot_gpu.transfer.label_shift.split",
    "sweep": "geospot_gpu.runs.making",
    "with_class_costs": "geospot_gpu.distances.class_costs",
    "write_report": "geospot_gpu.report.write",
}

__all__ = [
    "EMD",
    "KNNDM",
    "Applicability",
    "Assessment",
    "BesideScatter",
    "ChoiceLimits",
    "Column",
    "Comparison",
    "Correlations",
    "Embedded",
    "Embedder",
    "Encoder",
    "Engine",
    "Estimate",
    "Evaluation",
    "Explanation",
    "FeatureCost",
    "Features",
    "GeoClip",
    "GeomLoss",
    "GeospotError",
    "GroundCost",
    "Images",
    "Method",
    "NearestDistances",
    "NearestEmbedding",
    "Neighbours",
    "NoEncoder",
    "Place",
    "PointSelection",
    "Points",
    "Pool",
    "Precomputed",
    "Predictions",
    "Predictor",
    "PriorCorrection",
    "Problem",
    "Raster",
    "Ray",
    "RegionFolds",
    "Regions",
    "Run",
    "Sampling",
    "SatClip",
    "Scores",
    "Selection",
    "Sinkhorn",
    "Source",
    "Spaces",
    "SpatialBlocks",
    "StoredPairs",
    "Texts",
    "TorchModel",
    "Verdict",
    "WarmStarts",
    "applicability",
    "assess_transfer",
    "baselines",
    "by_column",
    "by_country",
    "by_grid",
    "by_h3",
    "by_kd",
    "by_kmeans",
    "by_levels",
    "by_polygons",
    "by_s2",
    "contributions",
    "correct_priors",
    "correlate",
    "draw_nearest_distances",
    "embed",
    "explain_distance",
    "nearest_distances",
    "nearest_regions",
    "open_run",
    "pairwise",
    "predict_scores",
    "read_dataset",
    "read_points",
    "read_scores",
    "register_column",
    "register_feature_cost",
    "select_points",
    "select_regions",
    "split_loss",
    "sweep",
    "with_class_costs",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Import public names when they are first used: torch and friends take seconds."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
