"""Single points of a pool: the lazy choice is the greedy one, and weights are those of coverage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import geospot_gpu as gs
from geospot_gpu.distances.nearest import rounded as rounded_features
from geospot_gpu.encoders.precomputed import MappedFeatures
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.engine.settings import Engine
from geospot_gpu.points.readers import read_points
from geospot_gpu.selection import point_cover as lazy
from geospot_gpu.selection.facility import ChoiceLimits, cover_greedily
from geospot_gpu.selection.importance import drawn, importance_weights, nearest_of_pool
from geospot_gpu.selection.pool import Pool, PoolCosts
from geospot_gpu.sinkhorn.coverage import importance
from tests.helpers.clouds import cost_matrix, random_regions, weights

COSTS = [
    gs.GroundCost(geo_weight=0.0),
    gs.GroundCost(geo_weight=0.4),
    gs.GroundCost(feature="sqeuclidean", geo_weight=0.2),
    gs.GroundCost(feature="euclidean", geo_weight=0.0),
]


def costs_of(
    regions: gs.Regions, cost: gs.GroundCost, precision: Any = "single", **solver: Any
) -> PoolCosts:
    """Costs between the points of the second region and those of the first."""
    sinkhorn = gs.Sinkhorn(precision=precision, **solver)
    engine = PairEngine(regions, Method(cost, sinkhorn), Engine(device="cpu"))
    return PoolCosts(engine, np.array([0]), np.ones(1), Pool.of_regions(regions, np.array([1])))


def matrix(costs: PoolCosts) -> np.ndarray:
    """All costs, [M, n]."""
    return costs.tile(costs.part(np.arange(len(costs.pool)))).double().numpy().T


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_tiles_are_the_ground_cost(cost: gs.GroundCost) -> None:
    regions = random_regions([6, 9], spread=0.5)
    costs = costs_of(regions, cost)
    found = matrix(costs)
    # The pool has the points in the order of the table, the region in a canonical one.
    np.testing.assert_allclose(
        np.sort(found, axis=1), np.sort(cost_matrix(regions, 0, 1, cost), axis=1), atol=2e-5
    )
    mean = costs.mean(costs.part(np.arange(9))).double().numpy()
    np.testing.assert_allclose(mean, weights(regions, 0) @ found, atol=1e-5)


@pytest.mark.parametrize("cost", COSTS, ids=str)
@pytest.mark.parametrize("shortlist", [1, 7, 10_000])
def test_the_lazy_choice_is_the_greedy_one(
    cost: gs.GroundCost, shortlist: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lazy, "_SHORTLIST", shortlist)
    monkeypatch.setattr(lazy, "_FIRST_BATCH", {"cpu": 2})
    regions = random_regions([60, 200], spread=0.7, seed=1)
    costs = costs_of(regions, cost, precision="high")
    full, mass = matrix(costs), weights(regions, 0)
    start = np.full(60, full.max())
    found = lazy.cover_points(costs, 12, np.full(60, np.inf))
    plain = cover_greedily(full, mass, start, ChoiceLimits(np.ones(200), 12.0, 12))
    assert found.chosen.tolist() == plain.order.tolist()
    assert 0.63 < found.guarantee <= 1.0
    owner = full[:, found.chosen].argmin(axis=1)
    np.testing.assert_allclose(found.weight, np.bincount(owner, mass, 12), atol=1e-9)
    for k in (1, 5, 12):
        nearest = full[:, found.chosen[:k]].min(axis=1)
        assert found.distance[k - 1] == pytest.approx(mass @ nearest, abs=1e-9)


@pytest.mark.parametrize("geo_weight", [0.0, 0.4])
def test_bounds_from_rounded_features_change_no_choice(
    geo_weight: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the processor multiplies bfloat16 numbers fast or not."""
    regions = random_regions([60, 300], dimension=32, spread=0.7, seed=1)
    found = []
    for fast in (False, True):
        monkeypatch.setattr(rounded_features, "multiplies_bfloat16", lambda _, fast=fast: fast)
        costs = costs_of(regions, gs.GroundCost(geo_weight=geo_weight))
        assert (costs._near is not None) == fast
        part = costs.part(np.arange(300))
        cover = torch.full((60,), 0.6)
        bounds, exact = costs.gain_bounds(part, cover)
        assert exact != fast
        gains = costs.gains(part, cover)
        assert (bounds >= gains - 1e-6).all()
        assert (bounds <= gains + 0.03).all()
        found.append(lazy.cover_points(costs, 15, np.full(60, np.inf)))
    assert found[0].chosen.tolist() == found[1].chosen.tolist()


def test_few_gains_are_computed_again() -> None:
    regions = random_regions([60, 3000], spread=0.7, seed=1)
    found = lazy.cover_points(costs_of(regions, COSTS[1]), 20, np.full(60, np.inf))
    assert found.evaluations < 0.2 * 20 * 3000


