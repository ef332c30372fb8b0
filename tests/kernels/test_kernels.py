"""All kernels compute the same reductions, against float64 formulas and each other."""

from __future__ import annotations

import importlib
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

import geospot_gpu as gs
from geospot_gpu import kernels
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.errors.say import warn_once
from geospot_gpu.kernels import BACKENDS, REGISTRY, choose_kernel, cpu, gpu, keops, make_kernel
from geospot_gpu.kernels.contract import IterationSettings
from geospot_gpu.kernels.iterate import iterate
from geospot_gpu.kernels.spec import Workload
from tests.helpers.clouds import STORAGES, cloud, cost_matrix, kernel, random_regions, weights

MIXED = gs.GroundCost(geo_weight=0.5)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("size", [0.0, 0.2, 5.0, 400.0])
def test_softmin_is_the_log_sum_exp_it_says(storage: str, size: float) -> None:
    """Also for potentials so far from zero that the dense kernel must absorb or use logarithms."""
    regions = random_regions([37, 53])
    costs, epsilon = cost_matrix(regions, 0, 1, MIXED), 0.01
    generator = np.random.default_rng(1)
    f, g = size * generator.normal(size=37), size * generator.normal(size=53)
    ours = kernel(storage, regions, 0, 1, MIXED, epsilon)
    expected_f = -epsilon * logsumexp((g - costs) / epsilon, b=weights(regions, 1), axis=1)
    expected_g = -epsilon * logsumexp(
        (f[:, None] - costs) / epsilon, b=weights(regions, 0)[:, None], axis=0
    )
    for _ in range(2):  # the second time from the absorbed state
        np.testing.assert_allclose(ours.softmin(torch.tensor(g)[None], "source")[0], expected_f)
        np.testing.assert_allclose(ours.softmin(torch.tensor(f)[None], "target")[0], expected_g)


@pytest.mark.parametrize(
    ("backend", "dtype"), [("torch", torch.float64), ("compiled", torch.float32)]
)
@pytest.mark.parametrize("storage", STORAGES)
def test_softmins_may_be_at_another_epsilon(storage: str, backend: str, dtype: torch.dtype) -> None:
    """From large to small ones and back, whatever the kernel keeps of the last; of any size."""
    regions = random_regions([37, 53])
    costs, generator = cost_matrix(regions, 0, 1, MIXED), np.random.default_rng(1)
    f, g = generator.normal(size=37), generator.normal(size=53)
    source, target = (cloud(regions, k, dtype) for k in (0, 1))
    ours = make_kernel(MIXED, source, target, 0.01, 2**30, backend=backend, storage=storage)
    for epsilon in (None, 2.0, 0.1, 0.001, None, 0.001):
        eps = epsilon or 0.01
        by_row = -eps * logsumexp((g - costs) / eps, b=weights(regions, 1), axis=1)
        by_column = -eps * logsumexp(
            (f[:, None] - costs) / eps, b=weights(regions, 0)[:, None], axis=0
        )
        of_g, of_f = (torch.tensor(values, dtype=dtype)[None] for values in (g, f))
        tolerance = 1e-9 if dtype == torch.float64 else 2e-5
        found = ours.softmin(of_g, "source", epsilon)[0], ours.softmin(of_f, "target", epsilon)[0]
        np.testing.assert_allclose(found[0], by_row, rtol=0, atol=tolerance)
        np.testing.assert_allclose(found[1], by_column, rtol=0, atol=tolerance)


@pytest.mark.parametrize("storage", STORAGES)
def test_plan_sums_integrate_the_plan(storage: str) -> None:
    regions = random_regions([37, 53])
    costs, epsilon = cost_matrix(regions, 0, 1, MIXED), 0.05
    a, b = weights(regions, 0), weights(regions, 1)
    generator = np.random.default_rng(1)
    f, g = generator.uniform(0, 0.1, 37), generator.uniform(0, 0.1, 53)
    u, v = generator.uniform(0, 1, 37), generator.uniform(0, 1, 53)
    density = np.exp((f[:, None] + g - costs) / epsilon) + np.outer(u, v)
    transport = a @ (density * costs) @ b
    entropy = a @ (density * np.log(density)) @ b
    ours = kernel(storage, regions, 0, 1, MIXED, epsilon)
    sums = ours.plan_sums(*(torch.tensor(values)[None] for values in (f, g, u, v)))
    assert sums.transport_cost.item() == pytest.approx(transport, rel=1e-12)
    assert sums.entropy.item() == pytest.approx(entropy, rel=1e-12)


