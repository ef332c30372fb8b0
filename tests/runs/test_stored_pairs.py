"""The table of all pairs of a sweep: what is asked for, in Arrow, time and again."""

from __future__ import annotations

import itertools

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import geospot_gpu as gs
from geospot_gpu.distances.columns import mirrors
from geospot_gpu.distances.growth import above_target
from geospot_gpu.runs.manifest import Manifest
from geospot_gpu.runs.stored_pairs import StoredPairs
from tests.helpers.pair_stores import (
    COLUMNS,
    Stored,
    Sweep,
    Truth,
    blocks,
    filled,
    n_points,
    put,
    sweeps,
)

Array = NDArray[np.float64]
ALL = ["source", "target", "n_source", "n_target", *COLUMNS]


def expected(
    sweep: Sweep, truth: Truth, source: set[str] | None = None, target: set[str] | None = None
) -> pd.DataFrame:
    """All pairs with a source and a target that are asked for, whichever comes first."""
    rows = []
    for pair in sweep.pairs:
        found = truth.of(sweep.name(pair))
        if found is None:
            continue
        one, other = sweep.name(pair)
        values = found[2]
        asked = [
            (source is None or a[0] in source) and (target is None or b[0] in target)
            for a, b in ((one, other), (other, one))
        ]
        if not asked[0] and sweep.targets is None and asked[1]:
            one, other = other, one
            values = {name: values[mirrors().get(name, name)] for name in values}
        elif not asked[0]:
            continue
        ends = {"source": one[0], "target": other[0]}
        points = {"n_source": n_points(one), "n_target": n_points(other)}
        rows.append(ends | points | values)
    return tidy(pd.DataFrame(rows, columns=ALL))


def tidy(frame: pd.DataFrame) -> pd.DataFrame:
    kinds = {"source": object, "target": object} | dict.fromkeys(ALL[2:], float)
    frame = frame.astype({name: kind for name, kind in kinds.items() if name in frame})
    return frame.sort_values([*frame.columns[:2]], ignore_index=True)


@settings(max_examples=40)
@given(there=blocks(), sweep=sweeps(), data=st.data())
def test_pairs_are_those_of_the_sources_and_targets_that_are_asked_for(
    there: list[Stored], sweep: Sweep, data: st.DataObject
) -> None:
    store, truth = filled(there)
    sides = sweep.sources, sweep.targets or sweep.sources
    names = [
        data.draw(st.none() | st.sets(st.sampled_from([key[0] for key in side]))) for side in sides
    ]
    found = StoredPairs(store, sweep.manifest, ALL, names[0], names[1])
    want = expected(sweep, truth, *names)
    pd.testing.assert_frame_equal(tidy(found.to_pandas()), want)
    assert len(found) == len(want)
    one = data.draw(st.sampled_from(sides[0]))[0]
    single = StoredPairs(store, sweep.manifest, ALL, source=one)
    pd.testing.assert_frame_equal(tidy(single.to_pandas()), expected(sweep, truth, {one}))


@pytest.fixture
def pairs() -> StoredPairs:
    """Of four regions, in two blocks one of which has them turned."""
    square = Stored(("c1", "a1"), ("b1", "d1"), "all", ("divergence",),
                    (("c1", "b1"), ("c1", "d1"), ("a1", "b1"), ("a1", "d1")))  # fmt: skip
    rest = Stored(("b1", "a1"), ("d1", "c1"), "listed", ("divergence",),
                  (("b1", "d1"), ("a1", "c1")))  # fmt: skip
    store, _ = filled([square, rest])
    return StoredPairs(store, Sweep(("a1", "b1", "c1", "d1"), None).manifest, ALL)


