"""Rows of regions in whatever form pandas, NumPy and others hold them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import geospot_gpu as gs
from geospot_gpu import Points, Regions
from geospot_gpu.errors import GeospotError
from geospot_gpu.regions.rows import rows_of

N = 12
FRAME = pd.DataFrame(
    {"region": list("AAAABBBBCCCC"), "lon": np.arange(12.0) + 1, "lat": np.arange(12.0)}
)
POINTS = gs.read_points(FRAME)


class Column:
    """What a column of polars shows of itself: an array, no index."""

    def __init__(self, values: Any) -> None:
        self._values = np.asarray(values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self._values.astype(dtype) if dtype else self._values

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Any:
        return iter(self._values.tolist())


def mask(rows: list[int]) -> np.ndarray:
    return np.isin(np.arange(N), rows)


FORMS: dict[str, Any] = {
    "list": list,
    "tuple": tuple,
    "array": lambda rows: np.array(rows, np.int64),
    "int32": lambda rows: np.array(rows, np.int32),
    "uint8": lambda rows: np.array(rows, np.uint8),
    "objects": lambda rows: np.array(rows, object),
    "twice": lambda rows: rows + rows[:1],
    "backwards": lambda rows: rows[::-1],
    "series": lambda rows: pd.Series(rows, index=[f"r{k}" for k in rows]),
    "nullable": lambda rows: pd.Series(rows, dtype="Int64"),
    "column": Column,
    "mask": mask,
    "mask as list": lambda rows: mask(rows).tolist(),
    "mask as series": lambda rows: pd.Series(mask(rows)),
    "mask of points": lambda rows: pd.Series(mask(rows), index=POINTS.attributes.index),
    "nullable mask": lambda rows: pd.Series(mask(rows), dtype="boolean"),
    "mask as column": lambda rows: Column(mask(rows)),
}


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(
        st.one_of(st.text("abc/ 1", min_size=1).filter(str.strip), st.integers(0, 20)),
        st.tuples(
            st.lists(st.integers(0, N - 1), min_size=1, unique=True), st.sampled_from(list(FORMS))
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_form_gives_the_regions_of_the_positions(
    groups: dict[Any, tuple[list[int], str]],
) -> None:
    names: dict[str, set[int]] = {}
    for name, (rows, _) in groups.items():
        names.setdefault(str(name).strip(), set()).update(rows)
    found = rows_of({name: FORMS[form](rows) for name, (rows, form) in groups.items()}, POINTS)
    assert {name.strip(): set(rows.tolist()) for name, rows in found.items()} == names
    for positions in found.values():
        assert positions.dtype == np.int64
        assert (np.diff(positions) > 0).all()


def digests(groups: Any, **options: Any) -> dict[str, str]:
    regions = Regions.from_groups(POINTS, groups, encoder="none", **options)
    return dict(zip(regions.names, regions.digests, strict=True))


RIGHT = digests({"A": [0, 1, 2, 3], "B": [4, 5, 6, 7], "C": [8, 9, 10, 11]})


def test_what_pandas_holds() -> None:
    assert digests(FRAME.groupby("region").indices) == RIGHT
    assert digests(POINTS.attributes.groupby("region").indices) == RIGHT
    assert digests({name: FRAME.region == name for name in "ABC"}) == RIGHT
    other = FRAME.set_index(pd.Index(range(100, 112)))
    assert digests({name: (other.region == name).to_numpy() for name in "ABC"}) == RIGHT
    by_two = rows_of(FRAME.assign(year=2020).groupby(["region", "year"]).indices, POINTS)
    assert {name: rows.tolist() for name, rows in by_two.items()} == {
        "A/2020": [0, 1, 2, 3],
        "B/2020": [4, 5, 6, 7],
        "C/2020": [8, 9, 10, 11],
    }


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("frame", [FRAME, POINTS.attributes])
def test_labels_of_an_index_are_refused(frame: pd.DataFrame, drop_last: bool) -> None:
    groups = dict(frame.groupby("region").groups)
    if drop_last:  # no label then tells from what they count
        del groups["C"]
    with pytest.raises(
        GeospotError,
        match=r"^groups\['A'\] holds labels of an index: give positions, as df\.groupby\(",
    ):
        digests(groups)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([-1], r"groups\['A'\] holds row -1, and the 12 points have rows 0 to 11: give positions"),
        ([0, 12], r"holds row 12, and the 12 points have rows 0 to 11"),
        (np.array([2**63], np.uint64), r"holds row 9223372036854775808, and the 12 points"),
        ([0.0, 1.0], r"holds float64, not whole numbers"),
        (["0"], r"holds <U1, not whole numbers|holds str"),
        ([0, None], r"holds (float64|object), not whole numbers"),
        ([0, "a"], r"not whole numbers"),
        (3, r"groups\['A'\] \(\) must be a vector of rows"),
        (None, r"groups\['A'\] is of type NoneType"),
        ({1, 2}, r"groups\['A'\] is of type set"),
        ([[0, 1]], r"groups\['A'\] \(1, 2\) must be a vector of rows"),
        ([[0], [1, 2]], r"groups\['A'\] is no list of whole numbers"),
        (np.where(mask([0])), r"groups\['A'\] \(1, 1\) must be a vector of rows"),
        ("A", r"groups\['A'\] is of type str"),
        ({0: 1}, r"groups\['A'\] is of type dict"),
        (FRAME, r"groups\['A'\] is of type DataFrame"),
        ([True], r"is a mask of 1 rows, and there are 12 points: give a mask of the points"),
        (pd.Series([True, None] * 6, dtype="boolean"), r"holds object, not whole numbers"),
        (
            pd.Series(mask([0]), index=range(N)[::-1]),
            r"is a mask with labels in another order than the points: .* or mask\.to_numpy\(\) if",
        ),
    ],
)
def test_what_is_no_rows(rows: Any, message: str) -> None:
    with pytest.raises(GeospotError, match=message) as error:
        digests({"A": rows})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("groups", [None, 3, "A", ["A"], [("A", [0])], FRAME.groupby("region")])
def test_groups_are_a_mapping(groups: Any) -> None:
    with pytest.raises(GeospotError, match=r"^groups is of type \w+: give a mapping from names"):
        digests(groups)


@pytest.mark.parametrize("name", [None, np.nan, (), ["A"], object()])
def test_what_is_no_name(name: Any) -> None:
    class Pairs(dict[Any, Any]):
        """A mapping that may have keys that cannot be hashed."""

        def __iter__(self) -> Any:
            return iter([name])

        def values(self) -> Any:
            return [[0]]

        def __len__(self) -> int:
            return 1

    with pytest.raises(GeospotError, match=r"^groups: .* is no name: give text or a whole number"):
        digests(Pairs())


def test_masks_of_a_table_whose_rows_were_dropped() -> None:
    frame = FRAME.assign(lat=[95.0, *FRAME.lat[1:]])
    points = gs.read_points(frame, invalid="drop")
    message = r"11 points \(1 rows of its table were dropped\)"
    with pytest.raises(GeospotError, match=message):
        Regions.from_groups(points, {"A": frame.region == "A"}, encoder="none")
    with pytest.raises(GeospotError, match=message):
        Regions.from_groups(points, frame.groupby("region").indices, encoder="none")
    inside = points.attributes.groupby("region").indices
    regions = Regions.from_groups(points, inside, encoder="none")
    assert regions.n_points.tolist() == [3, 4, 4]
    own = points.attributes.region == "A"
    assert Regions.from_groups(points, {"A": own}, encoder="none").digests == regions.digests[:1]


def test_names_that_are_one_are_united(caplog: pytest.LogCaptureFixture) -> None:
    groups: dict[Any, Any] = {7: [0, 1], "7": [2], " 7 ": range(1, 4), ("A",): [4]}
    regions = Regions.from_groups(POINTS, groups, encoder="none")
    assert regions.names == ("7", "A")
    assert regions.n_points.tolist() == [4, 1]
    assert "groups: 4 names for 2 regions: those that are one are united" in caplog.text


def test_rows_given_twice_count_once(caplog: pytest.LogCaptureFixture) -> None:
    assert digests({"A": [0, 1, 1, 2, 3, 0]}) == {"A": RIGHT["A"]}
    assert "groups: 2 rows are given more than once: each counts once" in caplog.text


@pytest.mark.parametrize("min_points", [0, 1])
@pytest.mark.parametrize("empty", [[], np.zeros(N, bool), range(0), pd.Series([], dtype=float)])
def test_empty_groups_are_left_out(
    empty: Any, min_points: int, caplog: pytest.LogCaptureFixture
) -> None:
    groups = {"A": [0, 1, 2, 3], "E": empty}
    assert digests(groups, min_points=min_points) == {"A": RIGHT["A"]}
    assert "E (0)" in caplog.text
    with pytest.raises(GeospotError, match=r"region 'E' has 0 points"):
        digests(groups, include=["E"], min_points=min_points)


@pytest.mark.parametrize(
    "region",
    [
        [1, 1, 2],
        (1, 1, 2),
        np.array([1, 1, 2], np.uint8),
        [1.0, 1.0, 2.0],
        pd.Series([1, 1, 2], index=[7, 8, 9]),
        pd.Series(["1", "1", "2"]).astype("category"),
        pd.Categorical([1, 1, 2]),
        pd.Index([1, 1, 2]),
        Column([1, 1, 2]),
        iter(["1", "1", "2"]),
        [b"1", b"1", "2"],
    ],
)
def test_regions_of_points_by_whatever_names_them(region: Any) -> None:
    regions = Regions.from_points(lon=[1, 2, 3], lat=[0, 0, 0], region=region)
    assert regions.names == ("1", "2")
    assert regions.n_points.tolist() == [2, 1]


def test_points_without_a_region_belong_to_none() -> None:
    regions = Regions.from_points(lon=[1, 2, 3], lat=[0, 0, 0], region=["a", None, np.nan])
    assert regions.n_points.tolist() == [1]


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ("abc", r"region is of type str: give a list, one per point"),
        (None, r"region is of type NoneType"),
        (3, r"region is of type int"),
        ({"a": 1}, r"region is of type dict"),
        ([["a"], ["b"], ["c"]], r"region holds lists: give one name per point"),
        (np.ones((3, 2)), r"region holds lists"),
        ([object()] * 3, r"region: <object .* is no name"),
        (["a"], r"attributes has 1 rows and lon 3"),
    ],
)
def test_what_names_no_regions(region: Any, message: str) -> None:
    with pytest.raises(GeospotError, match=message):
        Regions.from_points(lon=[1, 2, 3], lat=[0, 0, 0], region=region)


def test_positions_by_whatever_names_a_region() -> None:
    groups: dict[Any, Any] = {7: [0], "Co\u0302te ": [1], ("A",): [2]}
    regions = Regions.from_groups(POINTS, groups, encoder="none")
    regions = replace(regions, names=("7", "A/2020", "Co\u0302te "))
    for name in (7, "7", 7.0, np.int32(7), " 7"):
        assert regions.position(name) == 0
    assert regions.position(("A", 2020)) == regions.position("A/2020") == 1
    assert regions.position("C\u00f4te") == 2
    with pytest.raises(GeospotError, match=r"^target=8 is no region here; there are: 7, A/2020, C"):
        regions.position(8, "target")
    with pytest.raises(GeospotError, match=r"^region: None is no name: give text or a whole numb"):
        regions.position(None)


def test_the_first_of_a_name_counts() -> None:
    points = Points.build(lon=[1, 2], lat=[0, 0])
    one = Regions.from_groups(points, {"a": [0]}, encoder="none")
    assert one.concatenated(one).position("a") == 0
