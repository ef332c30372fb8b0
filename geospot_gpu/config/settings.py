"""Settings of commands, as plain data with types: what they are called and what they default to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass, make_dataclass
from typing import Any, Optional

from geospot_gpu.cluster import Ray
from geospot_gpu.config.schema import MISSING, built
from geospot_gpu.config.signatures import Settings, with_arguments_of
from geospot_gpu.config.validation import check_numbers
from geospot_gpu.cost import GroundCost
from geospot_gpu.embedding import EMBEDDERS
from geospot_gpu.embedding.embed import embed
from geospot_gpu.encoders import ENCODERS
from geospot_gpu.engine.settings import Engine
from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.former import translated
from geospot_gpu.files import expanded
from geospot_gpu.points.presets import read_dataset
from geospot_gpu.points.readers import read_points
from geospot_gpu.regions import Regions
from geospot_gpu.regions.grouping import GROUPINGS
from geospot_gpu.sinkhorn import SOLVERS

# OmegaConf reads annotations at run time and knows Optional, not the | of Python 3.10.
# ruff: noqa: UP045


@with_arguments_of(read_points, read_dataset, without=("source", "text", "name"))
@dataclass
class PointsConfig(Settings):
    """Group ``points``."""

    source: str = MISSING
    path: Optional[str] = None
    root: Optional[str] = None
    region: Optional[str] = None


@with_arguments_of(read_points, without=("source", "text", "invalid", "located"))
@dataclass
class AgainstConfig(Settings):
    """The second table of a rectangular sweep."""

    path: Optional[str] = None
    region: Optional[str] = None


@with_arguments_of(Regions.from_groups, without=("points", "groups", "encoder", "device"))
@with_arguments_of(*GROUPINGS.values(), without=("points", "seed"), optional=True)
@dataclass
class RegionsConfig(Settings):
    """Group ``regions``."""

    by: str = "auto"


@with_arguments_of(GroundCost, without=("class_costs", "classes"))
@dataclass
class CostConfig(Settings):
    """Group ``cost``."""

    geo_weight: Optional[float] = None


@with_arguments_of(Engine, Ray, without=("device", "kernel", "cluster"))
@dataclass
class EngineConfig(Settings):
    """Group ``engine``."""

    name: str = "local"


@with_arguments_of(Ray)
@dataclass
class ClusterConfig(Settings):
    """Group ``engine`` of commands that go on from a sweep, whose device and backend they take."""

    name: str = "local"


def _option(name: str, kind: type) -> type:
    """Settings of a class that is chosen by its name."""
    named = make_dataclass(kind.__name__, [("name", str, name)], bases=(Settings,))
    return with_arguments_of(kind)(named)


OPTIONS: dict[str, dict[str, type]] = {
    group: {name: _option(name, kind) for name, kind in kinds.items()}
    for group, kinds in (("encoder", ENCODERS), ("solver", SOLVERS), ("embed", EMBEDDERS))
}
"""Of the groups whose ``name`` chooses their settings, the schemas by this name."""


@with_arguments_of(Engine, only=("device",))
@dataclass
class ComparisonConfig(Settings):
    """Regions, and how they are compared: what ``geospot sweep`` and ``nearest`` share."""

    encoder: Any
    solver: Any
    out: str = MISSING
    overwrite: bool = False
    points: PointsConfig = field(default_factory=PointsConfig)
    against: AgainstConfig = field(default_factory=AgainstConfig)
    regions: RegionsConfig = field(default_factory=RegionsConfig)
    cost: CostConfig = field(default_factory=CostConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)


@dataclass
class SweepConfig(ComparisonConfig):
    """All of ``geospot sweep``."""

    outputs: Optional[list[str]] = None
    target_error: Optional[float] = None
    shard: Optional[str] = None
    pairs: str = "all"
    k: int = 10
    plan: bool = False


@dataclass
class NearestConfig(ComparisonConfig):
    """All of ``geospot nearest``."""

    target: str = MISSING
    k: int = 10


@dataclass
class PoolConfig:
    """Group ``pool``: a table of points to choose from."""

    path: Optional[str] = None
    features: Optional[str] = None
    id: Optional[str] = None
    lon: Optional[str] = None
    lat: Optional[str] = None


@dataclass
class SelectConfig:
    """All of ``geospot select``."""

    sweep: str = MISSING
    out: str = MISSING
    overwrite: bool = False
    target: Any = MISSING
    over: str = "regions"
    method: str = "coverage"
    purpose: str = "train"
    budget: Optional[float] = None
    max_regions: Optional[int] = None
    quota: Optional[int] = None
    prices: Optional[str] = None
    exclude: list[str] = field(default_factory=list)
    have: Any = None
    include_target: bool = False
    by: str = "divergence"
    exhaustive: bool = False
    seed: int = 0
    neighbours: Optional[int] = None
    transfer: Optional[str] = None
    pool: PoolConfig = field(default_factory=PoolConfig)
    engine: ClusterConfig = field(default_factory=ClusterConfig)


@dataclass
class ScoresConfig:
    """Group ``scores``."""

    path: Optional[str] = None
    kind: str = MISSING
    change: str = "relative"
    source: Optional[str] = None
    target: Optional[str] = None
    score: Optional[str] = None
    id: Optional[str] = None
    model: Optional[str] = None
    shots: Optional[str] = None


@dataclass
class TargetsConfig:
    """Group ``targets``: points of new regions."""

    path: Optional[str] = None
    region: Optional[str] = None
    lon: Optional[str] = None
    lat: Optional[str] = None
    weight: Optional[str] = None
    degrees: float = 10.0
    points: int = 200


@dataclass
class TrainingConfig:
    """Group ``training``: the points that one model was trained on."""

    path: Optional[str] = None
    lon: Optional[str] = None
    lat: Optional[str] = None


@dataclass
class FewConfig:
    """Group ``few``: scores at a few labelled points of targets, in columns as of ``scores``."""

    path: Optional[str] = None
    source: Optional[str] = None
    target: Optional[str] = None
    score: Optional[str] = None
    id: Optional[str] = None
    model: Optional[str] = None
    shots: Optional[str] = None


@dataclass
class TransferConfig:
    """All of ``geospot transfer``."""

    sweep: str = MISSING
    out: str = MISSING
    overwrite: bool = False
    scores: ScoresConfig = field(default_factory=ScoresConfig)
    seed: int = 0
    engine: ClusterConfig = field(default_factory=ClusterConfig)


@dataclass
class PredictConfig(TransferConfig):
    """All of ``geospot predict``."""

    source: Any = None
    threshold: Optional[float] = None
    label_budget: Optional[int] = None
    few: FewConfig = field(default_factory=FewConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    targets: TargetsConfig = field(default_factory=TargetsConfig)


@dataclass
class ExplainConfig:
    """All of ``geospot explain``."""

    sweep: str = MISSING
    out: str = MISSING
    overwrite: bool = False
    source: str = MISSING
    target: str = MISSING


@dataclass
class ReportConfig:
    """All of ``geospot report``."""

    sweep: str = MISSING
    transfer: Optional[str] = None
    predict: Optional[str] = None
    select: Optional[str] = None
    explain: Optional[str] = None
    multirun: Optional[str] = None
    out: str = MISSING
    overwrite: bool = False


@with_arguments_of(embed, only=("id", "overwrite", "device"))
@dataclass
class EmbedConfig(Settings):
    """All of ``geospot embed``."""

    embed: Any
    out: str = MISSING
    points: PointsConfig = field(default_factory=PointsConfig)


@with_arguments_of(Engine, only=("device",))
@dataclass
class DoctorConfig(Settings):
    """All of ``geospot doctor``."""


@dataclass
class RunConfig:
    """All of ``geospot convert`` and ``geospot verify``."""

    sweep: str = MISSING


@dataclass
class ImportConfig:
    """All of ``geospot import``."""

    reference: str = MISSING
    out: str = MISSING
    overwrite: bool = False


SCHEMAS: dict[str, type] = {
    "sweep": SweepConfig,
    "transfer": TransferConfig,
    "predict": PredictConfig,
    "explain": ExplainConfig,
    "select": SelectConfig,
    "nearest": NearestConfig,
    "report": ReportConfig,
    "import": ImportConfig,
    "embed": EmbedConfig,
    "doctor": DoctorConfig,
    "convert": RunConfig,
    "verify": RunConfig,
}
"""Of each command."""


def of_manifest(config: object, where: str) -> SweepConfig:
    """The configuration of a sweep from its manifest, which may be another person's.

    Nothing in it is interpolated: text is text. Nor does it say where to write.

    Args:
        config: what the manifest holds of it.
        where: the manifest, for messages.

    Raises:
        GeospotError: it is no configuration of a sweep.
    """
    try:
        found = built(SweepConfig, translated(config), "config", OPTIONS)
        check_numbers(found)
        if hasattr(found.encoder, "cache"):
            found.encoder.cache = None
        for name in ("name", *vars(Ray())):  # where it was computed is not where it is read
            setattr(found.engine, name, getattr(EngineConfig(), name))
    except GeospotError as error:
        raise GeospotError(f"{where}: {error}: run geospot sweep again in a new folder") from error
    return found


def inputs(settings: Any) -> list[str]:
    """The files that settings of a command, or of the manifest of a sweep, name to be read."""
    if is_dataclass(settings):
        settings = vars(settings)
    if not isinstance(settings, Mapping):
        return []
    found = [inputs(value) for value in settings.values()]
    own = [settings.get(key) for key in ("path", "labels", "features", "prices", "reference")]
    if isinstance(report := settings.get("transfer"), str):
        own.append(f"{report}/summary.json")
    return [path for path in own if isinstance(path, str)] + [path for few in found for path in few]


def with_absolute_paths(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration with paths of input that hold in any folder."""
    for group in ("points", "against", "regions", "encoder"):
        _make_absolute(config[group])
    return config


def _make_absolute(settings: dict[str, Any]) -> None:
    """Make the paths absolute that settings hold, and settings within them."""
    for key, value in settings.items():
        if isinstance(value, dict):
            _make_absolute(value)
        elif key in ("path", "labels", "reference", "root") and isinstance(value, str) and value:
            settings[key] = str(expanded(value).absolute())
