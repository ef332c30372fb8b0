"""The memory checker finds each kind of bug in a small program, and nothing where there is none."""

# Triton types what it compiles.
# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"

from __future__ import annotations

import pytest
import torch

pytest.importorskip("triton")

import triton
import triton.language as tl

from benchmarks.gpu_checks import clouds64, memcheck, planted
from benchmarks.gpu_checks.memory import MemoryCheck

if torch.cuda.is_available():
    pytest.skip("with a GPU Triton is not interpreted", allow_module_level=True)


@triton.jit
def copy(source, to, n, MASKED: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    if MASKED:
        tl.store(to + i, tl.load(source + i, mask=i < n, other=0.0), mask=i < n)
    else:
        tl.store(to + i, tl.load(source + i))


@triton.jit
def total(source, to, BLOCK: tl.constexpr):
    tl.store(to, tl.sum(tl.load(source + tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)), 0))


@triton.jit
def shift(values, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(values + i, tl.load(values + i + 1))


@triton.jit
def twice(values, BARRIER: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    tl.store(values + i, i * 1.0)
    if BARRIER:
        tl.debug_barrier()
    tl.store(values + i, tl.load(values + BLOCK - 1 - i))


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    with MemoryCheck() as check:
        to = torch.empty(10)
        copy[(2,)](torch.arange(10.0), to, 10, MASKED=True, BLOCK=8)
        copy[(2,)](to, torch.zeros(10), 10, MASKED=True, BLOCK=8)
        twice[(1,)](torch.zeros(8), BARRIER=True, BLOCK=8)
    assert not check.problems
    assert to.tolist() == list(range(10))
    assert check.launches == 3
    assert check.accesses == 10 * 4 + 8 * 3


def test_accesses_out_of_bounds_are_found() -> None:
    room = torch.arange(32.0)  # the page is there, the tensor ends before
    with MemoryCheck() as check:
        copy[(2,)](room[:10], torch.zeros(32)[:10], 10, MASKED=False, BLOCK=8)
    assert set(check.problems) == {"copy: load out of bounds", "copy: store out of bounds"}


@pytest.mark.parametrize("method", [False, True])
def test_unset_memory_is_found(method: bool) -> None:
    with MemoryCheck() as check:
        unset = torch.zeros(1).new_empty(8) if method else torch.empty(8)
        copy[(1,)](unset, torch.zeros(8), 8, MASKED=True, BLOCK=8)
    assert set(check.problems) == {"copy: load of unset memory"}


def test_two_programs_that_write_one_address_are_found() -> None:
    with MemoryCheck() as check:
        total[(2,)](torch.ones(16), torch.zeros(1), BLOCK=8)
    assert set(check.problems) == {"total: two programs write one address"}


def test_a_program_that_reads_what_another_writes_is_found() -> None:
    with MemoryCheck() as check:
        shift[(2,)](torch.zeros(17), BLOCK=8)
    assert "shift: a program reads what another writes" in check.problems


def test_a_barrier_left_out_is_found() -> None:
    with MemoryCheck() as check:
        twice[(1,)](torch.zeros(8), BARRIER=False, BLOCK=8)
    assert "twice: load of what was stored since the last barrier" in check.problems


def test_passes_are_clean_on_ragged_clouds() -> None:
    case = memcheck.Case([1, 15, 17], [17, 1, 15], features=5, solve=False)
    memory, wrong = memcheck.check(case)
    assert not memory.problems
    assert not wrong
    assert memory.launches > 8


def test_wrong_values_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = clouds64.costs_between
    monkeypatch.setattr(memcheck, "costs_between", lambda *problem: truth(*problem) + 1e-4)
    case = memcheck.Case([9, 5], [7, 8], features=5, solve=False)
    _, wrong = memcheck.check(case)
    assert "softmin of rows of problem 0" in wrong


@pytest.mark.parametrize("bug", planted.BUGS.values(), ids=planted.BUGS)
def test_bugs_can_be_planted_where_they_are_said_to_be(bug: planted.Bug) -> None:
    assert (planted.ROOT / bug.file).read_text().count(bug.text) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["rows beyond the last", "mask of padding on the host", "tiles too small for wgmma"],
)
def test_a_planted_bug_is_noticed(name: str) -> None:
    """One for each kind of check that takes seconds; ``make gpu-check`` plants all."""
    assert planted.noticed(planted.BUGS[name])
