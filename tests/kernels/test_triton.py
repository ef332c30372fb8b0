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

import triton
import triton.language as tl

import geospot_gpu as gs
from geospot_gpu.arrays import Indices
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.errors.say import warn_once
from geospot_gpu.kernels import choose_kernel, halves, make_kernel, relaxation
from geospot_gpu.kernels import iterate as iteration_module
from geospot_gpu.kernels.contract import IterationSettings, Side
from geospot_gpu.kernels.gpu import batch as launches
from geospot_gpu.kernels.gpu import layout, loop
from geospot_gpu.kernels.gpu.finish import FAR, MEMORY, PENDING, SOLVED, State, relax
from geospot_gpu.kernels.gpu.iteration import step
from geospot_gpu.kernels.gpu.kernel import TritonKernel
from geospot_gpu.kernels.iterate import iterate
from geospot_gpu.kernels.spec import Workload
from geospot_gpu.kernels.tiles import CostTiles
from geospot_gpu.sinkhorn.bounds import certify
from tests.helpers.clouds import Array, cost_matrix, exact_transport, random_regions, weights

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MIXED = gs.GroundCost(geo_weight=0.5)
SIZES = [1, 1, 3, 70, 130, 65]
LEFT, RIGHT = np.array([0, 2, 4]), np.array([1, 3, 5])
COSTS = [
    MIXED,
    gs.GroundCost(geo_weight=0.0),
    gs.GroundCost(geo_weight=1.0),
    gs.GroundCost(feature="sqeuclidean", geo_weight=0.5, feature_scale=20.0),
    gs.GroundCost(feature="sqeuclidean", geo_weight=0.0, feature_scale=20.0),
    gs.GroundCost(geo_weight=0.5, scaling="pair_max"),
]
EPSILON = 0.02


def regions_of(sizes: list[int] = SIZES, dimension: int = 40) -> gs.Regions:
    return random_regions(sizes, dimension=dimension)


def batch(
    regions: gs.Regions,
    cost: gs.GroundCost = MIXED,
    *,
    keep: bool = False,
    left: Indices = LEFT,
    right: Indices = RIGHT,
) -> TritonKernel:
    engine = PairEngine(regions, Method(cost, gs.Sinkhorn()), gs.Engine(device=DEVICE))
    source = engine.clouds(left)
    target = engine.clouds(right)
    return TritonKernel(CostTiles(cost, source, target, 1 << 20), source, target, EPSILON, keep)


def potentials_of(kernel: TritonKernel, scale: float = 0.2) -> list[torch.Tensor]:
    """Random potentials f, g and positive vectors u, v."""
    generator = torch.Generator().manual_seed(0)
    sides = (kernel.source, kernel.target) * 2
    return [scale * torch.rand(*s.shape, generator=generator).to(DEVICE) for s in sides]


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
@pytest.mark.parametrize("cost", COSTS, ids=str)
@pytest.mark.parametrize("dimension", [40, 128])
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


STEPS = {
    "streamed": {"keep": False, "quick": False, "whole": True},
    "kept": {"keep": True, "quick": False, "whole": True},
    "kept, quick": {"keep": True, "quick": True, "whole": True},
    "kept, read twice": {"keep": True, "quick": False, "whole": False},
}


