"""GeomLoss's loop over our kernels, against its own SamplesLoss and float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import geospot_gpu as gs
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.needs import Need
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.kernels import make_kernel
from geospot_gpu.kernels.clouds import CloudBatch, PointArrays
from geospot_gpu.kernels.contract import IterationSettings, Kernel, Side
from geospot_gpu.kernels.keops import keops_problem, quiet_import
from geospot_gpu.sinkhorn.geomloss import anneal, diameters
from tests.helpers.clouds import cost_matrix, exact_transport, random_regions, weights

EPSILON, SCALING = 0.05, 0.8
MIXED = gs.GroundCost(geo_weight=0.5)
SQUARES = gs.GroundCost(feature="sqeuclidean", geo_weight=0.2, feature_scale=4.0)
PAIR, SELF = IterationSettings(1e-3, 0), IterationSettings(1e-3, 0, symmetric=True)
CPU = gs.Engine("cpu")
KERNELS = [
    ("torch", "kept", torch.float64, 1e-12),
    ("torch", "streamed", torch.float64, 1e-12),
    ("compiled", "kept", torch.float32, 1e-5),
    ("compiled", "streamed", torch.float32, 1e-5),
    pytest.param("keops", "streamed", torch.float64, 1e-6, marks=pytest.mark.slow),
    pytest.param("triton", "kept", torch.float32, 1e-4, marks=pytest.mark.slow),
    pytest.param("triton", "streamed", torch.float32, 1e-4, marks=pytest.mark.slow),
]
"""And how near they come: KeOps lets costs be a rounding below zero, and Triton's are of 11 bits
until epsilon is the last one."""


def batch_of(
    regions: gs.Regions,
    pairs: list[tuple[int, int]],
    cost: gs.GroundCost = MIXED,
    spec: tuple[str, str, torch.dtype] = ("torch", "kept", torch.float64),
) -> Kernel:
    backend, storage, dtype = spec
    device = "cuda" if backend == "triton" and torch.cuda.is_available() else "cpu"
    there = regions.to(device)
    points = PointArrays(there.features, there.xyz.to(dtype), there.weight.to(dtype))
    index = np.array(pairs).T
    source, target = (CloudBatch(points, regions.offsets[k], regions.sizes[k]) for k in index)
    return make_kernel(cost, source, target, EPSILON, 2**30, backend=backend, storage=storage)


def samples_loss(
    regions: gs.Regions,
    i: int,
    j: int,
    *,
    debias: bool,
    potentials: bool = True,
    scaling: float = SCALING,
) -> list[Tensor]:
    """Of one pair, in float64; what GeomLoss takes for coordinates says which region it is."""
    with quiet_import():
        from geomloss import SamplesLoss

    def matrix(x: Tensor, y: Tensor) -> Tensor:
        costs = cost_matrix(regions, int(x[0, 0, 0]), int(y[0, 0, 0]), MIXED)
        return torch.tensor(costs).clamp(min=0.0)[None]

    def side(k: int) -> tuple[Tensor, Tensor]:
        mass = torch.tensor(weights(regions, k)).double()
        return mass, torch.full((len(mass), 1), float(k), dtype=torch.float64)

    loss = SamplesLoss(
        "sinkhorn",
        p=1,
        blur=EPSILON,
        scaling=scaling,
        diameter=1.5,
        cost=matrix,
        debias=debias,
        potentials=potentials,
        backend="tensorized",
    )
    found = loss(*side(i), *side(j))
    return [x.flatten() for x in found] if potentials else [found]


@pytest.mark.parametrize(("backend", "storage", "dtype", "off"), KERNELS)
def test_the_loop_is_that_of_samples_loss(
    backend: str, storage: str, dtype: torch.dtype, off: float
) -> None:
    """Potentials of a ragged batch, and of self terms, on every kernel."""
    if backend == "keops" and (problem := keops_problem("cpu")):
        pytest.skip(problem)
    if backend == "triton":
        pytest.importorskip("triton")
    regions, pairs = random_regions([40, 31, 12, 25]), [(0, 1), (2, 3)]
    kernel = batch_of(regions, pairs, MIXED, (backend, storage, dtype))
    selves = batch_of(regions, [(0, 0), (2, 2)], MIXED, (backend, storage, dtype))
    between, own = (
        anneal(k, how, cost=MIXED, scaling=SCALING) for k, how in ((kernel, PAIR), (selves, SELF))
    )
    for row, (i, j) in enumerate(pairs):
        _, theirs = samples_loss(regions, i, j, debias=False)
        debiased, _ = samples_loss(regions, i, j, debias=True)
        f, _ = samples_loss(regions, i, j, debias=False)
        g, next_g = (
            x[row, : len(theirs)].double().cpu().numpy() for x in (between.g, between.next_g)
        )
        error = float((weights(regions, j) * np.abs(np.expm1((g - next_g) / EPSILON))).sum())
        assert float(between.marginal_error[row]) == pytest.approx(error, rel=2e-2, abs=2e-3)
        np.testing.assert_allclose(g, theirs, rtol=0, atol=off)
        alone = own.g[row, : len(f)].double().cpu()
        np.testing.assert_allclose(alone, f - debiased, rtol=0, atol=off)
    again = kernel.softmin(between.g, "source")
    assert torch.equal(between.f, again), "the last half-steps are the kernel's own"
    assert torch.equal(between.next_g, kernel.softmin(between.f, "target"))


def test_the_divergence_is_that_of_samples_loss() -> None:
    regions, slow = random_regions([40, 31, 12]), gs.GeomLoss(EPSILON, scaling=0.99)
    found = gs.pairwise(regions, solver=slow, engine=CPU)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        theirs = samples_loss(regions, i, j, debias=True, potentials=False, scaling=0.99)[0]
        assert float(found.divergence[i, j]) == pytest.approx(float(theirs), abs=1e-5)


@pytest.mark.parametrize("scaling", [0.3, 0.95])
def test_intervals_hold_what_float64_finds(scaling: float) -> None:
    """However rough the annealing was; and they are narrower where it was slow."""
    regions = random_regions([40, 31, 12])
    found = gs.pairwise(regions, solver=gs.GeomLoss(EPSILON, scaling), engine=CPU)
    ours = gs.pairwise(regions, solver=gs.Sinkhorn(EPSILON, tolerance=1e-5), engine=CPU)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        a, b = weights(regions, i).astype(float), weights(regions, j).astype(float)
        costs = cost_matrix(regions, i, j, MIXED)
        value, transport = exact_transport(a / a.sum(), b / b.sum(), costs, EPSILON)
        pair = found.isel(source=i, target=j)
        assert pair.ot_lower <= value <= pair.ot_upper
        assert pair.transport_cost_lower <= transport <= pair.transport_cost_upper
        assert pair.lower <= float(ours.divergence[i, j]) <= pair.upper
        assert pair.coverage_lower <= float(ours.coverage_upper[i, j])
        assert pair.coverage_upper >= float(ours.coverage_lower[i, j])
    assert float((found.upper - found.lower).max()) < {0.3: 0.1, 0.95: 1e-3}[scaling]
    off = float(abs(found.divergence - ours.divergence).max())
    assert off < {0.3: 0.02, 0.95: 1e-4}[scaling]


def test_all_outputs_are_alike() -> None:
    """Also those that half samples and free marginals give."""
    regions = random_regions([60, 50, 40], spread=0.3)
    regions = gs.Regions.from_points(
        lon=regions.lon, lat=regions.lat, region=np.repeat(["a", "b", "c"], [60, 50, 40]).tolist(),
        features=regions.features, max_points=30,
    )  # fmt: skip
    engine, tight = CPU, 1e-3
    ours = gs.pairwise(regions, solver=gs.Sinkhorn(EPSILON, tolerance=1e-5), engine=engine)
    theirs = gs.pairwise(regions, solver=gs.GeomLoss(EPSILON, 0.98, tolerance=0.05), engine=engine)
    assert set(ours) == set(theirs)
    assert bool(theirs.converged.all())
    for name in ("divergence", "std_error", "bias", "coverage", "nearest", "transport_cost"):
        assert bool(ours[name].notnull().any()), name
        np.testing.assert_allclose(theirs[name], ours[name], rtol=0, atol=tight, err_msg=name)
    np.testing.assert_array_equal(theirs.nearest, ours.nearest)
    hasty = gs.pairwise(regions, solver=gs.GeomLoss(0.01, 0.3), engine=engine)
    assert not bool(hasty.converged.values[np.triu_indices(3, 1)].any())


@pytest.mark.parametrize("backend", ["torch", "compiled"])
def test_results_do_not_depend_on_the_batch(backend: str) -> None:
    regions = random_regions([30, 25, 28, 7])
    method = Method(MIXED, gs.GeomLoss(EPSILON, 0.5))
    engine = PairEngine(regions, method, gs.Engine("cpu", backend=backend))
    left, right = np.triu_indices(4, 1)
    needs: list[Need] = ["coverage"]
    together = engine.pairs(left, right, needs)
    for k in range(len(left)):
        alone = engine.pairs(left[k : k + 1], right[k : k + 1], needs)
        for name in ("ot_value", "transport_cost", "coverage_source_to_target"):
            np.testing.assert_allclose(together[name][k], alone[name][0], rtol=0, atol=1e-6)
    again = engine.pairs(left, right)
    np.testing.assert_array_equal(again["ot_value"], together["ot_value"])


def test_problems_are_annealed_from_their_own_largest_cost() -> None:
    """Where they differ within a batch, too."""
    regions = random_regions([12, 9, 14, 10])
    assert regions.features is not None
    long = torch.ones(45)
    long[:21] = 3.0
    points = PointArrays(
        regions.features.double() * long[:, None],
        regions.xyz.double(),
        regions.weight.double(),
    )
    cost = gs.GroundCost(feature="sqeuclidean", geo_weight=0.2)

    def solved(pairs: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        left, right = (
            CloudBatch(points, regions.offsets[k], regions.sizes[k]) for k in np.array(pairs).T
        )
        kernel = make_kernel(cost, left, right, EPSILON, 2**20)
        return diameters(kernel, cost), anneal(kernel, PAIR, cost=cost, scaling=SCALING).g

    pairs = [(2, 3), (0, 1), (1, 3), (3, 2)]
    diameter, together = solved(pairs)
    squares = torch.tensor([4.0, 64.0, 25.0, 4.0], dtype=torch.float64)
    torch.testing.assert_close(diameter, 0.2 + 0.8 * squares)
    for row, pair in enumerate(pairs):
        alone = solved([pair])[1][0]
        torch.testing.assert_close(together[row, : len(alone)], alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cost", [MIXED, SQUARES, gs.GroundCost(geo_weight=1.0)], ids=str)
def test_no_cost_is_above_the_diameter(cost: gs.GroundCost) -> None:
    regions = random_regions([200, 150])
    largest = float(diameters(batch_of(regions, [(0, 1)], cost), cost))
    assert cost_matrix(regions, 0, 1, cost).max() <= largest * 1.001
    assert largest == pytest.approx({"sqeuclidean": 1.0, "cosine": 1.5}[cost.feature], abs=0.6)


def test_self_terms_are_solved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides of a symmetric problem are the same softmin."""
    regions, calls = random_regions([20]), []
    kernel = batch_of(regions, [(0, 0)])
    softmin = type(kernel).softmin

    def counted(
        self: Kernel, potential: Tensor, side: Side, epsilon: float | None = None
    ) -> Tensor:
        calls.append(side)
        return softmin(self, potential, side, epsilon)

    monkeypatch.setattr(type(kernel), "softmin", counted)
    found = anneal(kernel, SELF, cost=MIXED, scaling=SCALING)
    assert len(calls) == int(found.iterations) + 1
    calls.clear()
    found = anneal(kernel, PAIR, cost=MIXED, scaling=SCALING)
    assert len(calls) == 2 * int(found.iterations)


@pytest.mark.parametrize("backend", ["torch", "compiled"])
def test_pairs_beyond_the_budget_are_streamed(backend: str) -> None:
    regions = random_regions([600, 700])
    method = Method(MIXED, gs.GeomLoss(EPSILON, 0.5))
    ample, scarce = (
        PairEngine(regions, method, gs.Engine("cpu", backend=backend, memory_budget=budget)).pairs(
            np.array([0]), np.array([1])
        )
        for budget in ("1GiB", "1MiB")
    )
    assert ample["kernel"].tolist() == [f"{backend} kept"]
    assert scarce["kernel"].tolist() == [f"{backend} streamed"]
    np.testing.assert_allclose(scarce["ot_value"], ample["ot_value"], rtol=0, atol=1e-5)


def test_gradients_stay_as_they_were() -> None:
    """GeomLoss's loop enables them for its whole thread."""
    kernel = batch_of(random_regions([5, 6]), [(0, 1)])
    for enabled in (True, False):
        with torch.set_grad_enabled(enabled):
            anneal(kernel, PAIR, cost=MIXED, scaling=SCALING)
            assert torch.is_grad_enabled() == enabled
