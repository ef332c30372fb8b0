"""The solver against closed forms, POT and GeomLoss."""

from __future__ import annotations

import dataclasses
import math
import warnings

import geomloss.ot
import numpy as np
import ot
import pytest
import torch
from scipy.optimize import linear_sum_assignment

import geospot_gpu as gs
from benchmarks.peers import published
from benchmarks.side_by_side import PAPER
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from tests.helpers.clouds import (
    STORAGES,
    Array,
    cost_matrix,
    exact_transport,
    random_regions,
    weights,
)
from tests.helpers.solved import CPU, GEOGRAPHY, HIGH, POT_ERROR, one_pair


def features_only(points: dict[str, list[list[float]]], weight: Array | None = None) -> gs.Regions:
    """Regions of points in feature space, all at one place on Earth, vectors as they are."""
    region = [name for name, rows in points.items() for _ in rows]
    vectors = [row for rows in points.values() for row in rows]
    zeros = np.zeros(len(region))
    return gs.Regions.from_points(
        lon=zeros, lat=zeros, region=region, features=vectors, normalize=False, weight=weight
    )


PAIR_MAX = gs.GroundCost(geo_weight=0.5, scaling="pair_max")


def pair_max(regions: gs.Regions, i: int, j: int) -> tuple[Array, Array, Array]:
    """Weights of two regions and their costs as the paper scales them, in float64."""
    feature = cost_matrix(regions, i, j, gs.GroundCost(geo_weight=0.0))
    km = cost_matrix(regions, i, j, gs.GroundCost(geo_weight=1.0, geo_scale=1.0))
    mixed = 0.5 * feature / feature.max() + 0.5 * km / km.max()
    return weights(regions, i), weights(regions, j), mixed / mixed.max()


def far_clusters() -> gs.Regions:
    """Two regions of points that are close to each other and far from those opposite."""
    generator = np.random.default_rng(0)
    centres = np.repeat([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], 40, axis=0)
    lon = np.repeat([0.0, 120.0], 40) + generator.normal(0, 1, 80)
    return gs.Regions.from_points(
        lon=lon,
        lat=generator.normal(0, 1, 80),
        region=["a"] * 40 + ["b"] * 40,
        weight=generator.uniform(0.5, 1.5, 80),
        features=centres + 0.03 * generator.normal(size=(80, 3)),
    )


SQUARES = gs.GroundCost(feature="sqeuclidean", geo_weight=0.0)


