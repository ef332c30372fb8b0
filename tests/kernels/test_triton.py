"""Triton's kernel against float64 formulas: on a GPU where there is one, else interpreted."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

pytest.importorskip("triton")


import geospot_gpu as gs
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.errors.say import warn_once
from geospot_gpu.kernels import choose_kernel, halves
from geospot_gpu.kernels.contract import IterationSettings
from geospot_gpu.kernels.gpu import batch as launches
from geospot_gpu.kernels.gpu import layout
from geospot_gpu.kernels.gpu.kernel import TritonKernel
from geospot_gpu.kernels.iterate import iterate
from geospot_gpu.kernels.spec import Workload
from geospot_gpu.sinkhorn.bounds import certify
from tests.helpers.clouds import Array, cost_matrix, exact_transport, weights
from tests.helpers.triton import (
    DEVICE,
    EPSILON,
    LEFT,
    MIXED,
    RIGHT,
    batch,
    potentials_of,
    regions_of,
)

COSTS = [
    MIXED,
    gs.GroundCost(geo_weight=0.0),
    gs.GroundCost(geo_weight=1.0),
    gs.GroundCost(feature="sqeuclidean", geo_weight=0.5, feature_scale=20.0),
    gs.GroundCost(feature="sqeuclidean", geo_weight=0.0, feature_scale=20.0),
    gs.GroundCost(geo_weight=0.5, scaling="pair_max"),
]


def scaled(regions: gs.Regions, i: int, j: int, cost: gs.GroundCost) -> Array:
    """The cost in float64, also with ``pair_max``."""
    if cost.scaling == "global":
        return cost_matrix(regions, i, j, cost)
    feature = cost_matrix(regions, i, j, gs.GroundCost(geo_weight=0.0))
    geo = cost_matrix(regions, i, j, gs.GroundCost(geo_weight=1.0))
    mixed = (1 - cost.geo_weight) * feature / feature.max() + cost.geo_weight * geo / geo.max()
    scaled: Array = mixed / mixed.max()
    return scaled


def numbers(values: torch.Tensor) -> Array:
    found: Array = values.double().cpu().numpy()
    return found


def softmins(costs: Array, a: Array, b: Array, f: Array, g: Array) -> tuple[Array, Array]:
    by_row = -EPSILON * logsumexp((g - costs) / EPSILON, b=b, axis=1)
    by_column = -EPSILON * logsumexp((f[:, None] - costs) / EPSILON, b=a[:, None], axis=0)
    return by_row, by_column


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dimension", "cost"),
    [(128, COSTS[0]), (128, COSTS[3]), *((40, cost) for cost in COSTS)],
    ids=str,
)
def test_reductions_are_those_of_float64(cost: gs.GroundCost, dimension: int) -> None:
    """Softmins, a step, marginals and integrals of a batch of very different sizes."""
    regions = regions_of(dimension=dimension)
    kernel = batch(regions, cost)
    f, g, u, v = potentials_of(kernel)
    omega = torch.tensor([1.0, 1.5, 1.2], device=DEVICE)
    stepped = [numbers(x) for x in kernel.step(f, g, omega, 1.0)]
    halves = numbers(kernel.softmin(g, "source")), numbers(kernel.softmin(f, "target"))
    marginals = [numbers(x) for x in kernel.marginals(f, g)]
    sums = kernel.plan_sums(f, g, u, v)
    for p, (i, j) in enumerate(zip(LEFT, RIGHT, strict=True)):
        costs, a, b = scaled(regions, i, j, cost), weights(regions, i), weights(regions, j)
        n, m = costs.shape
        fp, gp = numbers(f)[p, :n], numbers(g)[p, :m]
        by_row, by_column = softmins(costs, a, b, fp, gp)
        np.testing.assert_allclose(halves[0][p, :n], by_row, atol=2e-6)
        np.testing.assert_allclose(halves[1][p, :m], by_column, atol=2e-6)
        relaxed = fp + float(omega[p]) * (by_row - fp)
        next_g = softmins(costs, a, b, relaxed, gp)[1]
        for ours, reference in zip(stepped, (by_row, relaxed, next_g), strict=True):
            np.testing.assert_allclose(ours[p, : len(reference)], reference, atol=4e-6)
        density = np.exp((fp[:, None] + gp - costs) / EPSILON)
        np.testing.assert_allclose(marginals[0][p, :n], density @ b, rtol=1e-4)
        np.testing.assert_allclose(marginals[1][p, :m], a @ density, rtol=1e-4)
        density += np.outer(numbers(u)[p, :n], numbers(v)[p, :m])
        transport = a @ (density * costs) @ b
        entropy = a @ (density * np.log(density)) @ b
        assert sums.transport_cost[p].item() == pytest.approx(transport, rel=3e-5)
        assert sums.entropy[p].item() == pytest.approx(entropy, rel=3e-5, abs=3e-5)


def test_kept_costs_are_as_good_as_16_bits_and_halves() -> None:
    regions = regions_of()
    kernel = batch(regions, keep=True)
    costs, start, offset, step = (x.cpu() for x in kernel.batch.kept)
    for p, (i, j) in enumerate(zip(LEFT, RIGHT, strict=True)):
        reference = cost_matrix(regions, i, j, MIXED)
        n, m = reference.shape
        pitch = -(-m // 16) * 16
        first = int(start[p]) * 16
        ours = costs[first : first + n * pitch].view(n, pitch)[:, :m].double()
        ours = float(offset[p]) + float(step[p]) * ours
        assert float(step[p]) <= (1.01 * np.ptp(reference) + 1e-3) / 65535 or n * m == 1
        bound = float(step[p]) * (n * m > 1) / 2 + 0.5 * 2 * 2.0**-11 + 1e-6
        assert np.abs(ours.numpy() - reference).max() <= bound


def test_products_of_halves_are_as_exact_as_claimed() -> None:
    for dimension, scale in itertools.product((3, 512, 2000), (1e-6, 1.0, 3e4)):
        x, y = scale * torch.randn(2, 50, dimension, dtype=torch.float64).float().double()
        left, right = halves.split(x.float()), halves.split(y.float())
        parts = [h.unit * (h.high.double() + h.low.double() / halves.STEP) for h in (left, right)]
        lows = [h.unit * h.low.double() / halves.STEP for h in (left, right)]
        product = parts[0] @ parts[1].T - lows[0] @ lows[1].T
        norms = x.norm(dim=1)[:, None] * y.norm(dim=1)
        assert ((product - x @ y.T).abs() / norms).max() < halves.ROUNDOFF
        np.testing.assert_allclose(left.square, x.square().sum(1), rtol=1e-5)
        np.testing.assert_allclose(left.high_square, x.square().sum(1), rtol=1e-2)


def test_coinciding_points_antipodes_poles_and_the_antimeridian() -> None:
    lon, lat = [0, 0, 180, 179.9999, -180, 77, 0.001], [0, 90, 0, 0, 0, -90, 0]
    names = [f"{side}{k}" for side in "ab" for k in range(7)]
    regions = gs.Regions.from_points(lon=lon * 2, lat=lat * 2, region=names)
    left, right = np.repeat(np.arange(7), 7), np.tile(np.arange(7, 14), 7)
    cost = gs.GroundCost(geo_weight=1.0)
    kernel = batch(regions, cost, left=left, right=right)
    zero = torch.zeros(49, 1, device=DEVICE)
    ours = numbers(kernel.softmin(zero, "source"))[:, 0]
    reference = [
        cost_matrix(regions, int(i), int(j), cost)[0, 0] for i, j in zip(left, right, strict=True)
    ]
    np.testing.assert_allclose(ours, reference, atol=3e-7)


def test_many_chunks_and_slabs_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    regions = regions_of([300, 290])
    index = np.array([0]), np.array([1])
    kernel = batch(regions, left=index[0], right=index[1])
    f, g, u, v = potentials_of(kernel)

    def reductions(kernel: TritonKernel) -> list[torch.Tensor]:
        sums = [x.float() for x in kernel.plan_sums(f, g, u, v)]
        halves = kernel.softmin(g, "source"), kernel.softmin(f, "target")
        return [*halves, *kernel.marginals(f, g), *sums]

    expected = reductions(kernel)
    for module in (layout, launches):
        monkeypatch.setattr(module, "SLAB", 1)
    monkeypatch.setattr(layout, "_LEAST_TILES", 1)
    split = batch(regions, left=index[0], right=index[1])
    assert len(split.batch.view("source", "plan").slabs) == 3
    assert len(split.batch.view("source", "plan").work) == 9
    for ours, reference in zip(reductions(split), expected, strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keep", "cost"),
    [(False, COSTS[0]), (False, COSTS[5]), *((True, cost) for cost in COSTS)],
    ids=str,
)
def test_values_are_certified_and_those_of_pot(cost: gs.GroundCost, keep: bool) -> None:
    regions = regions_of()
    kernel = batch(regions, cost, keep=keep)
    transport = certify(kernel, cost, iterate(kernel, IterationSettings(1e-3, 500)), 1e-3)
    assert transport.converged.all()
    for p, (i, j) in enumerate(zip(LEFT, RIGHT, strict=True)):
        costs = scaled(regions, i, j, cost)
        value, moved = exact_transport(weights(regions, i), weights(regions, j), costs, EPSILON)
        assert transport.ot_lower[p].item() <= value <= transport.ot_upper[p].item()
        assert transport.ot_upper[p] - transport.ot_lower[p] < 2e-4
        assert transport.ot_value[p].item() == pytest.approx(value, rel=1e-4)
        assert transport.transport_cost[p].item() == pytest.approx(moved, rel=2e-3)
        low, high = transport.transport_cost_lower[p], transport.transport_cost_upper[p]
        assert low.item() <= moved <= high.item()


def test_self_terms() -> None:
    regions = regions_of([60, 65, 2])
    exact = PairEngine(
        regions, Method(MIXED, gs.Sinkhorn(precision="high")), gs.Engine(device="cpu")
    )
    engine = gs.Engine(device=DEVICE, backend="triton")
    ours = PairEngine(regions, Method(MIXED, gs.Sinkhorn()), engine).self_terms(np.arange(3))
    reference = exact.self_terms(np.arange(3))
    assert ours.converged.all()
    assert (ours.lower <= reference.upper).all()
    assert (reference.lower <= ours.upper).all()
    np.testing.assert_allclose(ours.ot, reference.ot, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("feature", ["cosine", "sqeuclidean", "euclidean"])
def test_pairs_of_all_sizes_agree_with_float64(feature: str) -> None:
    regions = regions_of([1, 9, 40, 90])
    cost = gs.GroundCost(feature=feature, geo_weight=0.5, feature_scale=5.0)
    solver = gs.Sinkhorn(epsilon=EPSILON)
    engine = gs.Engine(device=DEVICE, backend="triton")
    left, right = np.triu_indices(4, 1)
    ours = PairEngine(regions, Method(cost, solver), engine).pairs(left, right)
    high = gs.Sinkhorn(epsilon=EPSILON, precision="high", tolerance=1e-6)
    exact = PairEngine(regions, Method(cost, high), gs.Engine(device="cpu")).pairs(left, right)
    assert set(ours["kernel"]) == {"compiled kept" if feature == "euclidean" else "triton kept"}
    assert ours["converged"].all()
    assert (ours["ot_lower"] <= exact["ot_value"]).all()
    assert (exact["ot_value"] <= ours["ot_upper"]).all()
    np.testing.assert_allclose(ours["ot_value"], exact["ot_value"], rtol=1e-4)


def test_euclidean_and_double_precision_fall_back(caplog: pytest.LogCaptureFixture) -> None:
    warn_once.cache_clear()
    workload = Workload(MIXED, 8, torch.float32, DEVICE, 2**30)
    assert choose_kernel(workload, 100, "triton").name == "triton kept"
    euclidean = workload._replace(cost=gs.GroundCost(feature="euclidean", geo_weight=0.5))
    assert choose_kernel(euclidean, 100, "triton").backend != "triton"
    assert "engine.backend=triton is not available, it needs a feature cost other" in caplog.text
    assert choose_kernel(workload._replace(dtype=torch.float64), 100, "triton").backend == "torch"
    assert "engine.backend=triton is not available, it computes in float32" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["triton", "GPU"])
def test_triton_falls_back_with_one_warning(missing: str) -> None:
    code = """
import sys
if MISSING == "triton":
    sys.modules["triton"] = None
import logging; logging.basicConfig(format="%(levelname)s: %(message)s")
import geospot_gpu as gs
regions = gs.Regions.from_points(lon=[0, 1, 2, 9], lat=[0, 0, 1, 1], region=list("aabb"))
engine = gs.Engine(device="cpu", backend="triton")
for epsilon in (0.01, 0.5):
    gs.pairwise(regions, solver=gs.Sinkhorn(epsilon=epsilon), engine=engine)
print("done")
"""
    ran = subprocess.run(
        [sys.executable, "-c", code.replace("MISSING", repr(missing))],
        env={name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"},
        capture_output=True,
        text=True,
    )
    assert ran.stdout == "done\n"
    lines = [line for line in ran.stderr.splitlines() if line.startswith("WARNING")]
    assert len(lines) == 1, ran.stderr
    reason = {"triton": "triton is not installed", "GPU": "there is no GPU"}[missing]
    assert f"engine.backend=triton is not available, {reason}: using what auto would" in lines[0]
