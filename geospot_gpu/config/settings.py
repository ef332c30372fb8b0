"""Settings of commands, as plain data with types: what they are called and what they default to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from typing import Any, Optional

from geospot_gpu.config.overrides import text_settings
from geospot_gpu.config.schema import MISSING, built
from geospot_gpu.config.validation import check_numbers
from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.former import translated
from geospot_gpu.files import expanded

# OmegaConf reads annotations at run time and knows Optional, not the | of Python 3.10.
# ruff: noqa: UP045


@dataclass
class PointsConfig:
    """Group ``points``."""

    source: str = MISSING
    path: Optional[str] = None
    lon: Optional[str] = None
    lat: Optional[str] = None
    region: Optional[str] = None
    weight: Optional[str] = None
    invalid: str = "error"


@dataclass
class AgainstConfig:
    """The second table of a rectangular sweep."""

    path: Optional[str] = None
    lon: Optional[str] = None
    lat: Optional[str] = None
    region: Optional[str] = None
    weight: Optional[str] = None


@dataclass
class RegionsConfig:
    """Group ``regions``."""

    by: str = "auto"
    path: Optional[str] = None
    name: Optional[str] = None
    degrees: Optional[float] = None
    min_points: int = 100
    max_points: Optional[int] = 1000
    seed: int = 0
    include: Optional[list[str]] = None
    exclude: list[str] = field(default_factory=list)
    unions: list[str] = field(default_factory=list)
    cell_degrees: Optional[float] = None


@dataclass
class GeoClipConfig:
    """``encoder=geoclip``."""

    name: str = "geoclip"
    cache: Optional[str] = None


@dataclass
class PrecomputedConfig:
    """``encoder=precomputed``."""

    name: str = "precomputed"
    columns: Optional[list[str]] = None
    path: Optional[str] = None
    id: Optional[str] = None
    normalize: bool = True


@dataclass
class NoEncoderConfig:
    """``encoder=none``."""

    name: str = "none"


@dataclass
class CostConfig:
    """Group ``cost``."""

    feature: str = "cosine"
    geo_weight: Optional[float] = None
    feature_scale: float = 1.0
    geo_scale: float = MISSING
    scaling: str = "global"


@dataclass
class SinkhornConfig:
    """``solver=sinkhorn``."""

    name: str = "sinkhorn"
    epsilon: float = MISSING
    tolerance: float = MISSING
    max_iterations: int = MISSING
    relaxation: bool = True
    precision: str = "single"
    rho: float = 0.01


@dataclass
class GeomLossConfig:
    """``solver=geomloss``."""

    name: str = "geomloss"
    epsilon: float = MISSING
    scaling: float = MISSING


@dataclass
class EngineConfig:
    """Group ``engine``."""

    backend: str = "auto"
    storage: str = "auto"
    memory_budget: str = "auto"


@dataclass
class ComparisonConfig:
    """Regions, and how they are compared: what ``geospot sweep`` and ``nearest`` share."""

    encoder: Any
    solver: Any
    out: str = MISSING
    overwrite: bool = False
    device: str = MISSING
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
    pool: PoolConfig = field(default_factory=PoolConfig)


@dataclass
class ScoresConfig:
    """Group ``scores``."""

    path: Optional[str] = None
    kind: str = MISSING
    change: str = "relative"
    source: Optional[str] = None
    target: Optional[str] = None
    score: Optional[str] = None


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
class TransferConfig:
    """All of ``geospot transfer``."""

    sweep: str = MISSING
    out: str = MISSING
    overwrite: bool = False
    scores: ScoresConfig = field(default_factory=ScoresConfig)
    seed: int = 0


@dataclass
class PredictConfig(TransferConfig):
    """All of ``geospot predict``."""

    source: Optional[str] = None
    targets: TargetsConfig = field(default_factory=TargetsConfig)


@dataclass
class ExplainConfig:
    """All of ``geospot explain``."""

    sweep: str = MISSING
    out: str = MISSING
    overwrite: bool = False
    source: str = MISSING
    target: str = MISSING


OPTIONS: dict[str, dict[str, type]] = {
    "encoder": {
        "geoclip": GeoClipConfig,
        "precomputed": PrecomputedConfig,
        "none": NoEncoderConfig,
    },
    "solver": {"sinkhorn": SinkhornConfig, "geomloss": GeomLossConfig},
}
"""Of the groups whose ``name`` chooses their settings, the schemas by this name."""

SCHEMAS: dict[str, type] = {
    "sweep": SweepConfig,
    "transfer": TransferConfig,
    "predict": PredictConfig,
    "explain": ExplainConfig,
    "select": SelectConfig,
    "nearest": NearestConfig,
}
"""Of each command."""


def text_keys(command: str) -> set[str]:
    """Settings of a command that hold text: names of regions and columns, files, choices."""
    options = {group: schemas.values() for group, schemas in OPTIONS.items()}
    return text_settings(SCHEMAS[command], options)


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
        if isinstance(found.encoder, GeoClipConfig):
            found.encoder.cache = None
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
    own = [settings.get(key) for key in ("path", "features", "prices")]
    return [path for path in own if isinstance(path, str)] + [path for few in found for path in few]


def with_absolute_paths(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration with paths of input that hold in any folder."""
    for group in ("points", "against", "regions", "encoder"):
        if path := config[group].get("path"):
            config[group]["path"] = str(expanded(path).absolute())
    return config
