from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geospot_gpu.errors import GeospotError
from geospot_gpu.points import Points
from geospot_gpu.points.gallery import read_gallery
from geospot_gpu.points.readers import read_points
from geospot_gpu.regions.grouping import by_column, by_country, by_grid, by_polygons
from tests.helpers.folders import ROOT

COUNTRIES = ROOT.parent / "shared" / "data" / "ne_110m_admin_0_countries_slim.geojson.gz"

Ring = Sequence[tuple[float, float]]


def members(groups: dict[str, Any]) -> dict[str, list[int]]:
    return {name: rows.tolist() for name, rows in groups.items()}


def labelled(labels: Any) -> Points:
    n = len(labels)
    return Points.build(lon=np.arange(n), lat=np.zeros(n), attributes=pd.DataFrame({"r": labels}))


# --- column


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["b", "a", "b"], {"a": [1], "b": [0, 2]}),
        (["NA", None, "nan"], {"NA": [0], "nan": [2]}),
        ([2, 10, 2], {"2": [0, 2], "10": [1]}),
        ([2.0, np.nan, 10.0], {"2": [0], "10": [2]}),
        ([2.5, np.nan, 10.0], {"2.5": [0], "10.0": [2]}),
        ([1e300, 1.0, 1.0], {"1e+300": [0], "1.0": [1, 2]}),
        ([True, False, True], {"True": [0, 2], "False": [1]}),
        (pd.Categorical(["b", None, "a"], categories=["a", "b", "c"]), {"a": [2], "b": [0]}),
        (pd.array([2, None, 2], dtype="Int64"), {"2": [0, 2]}),
    ],
)
def test_column(labels: Any, expected: dict[str, list[int]]) -> None:
    assert members(by_column(labelled(labels), "r")) == expected


def test_column_rows_count_from_the_points_that_are_left() -> None:
    table = pd.DataFrame({"lon": [0, 1, 2, 3], "lat": [0, 95, 0, 0], "r": ["a", "a", "b", "a"]})
    points = read_points(table, invalid="drop")
    assert members(by_column(points, "r")) == {"a": [0, 2], "b": [1]}


def test_column_that_is_not_there() -> None:
    with pytest.raises(GeospotError, match=r"points\.region='s' is not a column; there are: r$"):
        by_column(labelled(["a"]), "s")


# --- country


def test_gallery_has_63_countries_of_at_least_100_points() -> None:
    groups = by_country(read_gallery())
    assert sum(len(rows) for rows in groups.values()) == 100_000
    assert sum(len(rows) >= 100 for rows in groups.values()) == 63


@pytest.mark.parametrize(
    ("lon", "lat", "country"),
    [
        (2.35, 48.85, "FR"),
        (17.08, -22.56, "NA"),
        (179.99, -16.5, "FJ"),  # Taveuni is on both sides
        (-179.99, -16.5, "FJ"),
        (180.0, -16.5, "FJ"),
        (-177.0, 65.5, "RU"),  # nearest across the antimeridian, not Alaska
        (0.0, 90.0, "SJ"),
        (150.0, 90.0, "SJ"),  # a pole is one place
    ],
)
def test_country_is_that_of_the_nearest_city_on_the_sphere(
    lon: float, lat: float, country: str
) -> None:
    assert members(by_country(Points.build(lon=[lon], lat=[lat]))) == {country: [0]}


# --- polygons


def polygon_file(folder: Path, shapes: dict[str, Any]) -> Path:
    """GeoJSON by hand; a shape is one ring, or the coordinates of a polygon or multipolygon."""
    features = []
    for name, shape in shapes.items():
        coordinates, kind = [shape], "Polygon"
        if isinstance(shape[0], list):
            coordinates = shape
            kind = "MultiPolygon" if isinstance(shape[0][0], list) else "Polygon"
        geometry = {"type": kind, "coordinates": coordinates}
        properties = {"name": name.rstrip("'")}
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    path = folder / "polygons.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def box(west: float, south: float, east: float, north: float) -> list[tuple[float, float]]:
    return [(west, south), (east, south), (east, north), (west, north), (west, south)]


