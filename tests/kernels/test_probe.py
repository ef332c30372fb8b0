"""What is said where Triton is missing or wrong; and that wrong numbers are noticed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import geospot_gpu as gs
from geospot_gpu.errors.say import warn_once
from geospot_gpu.kernels import REGISTRY, choose_kernel, gpu, halves, keops, probe, reference
from geospot_gpu.kernels.contract import Kernel
from geospot_gpu.kernels.reference.streaming import StreamingKernel
from geospot_gpu.kernels.spec import KernelSpec, Workload
from geospot_gpu.kernels.tiles import CostTiles

CPU = torch.device("cpu")
MANY_CLASSES = tuple((0.0,) * 300 for _ in range(2))
ON_GPU = Workload(gs.GroundCost(geo_weight=0.5), 512, torch.float32, "cuda", 2**30)
SPECS = [
    spec
    for spec in REGISTRY
    if spec.backend not in ("keops", "triton")  # that compiles for long, this is below
]


@pytest.fixture(autouse=True)
def _nothing_said() -> None:
    warn_once.cache_clear()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_kernels_of_a_cpu_give_the_numbers_of_float64(
    spec: KernelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)  # all sizes
    if spec.problem(ON_GPU._replace(device="cpu"), 100) is not None:
        pytest.skip("it cannot run here")
    for cost in (probe.COST, probe.BETWEEN_CLASSES):
        found = probe.differences(spec, CPU, cost)
        assert set(found) == set(probe.MOST_APART)
        assert probe.wrong(found) is None
        assert min(found.values()) > 0.0  # they are not compared with themselves


@pytest.mark.slow
def test_triton_gives_the_numbers_of_float64() -> None:
    pytest.importorskip("triton")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    gpu.triton_problem.cache_clear()
    assert gpu.triton_problem(device) is None
    assert gpu.triton_problem(device, classes=True) is None


def planted(name: str, damage: Any) -> KernelSpec:
    """A kernel in torch of which one function is damaged."""

    def damaged(self: Kernel, *arguments: Any) -> Any:
        return damage(getattr(StreamingKernel, name)(self, *arguments))

    kind = type("Damaged", (StreamingKernel,), {name: damaged})

    def build(*problem: Any) -> Kernel:
        cost, source, target, epsilon, _ = problem
        tiles = CostTiles(cost, source, target, 10**6)
        made: Kernel = kind(tiles, source, target, epsilon, 10**6)
        return made

    return replace(reference.STREAMED, build=build)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("softmin", "softmin"),
        ("marginals", "marginals"),
        ("plan_sums", "plan sums"),
        ("nearest", "nearest costs"),
        ("step", "iterations"),
    ],
)
def test_every_wrong_number_is_noticed(function: str, said: str) -> None:
    def by_a_little(values: Any) -> Any:
        if isinstance(values, torch.Tensor):
            return values * 1.01
        changed = [x * 1.01 for x in values]
        return type(values)(*changed) if hasattr(values, "_fields") else tuple(changed)

    said_of = probe.wrong(probe.differences(planted(function, by_a_little), CPU))
    assert said_of is not None
    assert said_of.startswith("its numbers are wrong: ")
    assert f"{said} by " in said_of


def test_what_is_no_number_is_wrong() -> None:
    found = probe.differences(planted("softmin", lambda values: values * np.nan), CPU)
    assert np.isnan(found["softmin"])
    assert "softmin by nan" in str(probe.wrong(found))


@pytest.mark.slow
def test_the_last_bits_of_products_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """11 bits are enough for iterations, and not for what is certified."""
    pytest.importorskip("triton")
    if torch.cuda.is_available():
        pytest.skip("it is interpreted here")
    split = halves.split

    def high_alone(values: torch.Tensor) -> halves.Halves:
        found = split(values)
        return found._replace(low=torch.zeros_like(found.low))

    monkeypatch.setattr("geospot_gpu.kernels.clouds.split", high_alone)
    gpu.triton_problem.cache_clear()
    said = gpu.triton_problem(CPU)
    gpu.triton_problem.cache_clear()
    assert str(said).startswith("its numbers are wrong: softmin by ")


@pytest.mark.slow
def test_wrong_costs_that_are_kept_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No result is judged by them, and iterations go on them alone."""
    pytest.importorskip("triton")
    from geospot_gpu.kernels.gpu.batch import Batch
    from geospot_gpu.kernels.gpu.tiles import Kept

    keep_pass = Batch._keep_pass

    def keep_wrong(
        self: Batch, kept: Kept, limits: tuple[torch.Tensor, torch.Tensor], *, write: bool
    ) -> None:
        keep_pass(self, kept, limits, write=write)
        if write:
            kept.costs.view(torch.int16)[::7] = 0

    monkeypatch.setattr(Batch, "_keep_pass", keep_wrong)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    gpu.triton_problem.cache_clear()
    said = gpu.triton_problem(device)
    gpu.triton_problem.cache_clear()
    assert str(said).startswith("its numbers are wrong: iterations by ")


def test_auto_says_once_why_it_goes_on_without_triton(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[torch.device] = []

    def broken(device: torch.device) -> str:
        asked.append(device)
        return "its numbers are wrong: softmin by 3.0e-01"

    monkeypatch.setattr(gpu, "triton_problem", broken)
    on_the_second = ON_GPU._replace(gpu=1)
    assert choose_kernel(on_the_second, 100).name == "torch kept"
    assert choose_kernel(on_the_second, 10**9).name == "torch streamed"
    assert choose_kernel(on_the_second, 100, storage="streamed").name == "torch streamed"
    assert caplog.messages == [
        "engine.backend=auto: not triton, since its numbers are wrong: softmin by 3.0e-01: "
        "using torch"
    ]
    assert set(asked) == {torch.device("cuda", 1)}


@pytest.mark.parametrize(
    ("workload", "backend"),
    [
        (ON_GPU._replace(dtype=torch.float64), "auto"),
        (ON_GPU._replace(cost=gs.GroundCost(feature="euclidean")), "auto"),
        (ON_GPU._replace(cost=gs.GroundCost(class_costs=MANY_CLASSES)), "auto"),
        (ON_GPU, "torch"),
        (ON_GPU._replace(device="cpu"), "auto"),
    ],
    ids=["float64", "euclidean", "classes", "torch", "cpu"],
)
def test_what_was_asked_for_otherwise_is_no_warning(
    workload: Workload,
    backend: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nor is Triton tried there."""
    monkeypatch.setattr(gpu, "triton_problem", lambda *_, **__: pytest.fail("it was tried"))
    assert choose_kernel(workload, 100, backend).backend in ("torch", "compiled")
    assert not caplog.messages


def test_auto_takes_triton_where_it_is_right(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gpu, "triton_problem", lambda *_, **__: None)
    monkeypatch.setattr(keops, "keops_problem", lambda device: pytest.fail("it was tried"))
    assert choose_kernel(ON_GPU, 100).name == "triton kept"
    assert choose_kernel(ON_GPU, 10**12).name == "triton streamed"
    assert not caplog.messages
