"""The end of an iteration: one program per problem decides what no launch of many can, in Triton.

It folds the sums of columns, finds how far both marginals are off, relaxes, tells which problems
are solved, and makes the potentials of the next iteration. Nothing is decided on the host.
"""

# Triton types what it compiles.
# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"

from __future__ import annotations

from typing import Any, NamedTuple

import triton
import triton.language as tl

from geospot_gpu.kernels import relaxation
from geospot_gpu.kernels.gpu.steps import MOST_COLUMN

SOLVED, PENDING, FAR = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
"""Modes of a problem. Those that are far from what a quick step allows need the other one."""

NEITHER, ROWS, COLUMNS = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
"""Sides; the marginal of one of them may be free."""

MEMORY = 4 + relaxation.WINDOW
"""Numbers that relaxation remembers of a problem."""

_PLAIN_STEPS, _WINDOW = tl.constexpr(relaxation.PLAIN_STEPS), tl.constexpr(relaxation.WINDOW)
_PATIENCE, _NEAR = tl.constexpr(relaxation.PATIENCE), tl.constexpr(relaxation.NEAR)
_FAST, _FIRST = tl.constexpr(relaxation.FAST), tl.constexpr(relaxation.FIRST)
_LARGEST = tl.constexpr(relaxation.LARGEST)
_MEMORY = tl.constexpr(MEMORY)
_LN_2 = tl.constexpr(0.6931471805599453)


class State(NamedTuple):
    """What an iteration of a batch reads and writes; when a problem is solved, its result."""

    f: Any
    """[B, N]"""
    g: Any
    """[B, M]"""
    softmin_f: Any
    """[B, N]: the softmin of g, damped where the marginal of the rows is free."""
    after: Any
    """[B, N]: ``f + omega (softmin_f - f)``."""
    next_g: Any
    """[B, M]: the softmin of ``after``, damped where the marginal of the columns is free."""
    omega: Any
    """Factor of relaxation of the next step, [B]."""
    mode: Any
    """int32 [B]."""
    iterations: Any
    """int32 [B]."""
    limit: Any
    """Most of them, int32 [B]."""
    error: Any
    """The larger L1 violation of a marginal that the last iteration found, [B]."""
    memory: Any
    """Of :mod:`~geospot_gpu.kernels.relaxation`: its factor, when it changed, the smallest error of
    late and when that was, and the latest errors; [B, MEMORY]."""
    left: Any
    """How many problems are not solved, and how many of those are far, int32 [2]."""


@triton.jit
def _expm1(x):
    """``exp(x) - 1``, exact near zero."""
    series = 1.0 + x * (0.5 + x * (1 / 6 + x * (1 / 24 + x * (1 / 120 + x / 720))))
    return tl.where(tl.abs(x) < 0.25, x * series, tl.exp(x) - 1.0)


@triton.jit
def _best_factor(rate):
    rate = tl.where(rate < 0.9999, rate, 0.9999)
    return 2.0 / (1.0 + tl.sqrt(1.0 - rate))


