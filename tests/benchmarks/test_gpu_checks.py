"""The checks of the GPU's kernels run here, and catch what they are for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")

from benchmarks.gpu_checks import compiled
from benchmarks.gpu_checks.cards import LIMITS

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