@pytest.mark.parametrize("storage", STORAGES)
def test_marginals_are_those_of_the_plan(storage: str) -> None:
    regions = random_regions([37, 53])
    costs, epsilon = cost_matrix(regions, 0, 1, MIXED), 0.05
    a, b = weights(regions, 0), weights(regions, 1)
    generator = np.random.default_rng(1)
    f, g = generator.uniform(0, 0.3, 37), generator.uniform(0, 0.3, 53)
    density = np.exp((f[:, None] + g - costs) / epsilon)
    over_a, over_b = kernel(storage, regions, 0, 1, MIXED, epsilon).marginals(
        torch.tensor(f)[None], torch.tensor(g)[None]
    )
    np.testing.assert_allclose(over_a[0], density @ b, rtol=1e-12)
    np.testing.assert_allclose(over_b[0], a @ density, rtol=1e-12)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("budget", [2**30, 2**14])
def test_padding_and_selection_change_nothing(storage: str, budget: int) -> None:
    """Problems of different sizes in one batch, part of which is then taken out."""
    regions = random_regions([20, 31, 12, 25, 18, 9])
    engine = PairEngine(
        regions, Method(MIXED, gs.Sinkhorn(precision="high")), gs.Engine(device="cpu")
    )
    left, right = np.array([0, 1, 2]), np.array([3, 4, 5])
    batch = make_kernel(
        MIXED, engine.clouds(left), engine.clouds(right), 0.02, budget, storage=storage
    )
    chosen = batch.select(torch.tensor([2, 0]))
    for position, (i, j) in enumerate([(2, 5), (0, 3)]):
        alone = kernel(storage, regions, i, j, MIXED, 0.02)
        n, m = alone.source.weight.shape[1], alone.target.weight.shape[1]
        zero = torch.zeros_like(chosen.target.weight)
        np.testing.assert_allclose(
            chosen.softmin(zero, "source")[position, :n],
            alone.softmin(zero[:1, :m], "source")[0],
            rtol=1e-12,
        )
        f, g = torch.full_like(chosen.source.weight, 0.5), zero
        np.testing.assert_allclose(
            chosen.plan_sums(f, g, f, g).entropy[position],
            alone.plan_sums(f[:1, :n], g[:1, :m], f[:1, :n], g[:1, :m]).entropy[0],
            rtol=1e-12,
        )


@pytest.mark.slow
@pytest.mark.parametrize("cost", [MIXED, gs.GroundCost(geo_weight=0.5, scaling="pair_max")])
def test_kept_and_streamed_agree_at_equal_iterations(cost: gs.GroundCost) -> None:
    regions = random_regions([200, 150])
    values = []
    for storage, budget in (("kept", 2**30), ("streamed", 2**18)):
        batch = kernel(storage, regions, 0, 1, cost, 0.01, torch.float32, budget)
        potentials = iterate(batch, IterationSettings(1e-12, 7))
        assert potentials.iterations.item() == 7
        values.append(float((batch.source.weight * potentials.f).sum()))
        values[-1] += float((batch.target.weight * potentials.next_g).sum())
    assert values[1] == pytest.approx(values[0], rel=1e-5)


def test_auto_keeps_costs_within_the_budget_and_streams_the_rest() -> None:
    room = Workload(MIXED, 512, torch.float64, "cpu", 16 * 10**6)
    assert choose_kernel(room, 10**6).storage == "kept"
    assert choose_kernel(room._replace(budget=16 * 10**6 - 1), 10**6).storage == "streamed"
    assert choose_kernel(room, 100, storage="streamed").storage == "streamed"


def test_the_last_kernel_can_always_run() -> None:
    assert REGISTRY[-1].problem(Workload(MIXED, 3, torch.float64, "cuda", 1), 10**12) is None


