"""The solver's invariants, its convergence, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import geospot_gpu as gs
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.kernels import relaxation
from geospot_gpu.kernels.contract import IterationSettings
from geospot_gpu.kernels.iterate import iterate
from tests.helpers.clouds import (
    STORAGES,
    cost_matrix,
    exact_transport,
    kernel,
    random_regions,
    weights,
)
from tests.helpers.examples import examples
from tests.helpers.solved import CPU, GEOGRAPHY, HIGH, POT_ERROR, one_pair


class TestInvariants:
    @pytest.mark.slow
    @settings(max_examples=examples(25))
    @given(
        n=st.integers(1, 30),
        m=st.integers(1, 30),
        seed=st.integers(0, 10**6),
        geo_weight=st.sampled_from([0.0, 0.5, 1.0]),
        epsilon=st.sampled_from([0.005, 0.03, 0.3]),
    )
    def test_symmetry_positivity_and_intervals(
        self, n: int, m: int, seed: int, geo_weight: float, epsilon: float
    ) -> None:
        regions = random_regions([n, m], seed=seed)
        cost = gs.GroundCost(geo_weight=geo_weight)
        solver = gs.Sinkhorn(epsilon=epsilon)
        engine = PairEngine(regions, Method(cost, solver), CPU)
        forth = engine.pairs(np.array([0]), np.array([1]))
        back = engine.pairs(np.array([1]), np.array([0]))
        assert forth["ot_value"][0] == pytest.approx(back["ot_value"][0], abs=2e-5)
        dataset = gs.pairwise(regions, cost=cost, solver=solver, engine=CPU)
        assert float(dataset.upper[0, 1]) >= 0.0
        assert float(dataset.lower[0, 1]) <= float(dataset.divergence[0, 1])
        assert float(dataset.divergence[0, 1]) <= float(dataset.upper[0, 1])
        exact = gs.pairwise(
            regions,
            cost=cost,
            solver=gs.Sinkhorn(epsilon, 1e-8, 20_000, precision="high"),
            engine=CPU,
        )
        for lower, value, upper in (
            ("lower", "divergence", "upper"),
            ("ot_lower", "ot_value", "ot_upper"),
            ("transport_cost_lower", "transport_cost", "transport_cost_upper"),
        ):
            assert float(dataset[lower][0, 1]) <= float(exact[value][0, 1]) + 1e-12
            assert float(exact[value][0, 1]) <= float(dataset[upper][0, 1]) + 1e-12

    @pytest.mark.slow
    @pytest.mark.parametrize("tolerance", [0.3, 1e-2, 1e-4])
    @pytest.mark.parametrize("precision", ["single", "high"])
    @pytest.mark.parametrize("storage", STORAGES)
    @pytest.mark.parametrize("feature", ["cosine", "sqeuclidean", "euclidean"])
    def test_intervals_hold_however_far_the_iteration_got(
        self, tolerance: float, precision: str, storage: str, feature: str
    ) -> None:
        regions = random_regions([70, 90])
        cost = gs.GroundCost(feature=feature, geo_weight=0.4)
        value, transport = exact_transport(
            weights(regions, 0), weights(regions, 1), cost_matrix(regions, 0, 1, cost), 0.02
        )
        solver = gs.Sinkhorn(epsilon=0.02, tolerance=tolerance, precision=precision)  # type: ignore[arg-type]
        engine = gs.Engine(device="cpu", storage=storage)
        result = one_pair(regions, cost, solver, engine)
        assert result["marginal_error"] <= tolerance
        assert result["ot_lower"] - POT_ERROR <= value <= result["ot_upper"] + POT_ERROR
        assert result["ot_upper"] - result["ot_lower"] <= 2 * tolerance + 1e-4
        assert result["transport_cost_lower"] <= transport <= result["transport_cost_upper"]
        assert result["transport_cost_upper"] <= result["ot_upper"]

    def test_unequal_pairs_in_one_batch_are_solved_as_if_alone(self) -> None:
        regions = random_regions([5, 40, 41, 38, 6, 37, 44, 7])
        left, right = np.triu_indices(8, 1)
        solver = gs.Sinkhorn(epsilon=0.02, precision="high")
        engine = PairEngine(regions, Method(gs.GroundCost(), solver), CPU)
        together = engine.pairs(left, right)
        for k, (i, j) in enumerate(zip(left, right, strict=True)):
            alone = engine.pairs(np.array([i]), np.array([j]))
            assert together["iterations"][k] == alone["iterations"][0]
            for name, digits in (("ot_value", 1e-12), ("transport_cost", 1e-9)):
                assert together[name][k] == pytest.approx(alone[name][0], rel=digits)

    def test_merged_duplicates_count_as_many(self) -> None:
        """Three copies of a point are one point of triple mass."""
        lon, lat = [0, 0, 0, 5, 40, 45], [0, 0, 0, 5, 10, 20]
        copies = gs.Regions.from_points(lon=lon, lat=lat, region=list("aaaabb"))
        weighted = gs.Regions.from_points(
            lon=[0, 5, 40, 45], lat=[0, 5, 10, 20], region=list("aabb"), weight=[3, 1, 1, 1]
        )
        assert copies.sizes.tolist() == [2, 2]
        one, other = (one_pair(regions, GEOGRAPHY, HIGH) for regions in (copies, weighted))
        assert one["divergence"] == other["divergence"]

    def test_runs_are_identical(self) -> None:
        regions = random_regions([150, 120, 90])
        first, second = (gs.pairwise(regions, engine=CPU) for _ in range(2))
        assert first.identical(second)


class TestConvergence:
    def test_relaxation_keeps_the_answer_and_saves_iterations(self) -> None:
        regions = random_regions([200, 200])
        cost = gs.GroundCost(geo_weight=0.0)
        solvers = [gs.Sinkhorn(relaxation=relaxed) for relaxed in (False, True)]
        plain, relaxed = (one_pair(regions, cost, solver) for solver in solvers)
        assert relaxed["iterations"] < plain["iterations"]
        assert relaxed["ot_value"] == pytest.approx(plain["ot_value"], rel=1e-4)

    @pytest.mark.slow
    @settings(max_examples=examples(8))
    @example(seed=263, epsilon=0.003)
    @given(seed=st.integers(0, 10**6), epsilon=st.sampled_from([0.003, 0.01, 0.1]))
    def test_relaxation_never_diverges(self, seed: int, epsilon: float) -> None:
        regions = random_regions([40, 25], seed=seed)
        problem = kernel("kept", regions, 0, 1, gs.GroundCost(), epsilon)
        relaxed = iterate(problem, IterationSettings(1e-6, 3000)).marginal_error.item()
        if relaxed > 1e-6:  # a few problems take plain Sinkhorn more than 10,000 iterations
            plain = iterate(
                problem, IterationSettings(1e-6, 3000, relaxed=False)
            ).marginal_error.item()
            assert relaxed <= 2.0 * plain

    def test_stalled_problems_return_to_plain_sinkhorn(self) -> None:
        state = relaxation.begin(2, torch.device("cpu"))
        for step in range(120):
            error = torch.tensor([1.0, 0.8**step], dtype=torch.float64)
            state = relaxation.update(state, step + 1, error)
        assert state.omega[0] == 1.0
        assert state.omega[1] > 1.0

    def test_running_out_of_iterations_is_said(self) -> None:
        result = one_pair(
            random_regions([60, 60]),
            gs.GroundCost(geo_weight=0.0),
            gs.Sinkhorn(epsilon=0.003, max_iterations=3),
        )
        assert result["converged"] == 0.0
        assert result["iterations"] == 3
        assert result["marginal_error"] > 1e-3
        assert result["ot_lower"] < result["ot_value"] <= result["ot_upper"]

    @pytest.mark.parametrize("epsilon", [1e-4, 1e-3, 10.0])
    def test_extreme_epsilons_stay_finite(self, epsilon: float) -> None:
        result = one_pair(random_regions([50, 40]), gs.GroundCost(), gs.Sinkhorn(epsilon=epsilon))
        assert all(np.isfinite(list(result.values())))
        assert result["ot_lower"] <= result["ot_upper"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epsilon": 0.0}, r"solver.epsilon=0.0 must be positive"),
        ({"epsilon": -1.0}, r"solver.epsilon=-1.0 must be positive"),
        ({"epsilon": float("nan")}, r"solver.epsilon=nan must be positive"),
        ({"tolerance": 0.0}, r"solver.tolerance=0.0 must lie between 0 and 1"),
        ({"max_iterations": 0}, r"solver.max_iterations=0 must be at least 1"),
        ({"precision": "half"}, r"solver.precision='half' is unknown: use single or high"),
    ],
)
def test_values_out_of_range_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(gs.GeospotError, match=message):
        gs.Sinkhorn(**settings)  # type: ignore[arg-type]


def test_geomloss_values_out_of_range_are_refused() -> None:
    with pytest.raises(gs.GeospotError, match=r"solver.scaling=1.0 must lie between 0 and 1"):
        gs.GeomLoss(scaling=1.0)
    with pytest.raises(gs.GeospotError, match=r"solver.epsilon=0.0 must be positive"):
        gs.GeomLoss(epsilon=0.0)
