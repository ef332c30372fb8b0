"""Pairs in blocks and batches: each once, of similar work and size."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from geospot_gpu.engine.batching import batches_of_similar_size
from geospot_gpu.runs import plan
from geospot_gpu.runs.plan import Cell, Grid, plan_listed

sizes = st.lists(st.tuples(st.integers(1, 10**5), st.integers(1, 10**5)), max_size=200)
side = st.lists(st.integers(1, 20_000), min_size=1, max_size=60)
devices = st.sampled_from(["cpu", "cuda"])
leasts = st.sampled_from([1, 3, 64])
LEAST = {"cpu": 2 * 10**7, "cuda": 10**9}


def assert_partition(batches: Sequence[NDArray[np.int64]], count: int) -> None:
    assert sorted(np.concatenate([[], *batches]).tolist()) == list(range(count))
    assert all(len(batch) > 0 for batch in batches)


def every_pair(n: int, m: int | None) -> set[tuple[int, int]]:
    """Positions of all pairs of a sweep, those of targets behind those of sources."""
    if m is None:
        return {(i, j) for i in range(n) for j in range(i + 1, n)}
    return {(i, n + j) for i in range(n) for j in range(m)}


@given(left=side, right=st.none() | side, device=devices, least=leasts)
def test_a_grid_has_every_pair_in_exactly_one_block(
    left: list[int], right: list[int] | None, device: str, least: int
) -> None:
    points = np.array(left + (right or []), np.int64)
    others = None if right is None else np.array(right, np.int64)
    grid = Grid(np.array(left, np.int64), others, device, least)
    found: list[tuple[int, int]] = []
    for cell in grid:
        i, j = grid.pairs(cell)
        rows, columns = grid.ends(cell)
        assert set(i) <= set(rows)
        assert set(j) <= set(columns)
        assert grid.count(cell) == len(i) > 0
        assert grid.work(cell) == int((points[i] * points[j]).sum())
        assert grid.is_triangle(cell) == (right is None and rows == columns)
        assert (np.diff(i) >= 0).all()
        assert [side.tolist() for side in grid.cells_of(i, j)] == [
            [cell.row] * len(i),
            [cell.column] * len(i),
        ]
        found += zip(i.tolist(), j.tolist(), strict=True)
    expected = every_pair(len(left), None if right is None else len(right))
    assert len(found) == len(set(found)) == grid.total
    assert set(found) == expected
    assert len(grid) == len(list(grid))
    assert sorted(grid.shuffled()) == list(grid)
    assert grid.shuffled() == Grid(np.array(left), others, device, least).shuffled()


@given(left=side, right=st.none() | side, device=devices, least=leasts)
def test_blocks_of_a_grid_are_of_bounded_work(
    left: list[int], right: list[int] | None, device: str, least: int
) -> None:
    """Beyond a region that is larger alone, no group has more points than the share aimed at."""
    both = np.array(left, np.int64), np.array(left if right is None else right, np.int64)
    grid = Grid(both[0], None if right is None else both[1], device, least)
    total = int(both[0].sum()) * int(both[1].sum()) / (1 if right is not None else 2)
    share = max(total / 400, LEAST[device])
    points = np.sqrt(share)
    for edges, numbers in ((grid.rows, both[0]), (grid.columns - grid.columns[0], both[1])):
        for start, stop in pairwise(edges):
            group = numbers[start:stop]
            assert group.sum() <= points or len(group) == 1
            if stop < len(numbers) and len(group) < 316 and least == 1:
                assert group.sum() + numbers[stop] > points, "it takes all that fit"
    if least > 1:
        coarse = Grid(both[0], None if right is None else both[1], device)
        assert len(grid) >= len(coarse)


@pytest.mark.parametrize(
    ("n", "m", "blocks", "most"),
    [(100_000, None, 5050, 10**6), (3000, None, 55, 316**2), (300, 40_000, 64, 300 * 625)],
)
def test_grids_of_many_tiny_regions_have_bounded_blocks(
    n: int, m: int | None, blocks: int, most: int
) -> None:
    """Of 100,000 regions 5 billion pairs, of which none is listed."""
    grid = Grid(np.ones(n, np.int64), None if m is None else np.ones(m, np.int64), "cuda")
    assert len(grid) == blocks
    counts = [grid.count(cell) for cell in grid]
    assert sum(counts) == grid.total
    assert max(counts) == most


def test_a_block_alone_is_named_by_its_two_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_LEAST_ENTRIES", {"cpu": 4})
    grid = Grid(np.ones(5, np.int64), None, "cpu")
    assert grid.rows.tolist() == grid.columns.tolist() == [0, 2, 4, 5]
    assert list(grid) == [Cell(*at) for at in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2))]
    assert [side.tolist() for side in grid.pairs(Cell(0, 1))] == [[0, 0, 1, 1], [2, 3, 2, 3]]
    assert grid.count(Cell(2, 2)) == 0, "a region with itself is no pair"


@given(pairs=sizes, device=devices)
def test_a_plan_covers_every_pair_exactly_once(pairs: list[tuple[int, int]], device: str) -> None:
    n, m = np.array(pairs, np.int64).reshape(-1, 2).T
    batches = plan_listed(n, m, device)
    assert_partition(batches, len(pairs))
    again = plan_listed(n, m, device)
    assert [batch.tolist() for batch in batches] == [batch.tolist() for batch in again]
    # Equal work: beyond its largest pair, no batch is larger than the share that it aims at.
    share = max(LEAST[device], int((n * m).sum()) // 400)
    assert all((n * m)[batch].sum() <= share + (n * m)[batch].max() for batch in batches)


def test_listed_blocks_of_tiny_regions_are_not_endless() -> None:
    ones = np.ones(250_000, np.int64)
    batches = plan_listed(ones, ones, "cpu")
    assert max(map(len, batches)) <= 100_000
    assert sum(map(len, batches)) == 250_000


@given(pairs=sizes, limit=st.integers(1, 10**8), seed=st.integers(0, 10))
def test_batches_of_similar_size_cover_everything_within_the_limit(
    pairs: list[tuple[int, int]], limit: int, seed: int
) -> None:
    n, m = np.array(pairs, np.int64).reshape(-1, 2).T
    growth = np.random.default_rng(seed).choice([1.2, 4.0], len(n))
    batches = batches_of_similar_size(n, m, limit, 300, growth)
    assert_partition(batches, len(pairs))
    for batch in batches:
        padded = len(batch) * int(n[batch].max()) * int(m[batch].max())
        assert len(batch) == 1 or padded <= limit
        (ratio,) = set(growth[batch])
        assert n[batch].max() <= ratio * n[batch].min() * (1 + 1e-9)
        assert m[batch].max() <= ratio * m[batch].min() * (1 + 1e-9)
