"""Matrices that are read as far as they are looked at, against dense ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st

from geospot_gpu.runs import plan
from geospot_gpu.runs.matrices import stored_dataset
from geospot_gpu.runs.pair_store import Block, PairStore
from geospot_gpu.runs.stored_pairs import StoredPairs
from tests.helpers.pair_stores import Stored, Sweep, Truth, blocks, filled, sweeps

VARIABLES = {
    "divergence": ("divergence", "divergence", 0.0),
    "upper": ("upper", "upper", 0.0),
    "lower": ("", "", 0.0),
    "coverage": ("coverage_source_to_target", "coverage_target_to_source", np.nan),
    "ot_value": ("", "", None),
}
"""The columns of each direction, and what a region has with itself; None for its own."""


@pytest.fixture(autouse=True, scope="module")
def small_cells() -> Iterator[None]:
    """Blocks of the grid of two regions by two, so that few regions are several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "_LEAST_ENTRIES", {"cpu": 4})
        yield


def dataset_of(store: PairStore, sweep: Sweep) -> xarray.Dataset:
    """As a run opens it; what is read is not kept."""
    tables = []
    for side in sweep:
        names = [key[0] for key in side or ()]
        own = np.arange(len(names), dtype=float)
        tables.append(pd.DataFrame({"name": names, "self_ot": own + 0.5, "self_converged": True}))
    for table in tables:
        table["self_lower"], table["self_upper"] = table["self_ot"], table["self_ot"]
    others = None if sweep.targets is None else tables[1]
    outputs = ("divergence", "coverage", "ot_value")
    return stored_dataset(StoredPairs(store, sweep.manifest), outputs, tables[0], others)


def dense(truth: Truth, sweep: Sweep, variable: str) -> xarray.DataArray:
    """The whole matrix, pair by pair."""
    n = len(sweep.sources)
    square = sweep.targets is None
    targets = sweep.targets or sweep.sources
    found = np.full((n, len(targets)), np.nan, np.float32)
    there, back, own = VARIABLES[variable]
    if square:
        np.fill_diagonal(found, np.arange(n) + 0.5 if own is None else own)
    for i, j in sweep.pairs:
        one = truth.of(sweep.name((i, j)))
        if one is not None and there:
            found[i, j - (0 if square else n)] = one[2][there]
            if square:
                found[j, i] = one[2][back]
    names = {"source": [key[0] for key in sweep.sources], "target": [key[0] for key in targets]}
    coords = {side: (side, np.array(some, object)) for side, some in names.items()}
    return xarray.DataArray(found, coords, ("source", "target"))


@st.composite
def indexer(draw: st.DrawFn, size: int) -> Any:
    """One number, a slice, a list of numbers, or a mask."""
    at = st.integers(-size, size - 1)
    return draw(
        st.one_of(
            at,
            # One that is empty and goes backward fails in xarray itself.
            st.slices(size).filter(lambda part: len(range(*part.indices(size))) > 0),
            st.lists(at, max_size=5),
            st.lists(st.booleans(), min_size=size, max_size=size).map(np.array),
        )
    )


@settings(max_examples=60)
@given(there=blocks(), sweep=sweeps(), data=st.data())
def test_what_is_looked_at_is_what_a_dense_matrix_has_there(
    there: list[Stored], sweep: Sweep, data: st.DataObject
) -> None:
    store, truth = filled(there)
    lazy_all = dataset_of(store, sweep)
    variable = data.draw(st.sampled_from(list(VARIABLES)))
    whole, lazy = dense(truth, sweep, variable), lazy_all[variable]
    assert lazy.dtype == whole.dtype == np.float32
    where = {}
    for side in data.draw(st.permutations(("source", "target"))):
        if data.draw(st.booleans()):
            where[side] = data.draw(indexer(whole.sizes[side]))
    if data.draw(st.booleans()):
        lazy, whole = lazy.T, whole.T
    names = {
        side: data.draw(st.lists(st.sampled_from(list(whole[side].to_numpy())))) for side in where
    }
    pairs = [(lazy.isel(where), whole.isel(where)), (lazy.sel(names), whole.sel(names))]
    count = data.draw(st.integers(0, 4))
    points = {
        side: xarray.DataArray(
            data.draw(
                st.lists(st.integers(0, whole.sizes[side] - 1), min_size=count, max_size=count)
            ),
            dims="point",
        ).astype(int)
        for side in ("source", "target")
    }
    pairs.append((lazy.isel(points), whole.isel(points)))
    for some, expected in pairs:
        assert some.dims == expected.dims
        np.testing.assert_array_equal(some.to_numpy(), expected.to_numpy())
    assert bool(lazy_all["converged"].any()) == (sweep.targets is None)


def test_a_row_opens_only_the_blocks_that_have_pairs_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    names = tuple(f"{letter}1" for letter in "abcdef")
    groups = [names[k : k + 2] for k in (0, 2, 4)]
    there = []
    for i, one in enumerate(groups):
        there.append(Stored(one, one, "triangle", ("divergence",), ((one[0], one[1]),)))
        for other in groups[i + 1 :]:
            pairs = tuple((a, b) for a in one for b in other)
            there.append(Stored(one, other, "all", ("divergence",), pairs))
    store, truth = filled(there)
    sweep = Sweep(names, None)
    opened: list[str] = []
    read = PairStore.read

    def watched(store: PairStore, block: Block, columns: list[str]) -> Any:
        opened.append(block.name)
        return read(store, block, columns)

    monkeypatch.setattr(PairStore, "read", watched)
    dataset = dataset_of(store, sweep)
    assert opened == [], "nothing before it is looked at"
    for name in "af":
        opened.clear()
        row = dataset.divergence.sel(source=name)
        assert opened == []
        np.testing.assert_array_equal(row, dense(truth, sweep, "divergence").sel(source=name))
        own = {key for key, _, numbers in truth.rows if any(f"{name}1" in p for p in numbers)}
        assert len(own) == 3
        assert sorted(opened) == sorted(own), "each once"
    opened.clear()
    assert float(dataset.divergence.sel(source="a", target="f")) > 0
    assert len(opened) == 1
    opened.clear()
    assert dataset.divergence.shape == (6, 6)
    assert float(dataset.coverage.isel(source=[4, 5], target=[4, 5]).max()) > 0
    assert len(opened) == 1
    opened.clear()
    dataset.divergence.load()
    assert len(opened) == len(set(opened)) == 6
    dataset.divergence.sel(source="a").to_numpy()
    assert len(opened) == 6, "what was looked at as a whole is in memory"
