"""Passes over the costs of a batch of problems: the kernels that a GPU runs, in Triton.

Each program reduces one block of rows of one problem, listed by (problem, block, chunk of
columns), and returns at once where the problem is solved. Sums that several programs share are
left as partial results, in a fixed place each, and folded by :func:`fold_logs` or
:func:`fold_sums`: no atomics, so that results repeat bit by bit. Exponents are to base two.
"""

# Triton types what it compiles.
# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"

from __future__ import annotations

import triton
import triton.language as tl

from geospot_gpu.kernels.gpu.tiles import PITCH, cost_tile

_FAR = tl.constexpr(3.0e38)  # a cost that no point has
_LEAST = tl.constexpr(-126.0)  # exponents are cut there, so that logarithms stay finite
_LN_2 = tl.constexpr(0.6931471805599453)


@triton.jit(do_not_specialize=["width"])
def log_sums(
    work, x, y, problems, potential, log_weight, pending, peaks, totals, k, unit, width,
    KIND: tl.constexpr, GEO: tl.constexpr,
    D: tl.constexpr, EXACT: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """``log2 sum_j b_j 2^(k (g_j - C_ij))`` over a chunk of columns, as peak and total.

    ``potential`` and ``log_weight`` are [B, width], of the columns; ``k`` is ``1 / (eps ln 2)``.
    """
    at = work + tl.program_id(0) * 3
    b, block, chunk = tl.load(at), tl.load(at + 1), tl.load(at + 2)
    if tl.load(pending + b) == 0:
        return
    n, m, size = tl.load(problems.n + b), tl.load(problems.m + b), tl.load(problems.chunk + b)
    size = tl.multiple_of(size, BN)  # aligned, so that columns are read and stored as vectors
    i, span = block * BM + tl.arange(0, BM), tl.arange(0, BN)
    rows = tl.load(problems.here + b) + tl.minimum(i, n - 1)
    there, column = tl.load(problems.there + b), b.to(tl.int64) * width
    peak = tl.full((BM,), float("-inf"), tl.float32)
    total = tl.zeros((BM,), tl.float32)
    for first in range(chunk * size, tl.minimum(m, (chunk + 1) * size), BN):
        j = first + span
        columns = there + tl.minimum(j, m - 1)
        cost = cost_tile(x, y, problems, b, rows, columns, unit, KIND, GEO, D, EXACT, BM, BN, BK)
        score = tl.load(log_weight + column + j, mask=j < m, other=float("-inf"))
        score += tl.load(potential + column + j, mask=j < m, other=0.0) * k
        exponent = score[None, :] - cost * k
        new = tl.maximum(peak, tl.max(exponent, 1))
        total = total * tl.exp2(peak - new) + tl.sum(tl.exp2(exponent - new[:, None]), 1)
        peak = new
    to = tl.load(problems.part + b) + chunk.to(tl.int64) * n + i
    tl.store(peaks + to, peak, mask=i < n)
    tl.store(totals + to, total, mask=i < n)


@triton.jit(do_not_specialize=["width", "mode"])
def fold_logs(
    lines, n, part, slots, pending, peaks, totals, before, omega, softmin, after, unit, damping,
    width, mode,
    RELAX: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Softmins [B, width] from the partial sums of every slot, and the relaxed potential.

    ``unit`` is ``eps ln 2``; ``after = before + omega (damping softmin - before)``.
    """
    at = lines + tl.program_id(0) * 2
    b, block = tl.load(at), tl.load(at + 1)
    if tl.load(pending + b) != mode:
        return
    size = tl.load(n + b)
    i = block * BLOCK + tl.arange(0, BLOCK)
    peak = tl.full((BLOCK,), float("-inf"), tl.float32)
    total = tl.zeros((BLOCK,), tl.float32)
    at = tl.load(part + b) + i
    for _ in range(tl.load(slots + b)):
        other = tl.load(peaks + at, mask=i < size, other=0.0)
        new = tl.maximum(peak, other)
        added = tl.load(totals + at, mask=i < size, other=1.0) * tl.exp2(other - new)
        total = total * tl.exp2(peak - new) + added
        peak = new
        at += size
    line = b.to(tl.int64) * width + i
    value = -damping * unit * (peak + tl.log2(total))
    tl.store(softmin + line, value, mask=i < size)
    if RELAX:
        old = tl.load(before + line, mask=i < size, other=0.0)
        tl.store(after + line, old + tl.load(omega + b) * (value - old), mask=i < size)


@triton.jit
def keep_costs(
    work, x, y, problems, kept, low, high, unit,
    WRITE: tl.constexpr, KIND: tl.constexpr, GEO: tl.constexpr,
    D: tl.constexpr, EXACT: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """The range of the costs that a program sees, into low and high; or the costs, kept."""
    at = work + tl.program_id(0) * 3
    b, block, chunk = tl.load(at), tl.load(at + 1), tl.load(at + 2)
    n, m, size = tl.load(problems.n + b), tl.load(problems.m + b), tl.load(problems.chunk + b)
    size = tl.multiple_of(size, BN)
    i, span = block * BM + tl.arange(0, BM), tl.arange(0, BN)
    rows, there = tl.load(problems.here + b) + tl.minimum(i, n - 1), tl.load(problems.there + b)
    least = tl.full((BM,), float("inf"), tl.float32)
    most = tl.full((BM,), float("-inf"), tl.float32)
    pitch = (m + PITCH - 1) // PITCH * PITCH
    for first in range(chunk * size, tl.minimum(m, (chunk + 1) * size), BN):
        j = first + span
        columns = there + tl.minimum(j, m - 1)
        cost = cost_tile(x, y, problems, b, rows, columns, unit, KIND, GEO, D, EXACT, BM, BN, BK)
        if WRITE:
            offset, step = tl.load(kept.offset + b), tl.load(kept.step + b)
            value = tl.minimum(tl.maximum((cost - offset) / step + 0.5, 0.0), 65535.0)
            to = tl.load(kept.start + b) * PITCH + i.to(tl.int64)[:, None] * pitch + j[None, :]
            inside = (i < n)[:, None] & (j < pitch)[None, :]
            tl.store(kept.costs + to, value.to(tl.int32).to(tl.uint16), mask=inside)
        else:  # rows and columns beyond the last repeat it
            least = tl.minimum(least, tl.min(cost, 1))
            most = tl.maximum(most, tl.max(cost, 1))
    if not WRITE:
        tl.store(low + tl.program_id(0), tl.min(least, 0))
        tl.store(high + tl.program_id(0), tl.max(most, 0))


@triton.jit(do_not_specialize=["width", "other_width", "first_block"])
def plan_integrals(
    work, x, y, problems, f, g, u, v, a, b_weight, slot, column_part, by_row, by_column,
    least_of_row, least_of_column, k, unit, width, other_width, first_block,
    MARGINALS: tl.constexpr, NEAREST: tl.constexpr, KIND: tl.constexpr, GEO: tl.constexpr,
    D: tl.constexpr, EXACT: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """Sums over a block of rows and a chunk of columns of the density ``2^(k (f + g - C))``.

    MARGINALS: partial sums of the density along rows (against b) and along columns (against a).
    NEAREST: also the smallest costs of either, among points that have mass.
    Otherwise ``<P, C>`` and the entropy of the density with ``u_i v_j`` added, in float64, into
    ``by_row`` and ``by_column`` at the program's slot.
    """
    at = work + tl.program_id(0) * 3
    b, block, chunk = tl.load(at), tl.load(at + 1), tl.load(at + 2)
    n, m, size = tl.load(problems.n + b), tl.load(problems.m + b), tl.load(problems.chunk + b)
    size = tl.multiple_of(size, BN)
    i, span = block * BM + tl.arange(0, BM), tl.arange(0, BN)
    rows, there = tl.load(problems.here + b) + tl.minimum(i, n - 1), tl.load(problems.there + b)
    row, column = b.to(tl.int64) * width, b.to(tl.int64) * other_width
    row_score = tl.load(f + row + i, mask=i < n, other=0.0) * k
    weight = tl.load(a + row + i, mask=i < n, other=0.0)
    ui = tl.zeros((BM,), tl.float32)
    if not MARGINALS:
        ui = tl.load(u + row + i, mask=i < n, other=0.0)
    first_sum, second_sum = tl.zeros((BM,), tl.float32), tl.zeros((BM,), tl.float32)
    least = tl.full((BM,), float("inf"), tl.float32)
    for first in range(chunk * size, tl.minimum(m, (chunk + 1) * size), BN):
        j = first + span
        columns = there + tl.minimum(j, m - 1)
        cost = cost_tile(x, y, problems, b, rows, columns, unit, KIND, GEO, D, EXACT, BM, BN, BK)
        score = tl.load(g + column + j, mask=j < m, other=0.0) * k
        bj = tl.load(b_weight + column + j, mask=j < m, other=0.0)
        to = tl.load(column_part + b) + (block - first_block).to(tl.int64) * m + j
        if NEAREST:
            least = tl.minimum(least, tl.min(cost + tl.where(bj > 0.0, 0.0, _FAR)[None, :], 1))
            of_column = tl.min(cost + tl.where(weight > 0.0, 0.0, _FAR)[:, None], 0)
            tl.store(least_of_column + to, of_column, mask=j < m)
        exponent = tl.maximum(row_score[:, None] + score[None, :] - cost * k, _LEAST)
        density = tl.where((i < n)[:, None] & (j < m)[None, :], tl.exp2(exponent), 0.0)
        if MARGINALS:
            first_sum += tl.sum(density * bj[None, :], 1)
            tl.store(by_column + to, tl.sum(density * weight[:, None], 0), mask=j < m)
        else:
            vj = tl.load(v + column + j, mask=j < m, other=0.0)
            mass = tl.maximum(density + ui[:, None] * vj[None, :], 1e-37)
            first_sum += tl.sum(mass * cost * bj[None, :], 1)
            second_sum += tl.sum(mass * tl.log2(mass) * bj[None, :], 1)
    if MARGINALS:
        to = tl.load(problems.part + b) + chunk.to(tl.int64) * n + i
        tl.store(by_row + to, first_sum, mask=i < n)
        if NEAREST:
            tl.store(least_of_row + to, least, mask=i < n)
    else:
        weight_64, to = weight.to(tl.float64), tl.load(slot + tl.program_id(0))
        tl.store(by_row + to, tl.sum(weight_64 * first_sum.to(tl.float64), 0))
        tl.store(by_column + to, tl.sum(weight_64 * second_sum.to(tl.float64), 0) * _LN_2)


@triton.jit(do_not_specialize=["width", "first_slot", "most_slots"])
def fold_sums(
    lines, n, part, slots, partial, out, width, first_slot, most_slots,
    LEAST: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Add partial sums, at most ``most_slots`` from ``first_slot`` on, to out [B, width].

    LEAST: keep the smallest instead.
    """
    at = lines + tl.program_id(0) * 2
    b, block = tl.load(at), tl.load(at + 1)
    size = tl.load(n + b)
    i = block * BLOCK + tl.arange(0, BLOCK)
    line = b.to(tl.int64) * width + i
    total = tl.load(out + line, mask=i < size, other=0.0)
    at = tl.load(part + b) + i
    for _ in range(tl.minimum(tl.load(slots + b) - first_slot, most_slots)):
        value = tl.load(partial + at, mask=i < size, other=0.0)
        total = tl.minimum(total, value) if LEAST else total + value
        at += size
    tl.store(out + line, total, mask=i < size)
