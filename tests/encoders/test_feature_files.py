"""Files of features as people write them: what is taken for what, and what is refused."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geospot_gpu import Precomputed, Regions, read_points
from geospot_gpu.encoders.base import is_usable, single_rows, unit_rows
from geospot_gpu.encoders.columns import describes
from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.say import warn_once
from geospot_gpu.names import Name
from geospot_gpu.selection.pool import Pool

IDS = [f"img_{k:03}" for k in range(6)]
VECTORS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
UNIT = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
POINTS = pd.DataFrame(
    {"id": IDS, "region": list("AAABBB"), "lon": np.arange(6.0) + 1, "lat": np.arange(6.0)}
)


def table(**more: Any) -> pd.DataFrame:
    return pd.DataFrame({"id": IDS} | {f"A{k:02}": VECTORS[:, k] for k in range(4)} | more)


def encoded(path: Path, points: pd.DataFrame = POINTS, **settings: Any) -> np.ndarray:
    read = read_points(points)
    return Precomputed(path=path, id="id", **settings).encode(read, np.arange(len(read)), "cpu")


def regions_of(path: Path, invalid: Any = "drop", **options: Any) -> Regions:
    encoder = Precomputed(path=path, id="id")
    return Regions.from_table(POINTS, region="region", invalid=invalid, encoder=encoder, **options)


# --- columns


@pytest.mark.parametrize("kind", ["parquet", "csv", "csv.gz"])
def test_columns_that_describe_points_are_no_features(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / f"f.{kind}"
    frame = table(
        **{"Unnamed: 0": range(6), "decimalLongitude": 2.0, "LAT": 3.0, "y": 4, "image_id": 5},
        label=[0, 1] * 3,
        splitFold=1,
        admin1=3,
        start_year=2021,
        note="text",
    )
    frame.to_parquet(path) if kind == "parquet" else frame.to_csv(path, index=False)
    encoder = Precomputed(path=path, id="id")
    points = read_points(POINTS)
    np.testing.assert_allclose(encoder.encode(points, np.arange(6), "cpu"), UNIT, atol=1e-6)
    assert encoder.taken == ("A00", "A01", "A02", "A03")
    encoder.encode(points, np.arange(2), "cpu")
    (record,) = caplog.records  # said once
    assert record.getMessage() == (
        f"{path}: no encoder.columns given: features are its 4 columns A00, A01, A02, A03, not "
        "Unnamed: 0, decimalLongitude, LAT, y, image_id, label, splitFold, admin1, start_year, note"
    )


def test_columns_of_the_points_are_no_features(tmp_path: Path) -> None:
    table(elevation=np.arange(6.0)).to_parquet(tmp_path / "f.parquet")
    points = POINTS.assign(Elevation=7)
    np.testing.assert_allclose(encoded(tmp_path / "f.parquet", points), UNIT, atol=1e-6)
    named = encoded(tmp_path / "f.parquet", points, columns=["A*", "elevation"])
    assert named.shape == (6, 5)
    table()[["id"]].assign(lon=1.0).to_parquet(tmp_path / "none.parquet")
    with pytest.raises(GeospotError, match=r"columns .* \(not taken for such: lon\): add some"):
        encoded(tmp_path / "none.parquet")


DESCRIBING = """
    lon Longitude lng x Y decimalLatitude id ID image_id imageId osm_id OBJECTID fid uuid index
    label class Target class_label train_split region country_code ISO_A3 adm2 year Month acq_date
    timestamp weight fold
