"""Objects of other libraries, in Python."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import geospot_gpu as gs
from geospot_gpu.errors import GeospotError
from geospot_gpu.points.readers import read_points

LON, LAT, ISO = [10.5, -77.25], [50.25, -12.0], ["NA", "PE"]
COLUMNS: dict[str, Any] = {"iso": ISO, "lon": LON, "lat": LAT}


def of_polars() -> Any:
    return pytest.importorskip("polars").DataFrame(COLUMNS)


def of_hugging_face() -> Any:
    return pytest.importorskip("datasets").Dataset.from_dict(COLUMNS)


def of_duckdb() -> Any:
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    connection.register("points", pa.table(COLUMNS))
    return connection.sql("select * from points")


def of_geopandas() -> Any:
    geopandas = pytest.importorskip("geopandas")
    shapes = geopandas.points_from_xy(LON, LAT, crs=4326)
    return geopandas.GeoDataFrame({"iso": ISO}, geometry=shapes)


def of_torchgeo() -> Any:
    """As torchgeo 0.8 has it: an index of footprints in the system of the data set, by time."""
    pytest.importorskip("shapely")
    frame = of_geopandas().to_crs(32632)
    frame["geometry"] = frame.geometry.buffer(100.0, cap_style="square")
    time = pd.Timestamp("2020-01-01"), pd.Timestamp("2020-12-31")
    frame.index = pd.IntervalIndex.from_tuples([time] * 2, closed="both", name="datetime")
    return SimpleNamespace(index=frame, crs=frame.crs)


OBJECTS = {
    "pandas": lambda: pd.DataFrame(COLUMNS),
    "geopandas": of_geopandas,
    "polars": of_polars,
    "Arrow": lambda: pa.table(COLUMNS),
    "batch of Arrow": lambda: pa.record_batch(COLUMNS),
    "stream of Arrow": lambda: pa.table(COLUMNS).to_reader(),
    "GeoArrow": lambda: pa.table(of_geopandas().to_arrow(geometry_encoding="geoarrow")),
    "WKB in Arrow": lambda: pa.table(of_geopandas().to_arrow()),
    "Hugging Face": of_hugging_face,
    "torchgeo": of_torchgeo,
    "DuckDB": of_duckdb,
}


@pytest.mark.parametrize("library", OBJECTS)
def test_every_table_is_the_same_points(library: str) -> None:
    points = read_points(OBJECTS[library]())
    np.testing.assert_allclose(np.column_stack([points.lon, points.lat]).T, [LON, LAT], atol=1e-4)
    assert points.attributes["iso"].tolist() == ISO
    assert points.origin == "table"
    regions = gs.Regions.from_table(OBJECTS[library](), region="iso", encoder="none")
    assert regions.names == ("NA", "PE")


def test_a_named_index_is_a_column() -> None:
    frame = pd.DataFrame(COLUMNS)
    for names in (["iso"], ["iso", "lon"]):
        points = read_points(frame.set_index(names))
        assert points.lon.tolist() == LON
        assert points.attributes["iso"].tolist() == ISO


def test_large_ids_of_polars_stay_whole_beside_gaps() -> None:
    polars = pytest.importorskip("polars")
    ids = polars.Series("id", [2**63 + 1, None], polars.UInt64)
    points = read_points(polars.DataFrame(COLUMNS).with_columns(ids))
    assert points.attributes["id"].tolist() == [2**63 + 1, pd.NA]


def test_pictures_are_left_and_classes_named(caplog: pytest.LogCaptureFixture) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            **{name: datasets.Value("float64") for name in ("lon", "lat")},
            "label": datasets.ClassLabel(names=["farm", "town"]),
            "image": datasets.Image(decode=False),
        }
    )
    rows = {"lon": LON, "lat": LAT, "label": [1, 0], "image": [{"bytes": b"x", "path": None}] * 2}
    points = read_points(datasets.Dataset.from_dict(rows, features=features))
    assert points.attributes["label"].tolist() == ["town", "farm"]
    assert "image" not in points.attributes
    assert caplog.messages == ["table: left out columns of pictures and the like: image"]


def lazy() -> Any:
    return of_polars().lazy()


def splits() -> Any:
    datasets = pytest.importorskip("datasets")
    return datasets.DatasetDict({"train": of_hugging_face(), "test": of_hugging_face()})


def streamed() -> Any:
    return of_hugging_face().to_iterable_dataset()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (lazy, r"table: is lazy: give what \.collect\(\) returns"),
        (splits, r"table: has several splits \(train, test\): give one of them"),
        (streamed, "table: is a stream: load the data set without streaming=True"),
        (lambda: pa.array([1.0, 2.0]), "table: a .*Array that is no table: give a data frame"),
        (lambda: [1, 2], r"points\.path=\[1, 2\]: give the path of a file or folder"),
    ],
)
def test_what_holds_no_table_as_it_is(source: Any, message: str) -> None:
    with pytest.raises(GeospotError, match=message):
        read_points(source())
