"""The nearest embedding of a file, as Major TOM and Clay publish them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely  # type: ignore[import-untyped]
from numpy.typing import NDArray

import geospot_gpu as gs
from geospot_gpu.encoders import embedding_files
from geospot_gpu.errors import GeospotError
from geospot_gpu.points import Points
from geospot_gpu.sphere import EARTH_RADIUS_KM, unit_vectors

LIST = ("v", pa.list_(pa.float32()))


def random_places(count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places all over the Earth, and some about the antimeridian and the poles."""
    generator = np.random.default_rng(count)
    lon, lat = generator.uniform(-180, 180, count), generator.uniform(-90, 90, count)
    lat[: count // 4] = np.sign(lat[: count // 4]) * (90 - 2 * generator.random(count // 4))
    lon[count // 4 : count // 2] = (179 + 2 * generator.random(count // 4) + 180) % 360 - 180
    return lon, lat


def save_major_tom(path: Path, lon: Any, lat: Any, vectors: Any, group: int = 50) -> None:
    """Columns as in Core-S2RGB-SigLIP."""
    path.parent.mkdir(parents=True, exist_ok=True)
    squares = [
        shapely.box(x - 0.01, y - 0.01, x + 0.01, y + 0.01) for x, y in zip(lon, lat, strict=True)
    ]
    table = pa.table(
        {
            "unique_id": [f"{k:08x}" for k in range(len(lon))],
            "embedding": pa.array(list(np.asarray(vectors, np.float32)), pa.list_(pa.float32())),
            "timestamp": ["20200101"] * len(lon),
            "grid_cell": ["0U_0R"] * len(lon),
            "geometry": shapely.to_wkb(squares),
            "centre_lat": pa.array(lat, pa.float32()),
            "centre_lon": pa.array(lon, pa.float32()),
            "pixel_bbox": [[0, 0, 384, 384]] * len(lon),
        }
    )
    pq.write_table(table, path, row_group_size=group)


def encode(encoder: gs.NearestEmbedding, lon: Any, lat: Any) -> NDArray[np.float32]:
    points = Points.build(lon=lon, lat=lat, origin="p.csv")
    return encoder.encode(points, np.arange(len(points)), "cpu")


def nearest_by_hand(lon: Any, lat: Any, at: Any) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Positions among places ``at`` (lon, lat) of the nearest of each, and how far it is, in km."""
    cosine = unit_vectors(lon=lon, lat=lat) @ unit_vectors(lon=at[0], lat=at[1]).T
    return cosine.argmax(axis=1), EARTH_RADIUS_KM * np.arccos(cosine.max(axis=1).clip(-1, 1))


def test_the_nearest_on_the_sphere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_files, "_BATCH", 64)
    lon, lat = (values.astype(np.float32).astype(float) for values in random_places(600))
    vectors = np.random.default_rng(0).normal(size=(600, 6)).astype(np.float32)
    for k, part in enumerate(np.split(np.arange(600), [250, 251])):
        save_major_tom(tmp_path / f"{k}" / "part.parquet", lon[part], lat[part], vectors[part])
    x, y = random_places(500)
    encoder = gs.NearestEmbedding(tmp_path, max_km=20_100, normalize=False)
    place, km = nearest_by_hand(x, y, (lon, lat))
    np.testing.assert_array_equal(encode(encoder, x, y), vectors[place])
    points = Points.build(lon=x, lat=y)
    np.testing.assert_allclose(encoder.nearest(points).km, km, atol=0.1)
    some = encoder.open(points, np.arange(500)[::-1], "cpu")[np.array([3, 3, 499])]
    np.testing.assert_array_equal(some, vectors[place[[496, 496, 0]]])
    near = gs.NearestEmbedding(tmp_path / "*" / "*.parquet", max_km=300)
    np.testing.assert_array_equal(near.usable(points, np.arange(500)), km <= 300)
    unit = encode(near, x[km <= 300], y[km <= 300])
    expected = vectors[place[km <= 300]]
    np.testing.assert_allclose(
        unit, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6
    )


def test_row_groups_that_nobody_needs_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_major_tom(tmp_path / "m.parquet", np.arange(200.0) - 100, [10.0] * 200, np.eye(200))
    read = []
    real = pq.ParquetFile.iter_batches

    def counted(self: Any, *args: Any, row_groups: Any = None, **kwargs: Any) -> Any:
        read.append(row_groups)
        return real(self, *args, **({"row_groups": row_groups} if row_groups else {}), **kwargs)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    found = encode(gs.NearestEmbedding(tmp_path / "m.parquet"), [-99.0, 61.0, -98.0], [10, 10, 10])
    np.testing.assert_array_equal(found.argmax(axis=1), [1, 161, 2])
    assert read == [None, [0], [3]]


@pytest.mark.parametrize("crs", [4326, 3832, None])
def test_geometries(crs: int | None, tmp_path: Path) -> None:
    """As Clay publishes them: polygons, some of which cross the antimeridian."""
    centres = np.array([[10.0, 50.0], [179.98, -17.0], [10.5, 50.0]])
    shapes = [shapely.box(x - 0.05, y - 0.05, x + 0.05, y + 0.05) for x, y in centres]
    frame = gpd.GeoDataFrame(
        {"source_url": list("abc"), "embeddings": list(np.eye(3))}, geometry=shapes, crs=4326
    )
    if crs == 3832:
        frame = frame.to_crs(crs)
    elif crs is None:
        right = shapely.get_coordinates(shapes[1])
        right[:, 0] -= 360 * (right[:, 0] > 180)  # as files of longitudes to 180 have them
        frame.loc[1, "geometry"] = shapely.Polygon(right)
    frame.to_parquet(tmp_path / "32VLM_v02.gpq")
    encoder = gs.NearestEmbedding(tmp_path / "32VLM_v02.gpq", max_km=3)
    lon, lat = [10.01, -179.999, 10.49], [50.01, -17.01, 50.0]
    np.testing.assert_allclose(encode(encoder, lon, lat), np.eye(3))


def test_points_of_geoparquet(tmp_path: Path) -> None:
    frame = gpd.GeoDataFrame(
        {"v": list(np.eye(2))}, geometry=gpd.points_from_xy([1, 2], [3, 4]), crs=4326
    )
    frame.to_parquet(tmp_path / "p.parquet", geometry_encoding="geoarrow")
    found = encode(gs.NearestEmbedding(tmp_path / "p.parquet"), [2.01, 1.01], [4.0, 3.0])
    np.testing.assert_array_equal(found, np.eye(2)[::-1])


def test_several_dates_at_one_place(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frame = pd.DataFrame({"lon": [1.0, 1, 1, np.nan], "lat": [2.0, 2, 2, 2]})
    frame["vector"] = pd.Series(list(np.eye(4)))
    frame.to_parquet(tmp_path / "p.parquet")
    with caplog.at_level(logging.WARNING, "geospot_gpu"):
        found = encode(gs.NearestEmbedding(tmp_path / "p.parquet"), [1.0], [2.0])
    np.testing.assert_array_equal(found, np.eye(4)[:1])
    assert "2 embeddings are at the place of another, as of another date: the first" in caplog.text
    assert "1 embeddings without a place are left out" in caplog.text


@pytest.mark.parametrize("away", [0.0, 0.01])
def test_several_dates_in_several_files(
    away: float, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for year in (2023, 2024):
        frame = pd.DataFrame({"lon": [1.0, 7.0 + 0.02 * (year - 2023)], "lat": [2.0, 2.0]})
        frame["vector"] = [[1.0, year], [year, 1.0]]
        frame.to_parquet(tmp_path / f"{year}.parquet")
    encoder = gs.NearestEmbedding(tmp_path, normalize=False)
    with caplog.at_level(logging.WARNING, "geospot_gpu"):
        found = encode(encoder, [1.0 + away, 7.02], [2.0, 2.0])
    np.testing.assert_array_equal(found, [[1.0, 2023], [2024, 1.0]])
    assert "1 points have their nearest embedding twice, as of another date in anoth" in caplog.text


def test_vectors_that_are_missing_in_a_whole_row_group_or_file(tmp_path: Path) -> None:
    for name, vectors in (("a", [[1.0, 2.0], None, [], [3.0, 4.0]]), ("b", [None])):
        lon = np.arange(len(vectors)) + 5.0 * (name == "b")
        table = pa.table({"lon": lon, "lat": lon, "v": vectors})
        table = table.cast(pa.schema([("lon", pa.float64()), ("lat", pa.float64()), LIST]))
        pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=1)
    points = Points.build(lon=[0.0, 1, 2, 3, 5], lat=[0.0, 1, 2, 3, 5])
    encoder = gs.NearestEmbedding(tmp_path)
    assert encoder.usable(points, np.arange(5)).tolist() == [True, False, False, True, False]
    assert encoder.usable(points, np.array([1, 4])).tolist() == [False, False]
    with pytest.raises(GeospotError, match="row 2: feature vector with an entry that is missing"):
        encode(encoder, [1.0], [1.0])


def test_a_geometry_may_be_missing_or_empty(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shapes = [None, shapely.to_wkb(shapely.Point()), shapely.to_wkb(shapely.Point(1, 2))]
    table = pa.table({"geometry": shapes, "v": [[1.0], [2.0], [3.0]]})
    pq.write_table(table, tmp_path / "p.parquet")
    encoder = gs.NearestEmbedding(tmp_path / "p.parquet", normalize=False)
    with caplog.at_level(logging.WARNING, "geospot_gpu"):
        assert encode(encoder, [1.0], [2.0]).tolist() == [[3.0]]
    assert "2 embeddings without a place are left out" in caplog.text


def test_points_too_far_are_named_or_dropped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frame = pd.DataFrame({"lon": [1.0, 2.0, 3.0], "lat": [2.0, 2, 2]})
    frame["vector"] = pd.Series([[1.0, 2.0], None, [0.0, 0.0]])
    frame.to_parquet(tmp_path / "p.parquet")
    encoder = gs.NearestEmbedding(tmp_path / "p.parquet")
    lon, lat = [1.05, 2.0, 3.0, 1.2, 70.0], [2.0] * 5
    with pytest.raises(
        GeospotError,
        match=r"p\.csv: row 1 \(lon 1\.2, lat 2\) has no embedding within encoder\.max_km=10 in .*"
        r"p\.parquet, one of 2 among 2 points: raise it, or drop such points with points\.invalid=",
    ):
        encode(encoder, lon[3:], lat[3:])
    with pytest.raises(GeospotError, match=r"p\.parquet: row 2: feature vector with an entry that"):
        encode(encoder, lon[:3], lat[:3])
    points = Points.build(lon=lon, lat=lat, origin="p.csv", invalid="drop")
    with caplog.at_level(logging.WARNING, "geospot_gpu"):
        regions = gs.Regions.from_groups(points, {"a": range(5)}, encoder=encoder)
    assert regions.sizes.tolist() == [1]
    assert "2 of 5 points have no embedding within encoder.max_km=10" in caplog.text
    assert "p.csv: dropped 4 points without usable features: rows 2, 3, 4, 5" in caplog.text


@pytest.mark.parametrize(
    ("columns", "settings", "message"),
    [
        ({"lon": [1.0], "lat": [2.0]}, {}, r"needs one column of vectors, .*; there are: none$"),
        (
            {"lon": [1.0], "lat": [2.0], "a": [[1.0]], "b": [[1.0]]},
            {},
            r"name it with encoder\.column; there are: a, b$",
        ),
        (
            {"lon": [1.0], "lat": [2.0], "a": [[1.0]]},
            {"column": "lat"},
            r"encoder\.column='lat' is no column of lists of numbers; there are: a$",
        ),
        (
            {"e": [1.0], "n": [2.0], "a": [[1.0]]},
            {},
            r"has neither coordinates nor geometries: name them with encoder\.lon and enco",
        ),
        (
            {"e": [1.0], "n": [2.0], "a": [[1.0]]},
            {"lon": "east", "lat": "n"},
            r"encoder\.lon='east' is not a column; there are: e, n, a$",
        ),
        (
            {"lon": [1.0, 1.1], "lat": [2.0, 2.0], "a": [[1.0], [1.0, 2.0]]},
            {},
            r"vectors of 'a' have different lengths: 1, 2$",
        ),
        (
            {"lon": ["1.0", "east"], "lat": [2.0, 2.0], "a": [[1.0], [1.0]]},
            {},
            r"column 'lon' has coordinates that are no numbers \(could not convert string",
        ),
        ({"geometry": [b"x"], "a": [[1.0]]}, {}, r"geometries cannot be read as WKB \("),
    ],
)
def test_files_that_do_not_do(columns: Any, settings: Any, message: str, tmp_path: Path) -> None:
    pq.write_table(pa.table(columns), tmp_path / "p.parquet")
    with pytest.raises(GeospotError, match=message) as error:
        encode(gs.NearestEmbedding(tmp_path / "p.parquet", **settings), [1.0, 1.1], [2.0, 2.0])
    assert str(error.value).startswith(f"{tmp_path / 'p.parquet'}: ")


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_text("text")
    with pytest.raises(GeospotError, match=r"broken\.parquet: cannot be read as Parquet \("):
        encode(gs.NearestEmbedding(tmp_path), [1.0], [2.0])
    with pytest.raises(GeospotError, match=r"gone\.parquet: there is no such file"):
        encode(gs.NearestEmbedding(tmp_path / "gone.parquet"), [1.0], [2.0])
    with pytest.raises(
        GeospotError, match=r"there is no file of embeddings: give \.parquet, \.geo"
    ):
        encode(gs.NearestEmbedding(tmp_path / "*.gpq"), [1.0], [2.0])
    for k in (1, 2):
        frame = pd.DataFrame({"lon": [float(k)], "lat": [0.0], "v": [[1.0] * k]})
        frame.to_parquet(tmp_path / f"{k}.gpq")
    with pytest.raises(GeospotError, match=r"its files have vectors of different lengths: 1, 2$"):
        encode(gs.NearestEmbedding(tmp_path / "*.gpq"), [1.0, 2.0], [0.0, 0.0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"encoder=nearest_embedding needs encoder\.path=\.\.\.: a Parquet file of embeddings"),
        ({"path": "p", "max_km": 0}, r"encoder\.max_km=0: give a distance in km"),
        ({"path": "p", "max_km": "far"}, r"encoder\.max_km='far': give a number"),
    ],
)
def test_settings_that_do_not_do(settings: Any, message: str) -> None:
    with pytest.raises(GeospotError, match=message):
        gs.NearestEmbedding(**settings)