def begun(kernel: TritonKernel, settings: IterationSettings, damped: Side = "source") -> State:
    """Potentials that have moved a little; the second problem is solved, and unset."""
    state = loop.begin(kernel.batch, settings, damped)
    f, g, _, _ = potentials_of(kernel, 0.05)
    state.f.copy_(kernel.softmin(g, "source") + 0.1 * f)
    state.g.copy_(g)
    state.omega.copy_(torch.tensor([1.0, 1.5, 1.2]))
    state.mode[1] = SOLVED.value
    for values in (state.softmin_f, state.after, state.next_g):
        values.fill_(-7.0)
    return state


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize("damped", [None, "source", "target"])
def test_a_cheap_step_and_its_end_are_those_of_torch(
    kind: str, damped: Side | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Softmins, errors, the shift of a free marginal, and the potentials of the next step."""
    case = STEPS[kind]
    if damped == "target" and not case["keep"]:
        pytest.skip("only kept costs are read by columns")
    if not case["whole"]:
        monkeypatch.setattr(launches, "_WHOLE", 32)
        monkeypatch.setattr(launches, "_WIDE", (16, 32))
    kernel = batch(regions_of(), keep=case["keep"])
    damping = 1.0 if damped is None else 0.6
    settings = IterationSettings(1e-9, 9, damping=damping)
    side = damped or "source"
    state = begun(kernel, settings, side)
    before = State(*(values.clone() for values in state))
    step(kernel.batch, state, settings, side, PENDING.value, exact=False, quick=case["quick"])
    on_rows, on_columns = (damping, 1.0) if side == "source" else (1.0, damping)
    softmin, after, next_g = kernel.step(before.f, before.g, before.omega, on_rows)
    next_g = on_columns * next_g
    a, b = kernel.source.weight, kernel.target.weight
    shift = torch.zeros(len(a), 1)
    if damped is not None:
        of, weight = (after, a) if side == "source" else (next_g, b)
        shift = iteration_module.best_shift(weight, of, damping, EPSILON)
    if side == "source":
        moved, next_g = after + shift, next_g - shift
    else:
        moved, next_g = after, next_g + shift
    error = iteration_module.marginal_error(b, before.g, next_g, EPSILON)
    expected = {
        "softmin_f": softmin, "after": after, "f": moved, "next_g": next_g, "g": next_g,
    }  # fmt: skip
    for name, reference in expected.items():
        ours = getattr(state, name)
        there = kernel.target if name in ("next_g", "g") else kernel.source
        torch.testing.assert_close(ours[1], getattr(before, name)[1], rtol=0, atol=0)
        for p in (0, 2):
            size = int(there.size[p])
            torch.testing.assert_close(ours[p, :size], reference[p, :size], rtol=0, atol=1e-3)
            unset = getattr(before, name)[p, size:]
            torch.testing.assert_close(ours[p, size:], unset, rtol=0, atol=0)
    torch.testing.assert_close(state.error[::2], error[::2], rtol=0.05, atol=1e-3)
    assert state.iterations.tolist() == [1, 0, 1]
    assert state.mode.tolist() == [PENDING.value, SOLVED.value, PENDING.value]


def test_a_quick_step_leaves_alone_what_it_would_lose() -> None:
    kernel = batch(regions_of(), keep=True)
    settings = IterationSettings(1e-9, 9)
    state = begun(kernel, settings)
    state.f[2] += 70 * EPSILON  # sums of rows are below 2^-100
    before = State(*(values.clone() for values in state))
    step(kernel.batch, state, settings, "source", PENDING.value, exact=False, quick=True)
    assert state.mode.tolist() == [PENDING.value, SOLVED.value, FAR.value]
    assert state.left[1] == before.left[1] + 1
    for name in ("f", "g", "omega", "iterations", "memory", "error"):
        ours, reference = getattr(state, name), getattr(before, name)
        torch.testing.assert_close(ours[2], reference[2], rtol=0, atol=0)
    step(kernel.batch, state, settings, "source", FAR.value, exact=False, quick=False)
    assert state.mode.tolist() == [PENDING.value, SOLVED.value, PENDING.value]
    assert state.left[1] == before.left[1]
    n = int(kernel.source.size[2])
    reference = kernel.softmin(before.g, "source")[2, :n]
    torch.testing.assert_close(state.softmin_f[2, :n], reference, rtol=0, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("damping", [1.0, 0.5])
def test_small_epsilon_takes_as_many_iterations_as_in_torch(damping: float) -> None:
    """Steps of either kind: potentials move far at first, and sums of rows leave float32."""
    regions = regions_of([9, 20, 30, 12], dimension=8)
    engine = PairEngine(regions, Method(MIXED, gs.Sinkhorn()), gs.Engine(device=DEVICE))
    source, target = engine.clouds(np.array([0, 2])), engine.clouds(np.array([1, 3]))
    tiles = CostTiles(MIXED, source, target, 1 << 20)
    ours = TritonKernel(tiles, source, target, 5e-3, True)
    settings = IterationSettings(1e-3, 300, damping=damping)
    for kernel in (ours, ours.transposed()):
        assert kernel is not None
        mine = kernel.iterate(settings)
        reference = iteration_module.step_by_step(kernel, settings)
        assert (mine.marginal_error <= 1e-3).all()
        assert (mine.iterations <= 1.2 * reference.iterations + 3).all()
        torch.testing.assert_close(mine.f, kernel.softmin(mine.g, "source") * damping + (
            0.0 if damping == 1.0 else iteration_module.best_shift(
                kernel.source.weight, kernel.softmin(mine.g, "source") * damping, damping, 5e-3
            )
        ), rtol=0, atol=1e-5)  # fmt: skip


@triton.jit
def _relax_once(memory, iteration, error, omega):  # type: ignore[no-untyped-def]
    tl.store(omega, relax(memory, tl.load(iteration), tl.load(error)))


def test_relaxation_is_that_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):
        memory = torch.ones(MEMORY, device=DEVICE)
        memory[1:4:2], memory[2] = 0.0, torch.inf
        state, error = relaxation.begin(1, torch.device("cpu")), torch.ones(1, dtype=torch.float64)
        omega = torch.zeros(1, device=DEVICE)
        for iteration in range(1, 30):
            error = error * (0.7 + 0.35 * torch.rand(1, generator=generator, dtype=torch.float64))
            state = relaxation.update(state, iteration, error.float().double())
            count = torch.tensor([iteration], dtype=torch.int32, device=DEVICE)
            _relax_once[(1,)](memory, count, error.float().to(DEVICE), omega)
            torch.testing.assert_close(omega.cpu(), state.omega.float(), rtol=1e-4, atol=1e-4)


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
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("cost", COSTS, ids=str)
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


@pytest.mark.slow
@pytest.mark.parametrize("keep", [True, False])
def test_iterations_are_those_of_the_dense_kernel(keep: bool) -> None:
    regions = regions_of()
    ours = batch(regions, keep=keep)
    dense = make_kernel(MIXED, ours.source, ours.target, EPSILON, 2**28, storage="kept")
    a, b = ours.source.weight, ours.target.weight
    for settings in (
        IterationSettings(1e-12, 7),
        IterationSettings(1e-12, 7, relaxed=False),
        IterationSettings(1e-2, 200),
    ):
        mine, reference = iterate(ours, settings), iterate(dense, settings)
        assert (mine.iterations - reference.iterations)[1:].abs().max() <= 1
        assert (mine.iterations <= settings.max_iterations).all()
        values = [(a * r.f).sum(1) + (b * r.next_g).sum(1) for r in (mine, reference)]
        torch.testing.assert_close(*values, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_fine_tolerance_takes_iterations_on_exact_costs() -> None:
    kernel = batch(regions_of(), keep=True)
    found = iterate(kernel, IterationSettings(2e-5, 500))
    assert (found.marginal_error <= 2e-5).all()
    f = kernel.softmin(found.g, "source")
    torch.testing.assert_close(found.f, f, rtol=0, atol=0)
    torch.testing.assert_close(found.next_g, kernel.softmin(f, "target"), rtol=0, atol=0)


@pytest.mark.slow
def test_a_problem_does_not_depend_on_its_batch() -> None:
    """Also where it is solved long before the others."""
    regions, settings = regions_of(), IterationSettings(1e-3, 200)
    together = iterate(batch(regions, keep=True), settings)
    assert together.iterations.min() < together.iterations.max() // 2
    single = iterate(batch(regions, keep=True, left=LEFT[1:2], right=RIGHT[1:2]), settings)
    assert single.iterations[0] == together.iterations[1]
    np.testing.assert_allclose(single.f[0, :3].cpu(), together.f[1, :3].cpu(), atol=1e-5)
    np.testing.assert_allclose(single.g[0, :70].cpu(), together.g[1, :70].cpu(), atol=1e-5)


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


def test_relaxation_in_the_long_run_is_the_rule() -> None:
    """The steady number of iterations gives what the true number gives."""
    generator = torch.Generator().manual_seed(0)
    truth = ours = relaxation.begin(50, torch.device("cpu"))
    error = torch.ones(50, dtype=torch.float64)
    for iteration in range(1, 60):
        error = error * (0.7 + 0.35 * torch.rand(50, generator=generator, dtype=torch.float64))
        truth = relaxation.update(truth, iteration, error)
        ours = iteration_module._relax(ours, iteration, error)
        torch.testing.assert_close(ours.omega, truth.omega, rtol=0, atol=0)
    assert len(truth.omega.unique()) > 10