class TestClosedForms:
    @pytest.mark.parametrize("storage", STORAGES)
    def test_two_diracs_are_their_cost_apart(self, storage: str) -> None:
        regions = gs.Regions.from_points(lon=[0, 90], lat=[0, 0], region=["a", "b"])
        engine = gs.Engine(device="cpu", storage=storage)
        result = one_pair(regions, GEOGRAPHY, gs.Sinkhorn(), engine)
        for column in ("divergence", "ot_value", "transport_cost"):
            assert result[column] == pytest.approx(0.5, abs=1e-6)
        assert result["lower"] <= 0.5 <= result["upper"]
        assert result["converged"] == 1.0

    @pytest.mark.slow
    @pytest.mark.parametrize("epsilon", [0.01, 0.1, 1.0])
    def test_translated_cloud_diverges_by_the_square_of_the_shift(self, epsilon: float) -> None:
        """For squared distances the divergence of X and X + t is |t|^2 at every epsilon."""
        cloud = 0.3 * np.random.default_rng(0).normal(size=(40, 3))
        shift = np.array([0.3, -0.2, 0.5])
        regions = features_only({"a": cloud.tolist(), "b": (cloud + shift).tolist()})
        solver = dataclasses.replace(HIGH, epsilon=epsilon, max_iterations=2000)
        result = one_pair(regions, SQUARES, solver)
        assert result["divergence"] == pytest.approx(shift @ shift, abs=1e-6)
        assert result["lower"] - 1e-6 <= shift @ shift <= result["upper"] + 1e-6

    def test_gaussians_in_one_dimension(self) -> None:
        """Janati et al. 2020, theorem 1, for N(0, s^2) and N(2, t^2) by quadrature points."""
        s, t, epsilon = 0.5, 0.8, 0.5
        grid = np.linspace(-7, 7, 700)

        def of(mean: float, deviation: float) -> Array:
            density: Array = np.exp(-((grid - mean) ** 2) / (2 * deviation**2))
            mass: Array = density / density.sum()
            return mass

        regions = features_only(
            {"a": grid[:, None].tolist(), "b": grid[:, None].tolist()},
            weight=np.concatenate([of(0, s), of(2, t)]) + 1e-300,
        )
        sigma2 = epsilon / 2  # their cost is epsilon = 2 sigma^2

        def entropic(x: float, y: float) -> float:
            d = math.sqrt(4 * x**2 * y**2 + sigma2**2)
            logs = math.log(d + sigma2) - math.log(2 * sigma2)
            return x**2 + y**2 - d + sigma2 * (1 + logs)

        value = 4 + entropic(s, t) - entropic(s, s) / 2 - entropic(t, t) / 2
        solver = gs.Sinkhorn(epsilon=epsilon, precision="high", tolerance=1e-7)
        assert one_pair(regions, SQUARES, solver)["divergence"] == pytest.approx(value, abs=1e-4)

    def test_small_epsilon_finds_the_best_permutation(self) -> None:
        generator = np.random.default_rng(0)
        x, y = generator.normal(size=(2, 8, 3))
        regions = features_only({"a": x.tolist(), "b": y.tolist()})
        costs = cost_matrix(regions, 0, 1, SQUARES)
        best = costs[linear_sum_assignment(costs)].mean()
        solver = dataclasses.replace(HIGH, epsilon=0.01, tolerance=1e-4)
        assert one_pair(regions, SQUARES, solver)["transport_cost"] == pytest.approx(best, rel=1e-3)

    @pytest.mark.parametrize("precision", ["single", "high"])
    def test_identical_clouds_do_not_diverge(self, precision: str) -> None:
        regions = random_regions([300])
        twice = regions.concatenated(regions)
        engine = PairEngine(twice, Method(gs.GroundCost(), gs.Sinkhorn(precision=precision)), CPU)  # type: ignore[arg-type]
        own = engine.self_terms(np.array([0]))
        pair = engine.pairs(np.array([0]), np.array([1]))
        assert pair["converged"].all()
        assert pair["ot_value"][0] == pytest.approx(own.ot[0], abs=1e-5)

    def test_far_apart_one_point_regions(self) -> None:
        """A single point against a cloud: the plan is the product, the value the mean cost."""
        regions = random_regions([1, 60])
        result = one_pair(regions, gs.GroundCost(), gs.Sinkhorn())
        costs = cost_matrix(regions, 0, 1, gs.GroundCost())
        assert result["transport_cost"] == pytest.approx(costs[0] @ weights(regions, 1), abs=1e-6)


