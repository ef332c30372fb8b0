"""The command ``geospot predict``: expected scores in regions that have no labels."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from omegaconf import DictConfig

from geospot_gpu.commands.results import results_folder
from geospot_gpu.commands.transfer import (
    described,
    in_domain,
    predictor_line,
    scores_of,
    training_pairs,
)
from geospot_gpu.config import objects, settings
from geospot_gpu.config.composed import checked
from geospot_gpu.config.validation import refuse_unused
from geospot_gpu.distances.baselines import baselines
from geospot_gpu.distances.columns import stored_in
from geospot_gpu.distances.pairwise import all_pairs
from geospot_gpu.distances.solve import solve
from geospot_gpu.encoders import Encoder
from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.say import say
from geospot_gpu.files import expanded
from geospot_gpu.files.outputs import write_summary
from geospot_gpu.land import land
from geospot_gpu.names import Names
from geospot_gpu.pictures.transfer import prediction_map
from geospot_gpu.points.readers import read_points, require_geopandas
from geospot_gpu.points.table import Points
from geospot_gpu.regions import Regions, grouping
from geospot_gpu.runs.reopen import Reopened
from geospot_gpu.transfer.evidence import features, load, matrices, tidy
from geospot_gpu.transfer.predictor import Predictor

_WORST = 5
_FILES = ("predictions.parquet", "summary.json")
_MAP = ("map.parquet", "map.png")


def predict(config: DictConfig) -> None:
    """Predict the scores that ``config`` asks for, and say where they are worst."""
    typed = checked(config, settings.PredictConfig)
    columns = ("region", "lon", "lat", "weight")
    unused = (
        {f"targets.{key}": "targets=FILE" for key in columns}
        if typed.targets.path is None
        else dict.fromkeys(("targets.degrees", "targets.points"), "a grid over the land")
    )
    refuse_unused(typed, settings.PredictConfig(), unused)
    grid = typed.targets.path is None
    results = results_folder(typed, (*_FILES, *_MAP) if grid else _FILES, () if grid else _MAP)
    scores = scores_of(typed)
    loaded = load(expanded(typed.sweep))
    training, names = training_pairs(loaded, scores)
    predictor = Predictor(training, names, scores.kind, seed=typed.seed)
    run = loaded.run
    chosen = _sources(typed.source, scores.regions)
    sources = run.regions.subset(chosen)
    targets, corners = _targets(typed, run)
    distances = _distances(sources, targets, run, names)
    own = in_domain(loaded, scores)
    at_home = None if own is None else own[[loaded.names.index(name) for name in chosen]]
    pairs = tidy(features(distances, sources, targets, at_home), chosen, list(targets.names))
    predictions = predictor.predict(pairs)
    best = _best(predictions, scores.kind)
    beyond = int(best["extrapolates"].sum())
    summary: dict[str, Any] = {
        "verdict": f"{len(best)} targets predicted, {beyond} of them unlike all that was seen",
        "sources": len(chosen),
        "targets": len(best),
        "extrapolates": beyond,
        "predictor": described(predictor.evaluation),
    }
    with results.replacing() as staged:
        predictions.to_parquet(staged / "predictions.parquet", index=False)
        if corners is not None:
            cells = best.merge(corners, on="target")
            _write_cells(cells, typed.targets.degrees, staged / "map.parquet")
            prediction_map(cells, typed.targets.degrees, scores.kind, staged / "map.png")
        write_summary(staged, summary)
    say(*_report(best, scores.kind))
    if typed.targets.path is not None:
        say(targets.account())
    say(predictor_line(predictor.evaluation))
    say(
        f"{summary['verdict']}",
        f"results in {results.folder}",
        f"sources={len(chosen)} targets={len(best)} extrapolates={beyond}",
    )


def _sources(source: str | None, known: tuple[str, ...]) -> list[str]:
    if source is None:
        return list(known)
    found = Names(known).find(source)
    if found is None:
        raise GeospotError(
            f"source={source} has no scores: use one of {', '.join(known[:8])}, ... or leave it out"
        )
    return [known[found]]


def _targets(config: settings.PredictConfig, run: Reopened) -> tuple[Regions, pd.DataFrame | None]:
    """The target regions; with the south-western corners of cells where they are a grid."""
    wanted = config.targets
    encoder = objects.make_encoder(run.config)
    device = str(run.engine.torch_device())
    most, seed = run.config.regions.max_points, run.config.regions.seed
    if wanted.path is None:
        points, groups, corners = _land_cells(wanted.degrees, wanted.points, config.seed, encoder)
        regions = Regions.from_groups(points, groups, encoder=encoder, device=device)
        return regions, corners
    points = read_points(
        wanted.path,
        lon=wanted.lon,
        lat=wanted.lat,
        weight=wanted.weight,
        text=(wanted.region, encoder.id),
    )
    groups = (
        {"targets": np.arange(len(points.lon))}
        if wanted.region is None
        else dict(grouping.by_column(points, wanted.region))
    )
    regions = Regions.from_groups(
        points, groups, encoder=encoder, max_points=most, seed=seed, device=device
    )
    return regions, None


def _land_cells(
    degrees: float, count: int, seed: int, encoder: Encoder
) -> tuple[Points, dict[str, NDArray[np.int64]], pd.DataFrame]:
    """Points on the land of each cell of a grid, equally dense on the sphere."""
    if not encoder.reads_coordinates:
        raise GeospotError(
            "a grid over the land has no features but those of its coordinates: give targets=FILE, "
            "or make the sweep with encoder=geoclip or none"
        )
    if not 1.0 <= degrees <= 90.0 or count < 1:
        raise GeospotError(
            f"targets.degrees={degrees:g}, targets.points={count}: give cells of 1 to 90 degrees "
            "and at least one point"
        )
    generator = np.random.default_rng(seed)
    lon, lat, cell, corners = [], [], [], []
    for south in np.arange(-90.0, 90.0, degrees):
        heights = np.sin(np.radians([south, min(90.0, south + degrees)]))
        for west in np.arange(-180.0, 180.0, degrees):
            x = generator.uniform(west, min(180.0, west + degrees), 8 * count)
            y = np.degrees(np.arcsin(generator.uniform(heights[0], heights[1], 8 * count)))
            dry = np.flatnonzero(land(x, y))[:count]
            if len(dry) < min(count, 10):
                continue
            name = f"{west:g},{south:g}"
            corners.append((name, west, south))
            lon.append(x[dry])
            lat.append(y[dry])
            cell += [name] * len(dry)
    table = pd.DataFrame({"cell": cell})
    points = Points.build(lon=np.concatenate(lon), lat=np.concatenate(lat), attributes=table)
    places = pd.DataFrame(corners, columns=["target", "lon", "lat"])
    return points, dict(grouping.by_column(points, "cell")), places


def _distances(
    sources: Regions, targets: Regions, run: Reopened, learned: Collection[str]
) -> dict[str, NDArray[np.float64]]:
    """Those distances between sources and targets that were learned from, as the sweep has them."""
    together = sources.concatenated(targets)
    left, right = all_pairs(len(sources), len(targets))
    of_sweep, simple = (
        [column.name for column in stored_in(table) if set(column.matrices) & set(learned)]
        for table in ("pairs", "baselines")
    )
    found = []
    if of_sweep:
        solved = solve(
            together, left, right, run.method, of_sweep,
            engine=run.engine, target_error=run.target_error,
        )  # fmt: skip
        found.append(solved.to_pandas(together.names))
    found.append(baselines(together, left, right, outputs=simple))
    pairs = pd.concat(found, axis=1)
    return matrices(pairs, list(sources.names), list(targets.names))


def _best(predictions: pd.DataFrame, kind: str) -> pd.DataFrame:
    """For every target the source of which most is expected."""
    ordered = predictions.sort_values("predicted", ascending=kind == "error", kind="stable")
    return ordered.drop_duplicates("target").sort_values("target", ignore_index=True)


def _write_cells(cells: pd.DataFrame, degrees: float, path: Path) -> None:
    geopandas = require_geopandas()
    from shapely import box  # type: ignore[import-untyped]

    lon, lat = cells["lon"].to_numpy(float), cells["lat"].to_numpy(float)
    shapes = box(lon, lat, np.minimum(lon + degrees, 180.0), np.minimum(lat + degrees, 90.0))
    frame = geopandas.GeoDataFrame(
        cells.drop(columns=["lon", "lat"]), geometry=shapes, crs="EPSG:4326"
    )
    frame.to_parquet(path, index=False)


def _report(best: pd.DataFrame, kind: str) -> list[str]:
    worst = best.sort_values("predicted", ascending=kind != "error").head(_WORST)
    lines = [f"{len(best)} targets, each from the source of which most is expected; the worst:"]
    for _, row in worst.iterrows():
        note = "  (unlike all that was seen)" if row["extrapolates"] else ""
        lines.append(
            f"  {row['target']:14s} from {row['source']:10s} {kind} {row['predicted']:.3f} "
            f"[{row['lower']:.3f}, {row['upper']:.3f}]{note}"
        )
    return lines
