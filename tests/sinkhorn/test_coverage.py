"""Coverage against its dual maximised by SciPy in float64, and against its limits."""

from __future__ import annotations

import faiss
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import logsumexp

import geospot_gpu as gs
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.needs import Need
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.kernels.contract import IterationSettings
from geospot_gpu.kernels.iterate import iterate
from geospot_gpu.sinkhorn.coverage import certify_coverage, damping, importance
from tests.helpers.clouds import (
    Array,
    cost_matrix,
    exact_transport,
    kernel,
    random_regions,
    weights,
)
from tests.helpers.examples import examples

CPU = gs.Engine(device="cpu")
COSTS = [gs.GroundCost(geo_weight=weight) for weight in (0.0, 0.5, 1.0)]
SIZES = [23, 31]

NEEDS: tuple[Need, ...] = ("coverage", "nearest")


def exact_coverage(a: Array, b: Array, costs: Array, epsilon: float, rho: float) -> float:
    """The largest dual value, by L-BFGS over the potential of the source."""

    def target_potential(f: Array) -> Array:
        value: Array = -epsilon * logsumexp(np.log(a)[:, None] + (f[:, None] - costs) / epsilon, 0)
        return value

    def negative(f: Array) -> tuple[float, Array]:
        g = target_potential(f)
        value = b @ g + rho * (a @ -np.expm1(-f / rho))
        plan = a[:, None] * b * np.exp((f[:, None] + g - costs) / epsilon)
        return -float(value), plan.sum(1) - a * np.exp(-f / rho)

    found = minimize(
        negative, np.zeros(len(a)), jac=True, method="L-BFGS-B",
        options={"maxiter": 20_000, "maxfun": 50_000, "ftol": 1e-15, "gtol": 1e-10},
    )  # fmt: skip
    return -float(found.fun)


def solve(regions: gs.Regions, cost: gs.GroundCost, kernel: str = "auto auto", **solver: object):  # type: ignore[no-untyped-def]
    engine = gs.Engine("cpu", *kernel.split())
    pair_engine = PairEngine(regions, Method(cost, gs.Sinkhorn(**solver)), engine)  # type: ignore[arg-type]
    found = pair_engine.pairs(np.array([0]), np.array([1]), NEEDS)
    return {name: values[0] for name, values in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["compiled kept", "compiled streamed", "keops streamed", "triton kept"]
)
@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_the_interval_contains_the_exact_value(name: str, cost: gs.GroundCost) -> None:
    if name.split()[0] in ("keops", "triton") and cost.geo_weight != 0.5:
        pytest.skip("the formula of both terms is enough: it takes long to compile or interpret")
    regions = random_regions(SIZES)
    a, b = weights(regions, 0), weights(regions, 1)
    costs = cost_matrix(regions, 0, 1, cost)
    for rho in (0.02, 0.3):
        row = solve(regions, cost, name, epsilon=0.05, rho=rho)
        assert row["kernel"] == name
        for direction, exact in (
            ("source_to_target", exact_coverage(a, b, costs, 0.05, rho)),
            ("target_to_source", exact_coverage(b, a, costs.T, 0.05, rho)),
        ):
            value = f"coverage_{direction}"
            assert row[f"{value}_lower"] <= exact + 1e-9
            assert exact - 1e-9 <= row[f"{value}_upper"]
            assert row[value] == pytest.approx(exact, abs=2e-5)
            assert row[f"{value}_upper"] - row[f"{value}_lower"] < 1e-4
        assert row["converged"]


@pytest.mark.slow
@settings(max_examples=examples(40))
@given(
    seed=st.integers(0, 2**20),
    epsilon=st.sampled_from([0.01, 0.05, 0.3]),
    rho=st.sampled_from([1e-3, 0.05, 1.0, 30.0]),
    iterations=st.sampled_from([1, 2, 1000]),
)
def test_intervals_hold_whatever_the_iteration_did(
    seed: int, epsilon: float, rho: float, iterations: int
) -> None:
    regions = random_regions([9, 12], seed=seed)
    cost = COSTS[seed % 3]
    row = solve(regions, cost, epsilon=epsilon, rho=rho, max_iterations=iterations)
    high = solve(
        regions, cost, epsilon=epsilon, rho=rho, precision="high", tolerance=1e-10,
        max_iterations=20_000,
    )  # fmt: skip
    for direction in ("source_to_target", "target_to_source"):
        exact = high[f"coverage_{direction}"]
        assert row[f"coverage_{direction}_lower"] <= exact + 1e-9
        assert exact - 1e-9 <= row[f"coverage_{direction}_upper"]


def test_an_expensive_source_marginal_gives_the_ot_value() -> None:
    regions = random_regions(SIZES)
    cost = COSTS[1]
    costs = cost_matrix(regions, 0, 1, cost)
    a, b = weights(regions, 0), weights(regions, 1)
    exact = exact_transport(a, b, costs, 0.05)[0]
    found = solve(regions, cost, epsilon=0.05, rho=1e4, precision="high", tolerance=1e-9)
    assert found["coverage_source_to_target"] == pytest.approx(exact, abs=1e-5)
    assert found["coverage_target_to_source"] == pytest.approx(exact, abs=1e-5)
    assert found["converged"], "a high price does not slow it down"
    assert found["coverage_source_to_target"] <= exact + 1e-9, "a free marginal only helps"


