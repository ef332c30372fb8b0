"""The starts that the README shows, on small files of the same forms."""

from __future__ import annotations

import re
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from shapely import box  # type: ignore[import-untyped]

from tests.data import geode
from tests.helpers.commands import Geospot
from tests.helpers.images import noise, png
from tests.helpers.rasters import save_alphaearth

README = (Path(__file__).parents[2] / "README.md").read_text()
FEW = ("regions.min_points=1", "outputs=[divergence]")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """What the commands name."""
    random = np.random.default_rng(0)
    lon, lat = random.uniform(36, 38, 40), random.uniform(-1, 1, 40)
    found = pd.DataFrame({"gbifID": range(40), "countryCode": ["KE", "UG"] * 20})
    found = found.assign(locality='near "N', decimalLatitude=lat, decimalLongitude=lon)
    found.loc[3, "decimalLatitude"] = np.nan
    found.to_csv(tmp_path / "occurrence.csv", sep="\t", index=False, quoting=3)
    places = gpd.points_from_xy(lon, lat)
    gpd.GeoDataFrame({"n": range(40)}, geometry=places, crs=4326).to_file(
        tmp_path / "stations.gpkg"
    )
    counties = {"NAME_0": "Kenya", "GID_0": "KEN", "GID_1": ["KEN.1", "KEN.2"]}
    counties |= {"NAME_1": ["Baringo", "Bomet"]}
    shapes = [box(36, -1, 37, 1), box(37, -1, 38, 1)]
    gpd.GeoDataFrame(counties, geometry=shapes, crs=4326).to_file(
        tmp_path / "gadm41_KEN.gpkg", layer="ADM_ADM_1"
    )
    (tmp_path / "photos").mkdir()
    for k in range(6):
        (tmp_path / "photos" / f"{k}.png").write_bytes(png(noise(8, 8, k)))
    photos = pd.DataFrame({"id": list("abcdef"), "file": [f"{k}.png" for k in range(6)]})
    photos = photos.assign(lon=lon[:6], lat=lat[:6], country=["KE", "UG"] * 3)
    photos.to_csv(tmp_path / "photos.csv", index=False)
    degree = (0.01, 0.0, 36.0, 0.0, 0.01, -0.2)
    save_alphaearth(tmp_path / "aef" / "2024" / "a.tif", degree, "EPSG:4326")
    geode.write(tmp_path / "geode")
    for k, name in enumerate(pd.read_csv(tmp_path / "geode" / "geode_paths.csv")["file_path"]):
        path = tmp_path / "geode" / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(noise(8, 8, k)))
    return tmp_path


def commands() -> list[str]:
    (block,) = re.findall(r"Five starts:\n\n```\n(.*?)```", README, re.S)
    return [line for line in block.splitlines() if not line.startswith("#")]


@pytest.mark.slow
def test_all_starts_of_the_readme_run(files: Path, geospot_here: Geospot) -> None:
    fields = pd.DataFrame(
        {"lon": np.linspace(36.02, 36.38, 8), "lat": 0.0, "state": ["A", "B"] * 4}
    )
    fields.to_csv(files / "fields.csv.gz", index=False)
    assert len(commands()) == 7
    for command in commands():
        _, name, *arguments = command.split()
        ran = geospot_here(name, *arguments, *(FEW if name == "sweep" else ()))
        assert ran.returncode == 0, (command, ran.stderr)
    runs = sorted(path.name for path in (files / "runs").iterdir())
    assert runs == ["counties", "fields", "gbif", "geode", "photos"]
    regions = {name: pd.read_parquet(files / "runs" / name / "regions.parquet") for name in runs}
    assert regions["counties"]["name"].tolist() == ["Kenya / Baringo", "Kenya / Bomet"]
    assert regions["gbif"]["n_points"].sum() == 39
    assert regions["geode"]["name"].tolist() == ["Italy", "Nigeria", "South Korea"]
