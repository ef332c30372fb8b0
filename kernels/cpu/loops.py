"""Loops that touch a row of costs once, compiled by Numba for float32 on a CPU.

The costs of all problems of a batch lie in one flat array. Work is cut into items, each some rows
of one problem; items run in parallel. What an item finds about columns goes into a row of its own,
to be combined by the caller, so that results depend on how work is cut and never on timing.

Importing this module needs Numba.
"""

# Numba types the functions it compiles.
# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"

from __future__ import annotations

import logging
import math
import os
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import config, njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

F = np.float32
_FAST = {"contract", "nsz", "reassoc"}


def _can_be_cached() -> bool:
    """Whether Numba finds a folder for compiled code.

    Without one it raises, and without a home it makes one called ``~`` in the current folder.
    """
    if config.DISABLE_JIT:
        return False
    try:
        if config.CACHE_DIR or os.path.expanduser("~") != "~":
            njit(_can_be_cached).enable_caching()
            return True
    except RuntimeError:
        pass
    logging.getLogger("geospot_gpu").warning(
        "no folder is there for compiled code, which takes a minute in every run: set "
        "GEOSPOT_CACHE or NUMBA_CACHE_DIR"
    )
    return False


_CACHE = _can_be_cached()
loop = njit(nogil=True, cache=_CACHE, fastmath=_FAST, error_model="numpy")
# Inlined into what calls it: a call would go to the code of this process where it was compiled in
# this process, and to the caller's own copy, which rounds differently, where that came from disk.
serial = njit(cache=_CACHE, forceinline=True, fastmath=_FAST, error_model="numpy")
inline = njit(inline="always", fastmath={"contract", "nsz"}, error_model="numpy")


def polynomial(function: Any, low: float, high: float, degree: int) -> tuple[np.float32, ...]:
    """Coefficients, constant first, of the Chebyshev interpolant of a function on an interval."""
    series = np.polynomial.Chebyshev.interpolate(function, degree, domain=[low, high])
    return tuple(np.float32(c) for c in series.convert(kind=np.polynomial.Polynomial).coef)


# 2^f on [-1/2, 1/2]; log(1 + x) / x around 1.
_E = polynomial(np.exp2, -0.5, 0.5, 6)
_L = polynomial(lambda x: np.log1p(x) / x, math.sqrt(0.5) - 1.0, math.sqrt(2.0) - 1.0, 9)
_LOG2_E, _LN_2 = F(1.0 / math.log(2.0)), F(math.log(2.0))
_SQRT_HALF_BITS = np.int32(np.float32(math.sqrt(0.5)).view(np.int32))
LOWEST, HIGHEST = F(-87.0), F(88.0)  # exponents beyond which float32 is denormal or infinite
TINY = F(1e-37)
SMALLEST, LARGEST = F(1e-25), F(1e30)  # a sum of exponentials in between has lost nothing


class Layout(NamedTuple):
    """Where the costs are, and how the work on them is cut."""

    items: NDArray[np.int64]
    """(problem, low, high, position): rows low:high, the first of them at this position, [I, 4]."""
    stride: NDArray[np.int64]
    """From one row to the next, in entries, for each problem [B]."""
    size: NDArray[np.int64]
    """Columns of each problem [B]."""


@intrinsic
def _float_of(context: Any, bits: Any) -> Any:
    """The float32 with the given bits."""
    return types.float32(types.int32), lambda c, builder, s, args: builder.bitcast(
        args[0], ir.FloatType()
    )


@intrinsic
def _bits_of(context: Any, value: Any) -> Any:
    """The bits of a float32."""
    return types.int32(types.float32), lambda c, builder, s, args: builder.bitcast(
        args[0], ir.IntType(32)
    )


def exponential(x):
    """Exponential, to 2e-7 of its value; its argument is cut at -87 and 88."""
    scaled = min(max(x, LOWEST), HIGHEST) * _LOG2_E
    whole = F(math.floor(scaled + F(0.5)))
    f = scaled - whole
    p = _E[0] + f * (_E[1] + f * (_E[2] + f * (_E[3] + f * (_E[4] + f * (_E[5] + f * _E[6])))))
    return p * _float_of((np.int32(whole) + np.int32(127)) << np.int32(23))


