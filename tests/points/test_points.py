from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import geospot_gpu as gs
from geospot_gpu.errors import GeospotError
from geospot_gpu.points import Points
from geospot_gpu.points.gallery import read_gallery
from geospot_gpu.points.readers import read_points
from geospot_gpu.sphere import unit_vectors

Save = Callable[[pd.DataFrame, Path], Path]

TABLE = pd.DataFrame(
    {"lon": [10.1, -77.25, 178.5], "lat": [59.9, -12.0, -18.1], "country": ["NO", "PE", "FJ"]}
)


def as_csv(table: pd.DataFrame, folder: Path) -> Path:
    table.to_csv(folder / "points.csv", index=False)
    return folder / "points.csv"


def as_csv_gz(table: pd.DataFrame, folder: Path) -> Path:
    table.to_csv(folder / "points.csv.gz", index=False)
    return folder / "points.csv.gz"


def as_parquet(table: pd.DataFrame, folder: Path) -> Path:
    table.to_parquet(folder / "points.parquet")
    return folder / "points.parquet"


def as_geoparquet(table: pd.DataFrame, folder: Path) -> Path:
    geopandas = pytest.importorskip("geopandas")
    geometry = geopandas.points_from_xy(table["lon"], table["lat"])
    frame = geopandas.GeoDataFrame(table[["country"]], geometry=geometry, crs=4326)
    frame.to_parquet(folder / "points.parquet")
    return folder / "points.parquet"


def geojson(table: pd.DataFrame) -> str:
    """Written by hand, so that the reader is not tested against its own writer."""
    features = [
        {
            "type": "Feature",
            "properties": {"country": row.country},
            "geometry": {"type": "Point", "coordinates": [row.lon, row.lat]},
        }
        for row in table.itertuples()
    ]
    return json.dumps({"type": "FeatureCollection", "features": features})


def as_geojson(table: pd.DataFrame, folder: Path) -> Path:
    pytest.importorskip("geopandas")
    (folder / "points.geojson").write_text(geojson(table))
    return folder / "points.geojson"


def as_geojson_gz(table: pd.DataFrame, folder: Path) -> Path:
    pytest.importorskip("geopandas")
    (folder / "points.geojson.gz").write_bytes(gzip.compress(geojson(table).encode()))
    return folder / "points.geojson.gz"


