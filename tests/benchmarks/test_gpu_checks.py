"""The checks of the GPU's kernels run here, and catch what they are for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton")

from benchmarks.gpu_checks import compiled, pretend
from benchmarks.gpu_checks.cards import LIMITS
from benchmarks.gpu_checks.paths import sampled
from benchmarks.gpu_checks.per_iteration import Case, count
from benchmarks.gpu_checks.pretended import COPY, LAUNCH, WAIT, Pretended
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


@pytest.mark.slow
@needs_assembler
def test_passes_compile_for_a_card_that_is_not_here(tmp_path: Path) -> None:
    heading, *rows = check("aot", "120", "--only", "fold", cache=tmp_path)
    assert heading.startswith("sm_120")
    assert [row[:51].strip() for row in rows] == ["fold_logs relax", "fold_sums", "fold_logs"]
    registers, spills = (int(number) for number in rows[0][51:].split()[:2])
    assert 0 < registers <= 255
    assert spills == 0


@pytest.mark.slow
@needs_assembler
def test_all_passes_compile_for_hopper_and_fit(tmp_path: Path) -> None:
    _, *rows = check("aot", "90", cache=tmp_path)
    assert len(rows) > 20
    assert not [row for row in rows if "Error" in row or "NO ROOM" in row]
    assert [row for row in rows if "wgmma" in row]


def test_a_multiprocessor_holds_what_its_registers_and_memory_allow() -> None:
    assert LIMITS[90].blocks(registers=32, shared=0, warps=4) == 16  # by warps
    assert LIMITS[90].blocks(registers=255, shared=0, warps=8) == 1  # by registers
    assert LIMITS[120].blocks(registers=32, shared=40 << 10, warps=4) == 2  # by shared memory


@needs_no_gpu
def test_a_pretended_gpu_computes_and_counts() -> None:
    with Pretended() as gpu:
        x = torch.arange(6.0).to("cuda:0")
        assert x.device.type == "cuda"
        total = (x.view(2, 3) * 2.0).sum()
        assert gpu.counts == {COPY: 1, LAUNCH: 2}  # views are none
        assert float(total) == 30.0
        assert gpu.counts[WAIT] == 1
        assert gpu.where.total() == 1


@needs_no_gpu
def test_a_pretended_gpu_raises_as_cuda_does() -> None:
    with Pretended():
        x, y = torch.ones(3, device="cuda"), torch.ones(3)
        with pytest.raises(RuntimeError, match="tensors on cuda:0 and cpu"):
            x + y
        with pytest.raises((RuntimeError, TypeError)):
            x.numpy()
        assert float((x * torch.tensor(2.0)).sum()) == 6.0  # a single number may mix in


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
    assert "tensors on cuda:0 and cpu" in capsys.readouterr().out


@needs_no_gpu
def test_a_planted_list_of_work_on_the_host_is_noticed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(View, "ints", lambda _, values: torch.from_numpy(values.astype("int32")))
    assert not pretend.check("pairwise", sampled(5, 6), "triton", "kept")
    assert "a tensor on the CPU" in capsys.readouterr().out


@pytest.mark.slow
@needs_no_gpu
def test_an_iteration_waits_for_nothing_but_an_old_copy() -> None:
    counts = count(Case("triton", "kept"))
    assert counts.waits == 0
    assert counts.events <= 1 / 8
    assert counts.triton == 2
