"""Commands, iterations and variants stay within what is written down, on a pretended GPU."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("triton")

import geospot_gpu as gs
from benchmarks import gpu
from benchmarks.gpu_checks import budgets, commands, predicted, variants
from benchmarks.gpu_checks.__main__ import CHECKS
from benchmarks.gpu_checks.budgets import Budget, excess
from benchmarks.gpu_checks.paths import PATHS
from benchmarks.gpu_checks.per_iteration import CASES, count
from benchmarks.gpu_checks.planted import ROOT
from benchmarks.gpu_checks.pretended import COPY, LAUNCH
from benchmarks.gpu_checks.pretended_queue import NODE, WAIT
from benchmarks.gpu_tools import Ceilings
from benchmarks.record import RESULTS
from geospot_gpu import cli

if torch.cuda.is_available():
    pytest.skip("there is a GPU: use it", allow_module_level=True)


def test_budgets_count_what_the_device_runs_and_what_the_host_waits_for() -> None:
    counts = {LAUNCH: 1.0, NODE: 4.0, WAIT: 1.0, COPY: 1.0}
    assert not excess(counts, Budget(5, 2))
    assert excess(counts, Budget(4, 1)) == ["5 launches, 4 allowed", "2 waits, 1 allowed"]


def test_everything_has_a_budget() -> None:
    assert set(budgets.ITERATIONS) == set(CASES)
    assert set(budgets.PATHS) == set(PATHS)
    assert set(budgets.COMMANDS) == set(commands.CALLS)
    without = {
        "doctor",
        "convert",
        "verify",
        "import",
        "report",
        "embed",
    }  # which runs others' models
    assert {call.name for call in commands.CALLS.values()} | without >= set(cli.COMMANDS)
    for name, budget in budgets.ITERATIONS.items():
        if "triton" in name and "nearest" not in name:
            assert budget.launches <= 4
            assert not budget.waits


def test_modules_of_all_checks_are_there() -> None:
    for module, *_ in CHECKS.values():
        assert Path(ROOT, "benchmarks", "gpu_checks", f"{module}.py").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["divergence, triton kept", "coverage, triton streamed"])
def test_iterations_stay_within_their_budget(name: str) -> None:
    """One of each step and storage; ``make gpu-check`` has every case."""
    assert not excess(count(CASES[name], times=8).counts, budgets.ITERATIONS[name])


@pytest.mark.slow
def test_commands_give_the_same_on_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep of three regions; ``make gpu-check`` has every command, and eight."""
    monkeypatch.setattr(commands, "_REGIONS", 3)
    monkeypatch.setattr(commands, "CALLS", {"sweep": commands.CALLS["sweep"]})
    assert not commands.check(tmp_path)


@pytest.mark.slow
def test_sizes_do_not_lead_to_more_variants() -> None:
    found = variants.Variants()
    for sizes in variants.SIZES[:4]:
        variants.count(found, sizes, "kept")
    assert found.counts
    assert not variants.excess(found.counts)


def test_numbers_of_other_kinds_lead_to_variants(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton specialises numbers that are one, or divisible by 16, where nobody tells it not to."""
    from geospot_gpu.kernels.gpu import passes

    told, plain = variants.Variants(), variants.Variants()
    variants.count(told, [16, 48], "kept")
    monkeypatch.setitem(passes.log_sums.kwargs, "do_not_specialize", [])
    variants.compiler.cache_clear()
    for sizes in ([16, 48], [17, 49]):
        variants.count(plain, sizes, "kept")
    variants.compiler.cache_clear()
    assert plain.counts["log_sums"] > told.counts["log_sums"]


def test_triton_is_the_one_that_torch_ships() -> None:
    """CUDA builds of torch pin it; the GPU's set of packages takes it from the CPU's."""
    lines = Path(ROOT, "constraints-cpu.txt").read_text().split()
    pinned = dict(line.split("==") for line in lines if "==" in line)
    assert pinned["torch"] == "2.13.0"
    assert pinned["triton"] == "3.7.1"  # torch 2.13.0 for CUDA: Requires-Dist: triton==3.7.1
    for needed in requires("torch") or []:  # that of a build for CPUs needs none
        if needed.startswith("triton"):
            assert needed.partition(";")[0].strip() == f"triton=={pinned['triton']}"
    assert "-c constraints-cpu.txt" in Path(ROOT, "constraints-gpu.txt").read_text()


@pytest.mark.slow
def test_predictions_are_printed_without_a_gpu_and_marked() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", "--predict"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    first = next(k for k, line in enumerate(lines) if line.startswith("predicted from"))
    assert "not measured" in lines[first]
    heading, *rows = lines[first + 1 :]
    assert len(rows) > 10
    assert heading.split()[-4:] == ["A100", "L40S", "H100", "H200"]
    assert all(re.search(r"\d+\.\d to \d+\.\d", row) for row in rows)


@pytest.mark.slow
def test_the_benchmark_times_what_is_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "DEVICE", "cpu")
    monkeypatch.setattr(gpu, "FEATURES", 4)
    monkeypatch.setattr(gpu, "REPEATS", 1)
    regions, rates = gpu.random_regions([5, 6]), Ceilings(1e12, 1e12, 1e12, 1e12)
    pair = np.array([0]), np.array([1])
    found = gpu.sweep(regions, gs.GroundCost(geo_weight=0.5), *pair, rates)
    assert found["converged"] == 1
    measured = json.loads((RESULTS / "gpu_iterations.json").read_text())["figures"]
    works = predicted.workloads(measured).values()
    sweeps = {work.measured[1] for work in works if work.measured and work.around}
    assert sweeps == {name for name in found if name.startswith("triton auto")}
    names = {f"FlashSinkhorn's problem, D {d}, {n:,} points" for d, n, _ in gpu.FLASH}
    assert names == {
        work.measured[0] for work in works if work.measured and work.measured[0].startswith("Flash")
    }