"""
FEATURES = "A00 f0 x_0 x1 y12 emb_7 B08 ndvi built_index humidity grid slope elevation"


@pytest.mark.parametrize("name", DESCRIBING.split())
def test_names_that_describe(name: str) -> None:
    assert describes(name)


@pytest.mark.parametrize("name", FEATURES.split())
def test_names_of_features(name: str) -> None:
    assert not describes(name)


def test_a_column_of_vectors_is_taken_from_beside_others(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    for vectors in (
        pa.array(VECTORS.tolist()),
        pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.ravel()), 4),
    ):
        columns = {"id": IDS, "embedding": vectors, "lon": [1.0] * 6, "cloud_cover": [0.5] * 6}
        pq.write_table(pa.table(columns), path)
        np.testing.assert_allclose(encoded(path), UNIT, atol=1e-6)
    pq.write_table(pa.table(columns | {"other": vectors}), path)
    with pytest.raises(
        GeospotError, match=r"columns 'embedding', 'other' all hold vectors: choose one with enc"
    ):
        encoded(path)
    np.testing.assert_allclose(encoded(path, columns=["other"]), UNIT, atol=1e-6)


def test_columns_of_text_that_are_mostly_numbers_are_features(tmp_path: Path) -> None:
    frame = table()
    frame["A01"] = [*VECTORS[:5, 1].astype(str), "NA"]
    frame.to_csv(tmp_path / "f.csv", index=False)
    with pytest.raises(GeospotError, match=r"id 'img_005': feature vector with an entry that is"):
        encoded(tmp_path / "f.csv")


def test_columns_may_be_named_by_numbers() -> None:
    frame = POINTS.join(pd.DataFrame(VECTORS))
    spelled: list[Iterable[Name]] = [[0, 1, 2, 3], ["0", "1", 2.0, np.int8(3)], range(4)]
    for columns in spelled:
        encoder = Precomputed(columns=columns)
        found = encoder.encode(read_points(frame), np.arange(6), "cpu")
        np.testing.assert_allclose(found, UNIT, atol=1e-6)


# --- rows without features


def write(kind: str, folder: Path, ids: Any, vectors: Any) -> Path:
    path = folder / f"f.{kind}"
    if kind == "npz":
        np.savez(path, id=ids, features=vectors)
    elif kind == "npy":
        np.save(path, vectors)
        np.save(path.with_suffix(".ids.npy"), ids)
    elif kind == "lists.parquet":
        lists = [None if np.isnan(v).all() else v for v in vectors]
        pd.DataFrame({"id": ids, "vector": lists}).to_parquet(path)
    else:
        frame = pd.DataFrame(vectors, columns=[f"A{k}" for k in range(vectors.shape[1])])
        frame.insert(0, "id", ids)
        frame.to_parquet(path) if kind == "parquet" else frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("kind", ["npz", "npy", "parquet", "lists.parquet", "csv"])
def test_rows_without_features_follow_invalid(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    vectors = VECTORS.copy()
    vectors[1] = np.nan
    vectors[4] = 0.0
    path = write(kind, tmp_path, IDS[:5], vectors[:5])  # the last one is not in the file
    regions = regions_of(path)
    assert regions.n_points.tolist() == [2, 1]
    assert regions.counts["unusable_features"] == 3
    assert "table: dropped 3 points without usable features: rows 2, 5, 6" in caplog.text
    with pytest.raises(GeospotError, match=r"no features for 1 of 6 points, for example id 'img_0"):
        regions_of(path, "error")
    path = write(kind, tmp_path, IDS, vectors)
    with pytest.raises(GeospotError, match=r"id 'img_001': feature vector with an entry that is"):
        regions_of(path, "error")


def test_samples_do_not_depend_on_dropped_points(tmp_path: Path) -> None:
    n = 40
    frame = pd.DataFrame({"id": range(n), "region": "A", "lon": np.arange(n) / 9, "lat": 0.0})
    vectors = np.random.default_rng(1).normal(size=(n, 3))
    vectors[::3] = np.nan
    path = write("npz", tmp_path, np.arange(n), vectors)
    encoder = Precomputed(path=path, id="id")
    options: dict[str, Any] = {"region": "region", "encoder": encoder, "max_points": 10}
    dropped = Regions.from_table(frame, invalid="drop", **options)
    absent = Regions.from_table(frame[np.isfinite(vectors[:, 0])], **options)
    assert dropped.digests == absent.digests
    assert dropped.n_available.tolist() == absent.n_available.tolist() == [26]


def test_columns_of_the_points_follow_invalid_too() -> None:
    frame = POINTS.assign(f=[1.0, np.nan, 1.0, np.inf, 2.0, 0.0], g=1.0)
    options: dict[str, Any] = {"region": "region", "encoder": Precomputed(columns=["f", "g"])}
    regions = Regions.from_table(frame, invalid="drop", **options)
    assert regions.n_points.tolist() == [2, 2]
    with pytest.raises(GeospotError, match=r"table: row 2: feature vector with an entry"):
        Regions.from_table(frame, **options)


def test_a_region_that_loses_all_its_points_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    regions = regions_of(write("npz", tmp_path, IDS[:3], VECTORS[:3]))
    assert regions.names == ("A",)
    assert "left out 1 regions" in caplog.text
    assert "B (0)" in caplog.text


def test_a_pool_drops_points_without_features(tmp_path: Path) -> None:
    path = write("npz", tmp_path, IDS[:4], VECTORS[:4])
    points = read_points(POINTS, invalid="drop")
    pool = Pool.of_table(points, Precomputed(path=path, id="id"))
    assert pool.rows.tolist() == [0, 1, 2, 3]


# --- arrays


@pytest.mark.parametrize(
    "arrays",
    [
        {"ids": np.array(IDS), "embeddings": VECTORS},
        {"X": VECTORS, "names": np.array(IDS), "mean": VECTORS.mean(0)},
        {"id": np.array(IDS), "year": np.full(6, 2020), "emb": VECTORS},
        {"id": np.array(IDS, "S"), "features": VECTORS},
        {"id": np.array(IDS), "features": VECTORS.astype(np.float64)},
        {"id": np.array(IDS), "features": VECTORS, "other": VECTORS, "meta": np.array({}, object)},
    ],
)
def test_arrays_are_found_by_their_shapes(arrays: dict[str, Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", **arrays)
    np.testing.assert_allclose(encoded(tmp_path / "f.npz"), UNIT, atol=1e-6)


@pytest.mark.parametrize(
    ("arrays", "held"),
    [
        ({"x": VECTORS}, r"x \(6, 4\)"),
        ({"a": np.array(IDS), "b": np.arange(6), "v": VECTORS}, r"a \(6,\), b \(6,\), v \(6, 4\)"),
        ({"ids": np.array(IDS), "u": VECTORS, "v": VECTORS}, r"ids \(6,\), u \(6, 4\), v \(6, 4\)"),
        ({"id": np.array(IDS, object), "v": VECTORS}, r"id \(pickled objects, not read\), v \(6, "),
        ({}, r"there are: none: write them"),
    ],
)
def test_arrays_that_are_not_clear(arrays: dict[str, Any], held: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", **arrays)
    with pytest.raises(GeospotError, match=held) as error:
        encoded(tmp_path / "f.npz")
    assert "write them with np.savez('f.npz', id=ids, features=matrix)" in str(error.value)


def test_pickled_arrays_are_not_read(tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", VECTORS)
    np.save(tmp_path / "f.ids.npy", np.array(IDS, object))
    with pytest.raises(
        GeospotError,
        match=r"f\.ids\.npy: holds pickled objects.* np\.save\('f\.ids\.npy', ids\.astype\(str\)\)",
    ):
        encoded(tmp_path / "f.npy")
    np.save(tmp_path / "f.ids.npy", np.array(IDS))
    np.save(tmp_path / "f.npy", VECTORS.astype(object))
    with pytest.raises(GeospotError, match=r"f\.npy: holds pickled objects"):
        encoded(tmp_path / "f.npy")
    (tmp_path / "f.npy").write_bytes(b"nothing of the kind")
    with pytest.raises(GeospotError, match=r"f\.npy: cannot be read \(it is no file of arrays\)"):
        encoded(tmp_path / "f.npy")
    with open(tmp_path / "f.npz", "wb") as file:
        np.save(file, VECTORS)
    with pytest.raises(GeospotError, match=r"f\.npz: holds one array without names: call it \.npy"):
        encoded(tmp_path / "f.npz")


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.uint8, np.float16, np.float64])
def test_features_of_any_numeric_type(kind: Any, tmp_path: Path) -> None:
    vectors = np.array([[-128, 5], [3, 4], [0, 1], [1, 0], [100, 100], [7, -7]]).clip(
        *((0, 100) if kind is np.uint8 else (-128, 100))
    )
    path = write("npz", tmp_path, np.array(IDS), vectors.astype(kind))
    exact = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(encoded(path), exact, atol=1e-7)


# --- ids


BIG = [9824657365274853000 + 4096 * k for k in range(6)]


@pytest.mark.parametrize(
    ("ids", "wanted"),
    [
        (np.array(BIG, np.uint64), BIG),
        (np.array(BIG, np.uint64), [str(one) for one in BIG]),
        (np.arange(6) + 123456789012345678, np.arange(6) + 123456789012345678),
        (np.array([f"{k}.0" for k in range(6)]), range(6)),
        (np.arange(6), [f"{k}.0" for k in range(6)]),
        (np.array([f" Co\u0302te {k}" for k in range(6)]), [f"C\u00f4te {k} " for k in range(6)]),
    ],
)
def test_ids_are_compared_as_names(ids: Any, wanted: Any, tmp_path: Path) -> None:
    path = write("npz", tmp_path, ids[::-1], VECTORS[::-1])
    np.testing.assert_allclose(encoded(path, POINTS.assign(id=list(wanted))), UNIT, atol=1e-6)


def test_rounded_ids_are_refused(tmp_path: Path) -> None:
    path = write("npz", tmp_path, np.array(BIG, np.uint64), VECTORS)
    for points in (
        POINTS.assign(id=np.array(BIG, float)),
        POINTS.assign(id=np.arange(6) + 123456789012345678.0),
    ):
        with pytest.raises(GeospotError, match=r"table: ids in 'id' were read as floating-point"):
            encoded(path, points)
    path = write("npz", tmp_path, np.array(BIG, float), VECTORS)
    with pytest.raises(GeospotError, match=r"f\.npz: ids in 'id' were read as floating-point"):
        encoded(path, POINTS.assign(id=BIG))


def test_ids_that_are_one_name_occur_twice(tmp_path: Path) -> None:
    path = write("npz", tmp_path, np.array(["a", "b", " a", "d", "e", "f"]), VECTORS)
    with pytest.raises(GeospotError, match=r"id ' a' occurs more than once: keep one row for each"):
        encoded(path)


# --- lengths


@given(
    st.lists(st.floats(-1, 1).filter(lambda x: abs(x) > 1e-3), min_size=2, max_size=5),
    st.integers(-1000, 1000),
)
def test_length_one_at_any_scale(vector: list[float], exponent: int) -> None:
    exact = np.array([vector])
    np.testing.assert_array_equal(unit_rows(np.ldexp(exact, exponent), str), unit_rows(exact, str))
    assert is_usable(np.ldexp(exact, exponent), True).all()


def test_lengths_that_no_square_can_hold() -> None:
    vectors = np.array([[3e300, 4e300], [3e-320, 0.0]])
    np.testing.assert_allclose(unit_rows(vectors, str), [[0.6, 0.8], [1.0, 0.0]], atol=1e-7)
    regions = Regions.from_points(lon=[1, 2], lat=[0, 0], region=["a", "b"], features=vectors)
    assert regions.features is not None
    np.testing.assert_allclose(regions.features.norm(dim=1).numpy(), np.ones(2), atol=1e-6)
    for bad in (1e300, 1e18, 1e-300):
        with pytest.raises(GeospotError, match=r"points: row 2: feature vector with entries up to"):
            Regions.from_points(
                lon=[1, 2], lat=[0, 0], region=["a", "b"], features=[[1.0], [bad]], normalize=False
            )
        assert is_usable(np.array([[1.0], [bad], [0.0]]), False).tolist() == [True, False, True]


def test_raw_features_keep_their_bits() -> None:
    np.testing.assert_array_equal(single_rows(VECTORS, str), VECTORS)
    assert unit_rows(VECTORS, str).dtype == np.float32


def test_one_feature_of_length_one_is_a_sign_aloud(caplog: pytest.LogCaptureFixture) -> None:
    warn_once.cache_clear()
    np.testing.assert_array_equal(unit_rows(np.array([[3.0], [-0.5]]), str), [[1], [-1]])
    assert "points have one feature, of which the cosine cost sees the sign alone" in caplog.text
