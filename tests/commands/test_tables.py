"""Tables of other forms, through the command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import geospot_gpu as gs
from tests.helpers.commands import Geospot

SWEEP = ("sweep", "points=table", "encoder=none", "regions.min_points=1", "device=cpu")


@pytest.mark.slow
def test_one_table_in_many_forms(geospot_here: Geospot, tmp_path: Path) -> None:
    """Each gives the same divergence: text in a projection, a layer of points, polygons."""
    geopandas = pytest.importorskip("geopandas")
    generator = np.random.default_rng(0)
    lon, lat = generator.normal(10.0, 2.0, 40), generator.normal(50.0, 2.0, 40)
    points = geopandas.points_from_xy(lon, lat, crs=4326)
    frame = geopandas.GeoDataFrame({"side": np.where(lon < 10.0, "west", "east")}, geometry=points)
    frame.to_file(tmp_path / "all.gpkg", layer="some towns")
    frame[:3].to_file(tmp_path / "all.gpkg", layer="villages")
    metres = frame.to_crs(32632)
    metres.assign(X=metres.geometry.x, Y=metres.geometry.y).drop(columns="geometry").to_csv(
        tmp_path / "metres.txt", sep=";", decimal=",", index=False, encoding="utf-16"
    )
    halves = geopandas.GeoSeries.from_wkt(
        ["POLYGON ((0 0, 10 0, 10 89, 0 89, 0 0))", "POLYGON ((10 0, 20 0, 20 89, 10 89, 10 0))"]
    )
    areas = geopandas.GeoDataFrame({"name": ["west", "east"]}, geometry=halves, crs=4326)
    areas.to_file(tmp_path / "areas.shp")
    forms = (
        ("points.path=all.gpkg|layername=some towns", "points.region=side"),
        ("points.path=metres.txt", "points.region=side", "points.crs=EPSG:32632"),
        (
            *("points.path=all.gpkg|layername=some towns", "regions=polygons"),
            *("regions.path=areas.shp", "regions.name=name"),
        ),
    )
    values = []
    for k, form in enumerate(forms):
        done = geospot_here(*SWEEP, *form, f"out=run{k}")
        assert done.returncode == 0, done.stderr
        run = gs.open_run(tmp_path / f"run{k}")
        assert sorted(run.source.values.tolist()) == ["east", "west"]
        values.append(run.divergence.sel(source="west", target="east").item())
    np.testing.assert_allclose(values, values[0], rtol=1e-5)
    done = geospot_here(*SWEEP, "points.path=all.gpkg", "points.region=side", "out=none")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "error: all.gpkg: has 2 layers (some towns, villages): name one, as in "
        "'all.gpkg|layername=some towns'"
    )