@pytest.mark.parametrize(
    "save", [as_csv, as_csv_gz, as_parquet, as_geoparquet, as_geojson, as_geojson_gz]
)
def test_every_format_gives_the_same_points(
    save: Save, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    points = read_points(save(TABLE, tmp_path))
    assert points.lon.tolist() == TABLE["lon"].tolist()
    assert points.lat.tolist() == TABLE["lat"].tolist()
    assert points.weight.tolist() == [1.0, 1.0, 1.0]
    assert points.attributes["country"].tolist() == ["NO", "PE", "FJ"]
    assert points.dropped == 0
    assert not caplog.records


@pytest.mark.parametrize(
    ("lon", "lat"),
    [
        ("lon", "lat"),
        ("longitude", "latitude"),
        ("Longitude", "LATITUDE"),
        ("lng", "lat"),
        ("x", "y"),
        (" lon", "lat "),
    ],
)
def test_usual_spellings_are_found(lon: str, lat: str) -> None:
    points = read_points(TABLE.rename(columns={"lon": lon, "lat": lat}))
    assert points.lon.tolist() == TABLE["lon"].tolist()
    assert points.lat.tolist() == TABLE["lat"].tolist()


def test_given_columns_win_over_found_ones() -> None:
    table = TABLE.assign(true_lon=[1.0, 2.0, 3.0], true_lat=[4.0, 5.0, 6.0])
    points = read_points(table, lon="true_lon", lat="true_lat")
    assert points.lon.tolist() == [1.0, 2.0, 3.0]
    assert points.lat.tolist() == [4.0, 5.0, 6.0]


def test_weights_are_a_column() -> None:
    points = read_points(TABLE.assign(people=[5.0, 0.5, 2]), weight="people")
    assert points.weight.tolist() == [5.0, 0.5, 2.0]


def test_na_in_a_csv_file_is_namibia(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("lon,lat,iso,note\n17,-22,NA,null\n2,48,FR,\n")
    attributes = read_points(tmp_path / "t.csv").attributes
    assert attributes["iso"].tolist() == ["NA", "FR"]
    assert attributes["note"].isna().tolist() == [False, True]


@pytest.mark.parametrize("system", [3857, 32633, "OGC:CRS84"])
def test_geometries_in_memory_are_reprojected_aloud(
    system: int | str, caplog: pytest.LogCaptureFixture
) -> None:
    geopandas = pytest.importorskip("geopandas")
    geometry = geopandas.points_from_xy([10.5, 12.5], [59.9, 41.9])
    frame = geopandas.GeoDataFrame({"town": ["oslo", "rome"]}, geometry=geometry, crs=4326)
    points = read_points(frame.to_crs(system))
    np.testing.assert_allclose(points.lon, [10.5, 12.5], atol=1e-7)
    np.testing.assert_allclose(points.lat, [59.9, 41.9], atol=1e-7)
    assert points.attributes.columns.tolist() == ["town"]
    said = f"table: reprojected from EPSG:{system} to WGS84"
    assert [record.message for record in caplog.records] == (
        [said] if system != "OGC:CRS84" else []
    )


def test_a_missing_reference_system_is_said(caplog: pytest.LogCaptureFixture) -> None:
    geopandas = pytest.importorskip("geopandas")
    frame = geopandas.GeoDataFrame(geometry=geopandas.points_from_xy([10.5], [59.9]))
    assert read_points(frame).lon.tolist() == [10.5]
    assert "no coordinate reference system given, taken as WGS84" in caplog.text


def test_empty_geometries_are_invalid_rows() -> None:
    geopandas = pytest.importorskip("geopandas")
    geometry = geopandas.GeoSeries.from_wkt(["POINT (1 2)", None, "POINT EMPTY"], crs=4326)
    with pytest.raises(GeospotError, match=r"not a finite number in rows 2, 3: "):
        read_points(geopandas.GeoDataFrame(geometry=geometry))


def test_lines_are_not_points() -> None:
    geopandas = pytest.importorskip("geopandas")
    geometry = geopandas.GeoSeries.from_wkt(["LINESTRING (0 0, 1 0)", "POINT (1 2)"], crs=4326)
    with pytest.raises(GeospotError, match=r"must be points or polygons, found LineString: leave"):
        read_points(geopandas.GeoDataFrame(geometry=geometry))


def test_a_column_called_geometry_is_just_a_column() -> None:
    points = read_points(TABLE.assign(geometry="POINT (1 2)"))
    assert points.lon.tolist() == TABLE["lon"].tolist()


def test_the_users_table_is_left_alone() -> None:
    table = TABLE.set_index(pd.Index([7, 7, 9]))
    before = table.copy()
    read_points(table)
    pd.testing.assert_frame_equal(table, before)


def test_gallery() -> None:
    points = read_gallery()
    assert len(points) == 100_000
    assert np.abs(points.lat).max() <= 90
    assert points.origin == "GeoCLIP gallery"


@pytest.mark.parametrize(
    ("given", "expected"),
    [(0, 0), (179.9, 179.9), (180, -180), (-180, -180), (181.5, -178.5), (359, -1), (360, 0)],
)
def test_longitudes_are_wrapped(given: float, expected: float) -> None:
    assert Points.build(lon=[given], lat=[0]).lon.tolist() == [expected]


@given(st.floats(-180, 360), st.floats(-90, 90))
def test_wrapping_moves_no_point(lon: float, lat: float) -> None:
    points = Points.build(lon=[lon], lat=[lat])
    assert -180 <= points.lon[0] < 180
    if lon < 180:
        assert points.lon[0] == lon
    there = unit_vectors(lon=points.lon, lat=points.lat)
    np.testing.assert_allclose(there, unit_vectors(lon=[lon], lat=[lat]), atol=1e-14)


def test_minus_zero_has_the_bytes_of_zero() -> None:
    points = Points.build(lon=[-0.0], lat=[-0.0])
    assert points.lon.tobytes() == points.lat.tobytes() == np.zeros(1).tobytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lat": [59.9, 95.0, -18.1]}, r"latitude outside \[-90, 90\] in row 2: mend"),
        ({"lat": [-90.1, 0, 0]}, r"latitude outside \[-90, 90\] in row 1: mend"),
        ({"lon": [0, 361, -181]}, r"longitude outside \[-180, 360\] in rows 2, 3: mend"),
        ({"lon": [0, np.nan, 1]}, r"missing or not a finite number in row 2: mend"),
        ({"lat": [np.inf, 1, -np.inf]}, r"missing or not a finite number in rows 1, 3: mend"),
        ({"lat": ["1", "north", "2"]}, r"missing or not a finite number in row 2: mend"),
        ({"w": [1, 0, 2]}, r"weight not a positive finite number in row 2: mend"),
        ({"w": [-1, 1, np.nan]}, r"weight not a positive finite number in rows 1, 3: mend"),
        ({"w": [1, np.inf, 1]}, r"weight not a positive finite number in row 2: mend"),
    ],
)
def test_invalid_rows_are_refused_by_number_or_dropped_and_counted(
    changes: dict[str, Any],
    message: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = as_csv(TABLE.assign(w=[1.0, 2.0, 3.0]).assign(**changes), tmp_path)
    with pytest.raises(GeospotError, match=message + r".* drop them with points.invalid=drop") as e:
        read_points(path, weight="w")
    assert str(e.value).startswith(f"{path}: ")
    assert "\n" not in str(e.value)
    bad = [int(row) for row in message.split(" in row")[1].strip("s: mend").split(", ")]
    if len(bad) == len(TABLE):
        return
    points = read_points(path, weight="w", invalid="drop")
    kept = [k for k in range(3) if k + 1 not in bad]
    assert points.dropped == len(bad)
    assert points.attributes["country"].tolist() == TABLE["country"].iloc[kept].tolist()
    assert points.attributes.index.tolist() == [k + 1 for k in kept]
    assert f"dropped {len(bad)} invalid: row" in caplog.text


def test_many_invalid_rows_are_summed_up() -> None:
    with pytest.raises(GeospotError, match=r"in rows 1, 2, 3, 4, 5 and 7 more: "):
        Points.build(lon=np.full(12, np.nan), lat=np.zeros(12))


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(GeospotError, match="points: no valid points: give at least one"):
        Points.build(lon=[0.0], lat=[95.0], invalid="drop")
    with pytest.raises(GeospotError, match="points: no valid points: give at least one"):
        Points.build(lon=[], lat=[])


def test_an_unknown_way_with_invalid_rows_drops_nothing() -> None:
    with pytest.raises(GeospotError, match=r"points\.invalid='dorp' is unknown: use error or"):
        Points.build(lon=[0.0, 1.0], lat=[95.0, 0.0], invalid="dorp")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lat": [1.0]}, r"points: lat has 1 rows and lon 2: "),
        ({"weight": [1.0, 2.0, 3.0]}, r"points: weight has 3 rows and lon 2: "),
        ({"attributes": pd.DataFrame({"a": [1]})}, r"points: attributes has 1 rows and lon 2: "),
        ({"lat": [[1.0, 2.0]]}, r"points: lat \(1, 2\) must be a vector"),
        ({"lat": ["north", "south"]}, r"points: lat must hold numbers only \(could not convert"),
    ],
)
def test_arguments_that_do_not_fit(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(GeospotError, match=message):
        Points.build(**({"lon": [1.0, 2.0], "lat": [1.0, 2.0]} | arguments))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.csv", None, r"missing\.csv: there is no such file"),
        ("points.xls", b"", r"points\.xls: is empty: give a file with a table"),
        ("empty.csv", b"", r"empty\.csv: is empty: give a file with a table"),
        ("broken.csv.gz", b"\x1f\x8bnot gzip", r"broken\.csv\.gz: cannot be read \(BadGzipFile: "),
        (
            "broken.parquet",
            b"not parquet",
            r"broken\.parquet: is not Parquet, though it is called so",
        ),
        ("cut.parquet", b"PAR1 and no more", r"cut\.parquet: cannot be read \(ArrowInvalid: "),
        ("broken.geojson", b"{", r"broken\.geojson: is JSON, but no GeoJSON: write"),
        ("header.csv", b"lon,lat\n", r"header\.csv: no valid points"),
    ],
)
def test_files_that_cannot_be_read(
    name: str, content: bytes | None, message: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(GeospotError, match=message) as error:
        read_points(tmp_path / name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {},
            r"table: no lon column found .*name it with points\.lon=.*; there are: east, north",
        ),
        ({"lon": "east"}, r"table: no lat column found .*name it with points\.lat=\.\.\."),
        ({"lon": "west"}, r"table: points\.lon='west' is not a column; there are: east, north"),
        (
            {"lon": "east", "lat": "north", "weight": "people"},
            r"table: points\.weight='people' is not a column; there are: east, north",
        ),
    ],
)
def test_missing_columns(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(GeospotError, match=message):
        read_points(pd.DataFrame({"east": [1.0], "north": [2.0]}), **arguments)  # type: ignore[arg-type]


def test_geometries_need_geopandas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = as_geojson(TABLE, tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "geopandas", None)
    with pytest.raises(GeospotError, match=r"install it with pip install 'geospot_gpu\[geo\]'"):
        read_points(path)


@given(
    st.lists(st.tuples(st.floats(-180, 360), st.floats(-90, 90), st.floats(0.1, 10)), min_size=1),
    st.sampled_from([0.1, 0.3, 1.0, 7.0, 10.0, 90.0, 180.0]),
)
def test_balanced_cells_have_equal_mass_in_the_proportions_of_the_weights(
    rows: list[tuple[float, float, float]], degrees: float
) -> None:
    lon, lat, weight = map(np.array, zip(*rows, strict=True))
    points = Points.build(lon=lon, lat=lat, weight=weight)
    balanced = points.balanced(degrees)
    cells = pd.DataFrame(
        {
            "column": np.floor((points.lon + 180) / degrees + 1e-9),
            "row": np.minimum(
                np.floor((lat + 90) / degrees + 1e-9), np.ceil(180 / degrees - 1e-9) - 1
            ),
            "before": weight,
            "after": balanced.weight,
        }
    )
    for _, cell in cells.groupby(["column", "row"]):
        assert cell["after"].sum() == pytest.approx(1)
        ratio = cell["after"] / cell["before"]
        assert ratio.max() == pytest.approx(ratio.min())


@pytest.mark.parametrize("degrees", [0.0, -1.0, 181.0, np.nan, 1e-9])
def test_cells_of_no_size(degrees: float) -> None:
    points = Points.build(lon=[0.0], lat=[0.0])
    with pytest.raises(
        GeospotError, match=r"^regions\.cell_degrees=\S+ is not a size of grid cells"
    ):
        points.balanced(degrees)


def test_nothing_is_said_about_good_points(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        Points.build(lon=[0.0], lat=[90.0])
    assert not caplog.records


def test_names_in_csv_keep_their_leading_zeros(tmp_path: Path) -> None:
    path = tmp_path / "counties.csv"
    path.write_text("lon,lat,fips,n\n1,2,06037,06\n3,4,,07\n")
    attributes = read_points(path, text=("fips", None, "absent")).attributes
    assert attributes["fips"].iloc[0] == "06037"
    assert attributes["fips"].isna().tolist() == [False, True]
    assert attributes["n"].tolist() == [6, 7]
    regions = gs.Regions.from_table(path, region="fips", encoder="none")
    assert regions.names == ("06037",)


def test_weights_whose_sum_is_not_finite_are_refused() -> None:
    with pytest.raises(GeospotError, match=r"weight not a positive finite number in rows 1, 2"):
        Points.build(lon=[1, 2], lat=[1, 2], weight=[1e308, 1e308])


def test_a_column_that_occurs_twice_is_refused() -> None:
    frame = pd.DataFrame([[1.0, 2.0, 3.0]], columns=["lon", "lat", "lon"])
    with pytest.raises(GeospotError, match="column 'lon' occurs more than once: rename one"):
        read_points(frame)