def logarithm(x):
    """The logarithm of a normal positive number."""
    bits = _bits_of(x) - _SQRT_HALF_BITS
    power = bits >> np.int32(23)
    f = _float_of((bits & np.int32(0x7FFFFF)) + _SQRT_HALF_BITS) - F(1.0)
    high = _L[5] + f * (_L[6] + f * (_L[7] + f * (_L[8] + f * _L[9])))
    p = _L[0] + f * (_L[1] + f * (_L[2] + f * (_L[3] + f * (_L[4] + f * high))))
    return f * p + F(power) * _LN_2


exp, log = inline(exponential), inline(logarithm)


@serial
def log_sum_exp(row, weights, inverse_epsilon, out):
    """``log sum_j exp(weights_j - C_ij / eps)``; out takes the terms over the largest of them.

    Returns:
        The logarithm, and the sum of out.
    """
    top = F(-np.inf)
    for j in range(len(row)):
        e = weights[j] - row[j] * inverse_epsilon
        out[j] = e
        top = max(top, e)
    total = F(0.0)
    for j in range(len(row)):
        e = exp(out[j] - top)
        out[j] = e
        total += e
    return top + F(math.log(total)), total


@loop
def softmin_rows(begin, end, layout, costs, weights, epsilon, out):
    """``-eps log sum_j exp(weights_j - C_ij / eps)`` into out [B, N], weights being [B, M]."""
    inverse = F(1.0 / epsilon)
    for item in range(begin, end):
        k, low, high, position = layout.items[item]
        m = layout.size[k]
        own = np.empty(m, np.float32)
        for i in range(low, high):
            row = costs[position : position + m]
            position += layout.stride[k]
            out[k, i] = F(-epsilon) * log_sum_exp(row, weights[k], inverse, own)[0]


@serial
def log_sum_exp_columns(costs, position, stride, weights, inverse_epsilon, peak, total):
    """``sum_i exp(weights_i - C_ij / eps)`` over some rows, as ``total_j exp(peak_j)``.

    Rows whose weight is minus infinity take no time; without any other, peaks are that, too.
    """
    m = len(peak)
    peak[:], total[:] = F(-np.inf), F(0.0)
    for i in range(len(weights)):
        if weights[i] == F(-np.inf):
            continue
        row = costs[position + i * stride : position + i * stride + m]
        for j in range(m):
            peak[j] = max(peak[j], weights[i] - row[j] * inverse_epsilon)
    for i in range(len(weights)):
        if weights[i] == F(-np.inf):
            continue
        row = costs[position + i * stride : position + i * stride + m]
        for j in range(m):
            total[j] += exp(weights[i] - row[j] * inverse_epsilon - peak[j])


@loop
def softmin_columns(begin, end, layout, costs, weights, epsilon, peak, total):
    """For each item, the sums of :func:`log_sum_exp_columns` into rows of peak and total [I, M]."""
    for item in range(begin, end):
        k, low, high, position = layout.items[item]
        m, own = layout.size[k], weights[k, low:high]
        inverse, stride = F(1.0 / epsilon), layout.stride[k]
        sums = peak[item, :m], total[item, :m]
        log_sum_exp_columns(costs, position, stride, own, inverse, *sums)


@serial
def scaled_row(row, f, g, b, inverse_epsilon, out):
    """``b_j exp((f + g_j - C_ij) / eps)`` into out; the sum."""
    total = F(0.0)
    for j in range(len(row)):
        e = b[j] * exp((f + g[j] - row[j]) * inverse_epsilon)
        out[j] = e
        total += e
    return total


@loop
def step(begin, end, layout, costs, epsilon, damping, omega, a, b, f, g, next_f, columns):
    """A relaxed half-step of some rows, and what it contributes to the half-step of columns.

    The potentials before the step scale the exponentials of a row; where that leaves their range,
    the largest exponent does.

    Args:
        layout: the work.
        costs: flat.
        epsilon: the regularisation.
        damping: of the softmin of g.
        omega: [B].
        a, b: weights, [B, N] and [B, M].
        f: potentials, changed from old to new in place, [B, N].
        g: potentials, [B, M].
        next_f: the damped softmin of g, [B, N].
        columns: for each item ``sum_i a_i b_j exp((f_i + g_j - C_ij) / eps)``, [I, M].
    """
    eps, inverse = F(epsilon), F(1.0 / epsilon)
    for item in range(begin, end):
        k, low, high, position = layout.items[item]
        m = layout.size[k]
        gk, bk = g[k, :m], b[k, :m]
        own, to = np.empty(m, np.float32), columns[item, :m]
        weights = np.empty(m, np.float32)
        for j in range(m):
            weights[j] = gk[j] * inverse + log(bk[j])
        to[:] = F(0.0)
        for i in range(low, high):
            row = costs[position : position + m]
            position += layout.stride[k]
            reference = f[k, i]
            total = scaled_row(row, reference, gk, bk, inverse, own)
            softmin = reference - eps * F(math.log(total))
            if not SMALLEST < total < LARGEST:
                value, total = log_sum_exp(row, weights, inverse, own)
                softmin = -eps * value
            aim = F(damping) * softmin
            new = reference + omega[k] * (aim - reference)
            next_f[k, i], f[k, i] = aim, new
            factor = a[k, i] * exp((new - softmin) * inverse) / total
            for j in range(m):
                to[j] += factor * own[j]