def inside(shapes: dict[str, Any], places: Ring, folder: Path) -> dict[str, list[int]]:
    pytest.importorskip("geopandas")
    lon, lat = zip(*places, strict=True)
    return members(
        by_polygons(Points.build(lon=lon, lat=lat), polygon_file(folder, shapes), "name")
    )


def test_polygons_overlap_share_borders_and_leave_gaps(tmp_path: Path) -> None:
    shapes = {"a": box(0, 0, 10, 10), "b": box(10, 0, 20, 10), "c": box(5, 5, 15, 6)}
    places = [(1, 1), (10, 1), (11, 1), (6, 5.5), (10, 5.5), (30, 30)]
    expected = {"a": [0, 1, 3, 4], "b": [1, 2, 4], "c": [3, 4]}
    assert inside(shapes, places, tmp_path) == expected


def test_polygons_of_one_name_make_one_region(tmp_path: Path) -> None:
    shapes = {"a": box(0, 0, 10, 10), "a'": box(5, 0, 20, 10)}
    assert inside(shapes, [(1, 1), (7, 1), (19, 1)], tmp_path) == {"a": [0, 1, 2]}


def test_polygons_have_holes(tmp_path: Path) -> None:
    shapes = {"a": [box(0, 0, 10, 10), box(4, 4, 6, 6)[::-1]]}
    assert inside(shapes, [(1, 1), (5, 5)], tmp_path) == {"a": [0]}


CROSSING: dict[str, Any] = {
    "beyond 180": box(170, -10, 190, 10),
    "beyond -180": box(-190, -10, -170, 10),
    "jumping": [(170, -10), (-170, -10), (-170, 10), (170, 10), (170, -10)],
    "jumping clockwise": [(170, -10), (170, 10), (-170, 10), (-170, -10), (170, -10)],
    "split": [[box(170, -10, 180, 10)], [box(-180, -10, -170, 10)]],
    "split clockwise": [[box(170, -10, 180, 10)[::-1]], [box(-180, -10, -170, 10)[::-1]]],
}