@triton.jit
def relax(memory, count, error):
    """The rule of :mod:`~geospot_gpu.kernels.relaxation` after iteration ``count``: the factor."""
    iteration = count.to(tl.float32)
    omega, changed_at = tl.load(memory), tl.load(memory + 1)
    best, best_at = tl.load(memory + 2), tl.load(memory + 3)
    oldest, latest = tl.load(memory + 4), tl.load(memory + 3 + _WINDOW)
    before = omega
    lanes = tl.arange(0, 8)
    errors = tl.load(memory + 5 + lanes, mask=lanes < _WINDOW - 1, other=0.0)
    if count == _PLAIN_STEPS:
        rate = error / latest
        omega = tl.where(rate < _FAST, _best_factor(rate), _FIRST)
    if count > _PLAIN_STEPS:
        if count > _WINDOW:
            rate = tl.exp2(tl.log2(error / oldest) / _WINDOW)
            excess = omega - 1.0
            factor = _best_factor((rate + excess) * (rate + excess) / (rate * omega * omega))
            factor = tl.where(factor < _LARGEST, factor, _LARGEST)
            trusted = (rate > excess) & (rate < 1.0) & (iteration - changed_at > _WINDOW)
            omega = tl.where(trusted & (factor > omega + 0.02), factor, omega)
        better = error < 0.9 * best
        best = tl.where(better, error, best)
        best_at = tl.where(better, iteration, best_at)
        stalled = (iteration - best_at >= _PATIENCE) & (omega > 1.0)
        shorter = 1.0 + 0.75 * (omega - 1.0)
        omega = tl.where(stalled, tl.where(shorter < 1.02, 1.0, shorter), omega)
        best = tl.where(stalled, error, best)
        best_at = tl.where(stalled, iteration, best_at)
    tl.debug_barrier()  # all warps have read what is written
    tl.store(memory, omega)
    tl.store(memory + 1, tl.where(omega != before, iteration, changed_at))
    tl.store(memory + 2, best)
    tl.store(memory + 3, best_at)
    tl.store(memory + 4 + lanes, errors, mask=lanes < _WINDOW - 1)
    tl.store(memory + 3 + _WINDOW, error)
    return omega


