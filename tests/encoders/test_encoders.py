"""Features from files and columns, and encoders by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from geospot_gpu import Regions
from geospot_gpu.encoders import GeoClip, NoEncoder, Precomputed, get_encoder
from geospot_gpu.errors import GeospotError
from geospot_gpu.points import Points

PLACES = Points.build(
    lon=[2.35, -77.0, 178.4, -180.0, 0.0, 2.35], lat=[48.85, -12.0, -18.1, 5.0, 90.0, 48.85]
)
EVERY = np.arange(len(PLACES))


# --- precomputed

IDS = ["p", "q", "r"]
VECTORS = np.array([[3.0, 4.0], [0.0, -2.0], [1.0, 0.0]])
UNIT = np.array([[0.6, 0.8], [0.0, -1.0], [1.0, 0.0]], np.float32)


def table_of(ids: Any) -> Points:
    n = len(ids)
    return Points.build(
        lon=np.arange(n), lat=np.zeros(n), attributes=pd.DataFrame({"id": ids}), origin="t.csv"
    )


def save(folder: Path, kind: str, ids: Any, vectors: Any) -> Path:
    """A file of features of the given kind, its rows in the order given."""
    vectors = np.asarray(vectors)
    if kind == "npz":
        np.savez(folder / "f.npz", id=np.array(ids), features=vectors)
        return folder / "f.npz"
    if kind == "npy":
        np.save(folder / "f.npy", vectors)
        np.save(folder / "f.ids.npy", np.array(ids))
        return folder / "f.npy"
    table = pd.DataFrame({"id": ids, "note": "text"})
    if kind == "lists":
        table["vector"] = vectors.tolist()
    else:
        table[["f0", "f1"]] = vectors
    table.to_parquet(folder / "f.parquet")
    return folder / "f.parquet"


KINDS = pytest.mark.parametrize("kind", ["npz", "npy", "parquet", "lists"])


@KINDS
@pytest.mark.parametrize("rows", [[0, 1, 2], [2, 0]])
def test_files_are_aligned_by_id(kind: str, rows: list[int], tmp_path: Path) -> None:
    path = save(tmp_path, kind, ["r", "extra", "p", "q"], [[1, 0], [9, 9], [3, 4], [0, -2]])
    features = Precomputed(path=path, id="id").encode(table_of(IDS), np.array(rows), "cpu")
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, UNIT[rows], atol=1e-7)
    raw = Precomputed(path=path, id="id", normalize=False)
    np.testing.assert_array_equal(raw.encode(table_of(IDS), np.array(rows), "cpu"), VECTORS[rows])


@KINDS
@pytest.mark.parametrize(
    ("table_ids", "file_ids"),
    [
        ([7, 8, 9], [9, 7, 8]),
        ([7.0, 8.0, 9.0], [9, 7, 8]),  # as where an id is missing elsewhere in the column
        (["7", "8", "9"], [9, 7, 8]),
        ([7, 8, 9], ["9", "7", "8"]),
    ],
)
def test_ids_may_be_numbers_or_text(
    kind: str, table_ids: list[Any], file_ids: list[Any], tmp_path: Path
) -> None:
    path = save(tmp_path, kind, file_ids, VECTORS[[2, 0, 1]])
    features = Precomputed(path=path, id="id").encode(table_of(table_ids), np.arange(3), "cpu")
    np.testing.assert_allclose(features, UNIT, atol=1e-7)


@KINDS
@pytest.mark.parametrize(
    ("table_ids", "file_ids", "vectors", "message"),
    [
        (IDS, ["p", "q", "p"], VECTORS, r"id 'p' occurs more than once: keep one row for each"),
        (
            ["p", "s", "t"],
            IDS,
            VECTORS,
            r"no features for 2 of 3 points, for example id 's': ids must match column 'id' of t\.",
        ),
        (["p", None, "r"], IDS, VECTORS, r"for example row 2, which has no id: ids must match"),
        (IDS, IDS, [[1, 1], [0, 0], [1, 1]], r"id 'q': feature vector of length zero: it has no"),
        (IDS, IDS, [[1, 1], [1, np.nan], [1, 1]], r"id 'q': feature vector with an entry that is"),
        (IDS, IDS, [[1, 1], [1, 1], [-np.inf, 1]], r"id 'r': feature vector with an entry that is"),
    ],
)
def test_files_that_do_not_match(
    kind: str, table_ids: Any, file_ids: Any, vectors: Any, message: str, tmp_path: Path
) -> None:
    path = save(tmp_path, kind, file_ids, vectors)
    with pytest.raises(GeospotError, match=message) as error:
        Precomputed(path=path, id="id").encode(table_of(table_ids), np.arange(3), "cpu")
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_points_that_take_no_part_need_no_features(tmp_path: Path) -> None:
    path = save(tmp_path, "npz", ["p", "q"], VECTORS[:2])
    features = Precomputed(path=path, id="id").encode(table_of(IDS), np.array([1, 0]), "cpu")
    np.testing.assert_allclose(features, UNIT[[1, 0]], atol=1e-7)


def points_with(**columns: Any) -> Points:
    return Points.build(
        lon=[1, 2, 3], lat=[4, 5, 6], attributes=pd.DataFrame(columns), origin="t.csv"
    )


@pytest.mark.parametrize("columns", [["f0", "f1"], ["f*"], ["f0", "f*"]])
def test_columns_of_the_table(columns: list[str]) -> None:
    points = points_with(g="x", f0=VECTORS[:, 0], f1=VECTORS[:, 1].astype(int))
    features = Precomputed(columns=columns).encode(points, np.array([2, 1]), "cpu")
    np.testing.assert_allclose(features, UNIT[[2, 1]], atol=1e-7)
    swapped = Precomputed(columns=["f1", "f0"]).encode(points, np.array([0]), "cpu")
    np.testing.assert_allclose(swapped, UNIT[:1, ::-1], atol=1e-7)


def test_a_column_of_lists() -> None:
    points = points_with(vector=VECTORS.tolist(), n=[1, 2, 3])
    features = Precomputed(columns=["vector"]).encode(points, np.arange(3), "cpu")
    np.testing.assert_allclose(features, UNIT, atol=1e-7)


def test_rows_in_messages_are_those_of_the_file() -> None:
    table = pd.DataFrame({"lon": [0, 0, 1, 2], "lat": [95, 0, 0, 0], "f": [1.0, 1.0, 1.0, 0.0]})
    table["r"] = ["a", "b", "b", "b"]
    points = Points.build(
        lon=table["lon"], lat=table["lat"], attributes=table, origin="table", invalid="drop"
    )
    with pytest.raises(GeospotError, match=r"table: row 4: feature vector of length zero"):
        Precomputed(columns=["f"]).encode(points, np.arange(3), "cpu")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["f9"], r"t\.csv: encoder\.columns='f9' is not a column; there are: f0, text, short"),
        (["g*"], r"t\.csv: encoder\.columns='g\*' matches no column; there are: f0, text, short"),
        (["text"], r"t\.csv: row 1: feature vector with an entry that is missing, infinite or"),
        (["short"], r"t\.csv: column 'short' must hold equally long lists of numbers"),
        (["f0", "short"], r"column 'short' must hold .* the only one: set encoder\.columns=\[sho"),
    ],
)
def test_columns_that_do_not_do(columns: list[str], message: str) -> None:
    points = points_with(f0=[1, 2, 3], text=["a", "b", "c"], short=[[1, 2], [1], [1, 2]])
    with pytest.raises(GeospotError, match=message):
        Precomputed(columns=columns).encode(points, np.arange(3), "cpu")


def test_a_parquet_file_may_name_its_feature_columns(tmp_path: Path) -> None:
    frame = pd.DataFrame({"f_id": IDS, "f_0": VECTORS[:, 0], "f_1": VECTORS[:, 1], "year": 2020})
    frame.to_parquet(tmp_path / "f.parquet")
    points = points_with(f_id=IDS)
    encoder = Precomputed(path=tmp_path / "f.parquet", id="f_id", columns=["f_*"])
    np.testing.assert_allclose(encoder.encode(points, np.arange(3), "cpu"), UNIT, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("f.npz", None, r"f\.npz: there is no such file"),
        ("f.txt", lambda p: p.write_text("1"), r"f\.txt: use a \.parquet, \.npz or \.npy file"),
        ("f.npy", lambda p: np.save(p, VECTORS), r"f\.npy: its ids are expected in .*f\.ids\.npy"),
        ("f.npz", lambda p: p.write_bytes(b"PK\x03\x04broken"), r"f\.npz: cannot be read \("),
        ("f.npz", lambda p: p.write_bytes(b""), r"f\.npz: cannot be read \(No data left in file"),
        (
            "f.parquet",
            lambda p: p.write_bytes(b"x"),
            r"f\.parquet: is not Parquet, though it is called so",
        ),
        (
            "f.npz",
            lambda p: np.savez(p, id=IDS, features=VECTORS[:2]),
            r"features \(2, 2\) must be a matrix with one row per id \(3,\)",
        ),
        (
            "f.npz",
            lambda p: np.savez(p, id=IDS, features=np.ones(3)),
            r"features \(3,\) must be a matrix with one row per id \(3,\)",
        ),
        (
            "f.npz",
            lambda p: np.savez(p, id=IDS, features=np.array([["a"], ["b"], ["c"]])),
            r"f\.npz: features must be numbers, not of type <U1",
        ),
        (
            "f.parquet",
            lambda p: pd.DataFrame({"key": IDS, "f": 1.0}).to_parquet(p),
            r"f\.parquet: encoder\.id='id' is not a column; there are: key, f",
        ),
        (
            "f.parquet",
            lambda p: pd.DataFrame({"id": IDS, "name": IDS}).to_parquet(p),
            r"f\.parquet: there are no feature columns beside the ids",
        ),
    ],
)
def test_files_that_cannot_be_used(name: str, write: Any, message: str, tmp_path: Path) -> None:
    if write is not None:
        write(tmp_path / name)
    with pytest.raises(GeospotError, match=message) as error:
        Precomputed(path=tmp_path / name, id="id").encode(table_of(IDS), np.arange(3), "cpu")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"encoder=precomputed needs encoder\.columns=\[\.\.\.\] or encoder\.path="),
        ({"path": "f.npz"}, r"encoder\.path needs encoder\.id="),
        (
            {"path": "f.npz", "id": "id", "columns": ["f"]},
            r"f\.npz: only \.parquet and \.csv files",
        ),
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(GeospotError, match=message):
        Precomputed(**settings)


def test_the_table_must_have_the_id_column(tmp_path: Path) -> None:
    path = save(tmp_path, "npz", IDS, VECTORS)
    with pytest.raises(GeospotError, match=r"t\.csv: encoder\.id='key' is not a column; there are"):
        Precomputed(path=path, id="key").encode(table_of(IDS), np.arange(3), "cpu")


# --- none, and by name


def test_no_encoder_gives_no_features() -> None:
    assert NoEncoder().encode(PLACES, EVERY, "cpu") is None  # type: ignore[func-returns-value]
    regions = Regions.from_points(lon=[1.0], lat=[2.0], region=["a"])
    assert regions.features is None
    assert regions.encoder == "none"


def test_encoders_by_name() -> None:
    assert isinstance(get_encoder("geoclip"), GeoClip)
    assert isinstance(get_encoder("none"), NoEncoder)
    mine = Precomputed(columns=["f"])
    assert get_encoder(mine) is mine
    with pytest.raises(GeospotError, match="is unknown: use geoclip, precomputed, satclip, torch"):
        get_encoder("clip")