@loop
def marginals(begin, end, layout, costs, epsilon, f, g, a, b, rows, columns):
    """Sums over j of ``b_j q_ij`` into rows [B, N], and over an item's i of ``a_i q_ij`` [I, M].

    ``q_ij = exp((f_i + g_j - C_ij) / eps)``.
    """
    inverse = F(1.0 / epsilon)
    for item in range(begin, end):
        k, low, high, position = layout.items[item]
        m = layout.size[k]
        gk, bk, to = g[k], b[k], columns[item]
        to[:] = F(0.0)
        for i in range(low, high):
            row, fi, ai = costs[position : position + m], f[k, i], a[k, i]
            position += layout.stride[k]
            total = F(0.0)
            for j in range(m):
                q = exp((fi + gk[j] - row[j]) * inverse)
                total += bk[j] * q
                to[j] += ai * q
            rows[k, i] = total


@loop
def integrals(begin, end, layout, costs, epsilon, f, g, u, v, a, b, sums):
    """For each item ``sum a_i b_j d C`` and ``sum a_i b_j d log d``, into sums [I, 2].

    ``d = q_ij + u_i v_j``; ``q`` is that of :func:`marginals`.
    """
    inverse = F(1.0 / epsilon)
    for item in range(begin, end):
        k, low, high, position = layout.items[item]
        m = layout.size[k]
        gk, vk, bk = g[k], v[k], b[k]
        transport, entropy = 0.0, 0.0
        for i in range(low, high):
            row, fi, ui = costs[position : position + m], f[k, i], u[k, i]
            position += layout.stride[k]
            first, second = F(0.0), F(0.0)
            for j in range(m):
                q = exp((fi + gk[j] - row[j]) * inverse)
                d = max(q + ui * vk[j], TINY)
                mass = bk[j] * d
                first += mass * row[j]
                second += mass * log(d)
            transport += np.float64(a[k, i]) * np.float64(first)
            entropy += np.float64(a[k, i]) * np.float64(second)
        sums[item, 0], sums[item, 1] = transport, entropy


@loop
def nearest(begin, end, layout, costs, rows, columns):
    """The smallest cost of each row into rows [B, N], of an item's columns into columns [I, M]."""
    for item in range(begin, end):
        k, low, high, position = layout.items[item]
        m = layout.size[k]
        to = columns[item]
        for j in range(m):
            to[j] = F(np.inf)
        for i in range(low, high):
            row = costs[position : position + m]
            position += layout.stride[k]
            best = F(np.inf)
            for j in range(m):
                best = min(best, row[j])
                to[j] = min(to[j], row[j])
            rows[k, i] = best


@loop
def gains(begin, end, costs, cover, mass, out):
    """``sum_j mass_j (cover_j - cost_ij)+`` of each row of costs [N, M] into out [N]."""
    for i in range(begin, end):
        row, total = costs[i], F(0.0)
        for j in range(len(row)):
            total += mass[j] * max(cover[j] - row[j], F(0.0))
        out[i] = total


@loop
def transpose(begin, end, layout, costs, to_position, to_stride, to):
    """Copy the costs of each item into to, rows as columns; ``to_stride`` from one to the next."""
    for item in range(begin, end):
        k, low, high, position = layout.items[item]
        m, stride = layout.size[k], layout.stride[k]
        for first in range(0, m, 16):  # few columns at a time, to write whole cache lines
            last = min(m, first + 16)
            for i in range(low, high):
                at = position + (i - low) * stride
                for j in range(first, last):
                    to[to_position[k] + j * to_stride[k] + i] = costs[at + j]