def test_the_whole_budget_is_spent() -> None:
    """Once no point is nearer to any part of the target, others are drawn by importance."""
    regions = gs.Regions.from_points(lon=[0, 50, 1, 2, 51, 52], lat=[0] * 6, region=list("ttaaaa"))
    found = gs.select_points(regions, "t", 3).table
    assert set(found["lon"][:2]) == {1.0, 51.0}
    np.testing.assert_allclose(found["weight"][:2], 0.5)
    assert found["lon"][2] in (2.0, 52.0)
    assert found["order"].tolist() == [1, 2, 3]
    assert found["by"].tolist() == ["coverage", "coverage", "importance"]
    assert set(found["region"]) == {"a"}
    few = gs.select_points(regions, "t", 1)
    assert len(few.table) == 1
    assert few.available == 4


def test_the_rest_is_drawn_without_replacement_and_seeded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    regions = random_regions([12, 150, 100], spread=0.5)
    chosen = {
        seed: gs.select_points(regions, "r00", 60, seed=seed, cost=COSTS[1]) for seed in (0, 1)
    }
    again = gs.select_points(regions, "r00", 60, seed=0, cost=COSTS[1])
    pd.testing.assert_frame_equal(chosen[0].table, again.table)
    tables = [found.table for found in chosen.values()]
    assert [table["id"].nunique() for table in tables] == [60, 60]
    greedy = [table[table["by"] == "coverage"] for table in tables]
    pd.testing.assert_frame_equal(greedy[0], greedy[1])
    assert 0 < len(greedy[0]) < 60
    assert set(tables[0]["id"]) != set(tables[1]["id"])
    assert chosen[0].guarantee == 1.0
    by_importance = gs.select_points(regions, "r00", method="importance", cost=COSTS[1]).table
    weight = by_importance.set_index("id")["weight"]
    rest = tables[0][tables[0]["by"] == "importance"]
    np.testing.assert_allclose(rest["weight"], weight[rest["id"]], atol=1e-9)
    assert not caplog.text
    everything = gs.select_points(regions, "r00", 900, cost=COSTS[1])
    assert sorted(everything.table["id"]) == sorted(by_importance["id"])
    assert "budget=900: there are only 250 points: all are taken" in caplog.text


def test_draws_follow_the_weights() -> None:
    """Of two draws, the first by its weight and the second by what is left."""
    weight = np.array([0.5, 0.3, 0.2, 0.0])
    draws = np.array([drawn(weight, 2, seed) for seed in range(4000)])
    first = np.bincount(draws[:, 0], minlength=4) / 4000
    np.testing.assert_allclose(first, weight, atol=0.03)
    second = np.bincount(draws[:, 1], minlength=4) / 4000
    expected = [
        sum(weight[i] * weight[j] / (1 - weight[i]) for i in range(3) if i != j) for j in range(4)
    ]
    np.testing.assert_allclose(second, expected, atol=0.03)
    assert sorted(drawn(weight, 4, 0).tolist()) == [0, 1, 2, 3]
    assert drawn(weight, 4, 0)[-1] == 3


def test_what_is_there_already_counts() -> None:
    regions = gs.Regions.from_points(lon=[0, 50, 0.5, 1, 51], lat=[0] * 5, region=list("ttabb"))
    found = gs.select_points(regions, "t", 1, have=["a"])
    assert found.table["lon"].tolist() == [51.0]
    assert found.table["id"].tolist() == [5]  # rows count from one


@pytest.mark.parametrize("cost", COSTS[:2], ids=str)
@pytest.mark.parametrize("rho", [0.01, 0.3])
def test_importance_is_the_marginal_of_coverage(cost: gs.GroundCost, rho: float) -> None:
    regions = gs.Regions.from_points(
        lon=np.random.default_rng(0).uniform(-60, 60, 70),
        lat=np.random.default_rng(1).uniform(-60, 60, 70),
        region=["a"] * 30 + ["b"] * 40,
        features=np.random.default_rng(2).normal(size=(70, 6)),
    )
    costs = costs_of(regions, cost, precision="high", tolerance=1e-8, max_iterations=5000)
    solver = gs.Sinkhorn(precision="high", tolerance=1e-8, max_iterations=5000, rho=rho)
    found = importance_weights(costs, solver, rho, neighbours=40)
    engine = PairEngine(regions, Method(cost, solver), Engine(device="cpu"))
    kernel, potentials = engine.potentials(1, 0, rho=rho)
    exact = importance(kernel, potentials)[0].numpy() * weights(regions, 1)
    assert found.converged
    np.testing.assert_allclose(found.weight, np.sort(exact)[::-1], atol=1e-6)
    assert found.weight.sum() == pytest.approx(1.0)


def test_nearest_of_pool_looks_at_every_point(monkeypatch: pytest.MonkeyPatch) -> None:
    regions = random_regions([20, 300], seed=2)
    costs = costs_of(regions, COSTS[1])
    full = matrix(costs)
    costs.rows = 17
    place, cost = nearest_of_pool(costs, 5)
    order = np.argsort(full, axis=1)[:, :5]
    np.testing.assert_allclose(cost, np.take_along_axis(full, order, 1), atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(full, place, 1), cost, atol=1e-6)