@triton.jit(do_not_specialize=["width", "other_width", "mode"])
def finish(
    work, problems, slots, a, b_weight, peaks, totals, state, tolerance, k, unit, damping, free,
    width, other_width, mode,
    FOLD: tl.constexpr, QUICK: tl.constexpr, DAMPED: tl.constexpr,
    SYMMETRIC: tl.constexpr, RELAXED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The end of an iteration of the problems in a mode.

    FOLD: sums of columns are partial results, of which each problem has some ``slots``; plain sums
    after a QUICK step. Otherwise ``next_g`` is there. The side that is DAMPED has a free marginal,
    at ``free = rho ln 2``; of the two shifts along which the dual is known, the best is taken
    (Séjourné, Vialard & Peyré 2022, Faster unbalanced optimal transport, section 3).
    """
    b = tl.load(work + tl.program_id(0))
    if tl.load(state.mode + b) != mode:
        return
    n, m, part = tl.load(problems.n + b), tl.load(problems.m + b), tl.load(problems.part + b)
    row, column = b.to(tl.int64) * width, b.to(tl.int64) * other_width
    span = tl.arange(0, BLOCK)
    peak, total = tl.full((BLOCK,), -1e38, tl.float32), tl.zeros((BLOCK,), tl.float32)
    errors, lost = tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.int32)
    for start in range(0, n, BLOCK):
        i = start + span
        old = tl.load(state.f + row + i, mask=i < n, other=0.0)
        value = tl.load(state.softmin_f + row + i, mask=i < n, other=0.0)
        weight = tl.load(a + row + i, mask=i < n, other=0.0)
        errors += weight * tl.abs(_expm1((old - value) * (k * _LN_2)))
        if QUICK:
            lost |= tl.where(tl.abs(value) < 1e38, 0, 1)
        if DAMPED == ROWS:
            exponent = tl.load(state.after + row + i, mask=i < n, other=0.0) / -free
            peak, total = _add(peak, total, weight, exponent)
    row_error = tl.sum(errors, 0)
    shift = 0.0
    if DAMPED == ROWS:
        shift = free * _log_sum(peak, total)
    for start in range(0, m, BLOCK):
        j = start + span
        value = tl.load(state.next_g + column + j, mask=j < m, other=0.0)
        if FOLD:
            at = part + j
            if QUICK:
                sums = tl.zeros((BLOCK,), tl.float32)
                for _ in range(tl.load(slots + b)):
                    sums += tl.load(totals + at, mask=j < m, other=0.0)
                    at += m
                logs = tl.log2(tl.where(j < m, sums, 1.0))
                lost |= tl.where(tl.abs(logs) <= MOST_COLUMN, 0, 1)
                value = tl.load(state.g + column + j, mask=j < m, other=0.0) - unit * logs
            else:
                high = tl.full((BLOCK,), float("-inf"), tl.float32)
                sums = tl.zeros((BLOCK,), tl.float32)
                for _ in range(tl.load(slots + b)):
                    other = tl.load(peaks + at, mask=j < m, other=0.0)
                    new = tl.maximum(high, other)
                    added = tl.load(totals + at, mask=j < m, other=1.0) * tl.exp2(other - new)
                    sums = sums * tl.exp2(high - new) + added
                    high = new
                    at += m
                value = -unit * (high + tl.log2(sums))
        if DAMPED == COLUMNS:
            value *= damping
            weight = tl.load(b_weight + column + j, mask=j < m, other=0.0)
            peak, total = _add(peak, total, weight, value / -free)
        tl.store(state.next_g + column + j, value - shift, mask=j < m)
    if QUICK and tl.max(lost, 0) > 0:
        tl.store(state.mode + b, FAR)
        tl.atomic_add(state.left + 1, 1)
        return
    other_shift = 0.0
    if DAMPED == COLUMNS:
        other_shift = free * _log_sum(peak, total)
    tl.debug_barrier()  # what is stored here is read again
    errors = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, m, BLOCK):
        j = start + span
        value = tl.load(state.next_g + column + j, mask=j < m, other=0.0) + other_shift
        old = tl.load(state.g + column + j, mask=j < m, other=0.0)
        weight = tl.load(b_weight + column + j, mask=j < m, other=0.0)
        errors += weight * tl.abs(_expm1((old - value) * (k * _LN_2)))
    error = tl.sum(errors, 0)
    count, last = tl.load(state.iterations + b) + 1, tl.load(state.limit + b)
    plain = tl.load(state.omega + b) == 1.0
    tl.debug_barrier()  # all warps have read what is written
    if not SYMMETRIC:
        error = tl.where(count > 1, tl.maximum(error, row_error), error)
    tl.store(state.iterations + b, count)
    tl.store(state.error + b, error)
    ends = (plain & (error <= tolerance)) | (count >= last)
    step = 1.0
    if RELAXED:
        step = relax(state.memory + b * _MEMORY, count, error)
        near = (error <= _NEAR * tolerance) | (count + 1 == last)
        tl.store(state.omega + b, tl.where(near, 1.0, step))
    else:
        tl.store(state.omega + b, 1.0)
    for start in range(0, n, BLOCK):
        i = start + span
        value = tl.load(state.after + row + i, mask=i < n, other=0.0) + shift
        tl.store(state.f + row + i, value, mask=i < n)
    if SYMMETRIC:
        tl.debug_barrier()
    for start in range(0, m, BLOCK):
        j = start + span
        value = tl.load(state.next_g + column + j, mask=j < m, other=0.0) + other_shift
        old = tl.load(state.g + column + j, mask=j < m, other=0.0)
        if SYMMETRIC:
            this = tl.load(state.f + column + j, mask=j < m, other=0.0)
            new = this + 0.5 * (value - this)
        else:
            new = old + step * (value - old)
        if DAMPED == COLUMNS:
            tl.store(state.next_g + column + j, value, mask=j < m)
        tl.store(state.g + column + j, tl.where(ends, old, new), mask=j < m)
    if mode == FAR:
        tl.atomic_add(state.left + 1, -1)
    if ends:
        tl.atomic_add(state.left, -1)
        tl.store(state.mode + b, SOLVED)
    else:
        tl.store(state.mode + b, PENDING)


@triton.jit
def _add(peak, total, weight, exponent):
    """``weight 2^exponent`` more in each lane, whose sum is ``total 2^peak``."""
    exponent = tl.where(weight > 0.0, exponent, -1e38)
    new = tl.maximum(peak, exponent)
    return new, total * tl.exp2(peak - new) + weight * tl.exp2(exponent - new)


@triton.jit
def _log_sum(peak, total):
    """The logarithm of the sum of all lanes."""
    new = tl.max(peak, 0)
    return new + tl.log2(tl.sum(total * tl.exp2(peak - new), 0))