class TestOracles:
    @pytest.mark.parametrize("storage", STORAGES)
    @pytest.mark.parametrize("geo_weight", [0.0, 0.5, 1.0])
    @pytest.mark.parametrize("epsilon", [0.01, 0.05])
    def test_pot_on_random_clouds(self, storage: str, geo_weight: float, epsilon: float) -> None:
        regions = random_regions([120, 90])
        cost = gs.GroundCost(geo_weight=geo_weight)
        engine = gs.Engine(device="cpu", storage=storage)
        result = one_pair(regions, cost, gs.Sinkhorn(epsilon=epsilon), engine)
        value, transport = exact_transport(
            weights(regions, 0), weights(regions, 1), cost_matrix(regions, 0, 1, cost), epsilon
        )
        assert result["ot_value"] == pytest.approx(value, rel=1e-3)
        assert result["transport_cost"] == pytest.approx(transport, rel=1e-3)
        assert result["ot_lower"] - POT_ERROR <= value <= result["ot_upper"] + POT_ERROR
        assert result["transport_cost_lower"] <= transport <= result["transport_cost_upper"]

    @pytest.mark.slow
    def test_pot_on_gallery_pairs(self, gallery: gs.Regions) -> None:
        left, right = _random_pairs(len(gallery), 15)
        cost = gs.GroundCost(geo_weight=0.5)
        ours = PairEngine(gallery, Method(cost, gs.Sinkhorn()), CPU).pairs(left, right)
        for k, (i, j) in enumerate(zip(left, right, strict=True)):
            value, transport = exact_transport(
                weights(gallery, i), weights(gallery, j), cost_matrix(gallery, i, j, cost), 0.01
            )
            assert ours["ot_value"][k] == pytest.approx(value, rel=1e-3)
            assert ours["transport_cost"][k] == pytest.approx(transport, rel=1e-3)
            assert ours["ot_lower"][k] <= value <= ours["ot_upper"][k]
            low, high = (ours[f"transport_cost_{end}"][k] for end in ("lower", "upper"))
            assert low <= transport <= high
            assert high - low <= 0.02 * transport

    @pytest.mark.slow
    def test_preset_paper_is_what_pot_gives_as_published(self, gallery: gs.Regions) -> None:
        """Also where plain Sinkhorn underflows in float32, and the reference takes logarithms."""
        left, right = _random_pairs(len(gallery), 25)
        ours = PairEngine(gallery, Method(PAIR_MAX, PAPER), CPU).pairs(left, right)
        assert ours["converged"].all()
        twice = 0
        for k, (i, j) in enumerate(zip(left, right, strict=True)):
            a, b, costs = (torch.from_numpy(values).float() for values in pair_max(gallery, i, j))
            reference, again = published(a, b, costs)
            twice += again
            assert ours["transport_cost"][k] == pytest.approx(reference, rel=1e-6)
        assert twice

    @pytest.mark.parametrize("epsilon", [0.005, 0.001])
    @pytest.mark.parametrize("storage", STORAGES)
    def test_preset_paper_where_plain_sinkhorn_fails(self, epsilon: float, storage: str) -> None:
        """Two far clusters: costs over epsilon exceed what exp can hold, at 0.001 in float64."""
        regions = far_clusters()
        kind = torch.float32 if epsilon > 0.002 else torch.float64
        values = [torch.from_numpy(x).to(kind) for x in pair_max(regions, 0, 1)]
        settings = {"reg": epsilon, "numItermax": 1000, "stopThr": 1e-8}
        with pytest.warns(UserWarning, match="numerical errors"):
            ot.sinkhorn(*values, **settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # in float32 the threshold cannot be reached
            reference = float(ot.sinkhorn2(*values, method="sinkhorn_log", **settings))
        solver = dataclasses.replace(PAPER, epsilon=epsilon)
        engine = gs.Engine(device="cpu", storage=storage)
        result = one_pair(regions, PAIR_MAX, solver, engine)
        assert result["converged"] == 1.0
        assert result["transport_cost"] == pytest.approx(reference, rel=1e-6)

    @pytest.mark.slow
    def test_preset_paper_says_where_a_thousand_iterations_do_not_do(self) -> None:
        """The reference then gives the cost of a plan that misses its marginals; ours a bound."""
        regions = random_regions([60, 50])
        solver = dataclasses.replace(PAPER, epsilon=0.001)
        result = one_pair(regions, PAIR_MAX, solver)
        assert result["converged"] == 0.0
        assert result["iterations"] == 1000
        _, exact = exact_transport(*pair_max(regions, 0, 1), epsilon=0.001)
        assert result["transport_cost_lower"] <= exact <= result["transport_cost_upper"]

    def test_geomloss_solve(self) -> None:
        regions = random_regions([80, 60])
        cost, epsilon = gs.GroundCost(), 0.03
        reference = geomloss.ot.solve(
            torch.from_numpy(cost_matrix(regions, 0, 1, cost)),
            reg=epsilon,
            a=torch.from_numpy(weights(regions, 0)),
            b=torch.from_numpy(weights(regions, 1)),
            max_iter=500,
        )
        result = one_pair(regions, cost, gs.Sinkhorn(epsilon=epsilon))
        assert result["ot_value"] == pytest.approx(float(reference.value), rel=1e-3)


def _random_pairs(count: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    left, right = np.triu_indices(count, 1)
    chosen = np.random.default_rng(0).choice(len(left), number, replace=False)
    return left[chosen], right[chosen]