def test_importance_keeps_the_weightiest() -> None:
    regions = random_regions([30, 50, 40], spread=0.5)
    everything = gs.select_points(regions, "r00", method="importance")
    some = gs.select_points(regions, "r00", 7, method="importance")
    assert len(everything.table) == 90
    pd.testing.assert_frame_equal(some.table, everything.table[:7])
    assert everything.table["weight"].is_monotonic_decreasing
    assert everything.table["weight"].sum() == pytest.approx(1.0)


def table(tmp_path: Path, count: int = 40) -> Path:
    """A pool in a table, its features in a .npy file in another order."""
    generator = np.random.default_rng(0)
    ids = np.array([f"p{k}" for k in range(count)])
    pd.DataFrame(
        {
            "id": ids,
            "lon": generator.uniform(-90, 90, count),
            "lat": generator.uniform(-60, 60, count),
        }
    ).to_csv(tmp_path / "pool.csv", index=False)
    features = generator.normal(size=(count, 8)).astype(np.float32)
    np.save(tmp_path / "pool.npy", features[::-1])
    np.save(tmp_path / "pool.ids.npy", ids[::-1])
    return tmp_path / "pool.csv"


def test_features_of_a_pool_stay_on_disk(tmp_path: Path) -> None:
    path = table(tmp_path)
    encoder = gs.Precomputed(path=tmp_path / "pool.npy", id="id")
    points = read_points(path, text=("id",))
    pool = Pool.of_table(points, encoder)
    assert isinstance(pool.features, MappedFeatures)
    assert isinstance(pool.features._features, np.memmap)
    some = np.array([3, 0, 39])
    np.testing.assert_array_equal(pool.features[some], encoder.encode(points, some, "cpu"))
    assert pool.ids("id")[some].tolist() == ["p3", "p0", "p39"]
    assert pool.ids(None)[some].tolist() == ["p3", "p0", "p39"]
    bare = replace(points, attributes=points.attributes.drop(columns="id"))
    assert Pool.of_table(bare, gs.NoEncoder()).ids(None)[some].tolist() == [4, 1, 40]


def test_a_pool_that_does_not_compare_is_refused(tmp_path: Path) -> None:
    points = read_points(table(tmp_path), text=("id",))
    other = Pool.of_table(points, gs.NoEncoder())
    with pytest.raises(gs.GeospotError, match="do not compare with precomputed"):
        gs.select_points(random_regions([5, 5]), "r00", 2, pool=other)
    wide = Pool.of_table(points, gs.Precomputed(path=tmp_path / "pool.npy", id="id"))
    with pytest.raises(gs.GeospotError, match=r"\(8 per point\) do not compare .* \(3 per point\)"):
        gs.select_points(random_regions([5, 5], dimension=3), "r00", 2, pool=wide)
    found = gs.select_points(random_regions([5, 5]), "r00", 3, pool=wide)
    assert len(found.table) == 3
    assert "region" not in found.table


def test_points_of_the_target_are_no_candidates() -> None:
    """Regions may overlap: what lies in the target does not count as somewhere else."""
    points = gs.Points.build(lon=[0, 1, 2, 30], lat=[0] * 4)
    groups = {"t": np.array([0, 1]), "a": np.array([1, 2, 3])}
    regions = gs.Regions.from_groups(points, groups, encoder="none")
    assert gs.select_points(regions, "t", 1).table["lon"].tolist() == [2.0]
    assert gs.select_points(regions, "t", 1, include_target=True).table["lon"].tolist() in (
        [0.0], [1.0],
    )  # fmt: skip
    inside = {"t": np.array([0, 1, 2, 3]), "a": np.array([1, 2])}
    with pytest.raises(gs.GeospotError, match="no candidates are left: all points are of the tar"):
        gs.select_points(gs.Regions.from_groups(points, inside, encoder="none"), "t", 1)


def test_candidates_of_several_tables_are_refused() -> None:
    both = random_regions([5, 5], dimension=None).concatenated(
        random_regions([4, 4, 4], dimension=None, seed=1)
    )
    with pytest.raises(gs.GeospotError, match="points can be chosen from one table only"):
        gs.select_points(both, "r00", 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"budget": None}, "budget is needed"),
        ({"budget": 0}, "budget=0 buys nothing"),
        ({"method": "union"}, "method=union is unknown for points"),
        ({"seed": -1}, "seed=-1"),
        ({"neighbours": 0}, "neighbours=0: give at least 1"),
        ({"method": "importance", "have": ["r01"]}, "have has no effect on method=importance"),
        ({"exclude": ["r01"]}, "no candidates are left"),
        ({"cost": gs.GroundCost(scaling="pair_max")}, "set cost.scaling=global"),
        ({"method": "importance", "solver": gs.GeomLoss()}, "needs solver=sinkhorn"),
    ],
)
def test_mistakes_are_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(gs.GeospotError, match=message):
        gs.select_points(random_regions([4, 4]), "r00", **({"budget": 2} | settings))
