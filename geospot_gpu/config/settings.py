"""Configuration: typed schemas of the Hydra groups, and the objects they stand for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from typing import TYPE_CHECKING, Any, Optional, TypeVar

from omegaconf import MISSING, DictConfig, OmegaConf

from geospot_gpu.config.overrides import text_settings
from geospot_gpu.config.schema import built
from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.former import translated
from geospot_gpu.files import expanded

T = TypeVar("T")
S = TypeVar("S", bound="SweepConfig")

if TYPE_CHECKING:
    from geospot_gpu.cost import GroundCost
    from geospot_gpu.encoders import Encoder
    from geospot_gpu.engine.engine import Engine, Solver
    from geospot_gpu.points import Points
    from geospot_gpu.regions import Regions

_LARGEST = 2**53
"""Whole numbers up to here are exact in every type of number."""

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
    debias: bool = True
    precision: str = "single"
    rho: Optional[float] = 0.01
    target_error: Optional[float] = None


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
class SweepConfig:
    """All of ``geospot sweep``."""

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
class NearestConfig(SweepConfig):
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


_ENCODERS = {"geoclip": GeoClipConfig, "precomputed": PrecomputedConfig, "none": NoEncoderConfig}
_SOLVERS = {"sinkhorn": SinkhornConfig, "geomloss": GeomLossConfig}


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
    options = {"encoder": _ENCODERS.values(), "solver": _SOLVERS.values()}
    return text_settings(SCHEMAS[command], options)


def typed(config: DictConfig, schema: type[S]) -> S:
    """The composed configuration of a command with groups, every value checked.

    Args:
        config: the configuration.
        schema: :class:`SweepConfig` or one that adds to it.

    Raises:
        GeospotError: a mandatory value is missing, or there is no such encoder or solver.
        omegaconf.errors.OmegaConfBaseException: a key is unknown or a value of the wrong type.
    """
    _check_missing(config)
    groups = schema(
        encoder=_chosen(config, "encoder", _ENCODERS), solver=_chosen(config, "solver", _SOLVERS)
    )
    found = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(groups), config))
    assert isinstance(found, schema)
    _check_numbers(found)
    return found


def checked(config: DictConfig, schema: type[T]) -> T:
    """The composed configuration of a command without groups, checked against its schema.

    Raises:
        GeospotError: a mandatory value is missing.
        omegaconf.errors.OmegaConfBaseException: a key is unknown or a value of the wrong type.
    """
    _check_missing(config)
    found = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), config))
    assert isinstance(found, schema)
    _check_numbers(found)
    return found


def of_manifest(config: object, where: str) -> SweepConfig:
    """The configuration of a sweep from its manifest, which may be another person's.

    Nothing in it is interpolated: text is text. Nor does it say where to write.

    Args:
        config: what the manifest holds of it.
        where: the manifest, for messages.

    Raises:
        GeospotError: it is no configuration of a sweep.
    """
    choices = {"encoder": _ENCODERS, "solver": _SOLVERS}
    try:
        found = built(SweepConfig, translated(config), "config", choices)
        _check_numbers(found)
        if isinstance(found.encoder, GeoClipConfig):
            found.encoder.cache = None
    except GeospotError as error:
        raise GeospotError(f"{where}: {error}: run geospot sweep again in a new folder") from error
    return found


def _check_numbers(config: Any, prefix: str = "") -> None:
    """Raise where a number is none, or larger than any array can be."""
    for name, value in vars(config).items():
        if is_dataclass(value):
            _check_numbers(value, f"{prefix}{name}.")
        elif isinstance(value, float) and math.isnan(value):
            raise GeospotError(f"{prefix}{name}=nan is no number: give one")
        elif isinstance(value, int) and abs(value) > _LARGEST:
            raise GeospotError(f"{prefix}{name}={value} is too large: give at most {_LARGEST}")


def _check_missing(config: DictConfig) -> None:
    missing = sorted(OmegaConf.missing_keys(config))
    if missing or not config.out:
        key = missing[0] if missing else "out"
        raise GeospotError(f"{key} is needed: give {key}=...")


def _chosen(config: DictConfig, group: str, schemas: Mapping[str, type]) -> Any:
    """The schema of the option that a group's ``name`` says."""
    name = OmegaConf.select(config, f"{group}.name")
    if name not in schemas:
        raise GeospotError(f"{group}.name={name} is unknown: use one of {', '.join(schemas)}")
    return schemas[name]


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


def make_cost(config: SweepConfig) -> GroundCost:
    """The ground cost; half geography unless said otherwise, all of it without an encoder."""
    from geospot_gpu.cost import GroundCost

    cost, encoder = config.cost, config.encoder.name
    geo_weight = cost.geo_weight
    if geo_weight is None:
        geo_weight = 1.0 if encoder == "none" else 0.5
    if encoder == "none" and geo_weight != 1.0:
        raise GeospotError(
            f"cost.geo_weight={geo_weight:g} needs features and encoder=none gives none: choose "
            "an encoder, or set cost.geo_weight=1"
        )
    return GroundCost(
        feature=cost.feature,  # type: ignore[arg-type]
        geo_weight=geo_weight,
        feature_scale=cost.feature_scale,
        geo_scale=cost.geo_scale,
        scaling=cost.scaling,  # type: ignore[arg-type]
    )


