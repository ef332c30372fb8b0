"""The command ``geospot explain``: which places drive the distance between two regions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig

from geospot_gpu.commands.results import borders_of, open_sweep
from geospot_gpu.config import settings
from geospot_gpu.config.composed import checked
from geospot_gpu.files.outputs import write_summary
from geospot_gpu.outcome import conclude, say
from geospot_gpu.pictures.maps import label, save
from geospot_gpu.pictures.transfer import contribution_map
from geospot_gpu.points.readers import require_geopandas
from geospot_gpu.transfer.explanation import explain_distance

_MOST = 5
_FILES = ("contributions.parquet", "contributions.geojson", "contributions.png", "summary.json")


def explain(config: DictConfig) -> None:
    """Write and print what the points of two regions contribute to their divergence."""
    typed = checked(config, settings.ExplainConfig)
    run, results = open_sweep(typed, _FILES)
    found = explain_distance(run, typed.source, typed.target)
    points, names = found.points, f"{label(found.source)} - {label(found.target)}"
    title = f"{names}: divergence {found.divergence:.4f}, by place"
    with results.replacing() as staged:
        _write_points(points, staged)
        if "lon" in points:
            figure = contribution_map(points, title, borders_of(run))
            save(figure, staged / "contributions.png")
        write_summary(staged, found.summary)
    say(found.verdict)
    for side, some in points.groupby("side"):
        say(f"most from the {side} ({some['region'].iloc[0]}):")
        # Per mass, or a place with many points would stand first for that alone.
        density = some["contribution"] / some["weight"]
        for row in some.loc[density.nlargest(_MOST).index].itertuples():
            say(f"  {_place(row)}  {row.contribution:.2e}")
    if "lon" not in points:
        say("points have no coordinates: no map is drawn, and rows are those of their table")
    conclude(results.place, {"divergence": found.divergence, "points": len(points)})


def _place(point: Any) -> str:
    """Which point of a table this is."""
    if hasattr(point, "lon"):
        return f"lon {point.lon:8.2f}  lat {point.lat:7.2f}"
    return f"row {point.row:8d}"


def _write_points(points: pd.DataFrame, staged: Path) -> None:
    """The points as GeoParquet and GeoJSON; without coordinates as Parquet alone."""
    if "lon" not in points:
        points.to_parquet(staged / "contributions.parquet", index=False)
        return
    geopandas = require_geopandas()
    shapes = geopandas.points_from_xy(points["lon"], points["lat"], crs="EPSG:4326")
    frame = geopandas.GeoDataFrame(points, geometry=shapes)
    frame.to_parquet(staged / "contributions.parquet", index=False)
    (staged / "contributions.geojson").write_text(frame.to_json(drop_id=True))
