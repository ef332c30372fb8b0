"""The command ``geospot predict``: expected scores in regions with no labels, or a few."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from geospot_gpu.commands.places import (
    PLACES_FILES,
    of_one_model,
    predict_places,
    unused_of_targets,
)
from geospot_gpu.commands.results import COLUMNS, headers_of, open_sweep, scores_of
from geospot_gpu.config import settings
from geospot_gpu.config.composed import checked
from geospot_gpu.config.objects import make_cluster
from geospot_gpu.config.validation import refuse_unused
from geospot_gpu.files.outputs import write_summary
from geospot_gpu.outcome import conclude, say
from geospot_gpu.pictures.maps import save
from geospot_gpu.pictures.transfer import prediction_map
from geospot_gpu.points.readers import read_points, require_geopandas
from geospot_gpu.regions import Regions, grouping
from geospot_gpu.runs.run import Run
from geospot_gpu.transfer import knowledge
from geospot_gpu.transfer.prediction import predict_scores
from geospot_gpu.transfer.threshold import SIDE, UNCLEAR

_WORST = 5
_FILES = ("predictions.parquet", "summary.json")
_MAP = ("map.parquet", "map.png")


def predict(config: DictConfig) -> None:
    """Predict the scores that ``config`` asks for, and say where they are worst."""
    typed = checked(config, settings.PredictConfig)
    if of_one_model(typed):
        predict_places(typed)
        return
    grid = typed.targets.path is None
    unused = unused_of_targets(typed, "region", "lon", "lat", "weight")
    unused |= {f"training.{key}": "training=FILE" for key in ("lon", "lat")}
    if typed.few.path is None:
        unused |= {f"few.{key}": "few=FILE" for key in COLUMNS}
    refuse_unused(typed, settings.PredictConfig(), unused)
    files, stale = ((*_FILES, *_MAP), ()) if grid else (_FILES, _MAP)
    stale = (*stale, *PLACES_FILES[:2])
    run, results = open_sweep(typed, files, stale, make_cluster(typed.engine))
    scores = scores_of(typed, run)
    with run.engine.pool():
        targets = None if grid else _targets(typed.targets, run)
        found = predict_scores(
            run,
            scores,
            source=typed.source,
            targets=targets,
            degrees=typed.targets.degrees,
            points=typed.targets.points,
            threshold=typed.threshold,
            few=typed.few.path,
            headers=headers_of(typed.few),
            label_budget=typed.label_budget,
            seed=typed.seed,
        )
    with results.replacing() as staged:
        found.table.to_parquet(staged / "predictions.parquet", index=False)
        if found.degrees is not None:
            _write_cells(found.best, found.degrees, staged / "map.parquet")
            figure = prediction_map(found.best, found.degrees, scores.kind, found.threshold)
            save(figure, staged / "map.png")
        write_summary(staged, found.summary)
    if found.evaluation.warning is not None:
        say(found.evaluation.warning)
    say(*_report(found.best, scores.kind))
    if targets is not None:
        say(targets.account())
    say(found.evaluation.text)
    say(knowledge.sentence(found.known))
    if found.labels is not None:
        say(found.labels["text"])
    say(found.verdict)
    figures = {"sources": len(found.sources), "targets": len(found.best)}
    conclude(results.place, {**figures, "extrapolates": found.extrapolated})


def _targets(wanted: settings.TargetsConfig, run: Run) -> Regions:
    """The regions of a table; all of its points are one where none are named."""
    points = read_points(
        str(wanted.path),
        lon=wanted.lon,
        lat=wanted.lat,
        weight=wanted.weight,
        located=True if run.regions.located else None,
        text=(wanted.region, *run.encoder.ids),
    )
    if wanted.region is None:
        return run.regions_like(points, {"targets": np.arange(len(points.lon))})
    return run.regions_like(points, grouping.by_column(points, wanted.region))


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
        note = "" if row.get(SIDE, UNCLEAR) == UNCLEAR else f"  likely {row[SIDE]} the threshold"
        note += "  (unlike all that was seen)" if row["extrapolates"] else ""
        lines.append(
            f"  {row['target']:14s} from {row['source']:10s} {kind} {row['predicted']:.3f} "
            f"[{row['lower']:.3f}, {row['upper']:.3f}]{note}"
        )
    return lines
