"""The checks of the GPU's kernels run here, and catch what they are for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton")

from benchmarks.gpu_checks import aot, compiled, pretend
from benchmarks.gpu_checks.cards import LIMITS
from benchmarks.gpu_checks.launches import launches
from benchmarks.gpu_checks.paths import sampled
from geospot_gpu.kernels.clouds import CloudBatch
from geospot_gpu.kernels.gpu.layout import View

needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: use it")
needs_assembler = pytest.mark.skipif(
    compiled.problem() is not None, reason=compiled.problem() or "it is there"
)


def check(name: str, *arguments: str, cache: Path) -> list[str]:
    """What a check prints, in a process of its own: Triton is compiled there or interpreted."""
    ran = subprocess.run(
        [sys.executable, "-m", f"benchmarks.gpu_checks.{name}", *arguments],
        env=os.environ | {"TRITON_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


COMPILED = (
    *("mixed, D 512, small", "log_sums: squares, D 64", "exact: geography, small"),
    *("fold_", "fold quick", "60 columns"),
)
"""Labels of passes: every kernel, and costs of every kind."""


@pytest.mark.slow
@needs_assembler
def test_passes_compile_to_what_they_have_to_be(tmp_path: Path) -> None:
    """Some of them, for one architecture; ``make gpu-check`` has all, for all six."""
    only = [f"--only={letters}" for letters in COMPILED]
    heading, *rows = check("aot", "90", *only, cache=tmp_path)
    assert heading.startswith("sm_90 ")
    assert len(rows) > 14
    kernels = {launch.function.__name__ for launch in launches(90)}
    assert {row.split()[0].removesuffix(":") for row in rows} == kernels
    registers = [int(row[aot.WIDTH :].split()[0]) for row in rows]
    assert all(0 < number <= 255 for number in registers)
    assert [row for row in rows if "wgmma" in row]


def test_a_multiprocessor_holds_what_its_registers_and_memory_allow() -> None:
    assert LIMITS[90].blocks(registers=32, shared=0, warps=4) == 16  # by warps
    assert LIMITS[90].blocks(registers=255, shared=0, warps=8) == 1  # by registers
    assert LIMITS[120].blocks(registers=32, shared=40 << 10, warps=4) == 2  # by shared memory


@needs_no_gpu
def test_a_path_runs_on_a_pretended_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert pretend.check("select_regions, coverage", sampled(9, 12, 8), "torch", "kept")
    assert "waits" in capsys.readouterr().out


@needs_no_gpu
def test_a_planted_mix_of_devices_is_noticed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(CloudBatch, "device", torch.device("cpu"))
    assert not pretend.check("pairwise", sampled(9, 12), "torch", "kept")
    assert "tensors on cuda:1 and cpu" in capsys.readouterr().out


@needs_no_gpu
def test_a_planted_list_of_work_on_the_host_is_noticed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(View, "ints", lambda _, values: torch.from_numpy(values.astype("int32")))
    assert not pretend.check("pairwise", sampled(5, 6), "triton", "kept")
    assert "a tensor on the CPU" in capsys.readouterr().out
