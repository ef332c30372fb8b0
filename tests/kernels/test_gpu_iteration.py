"""The iteration on a GPU, step by step, against that of torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("triton")

import triton
import triton.language as tl

import geospot_gpu as gs
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.kernels import iterate as iteration_module
from geospot_gpu.kernels import make_kernel, relaxation
from geospot_gpu.kernels.contract import IterationSettings, Side
from geospot_gpu.kernels.gpu import batch as launches
from geospot_gpu.kernels.gpu import loop
from geospot_gpu.kernels.gpu.finish import FAR, MEMORY, PENDING, SOLVED, State, relax
from geospot_gpu.kernels.gpu.iteration import step
from geospot_gpu.kernels.gpu.kernel import TritonKernel
from geospot_gpu.kernels.iterate import iterate
from geospot_gpu.kernels.tiles import CostTiles
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
        sides = kernel.source, kernel.target
        dense = make_kernel(MIXED, *sides, 5e-3, 1 << 30, backend="torch", storage="kept")
        reference = iteration_module.step_by_step(dense, settings)
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
