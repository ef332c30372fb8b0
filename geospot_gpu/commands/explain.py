"""The command ``geospot explain``: which places drive the distance between two regions."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from omegaconf import DictConfig

from geospot_gpu.commands.results import results_folder
from geospot_gpu.config import settings
from geospot_gpu.config.composed import checked
from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.say import say
from geospot_gpu.files import expanded
from geospot_gpu.files.outputs import write_summary
from geospot_gpu.pictures.maps import label
from geospot_gpu.pictures.transfer import contribution_map
from geospot_gpu.points.readers import require_geopandas
from geospot_gpu.runs.reopen import reopen
from geospot_gpu.sinkhorn.solver import Sinkhorn
from geospot_gpu.transfer.contributions import contributions

_MOST = 5
_FILES = (*("contributions.parquet", "contributions.geojson", "contributions.png", "summary.json"),)


def explain(config: DictConfig) -> None:
    """Write and print what the points of two regions contribute to their divergence."""
    typed = checked(config, settings.ExplainConfig)
    results = results_folder(typed, _FILES)
    run = reopen(expanded(typed.sweep))
    if not isinstance(run.method.solver, Sinkhorn):
        raise GeospotError(f"{typed.sweep}: was made with solver=geomloss; explain needs sinkhorn")
    points = contributions(
        run.regions,
        source=typed.source,
        target=typed.target,
        cost=run.method.cost,
        solver=run.method.solver,
        engine=run.engine,
    )
    source, target = points["region"].iloc[[0, -1]]
    divergence = float(points["contribution"].sum())
    negative = float(points["contribution"].clip(upper=0.0).sum())
    text = (
        f"{source} - {target}: divergence {divergence:.4f}, half of it from either "
        f"side; {int((points['contribution'] < 0).sum())} of {len(points)} places contribute less "
        f"than nothing ({negative:.4f}): the other region has more than its share there"
    )
    title = f"{label(source)} - {label(target)}: divergence {divergence:.4f}, by place"
    with results.replacing() as staged:
        _write_points(points, staged)
        contribution_map(points, title, staged / "contributions.png")
        write_summary(staged, {"verdict": text, "divergence": divergence, "points": len(points)})
    say(text)
    for side, some in points.groupby("side"):
        say(f"most from the {side} ({some['region'].iloc[0]}):")
        # Per mass, or a place with many points would stand first for that alone.
        density = some["contribution"] / some["weight"]
        for row in some.loc[density.nlargest(_MOST).index].itertuples():
            say(f"  lon {row.lon:8.2f}  lat {row.lat:7.2f}  {row.contribution:.2e}")
    say(f"results in {results.folder}", f"divergence={divergence:.6g} points={len(points)}")


def _write_points(points: pd.DataFrame, staged: Path) -> None:
    """The points as GeoParquet and GeoJSON."""
    geopandas = require_geopandas()
    shapes = geopandas.points_from_xy(points["lon"], points["lat"], crs="EPSG:4326")
    frame = geopandas.GeoDataFrame(points, geometry=shapes)
    frame.to_parquet(staged / "contributions.parquet", index=False)
    (staged / "contributions.geojson").write_text(frame.to_json(drop_id=True))
