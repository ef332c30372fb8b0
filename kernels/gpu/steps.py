"""Steps over kept costs: both halves of an iteration in one launch, in Triton.

A program has some rows of a problem. It finds their softmins, relaxes them, and leaves what they
add to the sums of columns as partial sums, which :func:`~geospot_gpu.kernels.gpu.finish.finish`
folds. Exponents are to base two.
"""

# Triton types what it compiles.
# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"

from __future__ import annotations

import triton
import triton.language as tl

from geospot_gpu.kernels.gpu.tiles import PITCH, kept_tile

# How far, in powers of two, sums of rows, potentials and sums of columns may move in a quick step.
# Terms below 2^-126 are lost; what they count for is then below 2^(-126 + 60 + 40).
MOST_ROW = tl.constexpr(100.0)
MOST_MOVED = tl.constexpr(60.0)
MOST_COLUMN = tl.constexpr(40.0)


@triton.jit(do_not_specialize=["width", "other_width", "mode"])
def kept_step(
    work, problems, kept, f, g, log_a, log_b, omega, pending, softmin, after, peaks, totals,
    k, unit, damping, width, other_width, mode,
    WHOLE: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    """Row softmins and, against the relaxed potential, partial column sums, as peak and total.

    A program has BM rows at a time. If BN columns are all (WHOLE), a tile of costs stays in
    registers between its two uses, and so do the column sums. Otherwise the costs of BM rows are
    read twice, the second time from the cache, and the column sums wait in their place in memory.
    """
    at = work + tl.program_id(0) * 3
    b, block = tl.load(at), tl.load(at + 1)
    if tl.load(pending + b) != mode:
        return
    share = tl.load(problems.chunk + b)
    n, m = tl.load(problems.n + b), tl.load(problems.m + b)
    row, column = b.to(tl.int64) * width, b.to(tl.int64) * other_width
    to = tl.load(problems.part + b) + block.to(tl.int64) * m
    step, span = tl.load(omega + b), tl.arange(0, BN)
    score = tl.full((BN,), float("-inf"), tl.float32)
    column_peak = tl.full((BN,), float("-inf"), tl.float32)
    column_total = tl.zeros((BN,), tl.float32)
    cost = tl.zeros((BM, BN), tl.float32)
    if WHOLE:
        score = tl.load(log_b + column + span, mask=span < m, other=float("-inf"))
        score += tl.load(g + column + span, mask=span < m, other=0.0) * k
    for first in range(block * share, tl.minimum(n, (block + 1) * share), BM):
        i = first + tl.arange(0, BM)
        if WHOLE:
            cost = kept_tile(kept, b, i, span, n, m) * k
            exponent = score[None, :] - cost
            peak = tl.max(exponent, 1)
            total = tl.sum(tl.exp2(exponent - peak[:, None]), 1)
        else:
            peak = tl.full((BM,), float("-inf"), tl.float32)
            total = tl.zeros((BM,), tl.float32)
            for start in range(0, m, BN):
                j = start + span
                score = tl.load(log_b + column + j, mask=j < m, other=float("-inf"))
                score += tl.load(g + column + j, mask=j < m, other=0.0) * k
                exponent = score[None, :] - kept_tile(kept, b, i, j, n, m) * k
                new = tl.maximum(peak, tl.max(exponent, 1))
                total = total * tl.exp2(peak - new) + tl.sum(tl.exp2(exponent - new[:, None]), 1)
                peak = new
        value = -damping * unit * (peak + tl.log2(total))
        old = tl.load(f + row + i, mask=i < n, other=0.0)
        relaxed = old + step * (value - old)
        tl.store(softmin + row + i, value, mask=i < n)
        tl.store(after + row + i, relaxed, mask=i < n)
        row_score = tl.load(log_a + row + i, mask=i < n, other=float("-inf"))
        row_score += tl.where(i < n, relaxed, 0.0) * k
        if WHOLE:
            exponent = row_score[:, None] - cost
            new = tl.maximum(column_peak, tl.max(exponent, 0))
            added = tl.sum(tl.exp2(exponent - new[None, :]), 0)
            column_total = column_total * tl.exp2(column_peak - new) + added
            column_peak = new
        else:
            for start in range(0, m, BN):
                j = start + span
                exponent = row_score[:, None] - kept_tile(kept, b, i, j, n, m) * k
                new = tl.max(exponent, 0)
                if first > block * share:
                    before = tl.load(peaks + to + j, mask=j < m, other=0.0)
                    new = tl.maximum(new, before)
                    column_total = tl.load(totals + to + j, mask=j < m, other=0.0)
                    column_total *= tl.exp2(before - new)
                added = tl.sum(tl.exp2(exponent - new[None, :]), 0)
                if first > block * share:
                    added += column_total
                tl.store(peaks + to + j, new, mask=j < m)
                tl.store(totals + to + j, added, mask=j < m)
            tl.debug_barrier()  # what is stored here is read again for the next rows
    if WHOLE:
        tl.store(peaks + to + span, column_peak, mask=span < m)
        tl.store(totals + to + span, column_total, mask=span < m)


@triton.jit(do_not_specialize=["width", "other_width", "mode"])
def quick_step(
    work, problems, kept, f, g, a, b_weight, omega, pending, softmin, after, totals,
    k, unit, damping, width, other_width, mode,
    BM: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    """The same with one exponential per cost and no maxima, where potentials move little.

    The density ``s_ij = 2^(k (f_i + g_j - C_ij))`` of the potentials before the step serves both
    sides: the softmin of a row is ``f_i`` less the logarithm of ``sum_j b_j s_ij``, and the sum of
    a column is ``sum_i a_i 2^(k (after_i - f_i)) s_ij``, whose logarithm is taken from ``g_j``.
    Where a row moves so far that terms which matter could have been lost, its softmin is infinite:
    the problem then has to take the other step.
    """
    at = work + tl.program_id(0) * 3
    b, block = tl.load(at), tl.load(at + 1)
    if tl.load(pending + b) != mode:
        return
    share = tl.load(problems.chunk + b)
    n, m = tl.load(problems.n + b), tl.load(problems.m + b)
    row, column = b.to(tl.int64) * width, b.to(tl.int64) * other_width
    step, span = tl.load(omega + b), tl.arange(0, BN)
    pitch = (m + PITCH - 1) // PITCH * PITCH
    costs = kept.costs + tl.load(kept.start + b) * PITCH
    slope = tl.load(kept.step + b) * k
    score = tl.load(g + column + span, mask=span < m, other=0.0) * k
    score = tl.where(span < m, score - tl.load(kept.offset + b) * k, float("-inf"))
    weight = tl.load(b_weight + column + span, mask=span < m, other=0.0)
    column_total = tl.zeros((BN,), tl.float32)
    for first in range(block * share, tl.minimum(n, (block + 1) * share), BM):
        i = first + tl.arange(0, BM)
        inside = (i < n)[:, None] & (span < pitch)[None, :]
        tile = costs + i.to(tl.int64)[:, None] * pitch + span[None, :]
        bits = tl.load(tile, mask=inside, other=0).to(tl.int32) | 0x4B000000
        cost = bits.to(tl.float32, bitcast=True) - 8388608.0  # no slow conversion of integers
        old = tl.load(f + row + i, mask=i < n, other=0.0)
        start = tl.where(i < n, old * k, float("-inf"))
        density = tl.exp2(start[:, None] + score[None, :] - cost * slope)
        total = tl.log2(tl.sum(density * weight[None, :], 1))
        value = damping * (old - unit * total)
        moved = step * (value - old)
        near = (tl.abs(total) <= MOST_ROW) & (tl.abs(moved) * k <= MOST_MOVED)
        tl.store(softmin + row + i, tl.where(near, value, float("inf")), mask=i < n)
        tl.store(after + row + i, old + moved, mask=i < n)
        mass = tl.load(a + row + i, mask=i < n, other=0.0) * tl.exp2(moved * k)
        column_total += tl.sum(density * tl.where(i < n, mass, 0.0)[:, None], 0)
    to = tl.load(problems.part + b) + block.to(tl.int64) * m
    tl.store(totals + to + span, column_total, mask=span < m)
