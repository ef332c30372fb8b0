"""The nearest regions of many targets at once: those of all pairs, of which most are left out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import geospot_gpu as gs
from geospot_gpu.arrays import Indices
from geospot_gpu.distances.nearest import lists
from geospot_gpu.distances.nearest.candidates import Candidates, KnownPairs, Part
from geospot_gpu.distances.nearest.lists import Groups, Lists, ListSearch
from geospot_gpu.distances.nearest.search import NeighbourSearch
from geospot_gpu.distances.pair_table import PairTable
from geospot_gpu.distances.solve import PairSolver
from geospot_gpu.engine.method import Method
from tests.helpers.clouds import random_regions
from tests.helpers.nearest import COSTS, brute_force, towns_on_earth

GEOGRAPHY = gs.GroundCost(geo_weight=1.0)
Solved = list[tuple[int, int]]


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "_LEAF", 4)


def found(
    regions: gs.Regions,
    k: int,
    cost: gs.GroundCost = GEOGRAPHY,
    against: gs.Regions | None = None,
    known: KnownPairs | None = None,
    together: int = 3,
) -> tuple[Lists, dict[str, list[str]], Solved]:
    """Lists of all targets, some groups at a time; the names; and pairs that were solved."""
    every = regions if against is None else regions.concatenated(against)
    solver = PairSolver(every, Method(cost, gs.Sinkhorn()), gs.Engine("cpu"))
    solved: Solved = []

    def solve(left: Indices, right: Indices) -> PairTable:
        solved.extend(zip(left.tolist(), right.tolist(), strict=True))
        return solver.solve(left, right, ("divergence",))

    search = NeighbourSearch(solver, solve)
    groups = Groups.of(search.moments, len(regions))
    every_list = ListSearch(search, groups, known or KnownPairs(len(every)))
    starts = range(0, len(groups.targets), together)
    parts = [every_list(range(len(groups.targets))[start:][:together], k) for start in starts]
    arrays = [np.concatenate(arrays) for arrays in zip(*(part[:-1] for part in parts), strict=True)]
    whole = Lists(*arrays, pairs=[t for part in parts for t in part.pairs])  # type: ignore[misc, arg-type]
    names = {
        every.names[target]: [every.names[near] for near in row]
        for target, row in zip(whole.targets, whole.neighbours, strict=True)
    }
    return whole, names, solved


def pairs_of(whole: Lists) -> set[tuple[int, int]]:
    """The pairs that are to be stored."""
    sides = [(table.left.tolist(), table.right.tolist()) for table in whole.pairs]
    return {pair for left, right in sides for pair in zip(left, right, strict=True)}


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 10_000),
    st.sampled_from(COSTS),
    st.integers(2, 16),
    st.sampled_from([1, 3, 40]),
    st.integers(1, 4),
)
def test_lists_are_those_of_all_pairs(
    seed: int, cost: gs.GroundCost, count: int, k: int, together: int
) -> None:
    sizes = np.random.default_rng(seed).integers(1, 6, count).tolist()
    regions = random_regions(sizes, seed=seed, spread=0.4)
    whole, names, solved = found(regions, k, cost, together=together)
    assert names == brute_force(regions, k, cost)
    assert sorted(whole.targets.tolist()) == list(range(count))
    wanted = {
        (min(pair), max(pair))
        for target, row in zip(whole.targets.tolist(), whole.neighbours.tolist(), strict=True)
        for pair in ((target, near) for near in row)
    }
    stored = pairs_of(whole)
    assert stored == wanted, "pairs of neighbours, and no others"
    assert stored <= set(solved)


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 4, 20]))
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_neighbours_among_others(seed: int, n: int, m: int, k: int) -> None:
    regions = random_regions([4] * n, seed=seed)
    generator = np.random.default_rng(seed)
    against = gs.Regions.from_points(
        lon=generator.uniform(-180, 180, 3 * m), lat=generator.uniform(-80, 80, 3 * m),
        region=[f"t{j:02d}" for j in np.repeat(np.arange(m), 3)],
        features=generator.normal(size=(3 * m, 8)),
    )  # fmt: skip
    cost = gs.GroundCost(geo_weight=0.3)
    assert found(regions, k, cost, against)[1] == brute_force(regions, k, cost, against)


def test_most_pairs_are_never_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    regions = towns_on_earth(120)
    looked_at: list[int] = []
    add = Candidates.add

    def counted(self: Candidates, parts: list[Part]) -> None:
        looked_at.extend(len(part.row) for part in parts)
        add(self, parts)

    monkeypatch.setattr(Candidates, "add", counted)
    monkeypatch.setattr(lists, "_NEAR", 1)
    whole, names, solved = found(regions, 3, together=10)
    assert names == brute_force(regions, 3, GEOGRAPHY)
    assert sum(looked_at) < 120 * 119 / 2
    assert len(solved) < 120 * 6
    assert whole.solved.sum() < 120 * 12


def test_few_pairs_at_a_time_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    regions = random_regions([3] * 30, seed=4, spread=0.5)
    cost = gs.GroundCost(geo_weight=0.0)
    expected = brute_force(regions, 4, cost)
    monkeypatch.setattr(lists, "_NEAR", 0)
    monkeypatch.setattr(lists, "_MOST_PAIRS", 5)
    assert found(regions, 4, cost)[1] == expected


def test_equal_regions_stand_by_name() -> None:
    names = ["q", "e", "c", "d", "a", "b", "f", "p"]
    regions = gs.Regions.from_points(
        lon=[0, 5, 5, 5, 5, 5, 5, 0.1], lat=[0] * 8, region=names,
    )  # fmt: skip
    whole, lists_, _ = found(regions, 4)
    assert lists_["q"] == ["p", "a", "b", "c"]
    assert lists_["a"] == ["b", "c", "d", "e"]
    at = whole.targets.tolist().index(regions.names.index("q"))
    assert whole.overlaps[at].tolist() == [False, True, True, True], "c and d are as far"


def test_what_is_known_is_not_solved_again() -> None:
    regions = towns_on_earth(40)
    whole, names, solved = found(regions, 3)
    known = KnownPairs(40)
    for table in whole.pairs:
        known.add(table)
    again, same, more = found(regions, 3, known=known)
    assert same == names
    assert not set(more) & {pair for pair in solved if _is_in(whole, pair)}
    assert again.pairs == [] or sum(map(len, again.pairs)) == 0


def _is_in(whole: Lists, pair: tuple[int, int]) -> bool:
    return any(
        pair in set(zip(t.left.tolist(), t.right.tolist(), strict=True)) for t in whole.pairs
    )


def test_known_pairs_are_found_whichever_comes_first() -> None:
    of: Callable[..., PairTable] = lambda left, right, *values: PairTable(  # noqa: E731
        np.array(left), np.array(right),
        dict(zip(("divergence", "lower", "upper"), map(np.array, values), strict=True)),
    )  # fmt: skip
    below = KnownPairs(9)
    below.add(of([3, 1], [2, 8], [0.3, 0.1], [0.2, 0.0], [0.4, 0.2]))
    known = KnownPairs(9, below)
    known.add(of([5], [4], [0.5], [0.4], [0.6]))
    there, values = known.find(np.array([2, 8, 4, 0]), np.array([3, 1, 5, 1]))
    assert there.tolist() == [True, True, True, False]
    np.testing.assert_allclose(values[0], [0.3, 0.1, 0.5, np.nan], rtol=1e-6)
    assert (len(below), len(known)) == (2, 1)
