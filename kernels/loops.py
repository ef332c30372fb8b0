"""Loops that touch a tile of costs once, compiled by Numba for float32 on a CPU.

Each replaces a chain of torch operations whose time is memory traffic. The arrays are NumPy views
of tensors. Importing this module needs Numba; :func:`geospot_gpu.kernels.tiles.loops_for` decides
where it is used.
"""

# Numba types the functions it compiles.
# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import config, njit, prange, set_num_threads, types
from numba.extending import intrinsic

set_num_threads(min(torch.get_num_threads(), config.NUMBA_NUM_THREADS))

F = np.float32
_loop = njit(parallel=True, cache=True, fastmath={"contract", "nsz", "reassoc"})
_inline = njit(inline="always", fastmath={"contract", "nsz"})


def _polynomial(function: Any, low: float, high: float, degree: int) -> tuple[np.float32, ...]:
    """Coefficients, constant first, of the Chebyshev interpolant of a function on an interval."""
    series = np.polynomial.Chebyshev.interpolate(function, degree, domain=[low, high])
    return tuple(np.float32(c) for c in series.convert(kind=np.polynomial.Polynomial).coef)


# 2^f on [-1/2, 1/2]; asin(s) / s in w = s^2 up to 1/2; log(1 + x) / x around 1.
_E = _polynomial(np.exp2, -0.5, 0.5, 6)
_A = _polynomial(lambda w: np.arcsin(np.sqrt(w)) / np.sqrt(w), 1e-12, 0.5, 9)
_L = _polynomial(lambda x: np.log1p(x) / x, math.sqrt(0.5) - 1.0, math.sqrt(2.0) - 1.0, 9)
_LOG2_E, _LN_2 = F(1.0 / math.log(2.0)), F(math.log(2.0))
_QUARTER, _HALF_PI = F(0.25), F(math.pi / 2.0)
_SQRT_HALF_BITS = np.int32(np.float32(math.sqrt(0.5)).view(np.int32))


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


@_inline
def _exp(x):
    """exp(x) for x in [-87, 88], to 2e-7."""
    scaled = x * _LOG2_E
    whole = F(math.floor(scaled + F(0.5)))
    f = scaled - whole
    p = _E[0] + f * (_E[1] + f * (_E[2] + f * (_E[3] + f * (_E[4] + f * (_E[5] + f * _E[6])))))
    return p * _float_of((np.int32(whole) + np.int32(127)) << np.int32(23))


@_inline
def _log(x):
    """log(x) for normal positive x."""
    bits = _bits_of(x) - _SQRT_HALF_BITS
    power = bits >> np.int32(23)
    f = _float_of((bits & np.int32(0x7FFFFF)) + _SQRT_HALF_BITS) - F(1.0)
    high = _L[5] + f * (_L[6] + f * (_L[7] + f * (_L[8] + f * _L[9])))
    p = _L[0] + f * (_L[1] + f * (_L[2] + f * (_L[3] + f * (_L[4] + f * high))))
    return f * p + F(power) * _LN_2


@_inline
def _half_angle(x0, x1, x2, y0, y1, y2):
    """Half the angle between unit vectors, measured from the nearer of y and its antipode."""
    d0, d1, d2 = x0 - y0, x1 - y1, x2 - y2
    s0, s1, s2 = x0 + y0, x1 + y1, x2 + y2
    near = d0 * d0 + d1 * d1 + d2 * d2
    far = s0 * s0 + s1 * s1 + s2 * s2
    w = min(near, far) * _QUARTER
    high = _A[5] + w * (_A[6] + w * (_A[7] + w * (_A[8] + w * _A[9])))
    p = _A[0] + w * (_A[1] + w * (_A[2] + w * (_A[3] + w * (_A[4] + w * high))))
    half = F(math.sqrt(w)) * p
    return half if near <= far else _HALF_PI - half