def test_settings_name_all_that_the_registry_has() -> None:
    said = str(gs.Engine.__doc__)
    assert all(f"``{name}``" in said for name in (*BACKENDS, *kernels.STORAGES))


@pytest.mark.parametrize("features", [3, 8, 32, 512])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_auto_takes_keops_on_a_gpu_alone(
    features: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a CPU streamed tiles are faster whatever the dimension; who asks for KeOps gets it."""
    monkeypatch.setattr(keops, "keops_problem", lambda device: None)
    monkeypatch.setattr(gpu, "triton_problem", lambda *_, **__: "it is not there")

    def chosen(backend: str, device: str) -> str:
        workload = Workload(MIXED, features, dtype, device, 2**20)
        return choose_kernel(workload, 10**9, backend).name

    assert chosen("auto", "cpu") == f"{'compiled' if dtype == torch.float32 else 'torch'} streamed"
    assert chosen("keops", "cpu") == "keops streamed"
    few = "keops streamed" if features <= 32 else "torch streamed"
    assert chosen("auto", "cuda") == few
    assert chosen("triton", "cuda") == few  # as its warning says


@pytest.mark.parametrize(
    ("asked", "found", "given_up"),
    [
        (("auto", "kept"), "compiled streamed", "engine.storage=kept is"),
        (("torch", "kept"), "torch streamed", "engine.storage=kept is"),
        (("triton", "streamed"), "compiled streamed", "engine.backend=triton is"),
        (("triton", "kept"), "compiled streamed", "engine.backend=triton engine.storage=kept is"),
    ],
)
def test_what_is_not_available_is_given_up_with_a_warning(
    asked: tuple[str, str],
    found: str,
    given_up: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No more of it than must be: the storage before the backend."""
    warn_once.cache_clear()
    monkeypatch.setattr(gpu, "triton_problem", lambda *_, **__: "it is not there")
    small = Workload(MIXED, 512, torch.float32, "cpu", 2**20)
    assert choose_kernel(small, 10**9, *asked).name == found
    problem = "it is not there" if "triton" in asked else "the largest pairs exceed engine.memory_"
    (message,) = caplog.messages
    assert message.startswith(f"{given_up} not available, {problem}")
    assert message.endswith(": using what auto would")


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize(
    ("feature", "geo_weight"),
    [*itertools.product(["cosine", "sqeuclidean", "euclidean"], [0.0, 0.5, 1.0]), (None, 1.0)],
)
def test_compiled_loops_agree_with_torch(
    storage: str, feature: str | None, geo_weight: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba")
    regions = random_regions([300, 211], dimension=None if feature is None else 8)
    cost = gs.GroundCost(feature=feature or "cosine", geo_weight=geo_weight)
    generator = torch.Generator().manual_seed(0)
    f, g, u, v = (0.02 * torch.rand(1, n, generator=generator) for n in (300, 211, 300, 211))

    def reductions() -> list[torch.Tensor]:
        ours = kernel(storage, regions, 0, 1, cost, 0.05, torch.float32, 2**17)
        halves = ours.softmin(g, "source"), ours.softmin(f, "target")
        step = ours.step(f, g, torch.tensor([1.3]), 0.8)
        sums = ours.plan_sums(halves[0], g, u, v)
        return [*halves, *step, *ours.marginals(halves[0], g), *(value.float() for value in sums)]

    compiled = reductions()
    monkeypatch.setattr(cpu, "load", lambda: None)
    for ours, reference in zip(compiled, reductions(), strict=True):
        torch.testing.assert_close(ours, reference, rtol=3e-5, atol=1e-6)


def test_compiled_loops_are_exact_at_awkward_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Coinciding points, antipodes, poles and the antimeridian, against float64."""
    pytest.importorskip("numba")
    lon, lat = [0, 0, 180, 179.9999, -180, 77, 0.001], [0, 90, 0, 0, 0, -90, 0]
    regions = gs.Regions.from_points(
        lon=[*lon, *lon], lat=[*lat, *lat], region=list("a" * 7 + "b" * 7)
    )
    cost = gs.GroundCost(geo_weight=1.0)
    ours = kernel("kept", regions, 0, 1, cost, 0.01, torch.float32)
    (panel,) = ours._panels()  # type: ignore[attr-defined]
    costs = panel.costs.reshape(6, 6)  # 180 and -180 are one point
    np.testing.assert_allclose(costs, cost_matrix(regions, 0, 1, cost), atol=3e-7)


@pytest.mark.slow
def test_the_run_that_compiles_computes_what_later_runs_compute(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    code = """
import geospot_gpu as gs
from tests.helpers.clouds import random_regions
regions = random_regions([40, 130, 61, 300, 500], dimension=None, spread=0.3)
print(gs.pairwise(regions, engine=gs.Engine(device="cpu")).divergence.values.tolist())
"""
    first, second = (
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    )
    assert first == second


@pytest.mark.slow
def test_without_numba_torch_computes_the_same() -> None:
    code = """
import sys
if HIDE:
    sys.modules["numba"] = None
import geospot_gpu as gs
regions = gs.Regions.from_points(lon=[0, 1, 2, 9], lat=[0, 0, 1, 1], region=list("aabb"))
print(gs.pairwise(regions, engine=gs.Engine(device="cpu")).divergence.values[0, 1])
"""
    values = [
        float(
            subprocess.run(
                [sys.executable, "-c", code.replace("HIDE", str(hide))],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for hide in (True, False)
    ]
    assert values[0] == pytest.approx(values[1], abs=1e-6)


def test_only_a_missing_numba_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise ImportError("llvmlite is of another version")

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(ImportError, match="llvmlite"):
        cpu.load.__wrapped__()


@pytest.mark.parametrize("sizes", [[40, 1, 130, 7, 61, 128], [300, 200, 190, 230, 150, 260]])
@pytest.mark.parametrize("epsilon", [0.05, 0.01, 0.0005])
@pytest.mark.parametrize("symmetric", [False, True])
def test_compiled_iterations_are_those_of_the_solver(
    sizes: list[int], epsilon: float, symmetric: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ragged batches, padded or not, in the kernel domain and (small epsilon) in the log domain."""
    pytest.importorskip("numba")
    regions = random_regions(sizes, spread=0.3)
    engine = PairEngine(regions, Method(MIXED, gs.Sinkhorn()), gs.Engine(device="cpu"))
    left = np.array([0, 1, 2, 3])
    right = left if symmetric else np.array([4, 3, 5, 0])
    source, target = engine.clouds(left), engine.clouds(right)
    settings = IterationSettings(1e-3, 400, symmetric=symmetric)
    ours = make_kernel(MIXED, source, target, epsilon, 2**30)
    compiled, again = ours.iterate(settings), ours.iterate(settings)
    assert compiled is not None
    assert again is not None
    assert all(torch.equal(x, y) for x, y in zip(compiled, again, strict=True))
    monkeypatch.setattr(cpu, "load", lambda: None)
    reference = iterate(make_kernel(MIXED, source, target, epsilon, 2**30), settings)
    assert (compiled.iterations - reference.iterations).abs().max() <= 2
    dual = [
        (source.weight * p.f).sum(1) + (target.weight * p.next_g).sum(1)
        for p in (compiled, reference)
    ]
    torch.testing.assert_close(*dual, rtol=1e-4, atol=1e-6)


def test_a_streamed_step_survives_columns_far_from_every_row() -> None:
    """Where sums over a column underflow in float32, its softmin is taken by logarithms."""
    pytest.importorskip("numba")
    regions = random_regions([50, 60])
    costs = cost_matrix(regions, 0, 1, MIXED)
    ours = kernel("streamed", regions, 0, 1, MIXED, 0.001, torch.float32)
    g = torch.zeros(1, 60)
    g[0, 3] = -1.0
    zero = torch.zeros(1, 50)
    _, f, next_g = ours.step(zero, g, torch.ones(1), 1.0)
    exponents = (f[0].double().numpy()[:, None] - costs) / 0.001
    expected = -0.001 * logsumexp(exponents, b=weights(regions, 0)[:, None], axis=0)
    np.testing.assert_allclose(next_g[0], expected, atol=2e-6)
