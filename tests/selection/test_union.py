"""Divergences of unions, beside regions that are those unions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import geospot_gpu as gs
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.engine.settings import Engine
from geospot_gpu.kernels.costs import costs_between
from geospot_gpu.selection.union import Mixture, Unions
from tests.helpers.clouds import cost_matrix, exact_transport, random_regions, weights

COST = gs.GroundCost(geo_weight=0.4)
ONE = np.ones(1)


def unions_of(
    regions: gs.Regions, targets: tuple[int, ...] = (0,), precision: Any = "single", **engine: Any
) -> Unions:
    solver = gs.Sinkhorn(epsilon=0.05, tolerance=1e-4, precision=precision)
    pair_engine = PairEngine(regions, Method(COST, solver), Engine(device="cpu", **engine))
    return Unions(pair_engine, np.array(targets), np.full(len(targets), 1 / len(targets)))


def exact_divergence(regions: gs.Regions, union: Mixture, target: int) -> float:
    """By POT in float64, on costs written anew."""
    shares = np.array(union.counts) / sum(union.counts)
    a = np.concatenate(
        [s * weights(regions, k) for s, k in zip(shares, union.members, strict=True)]
    )
    b = weights(regions, target)

    def cost(rows: tuple[int, ...], columns: tuple[int, ...]) -> Any:
        return np.block([[cost_matrix(regions, i, j, COST) for j in columns] for i in rows])

    members = union.members
    between = exact_transport(a, b, cost(members, (target,)), 0.05)[0]
    selves = (exact_transport(a, a, cost(members, members), 0.05)[0],
              exact_transport(b, b, cost((target,), (target,)), 0.05)[0])  # fmt: skip
    return between - sum(selves) / 2


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["single", "high"])
def test_unions_are_what_pot_finds_and_intervals_hold(precision: str) -> None:
    regions = random_regions([12, 9, 14, 7], spread=0.4)
    unions = unions_of(regions, precision=precision)
    for union in (
        Mixture((1,), (5.0,)),
        Mixture((3, 1), (1.0, 2.0)),
        Mixture((1, 2, 3), (4.0, 1.0, 1.0)),
    ):
        exact = exact_divergence(regions, union, 0)
        found = unions.distance(union)
        assert found.converged
        assert found.lower - 1e-8 <= exact <= found.upper + 1e-8  # POT stops at 1e-9
        assert found.value == pytest.approx(exact, abs=2e-4)
        assert unions.values([union])[0] == pytest.approx(found.value, abs=2e-4)


def test_several_targets_count_by_their_shares() -> None:
    regions = random_regions([12, 9, 14, 7], spread=0.4)
    union = Mixture((2, 3), (1.0, 1.0))
    both = unions_of(regions, (0, 1)).distance(union)
    one, other = (unions_of(regions, (t,)).distance(union) for t in (0, 1))
    assert both.value == pytest.approx((one.value + other.value) / 2, abs=1e-5)
    assert len(both.of_target) == 21


def test_a_union_of_one_is_its_region(gallery: gs.Regions) -> None:
    cost, solver = gs.GroundCost(geo_weight=0.0), gs.Sinkhorn()
    few = gs.Regions.from_gallery(max_points=100, include=["FR", "KE", "JP"])
    ds = gs.pairwise(few, cost=cost, solver=solver)
    engine = PairEngine(few, Method(cost, solver), Engine(device="cpu"))
    unions = Unions(engine, np.array([few.names.index("KE")]), ONE)
    for name in ("FR", "JP"):
        found = unions.distance(Mixture((few.names.index(name),), (100.0,)))
        value = float(ds.divergence.sel(source=name, target="KE"))
        assert found.value == pytest.approx(value, abs=1e-4)


def test_first_variation_is_the_derivative() -> None:
    """Moving mass between target points changes the divergence as the variation says."""
    regions = random_regions([6, 9, 8], spread=0.4)
    union = Mixture((1, 2), (1.0, 1.0))
    found = unions_of(regions, precision="high").distance(union)
    mass = weights(regions, 0)
    step, moved = 1e-4, np.zeros(6)
    moved[0], moved[3] = step, -step
    changed = regions.weight.clone()
    changed[:6] += torch.from_numpy(moved)
    from dataclasses import replace

    after = unions_of(replace(regions, weight=changed), precision="high").distance(union)
    expected = float((found.of_target / mass) @ moved)
    assert after.value - found.value == pytest.approx(expected, rel=0.02, abs=1e-8)
    assert found.of_target.sum() == pytest.approx(0.0, abs=1e-9)
    assert {k: len(v) for k, v in found.of_member.items()} == {1: 9, 2: 8}


def test_a_greedy_step_costs_a_row_of_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    regions = random_regions([8] * 9, spread=0.4)
    computed: list[tuple[int, ...]] = []
    exact = costs_between

    def counted(*arguments: Any) -> torch.Tensor:
        found = exact(*arguments)
        computed.append(tuple(found.shape))
        return found

    for module in ("union", "quota"):
        monkeypatch.setattr(f"geospot_gpu.selection.{module}.costs_between", counted)
    chosen = gs.select_regions(regions, "r00", 24, method="union", max_regions=3, cost=COST)
    # Each candidate with the target and with itself, then with each new member of the union; the
    # target with itself; at the end coverage of the target by what was chosen, and once more each
    # candidate with the target, for the plan that samples are scattered by.
    candidates, steps = 8, 3
    assert computed
    assert len(computed) <= 3 * candidates + 1 + (steps - 1) * candidates + 2 * steps
    assert len(chosen.table) == 3


def test_without_room_for_tiles_nothing_changes() -> None:
    regions = random_regions([60, 60, 60, 60], dimension=3, spread=0.4)
    roomy, tight = (unions_of(regions, memory_budget=b) for b in ("1GiB", "1MiB"))
    tight._free = 0
    union = Mixture((1, 2, 3), (1.0, 1.0, 2.0))
    assert tight.distance(union).value == pytest.approx(roomy.distance(union).value, abs=1e-6)
    assert list(tight._blocks) == [(0, 0)]  # of the target, from the start


def test_starting_from_a_part_saves_iterations() -> None:
    regions = random_regions([80, 60, 60, 60], spread=0.8, seed=3)
    cold, warm = unions_of(regions), unions_of(regions)
    warm.distance(Mixture((1, 2), (1.0, 1.0)))
    union = Mixture((1, 2, 3), (1.0, 1.0, 1.0))
    steps = [int(u._solve([union], 0).potentials.iterations[0]) for u in (cold, warm)]
    assert steps[1] <= steps[0]
    assert warm.distance(union).value == pytest.approx(cold.distance(union).value, abs=1e-4)