@_loop
def mix(tile, slope, a, b, feature_factor, x, y, geo_factor, geography):
    """Turn a tile of products or distances into costs, in place.

    ``cost = feature_factor * max(a_i + b_j + slope * tile, 0) + geo_factor * half angle``

    Args:
        tile: [B, n, m].
        slope: what a product counts for.
        a, b: [B, n] and [B, m].
        feature_factor, geo_factor: [B].
        x: unit vectors [B, n, 3].
        y: unit vectors, transposed, [B, 3, m].
        geography: whether there is a geographic part.
    """
    batch, n, m = tile.shape
    slope = F(slope)
    for r in prange(batch * n):
        k = r // n
        i = r - k * n
        row, ai, bk, cf, cg = tile[k, i], a[k, i], b[k], feature_factor[k], geo_factor[k]
        if geography:
            x0, x1, x2 = x[k, i, 0], x[k, i, 1], x[k, i, 2]
            y0, y1, y2 = y[k, 0], y[k, 1], y[k, 2]
            for j in range(m):
                feature = cf * max(ai + bk[j] + slope * row[j], F(0.0))
                row[j] = feature + cg * _half_angle(x0, x1, x2, y0[j], y1[j], y2[j])
        else:
            for j in range(m):
                row[j] = cf * max(ai + bk[j] + slope * row[j], F(0.0))


@_loop
def c_transform(costs, g, f):
    """``f_i = min_j C_ij - g_j``, into f [B, n]."""
    batch, n, m = costs.shape
    for r in prange(batch * n):
        k = r // n
        i = r - k * n
        row, gk = costs[k, i], g[k]
        best = F(np.inf)
        for j in range(m):
            best = min(best, row[j] - gk[j])
        f[k, i] = best


@_loop
def c_transform_of_columns(costs, f, g):
    """``g_j = min_i C_ij - f_i``, into g [B, m], by blocks of columns."""
    batch, n, m = costs.shape
    width = 256
    count = (m + width - 1) // width
    for r in prange(batch * count):
        k = r // count
        start = (r - k * count) * width
        end = min(m, start + width)
        to = g[k]
        for j in range(start, end):
            to[j] = F(np.inf)
        for i in range(n):
            row, fi = costs[k, i], f[k, i]
            for j in range(start, end):
                to[j] = min(to[j], row[j] - fi)


@_loop
def exponentials(costs, f, g, inverse_epsilon, out):
    """``out_ij = exp((f_i + g_j - C_ij) / eps)``, cut at exp(-87)."""
    batch, n, m = costs.shape
    inverse_epsilon = F(inverse_epsilon)
    for r in prange(batch * n):
        k = r // n
        i = r - k * n
        row, to, fi, gk = costs[k, i], out[k, i], f[k, i], g[k]
        for j in range(m):
            to[j] = _exp(max((fi + gk[j] - row[j]) * inverse_epsilon, F(-87.0)))


@_loop
def integrals(costs, density, p, q, u, v, b, transport, entropy):
    """Per row, sums over j of ``b_j d C`` and ``b_j d log d``, d being ``p q density + u v``.

    Args:
        costs, density: [B, n, m].
        p, u: [B, n].
        q, v, b: [B, m].
        transport, entropy: results, [B, n].
    """
    batch, n, m = costs.shape
    for r in prange(batch * n):
        k = r // n
        i = r - k * n
        row, kernel, qk, vk, bk = costs[k, i], density[k, i], q[k], v[k], b[k]
        pi, ui = p[k, i], u[k, i]
        first, second = F(0.0), F(0.0)
        for j in range(m):
            d = max(pi * qk[j] * kernel[j] + ui * vk[j], F(1e-37))
            mass = bk[j] * d
            first += mass * row[j]
            second += mass * _log(d)
        transport[k, i] = first
        entropy[k, i] = second


@_loop
def log_sum_exp(tile, inverse_epsilon, weights, peak, total):
    """Fold a tile of costs into running row-wise sums of ``exp(weights_j - C_ij / eps)``.

    Args:
        tile: costs [B, n, m]; overwritten.
        inverse_epsilon: 1 / eps.
        weights: [B, m].
        peak: largest exponents so far, [B, n].
        total: sums relative to them, [B, n].
    """
    batch, n, m = tile.shape
    inverse_epsilon = F(inverse_epsilon)
    for r in prange(batch * n):
        k = r // n
        i = r - k * n
        row, wk = tile[k, i], weights[k]
        top = F(-np.inf)
        for j in range(m):
            row[j] = wk[j] - row[j] * inverse_epsilon
            top = max(top, row[j])
        old = peak[k, i]
        new = max(top, old)
        added = F(0.0)
        for j in range(m):
            added += _exp(max(row[j] - new, F(-87.0)))
        kept = total[k, i] * _exp(max(old - new, F(-87.0))) if total[k, i] > F(0.0) else F(0.0)
        peak[k, i] = new
        total[k, i] = kept + added