def test_whoever_takes_arrow_reads_it_time_and_again(pairs: StoredPairs) -> None:
    frame = tidy(pairs.to_pandas())
    assert len(frame) == 6
    query = "select * from pairs where divergence > 2 order by source, target"
    for _ in range(2):
        relation = duckdb.sql(query)
        assert relation is not None
        found = relation.df()
        pd.testing.assert_frame_equal(tidy(found), tidy(frame[frame["divergence"] > 2]))
        pd.testing.assert_frame_equal(tidy(pa.table(pairs).to_pandas()), frame)
        pd.testing.assert_frame_equal(tidy(pairs.reader().read_pandas()), frame)
        assert sum(batch.num_rows for batch in pairs.batches()) == len(pairs) == 6
    assert pa.table(pairs).schema == pairs.schema
    assert repr(pairs) == f"<StoredPairs: of 4 regions, with {', '.join(ALL)}>"


def test_columns_come_in_the_order_in_which_they_are_asked_for(pairs: StoredPairs) -> None:
    wanted = ["upper", "target", "n_target", "source"]
    some = StoredPairs(pairs._store, pairs._manifest, wanted)
    frame = some.to_pandas()
    assert frame.columns.tolist() == wanted
    assert frame["target"].dtype == object
    with pytest.raises(gs.GeospotError, match="columns='uper' is unknown: use one of source, t"):
        StoredPairs(pairs._store, pairs._manifest, ["uper"])
    with pytest.raises(gs.GeospotError, match=r"source=e: is no region of this run"):
        StoredPairs(pairs._store, pairs._manifest, source=["a", "e"])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("levels", [1, 3])
def test_larger_samples_take_the_place_of_those_whose_error_is_too_large(
    levels: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as every sample before was above the target: what is after a gap does not count."""

    def is_above(error: Array, bias: Array, upper: Array, target: float) -> NDArray[np.bool_]:
        return np.asarray(np.floor(upper) % 3 < target)

    monkeypatch.setattr("geospot_gpu.runs.stored_pairs.above_target", is_above)
    generator = np.random.default_rng(seed)
    sweep, truths = Sweep(("a1", "b1", "c1", "d1", "e1"), None), []
    store, _ = filled([])
    manifest: Manifest = sweep.manifest | {"target_error": 2}
    first = 1
    for level in range(levels + 1):
        members = np.arange(5)
        if level > 0:
            members = np.sort(generator.permutation(5)[: generator.integers(3, 6)])
        keys = [f"{sweep.sources[k][0]}{level + 1}" for k in members]
        pairs = list(itertools.combinations(keys, 2))
        if level > 0:
            entry = {"positions": members.tolist(), "keys": keys}
            manifest["larger_samples"].append(entry)
            pairs = [pair for pair in pairs if generator.random() < 0.8]
        block = Stored(tuple(keys), tuple(keys), "listed", ("divergence",), tuple(pairs))
        name, numbers = put(store, block, first)
        truths.append(Truth([(name, block.outputs, numbers)]))
        first += len(pairs)
    want = {}
    for pair in sweep.pairs:
        one, other = (key[0] for key in sweep.name(pair))
        for level, truth in enumerate(truths, 1):
            found = truth.of((f"{one}{level}", f"{other}{level}"))
            if found is None:
                break
            points = {
                "n_source": n_points(f"{one}{level}"),
                "n_target": n_points(f"{other}{level}"),
            }
            want[one, other] = found[2] | points
            if np.floor(found[2]["upper"]) % 3 >= 2:
                break
    pairs_ = StoredPairs(store, manifest)
    for columns in (ALL, ["source", "target", "divergence"], ALL):
        pairs_.columns = columns
        frame = pairs_.to_pandas().set_index(["source", "target"])
        assert sorted(frame.index) == sorted(want)
        for ends, values in want.items():
            for name in frame.columns:
                assert frame.loc[ends, name] == values[name]


def test_the_target_is_that_of_growing_samples() -> None:
    """Pairs whose error is not known are above it where their interval is wide."""
    nan = np.nan
    found = above_target(
        np.array([0.1, 0.3, 0.1, nan, nan], np.float32),
        np.array([0.1, 0.1, -0.3, nan, nan], np.float32),
        np.array([9.0, 9.0, 9.0, 0.1, 0.3], np.float32),
        0.2,
    )
    assert found.tolist() == [False, True, True, False, True]