def make_solver(config: SweepConfig) -> Solver:
    """The solver."""
    from geospot_gpu.sinkhorn.geomloss import GeomLoss
    from geospot_gpu.sinkhorn.solver import Sinkhorn

    settings = dict(vars(config.solver))
    kind: Any = {"sinkhorn": Sinkhorn, "geomloss": GeomLoss}
    return kind[settings.pop("name")](**settings)  # type: ignore[no-any-return]


def make_engine(config: SweepConfig) -> Engine:
    """Device, backend, storage and memory budget."""
    from geospot_gpu.engine.engine import Engine

    return Engine(device=config.device, **vars(config.engine))


def make_encoder(config: SweepConfig) -> Encoder:
    """The encoder."""
    from geospot_gpu.encoders import GeoClip, NoEncoder, Precomputed

    settings = dict(vars(config.encoder))
    kind: Any = {"geoclip": GeoClip, "precomputed": Precomputed, "none": NoEncoder}
    return kind[settings.pop("name")](**settings)  # type: ignore[no-any-return]


def make_regions(
    config: SweepConfig, encoder: Encoder, device: str
) -> tuple[Regions, Regions | None]:
    """The regions of the points, and those of the second table where there is one."""
    from geospot_gpu.points.gallery import read_gallery
    from geospot_gpu.points.readers import read_points
    from geospot_gpu.points.table import check_invalid

    first, second = config.points, config.against
    _check_fit(config)
    invalid = check_invalid(first.invalid)

    def table(path: str, own: PointsConfig | AgainstConfig) -> Regions:
        region = own.region or first.region
        points = read_points(
            path,
            lon=own.lon or first.lon,
            lat=own.lat or first.lat,
            weight=own.weight or first.weight,
            text=(region, encoder.id),
            invalid=invalid,
        )
        return _grouped(config, points, region, encoder, device)

    if first.source == "gallery":
        regions = _grouped(config, read_gallery(), None, encoder, device)
    else:
        regions = table(str(first.path), first)
    return regions, None if second.path is None else table(second.path, second)


def _check_fit(config: SweepConfig) -> None:
    """Raise where the chosen options lack a setting, or would silently ignore one."""
    points, regions = config.points, config.regions
    if points.source not in ("gallery", "table"):
        raise GeospotError(f"points.source={points.source} is unknown: use gallery or table")
    if points.source == "table" and not points.path:
        raise GeospotError("points=table needs points.path=...: the file with your points")
    if regions.by == "polygons" and not (regions.path and regions.name):
        raise GeospotError(
            "regions=polygons needs regions.path=... and regions.name=...: the file of polygons, "
            "and its column of region names"
        )
    if regions.by == "grid" and regions.degrees is None:
        raise GeospotError("regions=grid needs regions.degrees=...: the size of a cell")
    columns = ("lon", "lat", "region", "weight")
    unused: dict[str, str] = {}
    if points.source == "gallery":
        unused |= {f"points.{key}": "points=table" for key in ("path", *columns, "invalid")}
    if config.against.path is None:
        unused |= {f"against.{key}": "against.path=..." for key in columns}
    if regions.by != "polygons":
        unused |= {f"regions.{key}": "regions=polygons" for key in ("path", "name")}
    if regions.by != "grid":
        unused["regions.degrees"] = "regions=grid"
    if config.solver.name == "geomloss":
        unused |= {f"engine.{key}": "solver=sinkhorn" for key in ("backend", "storage")}
    refuse_unused(config, SweepConfig(encoder=None, solver=None), unused)


def refuse_unused(config: Any, default: Any, needed: Mapping[str, str]) -> None:
    """Raise where a setting that has no effect differs from its default.

    Args:
        config, default: settings of one schema.
        needed: what each of the settings that have no effect would need.

    Raises:
        GeospotError: one of them is given.
    """
    for key, condition in needed.items():
        value, usual = config, default
        for name in key.split("."):
            value, usual = getattr(value, name), getattr(usual, name)
        if value != usual:
            raise GeospotError(f"{key}={_shown(value)} has no effect without {condition}")


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _grouped(
    config: SweepConfig, points: Points, region: str | None, encoder: Encoder, device: str
) -> Regions:
    from geospot_gpu.regions import Regions, grouping

    settings = config.regions
    by = settings.by
    if by == "auto":
        by = "country" if region is None else "column"
    if by == "column":
        if region is None:
            raise GeospotError("regions=column needs points.region=...: the column of region names")
        groups = grouping.by_column(points, region)
    elif by == "country":
        groups = grouping.by_country(points)
    elif by == "polygons":
        groups = grouping.by_polygons(points, str(settings.path), settings.name)
    elif by == "grid":
        groups = grouping.by_grid(points, settings.degrees or 0.0)
    else:
        raise GeospotError(
            f"regions.by={by!r} is unknown: use auto, column, country, polygons or grid"
        )
    return Regions.from_groups(
        points,
        groups,
        encoder=encoder,
        min_points=settings.min_points,
        max_points=settings.max_points,
        seed=settings.seed,
        include=settings.include,
        exclude=settings.exclude,
        unions=settings.unions,
        cell_degrees=settings.cell_degrees,
        device=device,
    )
