"""The objects that settings of a sweep stand for."""

from __future__ import annotations

from types import SimpleNamespace

from geospot_gpu.cluster import Ray
from geospot_gpu.config.groupings import grouped, unused_by_grouping
from geospot_gpu.config.settings import (
    AgainstConfig,
    ClusterConfig,
    ComparisonConfig,
    EngineConfig,
    PointsConfig,
)
from geospot_gpu.config.signatures import arguments
from geospot_gpu.config.validation import refuse_unused
from geospot_gpu.cost import GroundCost
from geospot_gpu.encoders import ENCODERS, Encoder
from geospot_gpu.engine.method import Solver
from geospot_gpu.engine.settings import Engine
from geospot_gpu.errors import GeospotError
from geospot_gpu.points import Points
from geospot_gpu.points.gallery import read_gallery
from geospot_gpu.points.presets import PRESETS, UNLOCATED, read_dataset
from geospot_gpu.points.readers import read_points
from geospot_gpu.points.table import check_invalid
from geospot_gpu.regions import Regions
from geospot_gpu.sinkhorn import SOLVERS


def make_cost(config: ComparisonConfig) -> GroundCost:
    """The ground cost; all of it geography where there is no encoder."""
    given = dict(vars(config.cost))
    if given["geo_weight"] is None:
        del given["geo_weight"]
        if config.encoder.name == "none":
            given["geo_weight"] = 1.0
        elif config.points.located is False or config.points.source in UNLOCATED:
            given["geo_weight"] = 0.0
    cost = GroundCost(**given)
    if config.encoder.name == "none" and cost.uses_features:
        raise GeospotError(
            f"cost.geo_weight={cost.geo_weight:g} needs features and encoder=none gives none: "
            "choose an encoder, or set cost.geo_weight=1"
        )
    return cost


def make_solver(config: ComparisonConfig) -> Solver:
    """The solver."""
    kind = SOLVERS[config.solver.name]
    return kind(**arguments(config.solver, kind))


def make_engine(config: ComparisonConfig) -> Engine:
    """Device, backend, storage, memory budget, and the cluster where there is one."""
    given = arguments(config.engine, Engine, without=["cluster"])
    return Engine(device=config.device, cluster=make_cluster(config.engine), **given)


def make_cluster(settings: EngineConfig | ClusterConfig) -> Ray | None:
    """The cluster of group ``engine``; None where all is done in this process."""
    if settings.name not in ("local", "ray"):
        raise GeospotError(f"engine.name={settings.name} is unknown: use local or ray")
    given = arguments(settings, Ray)
    if settings.name == "ray":
        return Ray(**given)
    usual = SimpleNamespace(engine=Ray())
    refuse_unused(
        SimpleNamespace(engine=settings), usual, {f"engine.{key}": "engine=ray" for key in given}
    )
    return None


def make_encoder(config: ComparisonConfig) -> Encoder:
    """The encoder."""
    kind = ENCODERS[config.encoder.name]
    return kind(**arguments(config.encoder, kind))


def make_regions(
    config: ComparisonConfig, encoder: Encoder, device: str
) -> tuple[Regions, Regions | None]:
    """The regions of the points, and those of the second table where there is one."""
    first, second = config.points, config.against
    _check_fit(config)
    check_invalid(first.invalid)

    def table(path: str, own: PointsConfig | AgainstConfig) -> Regions:
        region = own.region or first.region
        usual, given = (arguments(side, read_points, without=["source"]) for side in (first, own))
        given = {key: value for key, value in given.items() if value is not None}
        if first.labels is not None:  # a file of labels is of the points of one table
            usual = {key: value for key, value in usual.items() if key not in ("label", "labels")}
        settings = usual | given
        if first.located and config.cost.geo_weight == 0.0:  # nothing needs coordinates
            settings["located"] = None
        points = read_points(path, **settings, text=(region, *encoder.ids))
        return _grouped(config, points, region, encoder, device)

    if first.source == "gallery":
        regions = _grouped(config, read_gallery(), None, encoder, device)
    elif first.source in PRESETS:
        regions = _grouped(config, make_points(first), first.region or "region", encoder, device)
    else:
        regions = table(str(first.path), first)
    return regions, None if second.path is None else table(second.path, second)


def make_points(config: PointsConfig) -> Points:
    """The points of a public data set."""
    if not config.root:
        raise GeospotError(
            f"points={config.source} needs points.root=...: the folder with the data set's files"
        )
    return read_dataset(config.source, **arguments(config, read_dataset))


def _check_fit(config: ComparisonConfig) -> None:
    """Raise where the chosen options lack a setting, or would silently ignore one."""
    points, regions = config.points, config.regions
    sources = ("gallery", "table", *PRESETS)
    if points.source not in sources:
        raise GeospotError(
            f"points.source={points.source} is unknown: use one of {', '.join(sources)}"
        )
    if points.source == "table" and not points.path:
        raise GeospotError("points=table needs points.path=...: the file with your points")
    of_table = {f"points.{key}": "points=table" for key in vars(points) if key != "source"}
    of_preset = dict.fromkeys(("points.root", "points.split"), "a data set, as points=fmow")
    unused: dict[str, str] = {}
    if points.source == "gallery":
        unused |= of_table | of_preset
    elif points.source == "table":
        unused |= of_preset
    else:
        read = ("points.region", "points.invalid", "points.label")
        unused |= {key: of for key, of in of_table.items() if key not in (*of_preset, *read)}
    if config.against.path is None:
        unused |= {f"against.{key}": "against.path=..." for key in vars(config.against)}
    unused |= unused_by_grouping(regions)
    refuse_unused(config, ComparisonConfig(encoder=None, solver=None), unused)


def _grouped(
    config: ComparisonConfig, points: Points, region: str | None, encoder: Encoder, device: str
) -> Regions:
    return Regions.from_groups(
        points,
        grouped(config.regions, points, region),
        encoder=encoder,
        device=device,
        **arguments(config.regions, Regions.from_groups),
    )
