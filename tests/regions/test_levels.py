"""Polygons with levels, in the layouts that people have, and which column names them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from geospot_gpu.errors import GeospotError
from geospot_gpu.regions.grouping import by_country, by_levels, by_polygons
from tests.helpers import polygon_files
from tests.helpers.polygon_files import UNITS, boxes, points_within

pytest.importorskip("geopandas")

POINTS = points_within()


def members(groups: dict[str, Any]) -> dict[str, list[int]]:
    return {name: rows.tolist() for name, rows in groups.items()}


COUNTRIES = {"Germany": [0, 1, 2], "France": [3], "Monaco": [4]}
STATES = {"Germany / Nord": [0], "Germany / Süd": [1, 2], "France / Nord": [3], "Monaco": [4]}
DISTRICTS = {
    "Germany / Nord / Kiel": [0],
    "Germany / Süd / Ansbach [DEU.2.1_1]": [1],
    "Germany / Süd / Ansbach [DEU.2.2_1]": [2],
    "France / Nord / Lille": [3],
    "Monaco": [4],
}
NAMED_BY_BIOME = {"Palearctic / Forest": [0, 1, 2], "Palearctic / Desert": [3]}


@pytest.mark.parametrize(
    ("layout", "level", "expected"),
    [
        (polygon_files.gadm_package, 0, COUNTRIES),
        (polygon_files.gadm_package, 1, STATES),
        (polygon_files.gadm_package, 2, DISTRICTS),
        (polygon_files.gadm_world, 0, COUNTRIES),
        (polygon_files.gadm_world, 1, STATES),
        (polygon_files.gadm_world, 2, DISTRICTS),
        (
            polygon_files.geoboundaries,
            2,
            {
                "DEU / Kiel": [0], "DEU / Ansbach [1B1]": [1], "DEU / Ansbach [2B2]": [2],
                "FRA / Lille": [3], "MCO / Monaco": [4],
            },
        ),
        (polygon_files.geoboundaries, 0, {"Monaco": [4]}),
        (
            polygon_files.natural_earth,
            1,
            {
                "Germany / Nord": [0], "Germany / Süd [DEU-1]": [1], "Germany / Süd [DEU-2]": [2],
                "France / Nord": [3], "Monaco / Monaco": [4],
            },
        ),
        (polygon_files.natural_earth, 0, COUNTRIES),
        (polygon_files.natural_earth_countries, 0, COUNTRIES),
        (polygon_files.nuts, 0, COUNTRIES),
        (
            polygon_files.nuts,
            1,
            {
                "DE / Kiel": [0], "DE / Ansbach [DE1]": [1], "DE / Ansbach [DE2]": [2],
                "FR / Lille": [3], "MC / Monaco": [4],
            },
        ),
    ],
)  # fmt: skip
def test_levels(
    layout: Callable[[Path], Path], level: int, expected: dict[str, list[int]], tmp_path: Path
) -> None:
    assert members(by_levels(POINTS, layout(tmp_path), level)) == expected


@pytest.mark.parametrize(
    ("biome", "level", "expected"),
    [
        ("BIOME_NAME", 0, {"Palearctic": [0, 1, 2, 3], "Afrotropic": [4]}),
        ("BIOME_NAME", 1, NAMED_BY_BIOME | {"Afrotropic / Savanna": [4]}),
        ("BIOME_NAME", 2, {"Alps": [0, 2], "Baltic": [1], "Sahara": [3], "Sahel": [4]}),
        (
            "BIOME",
            1,
            {
                "Palearctic / 5": [0, 2], "Palearctic / 4": [1], "Palearctic / 13": [3],
                "Afrotropic / 7": [4],
            },
        ),
    ],
)  # fmt: skip
def test_ecoregions(biome: str, level: int, expected: dict[str, list[int]], tmp_path: Path) -> None:
    assert members(by_levels(POINTS, polygon_files.ecoregions(tmp_path, biome), level)) == expected


@pytest.mark.parametrize(
    "columns",
    [
        {"country": "ADM0_NAME", "state": "ADM1_NAME", "iso": "ADM0_CODE", "gid_1": "ADM1_CODE"},
        {"country": "ADM0_EN", "state": "ADM1_EN", "iso": "ADM0_PCODE", "gid_1": "ADM1_PCODE"},
        {"country": "admin0Name", "state": "admin1Name", "iso": "admin0Pcod"},
    ],
)
def test_levels_of_columns_that_are_numbered(columns: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "areas.parquet"
    boxes(UNITS[[*columns]].rename(columns=columns)).to_parquet(path)
    assert members(by_levels(POINTS, path, 1)) == STATES


def test_levels_of_columns_that_are_named(tmp_path: Path) -> None:
    path = tmp_path / "areas.parquet"
    boxes(UNITS[["country", "state"]]).to_parquet(path)
    assert members(by_levels(POINTS, path, 1, ["country", "state"])) == STATES
    assert members(by_levels(POINTS, path, 0, ["country"])) == COUNTRIES


def test_what_is_not_plain_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    by_levels(POINTS, polygon_files.gadm_world(tmp_path), 2)
    said = caplog.messages
    assert said[0].endswith(
        "1 polygons have no name_2 and are regions by the name of their parent: Monaco"
    )
    assert said[1].endswith(
        "1 names are of several places, which carry their gid_2: Germany / Süd / Ansbach"
    )
    assert len(said) == 2


@pytest.mark.parametrize(
    ("level", "columns", "message"),
    [
        (1, None, r"is of no layout with levels .* regions\.columns=\[.*there are: country, state"),
        (1, ["country"], r"has no level 1 \(regions\.columns\): it has regions\.level=0$"),
        (0, ["county"], r"regions\.columns='county' is not a column; there are: country, state"),
        (-1, ["country"], r"^regions\.level=-1: give a whole number of 0 or more"),
    ],
)
def test_levels_that_are_not_there(
    level: int, columns: list[str] | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "areas.parquet"
    boxes(UNITS[["country", "state"]]).to_parquet(path)
    with pytest.raises(GeospotError, match=message):
        by_levels(POINTS, path, level, columns)


def test_a_layout_without_the_level(tmp_path: Path) -> None:
    path = polygon_files.gadm_world(tmp_path)
    with pytest.raises(GeospotError, match=r"no level 4 \(GADM\): it has regions\.level=0, 1, 2$"):
        by_levels(POINTS, path, 4)


def test_a_package_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "broken.gpkg"
    path.write_bytes(b"SQLite format 3\0" + bytes(99))
    with pytest.raises(GeospotError, match=r"broken\.gpkg: is an SQLite database without"):
        by_levels(POINTS, path, 1)


# --- names that are found


def test_polygons_of_a_known_layout_have_unique_names(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert members(by_polygons(POINTS, polygon_files.gadm_world(tmp_path))) == DISTRICTS
    assert caplog.messages[-1].endswith(
        "no regions.name given: regions are named by name_0 / name_1 / name_2, as in GADM"
    )


@pytest.mark.parametrize("column", ["NAME", "Region", "district", "id", "whatever"])
def test_polygons_are_named_by_the_usual_column(
    column: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "areas.parquet"
    boxes(pd.DataFrame({"area_km2": 1.5, column: list("abcde")})).to_parquet(path)
    assert members(by_polygons(POINTS, path)) == {name: [k] for k, name in enumerate("abcde")}
    assert caplog.messages == [f"{path}: no regions.name given: regions are named by {column!r}"]


def test_codes_that_natural_earth_has_not_are_no_region(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "areas.parquet"
    boxes(pd.DataFrame({"ISO_A2": ["DE", "-99", "-99", "KE", "NA"]})).to_parquet(path)
    assert members(by_polygons(POINTS, path, "ISO_A2")) == {"DE": [0], "KE": [3], "NA": [4]}
    assert "left out 2 polygons without a name: features 2, 3" in caplog.text


def test_polygons_that_nothing_names(tmp_path: Path) -> None:
    path = tmp_path / "areas.parquet"
    boxes(pd.DataFrame({"a": list("abcde"), "b": list("abcde")})).to_parquet(path)
    with pytest.raises(GeospotError, match=r"say which column names .*there are: a, b$"):
        by_polygons(POINTS, path)
    boxes(UNITS[[]]).to_parquet(path)
    with pytest.raises(GeospotError, match=r"there are: no column but the geometry$"):
        by_polygons(POINTS, path)


# --- countries of a file


@pytest.mark.parametrize(
    ("layout", "column"),
    [
        (polygon_files.natural_earth_countries, "ADM0_A3"),  # ISO_A3 of France is -99
        (polygon_files.gadm_world, "gid_0"),
        (polygon_files.geoboundaries, "shapeGroup"),
    ],
)
def test_countries_of_a_file(
    layout: Callable[[Path], Path], column: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = layout(tmp_path)
    expected = {"DEU": [0, 1, 2], "FRA": [3], "MCO": [4]}
    assert members(by_country(POINTS, path)) == expected
    assert caplog.messages == [f"{path}: no regions.name given: regions are named by {column!r}"]


def test_countries_of_a_column(tmp_path: Path) -> None:
    path = polygon_files.natural_earth_countries(tmp_path)
    assert members(by_country(POINTS, path, "NAME")) == COUNTRIES
    with pytest.raises(GeospotError, match=r"^regions\.name='NAME' has no effect without regions"):
        by_country(POINTS, name="NAME")
