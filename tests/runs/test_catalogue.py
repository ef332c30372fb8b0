"""What a store holds of a sweep, against a dictionary of all pairs of all blocks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geospot_gpu.runs import plan
from geospot_gpu.runs.catalogue import Catalogue
from tests.helpers.pair_stores import (
    COLUMNS,
    OUTPUTS,
    Stored,
    Sweep,
    Truth,
    blocks,
    filled,
    n_points,
    sweeps,
)


@pytest.fixture(autouse=True, scope="module")
def small_cells() -> Iterator[None]:
    """Blocks of the grid of two regions by two, so that few regions are several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "_LEAST_ENTRIES", {"cpu": 4})
        yield


outputs = st.sampled_from([(), *OUTPUTS, ("divergence", "coverage", "nearest")])


def expected(sweep: Sweep, truth: Truth) -> dict[tuple[int, int], tuple[str, tuple[str, ...]]]:
    """The believed block of each pair that is there, and its outputs."""
    found = {pair: truth.of(sweep.name(pair)) for pair in sweep.pairs}
    return {pair: one[:2] for pair, one in found.items() if one is not None}


@given(there=blocks(), sweep=sweeps(), asked=outputs)
def test_owners_and_what_is_missing(
    there: list[Stored], sweep: Sweep, asked: tuple[str, ...]
) -> None:
    store, truth = filled(there)
    catalogue, known = sweep.catalogue(store), expected(sweep, truth)
    missing = 0
    for cell in sweep.grid:
        left, right = sweep.grid.pairs(cell)
        pairs = list(zip(left.tolist(), right.tolist(), strict=True))
        rows, columns = sweep.grid.ends(cell)
        owner = catalogue.owners(cell)
        names = [owner[i - rows.start, j - columns.start] for i, j in pairs]
        assert [catalogue.blocks[k].name if k >= 0 else None for k in names] == [
            known[pair][0] if pair in known else None for pair in pairs
        ]
        lacking = defaultdict(list)
        for k, pair in enumerate(pairs):
            has = known[pair][1] if pair in known else ()
            if pair not in known or not set(asked) <= set(has):
                lacking[has].append(k)
        found = {has: at.tolist() for has, at in catalogue.missing(cell, asked).items()}
        assert found == lacking
        missing += sum(map(len, lacking.values()))
        held = catalogue.held(cell)
        assert Counter(
            (i, j)
            for one in held
            for i, j in zip(one.left.tolist(), one.right.tolist(), strict=True)
        ) == Counter(pair for pair in pairs if pair in known), "each pair is there once"
    assert catalogue.count_missing(asked) == missing
    seen = {key for row in truth.rows for pair in row[2] for key in pair}
    for k, key in enumerate(sweep.keys):
        assert catalogue.n_points[k] in (0, n_points(key))
        if any(k in pair for pair in known):
            assert key in seen
            assert catalogue.n_points[k] == n_points(key)


@given(there=blocks(), sweep=sweeps())
def test_tables_have_every_pair_once_with_its_own_values(there: list[Stored], sweep: Sweep) -> None:
    store, truth = filled(there)
    found = {}
    for held, table in sweep.catalogue(store).tables(sweep.grid, COLUMNS):
        assert len(table) == len(held.rows)
        for k, row in enumerate(table.to_pylist()):
            pair = int(held.left[k]), int(held.right[k])
            assert pair not in found
            if held.swapped[k]:
                a, b = "coverage_source_to_target", "coverage_target_to_source"
                row[a], row[b] = row[b], row[a]
            found[pair] = row
    truths = {pair: truth.of(sweep.name(pair)) for pair in sweep.pairs}
    assert found == {pair: one[2] for pair, one in truths.items() if one is not None}


@given(there=blocks(), sweep=sweeps(), asked=outputs, seed=st.integers(0, 100))
def test_pairs_are_found_in_any_order(
    there: list[Stored], sweep: Sweep, asked: tuple[str, ...], seed: int
) -> None:
    store, truth = filled(there)
    order = np.random.default_rng(seed).permutation(len(sweep.pairs))
    pairs = [sweep.pairs[k] for k in order[: 1 + len(order) // 2]]
    left, right = np.array(pairs).T
    hit, columns = sweep.catalogue(store).find(left, right, ["divergence", "upper"], asked)
    for k, pair in enumerate(pairs):
        one = truth.of(sweep.name(pair))
        there_with_all = one is not None and set(asked) <= set(one[1])
        assert hit[k] == there_with_all
        for name in ("divergence", "upper"):
            want = one[2][name] if one is not None and there_with_all else np.nan
            np.testing.assert_equal(columns[name][k], want)


@given(there=blocks(8), sweep=sweeps())
def test_blocks_that_others_say_more_than_may_go(there: list[Stored], sweep: Sweep) -> None:
    store, truth = filled(there)
    catalogue, known = sweep.catalogue(store), expected(sweep, truth)
    redundant = {block.name for block in catalogue.redundant()}
    believed = {name for name, _ in known.values()}
    own = {frozenset(sweep.name(pair)) for pair in sweep.pairs}
    for name, _, numbers in truth.rows:
        if not numbers:
            continue
        inside = all(frozenset(pair) in own for pair in numbers)
        directions = len({frozenset(pair) for pair in numbers}) < len(numbers)
        if sweep.targets is None and not directions:
            assert (name in redundant) == (name not in believed and inside)
        elif name in redundant:
            assert name not in believed
            assert inside
    before = values_of(sweep.catalogue(store), sweep)
    for block in catalogue.redundant():
        store.remove(block)
    assert values_of(sweep.catalogue(store), sweep) == before


def values_of(catalogue: Catalogue, sweep: Sweep) -> dict[tuple[int, int], float]:
    return {
        (int(i), int(j)): value
        for held, table in catalogue.tables(sweep.grid, ["divergence"])
        for i, j, value in zip(held.left, held.right, table["divergence"].to_pylist(), strict=True)
    }