@pytest.mark.parametrize("shape", CROSSING)
def test_polygons_cross_the_antimeridian(
    shape: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    places = [(175, 0), (180, 0), (-180, 5), (-175, 0), (0, 0), (165, 0), (-165, 0), (175, 11)]
    assert inside({"x": CROSSING[shape]}, places, tmp_path) == {"x": [0, 1, 2, 3]}
    said = [r.message for r in caplog.records]
    assert [m.endswith("180 degrees the short way: x") for m in said] == [True] * (
        shape.startswith("jumping")
    )


def test_a_hole_may_cross_too(tmp_path: Path) -> None:
    hole = [(178, -2), (178, 2), (-178, 2), (-178, -2), (178, -2)]
    places = [(175, 0), (179, 0), (-179, 0), (180, 0), (-175, 0), (180, 5)]
    assert inside({"x": [CROSSING["jumping"], hole]}, places, tmp_path) == {"x": [0, 4, 5]}


def test_polygons_that_end_at_the_antimeridian_have_a_border_there(tmp_path: Path) -> None:
    shapes = {"west": box(170, 0, 180, 10), "east": box(-180, 0, -170, 10)}
    places = [(180, 5), (-180, 5), (179, 5), (-179, 5)]
    assert inside(shapes, places, tmp_path) == {"west": [0, 1, 2], "east": [0, 1, 3]}


@pytest.mark.parametrize(
    "ring",
    [box(-180, -90, 180, 90), box(0, -90, 360, 90), box(-180, -90, 180, 90)[::-1]],
)
def test_the_whole_globe_holds_every_point(ring: Ring, tmp_path: Path) -> None:
    places = [(0, 0), (180, 0), (-180, 10), (179.9, -50), (-0.1, 3), (77, 90), (-3, -90)]
    assert inside({"x": ring}, places, tmp_path) == {"x": [0, 1, 2, 3, 4, 5, 6]}


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("pole", [1, -1])
def test_a_ring_around_a_pole_holds_the_pole(direction: int, pole: int, tmp_path: Path) -> None:
    ring = [(lon, pole * 60.0) for lon in range(-170, 180, 20)][::direction]
    places = [(0, pole * 90), (123, pole * 90), (0, pole * 61), (180, pole * 61), (-175, pole * 75)]
    places += [(0, pole * 59), (180, pole * 59), (0, 0), (0, -pole * 90), (50, -pole * 61)]
    assert inside({"x": [*ring, ring[0]]}, places, tmp_path) == {"x": [0, 1, 2, 3, 4]}


def test_a_pole_lies_in_every_polygon_that_reaches_it(tmp_path: Path) -> None:
    shapes = {"slice": box(100, 60, 110, 90), "other": box(-50, 60, -40, 89)}
    assert inside(shapes, [(0, 90), (105, 90), (105, 89), (0, 89)], tmp_path) == {
        "slice": [0, 1, 2]
    }


@settings(max_examples=40, deadline=None)
@given(
    st.floats(-180, 180),
    st.lists(st.floats(2, 30), min_size=5, max_size=9),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_turning_the_globe_changes_no_membership(
    turn: float, radii: list[float], clockwise: bool, seed: int
) -> None:
    """A star-shaped polygon at longitude 0 needs no cutting: it is the oracle for turned ones."""
    angle = np.linspace(0, 2 * np.pi, len(radii), endpoint=False) * (-1 if clockwise else 1)
    lon, lat = np.cos(angle) * radii, np.sin(angle) * radii
    generator = np.random.default_rng(seed)
    places_lon, places_lat = generator.uniform(-40, 40, (2, 60))

    def found(turn: float) -> dict[str, list[int]]:
        turned = ((lon + turn + 180) % 360 - 180).tolist()
        ring = [*zip(turned, lat.tolist(), strict=True)]
        places = (places_lon + turn + 180) % 360 - 180
        with tempfile.TemporaryDirectory() as folder:
            return inside(
                {"x": [*ring, ring[0]]}, [*zip(places, places_lat, strict=True)], Path(folder)
            )

    assert found(turn) == found(0.0)


@pytest.mark.skipif(not COUNTRIES.exists(), reason="needs the Natural Earth countries")
def test_natural_earth(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("geopandas")
    places: dict[str, Ring] = {
        "Russia": [(37.6, 55.75), (178.0, 66.0), (-175.0, 66.5), (180.0, 68.5), (20.5, 54.7)],
        "Fiji": [(178.0, -17.8), (179.4, -16.5), (-179.9, -16.3)],
        "Antarctica": [(0, -90), (77, -90), (180, -85), (-179.9, -85), (0, -80), (-120, -80)],
        "United States of America": [(-100, 40), (-150, 65), (-155.5, 19.6)],
        "Namibia": [(17.08, -22.56)],
    }
    sea = [(0.0, 0.0), (-170.0, 20.0), (0.0, 90.0), (-175.0, -40.0), (180.0, 0.0)]
    flat = [place for group in places.values() for place in group] + sea
    lon, lat = zip(*flat, strict=True)
    found = members(by_polygons(Points.build(lon=lon, lat=lat), COUNTRIES, "NAME"))
    starts = np.cumsum([0, *map(len, places.values())])
    assert found == {
        name: list(range(start, start + len(group)))
        for (name, group), start in zip(places.items(), starts, strict=False)
    }
    assert not caplog.records  # these shapes are cut already


@pytest.mark.skipif(not COUNTRIES.exists(), reason="needs the Natural Earth countries")
def test_natural_earth_against_country_codes() -> None:
    """Two independent sources agree on most of the gallery."""
    pytest.importorskip("geopandas")
    points = read_gallery()
    by_city, by_shape = by_country(points), by_polygons(points, COUNTRIES, "ISO_A2")
    for code in ("US", "RU", "NZ", "BR", "NA"):
        shared = np.intersect1d(by_city[code], by_shape[code])
        assert len(shared) > 0.9 * len(by_shape[code])


def test_polygons_in_another_system_are_reprojected_aloud(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    geopandas = pytest.importorskip("geopandas")
    shapely = pytest.importorskip("shapely")
    shapes = geopandas.GeoDataFrame(
        {"id": [7.0, np.nan, 8.0]},
        geometry=[shapely.box(0, 0, 10, 10), shapely.box(20, 0, 30, 10), shapely.Point(1, 1)],
        crs=4326,
    )
    shapes.to_crs(3857).to_parquet(tmp_path / "p.parquet")
    points = Points.build(lon=[1, 21, 50], lat=[1, 1, 1])
    assert members(by_polygons(points, tmp_path / "p.parquet", "id")) == {"7": [0]}
    assert "p.parquet: reprojected from EPSG:3857 to WGS84" in caplog.text


@pytest.mark.parametrize(
    ("shapes", "name", "message"),
    [
        ({"a": box(0, 0, 1, 1)}, "iso", r"regions\.name='iso' is not a column; there are: name"),
        ({"a": box(0, 0, 5e6, 5e6)}, "name", r"which are not degrees: set the file's coordinate"),
    ],
)
def test_polygon_files_that_do_not_do(
    shapes: dict[str, Ring], name: str | None, message: str, tmp_path: Path
) -> None:
    pytest.importorskip("geopandas")
    path = polygon_file(tmp_path, shapes)
    with pytest.raises(GeospotError, match=message) as error:
        by_polygons(labelled(["a"]), path, name)
    assert str(error.value).startswith(str(path))


def test_polygon_files_without_polygons(tmp_path: Path) -> None:
    geopandas = pytest.importorskip("geopandas")
    points = labelled(["a"])
    with pytest.raises(GeospotError, match=r"missing\.geojson: there is no such file"):
        by_polygons(points, tmp_path / "missing.geojson", "name")
    pd.DataFrame({"name": ["a"]}).to_csv(tmp_path / "t.csv")
    with pytest.raises(GeospotError, match=r"t\.csv: has no geometries: give a file of polygons"):
        by_polygons(points, tmp_path / "t.csv", "name")
    geometry = geopandas.points_from_xy([1], [1])
    geopandas.GeoDataFrame({"name": ["a"]}, geometry=geometry, crs=4326).to_parquet(
        tmp_path / "p.parquet"
    )
    with pytest.raises(GeospotError, match=r"p\.parquet: has no polygons with a name in 'name'"):
        by_polygons(points, tmp_path / "p.parquet", "name")


# --- grid


def test_grid_cells_are_named_by_their_south_west_corner() -> None:
    places = {
        "40N 010W": (-5.0, 45.0),
        "00N 000E": (0.0, 0.0),
        "10S 180W": (180.0, -0.001),
        "90S 180W": (-180.0, -90.0),
        "80N 170E": (179.999, 90.0),
        "80N 180W": (180.0, 90.0),
    }
    lon, lat = zip(*places.values(), strict=True)
    groups = members(by_grid(Points.build(lon=lon, lat=lat), 10.0))
    assert groups == {name: [row] for row, name in enumerate(places)}


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(-180, 360), st.floats(-90, 90)), min_size=1, max_size=30),
    st.sampled_from([0.00025, 0.1, 0.3, 0.7, 1.0, 7.0, 11.0, 90.0, 180.0]),
)
def test_every_point_lies_in_the_one_cell_that_bears_its_name(
    places: list[tuple[float, float]], degrees: float
) -> None:
    lon, lat = zip(*places, strict=True)
    points = Points.build(lon=lon, lat=lat)
    groups = by_grid(points, degrees)
    assert sorted(np.concatenate([*groups.values()]).tolist()) == list(range(len(points)))
    for name, rows in groups.items():
        south, west = (
            float(part[:-1]) * (-1 if part[-1] in "SW" else 1) for part in name.split(" ")
        )
        assert -90 <= south < 90
        assert -180 <= west < 180
        assert (points.lat[rows] >= south - 1e-6).all()
        assert (points.lat[rows] <= south + degrees + 1e-6).all()
        assert (points.lon[rows] >= west - 1e-6).all()
        assert (points.lon[rows] <= west + degrees + 1e-6).all()


@pytest.mark.parametrize("degrees", [0.1, 0.2, 0.3, 0.7, 1.1])
def test_a_point_on_a_border_lies_in_the_cell_that_begins_there(degrees: float) -> None:
    k = np.arange(int(170 / degrees))
    groups = by_grid(Points.build(lon=-180 + k * degrees, lat=-90 + k * degrees), degrees)
    assert len(groups) == len(k)


@pytest.mark.parametrize("degrees", [0.0, -5.0, 200.0, np.inf])
def test_grids_of_no_size(degrees: float) -> None:
    with pytest.raises(GeospotError, match=r"^regions\.degrees=\S+ is not a size of grid cells: "):
        by_grid(labelled(["a"]), degrees)