def test_a_cheap_source_marginal_gives_the_soft_nearest_neighbour_cost() -> None:
    regions = random_regions(SIZES)
    cost, epsilon = COSTS[1], 0.05
    costs = cost_matrix(regions, 0, 1, cost)
    a, b = weights(regions, 0), weights(regions, 1)
    soft = -epsilon * b @ logsumexp(np.log(a)[:, None] - costs / epsilon, 0)
    found = solve(regions, cost, epsilon=epsilon, rho=1e-7, precision="high")
    assert found["coverage_source_to_target"] == pytest.approx(soft, abs=1e-5)
    sharp = solve(regions, cost, epsilon=2e-4, rho=1e-7, precision="high", max_iterations=10)
    nearest = costs.min(0) @ b
    slack = 2e-4 * np.log(1 / a.min())
    assert nearest - 1e-6 <= sharp["coverage_source_to_target"] <= nearest + slack


@pytest.mark.slow
@pytest.mark.parametrize("name", ["compiled kept", "compiled streamed", "triton kept"])
def test_nearest_costs_are_those_of_exact_search(name: str) -> None:
    n, m = (70, 45) if "triton" in name else (300, 211)  # which is interpreted here
    regions = random_regions([n, m], dimension=16)
    assert regions.features is not None
    x, y = regions.features[:n].numpy(), regions.features[n:].numpy()
    a, b = weights(regions, 0), weights(regions, 1)
    row = solve(regions, COSTS[0], name, epsilon=0.05)
    for direction, known, asked, mass in (
        ("source_to_target", x, y, b),
        ("target_to_source", y, x, a),
    ):
        index = faiss.IndexFlatIP(16)
        index.add(known)
        found = 1.0 - index.search(asked, 1)[0][:, 0]
        assert row[f"nearest_{direction}"] == pytest.approx(float(mass @ found), abs=1e-6)
    for cost in COSTS[1 : 2 if "triton" in name else 3]:
        costs = cost_matrix(regions, 0, 1, cost)
        row = solve(regions, cost, name, epsilon=0.05)
        assert row["nearest_source_to_target"] == pytest.approx(costs.min(0) @ b, abs=1e-6)
        assert row["nearest_target_to_source"] == pytest.approx(costs.min(1) @ a, abs=1e-6)


def test_batches_of_any_sizes_agree_with_single_pairs() -> None:
    regions = random_regions([1, 3, 40, 70, 200, 130], dimension=8)
    left, right = np.triu_indices(6, 1)
    solver = gs.Sinkhorn(epsilon=0.05)
    together = PairEngine(regions, Method(COSTS[1], solver), CPU).pairs(left, right, NEEDS)
    columns = [name for name in map(str, together) if name.startswith(("coverage", "nearest"))]
    assert len(columns) == 8
    for k, (i, j) in enumerate(zip(left, right, strict=True)):
        alone = PairEngine(regions, Method(COSTS[1], solver), CPU).pairs(
            np.array([i]), np.array([j]), NEEDS
        )
        for name in columns:
            np.testing.assert_allclose(together[name][k], alone[name][0], atol=2e-5)


def test_datasets_are_directed() -> None:
    regions = random_regions([20, 35, 50])
    solver = gs.Sinkhorn(epsilon=0.05, rho=0.05)
    run = gs.pairwise(regions, cost=COSTS[1], solver=solver, engine=CPU)
    for i in range(3):
        for j in range(3):
            if i == j:
                assert np.isnan(run.coverage.values[i, j])
                assert run.nearest.values[i, j] == 0.0
                continue
            costs = cost_matrix(regions, i, j, COSTS[1])
            assert run.nearest.values[i, j] == pytest.approx(
                costs.min(0) @ weights(regions, j), abs=1e-6
            )
            exact = exact_coverage(weights(regions, i), weights(regions, j), costs, 0.05, 0.05)
            assert run.coverage_lower.values[i, j] <= exact <= run.coverage_upper.values[i, j]


def test_importance_moves_the_source_towards_the_target() -> None:
    """Half of the source lies where the target is, half far away."""
    generator = np.random.default_rng(0)
    lon = np.concatenate([generator.normal(0, 1, 40), generator.normal(60, 1, 40)])
    regions = gs.Regions.from_points(
        lon=np.concatenate([lon, generator.normal(0, 1, 50)]),
        lat=np.concatenate([generator.normal(0, 1, 80), generator.normal(0, 1, 50)]),
        region=["source"] * 80 + ["target"] * 50,
    )
    near = regions.lon[:80] < 30
    for rho, low, high in ((1e-3, 1.99, 2.01), (1e3, 0.99, 1.01)):
        problem = kernel("kept", regions, 0, 1, COSTS[2], 0.01)
        settings = IterationSettings(1e-9, 5000, damping=damping(rho, 0.01))
        solved = iterate(problem, settings)
        found = importance(problem, solved)[0]
        assert float((problem.source.weight[0] * found).sum()) == pytest.approx(1.0)
        assert low < float(found[torch.from_numpy(near)].mean()) < high
        covered = certify_coverage(problem, COSTS[2], solved, rho, 1e-9)
        assert bool(covered.converged.all())


@pytest.mark.parametrize("rho", [0.0, -1.0, float("inf"), float("nan")])
def test_a_price_is_positive(rho: float) -> None:
    with pytest.raises(gs.GeospotError, match=r"solver\.rho=.* must be positive"):
        gs.Sinkhorn(rho=rho)
