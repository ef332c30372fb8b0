"""Tiles of the ground cost inside a GPU kernel: functions of Triton that reductions inline.

The only place that knows the formula of the cost in Triton. Rows and columns of a tile are read
through pointers to the shared arrays: nothing is gathered.
"""

# Triton types what it compiles.
# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import triton
import triton.language as tl

from geospot_gpu.kernels.gpu import MOST_CLASSES as MOST

COSINE, SQUARE = tl.constexpr(1), tl.constexpr(2)
"""Kinds of feature cost; zero is none."""

FEATURES, CLASSES = tl.constexpr(3), tl.constexpr(4)
"""Bits of a kind: those of the feature cost, and whether there are costs between classes."""

MOST_CLASSES = tl.constexpr(MOST)
"""Rows of a table of costs between classes begin at multiples of this."""

PITCH = tl.constexpr(16)
"""Rows of kept costs begin at multiples of this, so that 16 bytes are read at once."""

_SPLIT_UNIT = tl.constexpr(1.0 / 2048.0)  # what the lower half of a feature counts for
_HALF_PI = tl.constexpr(math.pi / 2.0)


def _asin_coefficients() -> tuple[float, ...]:
    """Of asin(s) / s in w = s^2 up to 1/2, the constant last: Chebyshev's interpolant."""
    series = np.polynomial.Chebyshev.interpolate(
        lambda w: np.arcsin(np.sqrt(w)) / np.sqrt(w), 7, domain=[1e-12, 0.5]
    )
    return tuple(float(c) for c in series.convert(kind=np.polynomial.Polynomial).coef[::-1])


_ASIN = tl.constexpr(_asin_coefficients())
_ASIN_TERMS = tl.constexpr(len(_asin_coefficients()))


class Points(NamedTuple):
    """The shared arrays of one side of a batch; features are ``unit * (high + low / 2048)``."""

    high: Any
    """float16 [P, D]."""
    low: Any
    """float16 [P, D]."""
    square: Any
    """Squared lengths of the features that are multiplied, float32 [P]."""
    xyz: Any
    """Unit vectors, float32 [P, 3]."""
    classes: Any
    """Classes, int32 [P]."""


class Problems(NamedTuple):
    """The problems of a batch as seen from one side, each field [B]."""

    here: Any
    """First row on this side, int64."""
    n: Any
    """Points on this side, int32."""
    there: Any
    """First row on the other side, int64."""
    m: Any
    """Points on the other side, int32."""
    chunk: Any
    """Columns that one program reduces, int32."""
    part: Any
    """Where partial results of the problem begin, int64; slot s of row i is at ``s n + i``."""
    feature_factor: Any
    """float32."""
    geo_factor: Any
    """Cost of half a radian, float32."""
    table: Any
    """Costs between classes on this side and on the other, float32 [K, MOST_CLASSES]; of all."""


class Kept(NamedTuple):
    """Costs as 16-bit fixed point, ``offset + step * value``, problem after problem."""

    costs: Any
    """uint16; rows are those of the source side, and padded to :data:`PITCH`."""
    start: Any
    """Where each problem begins, in units of :data:`PITCH`, int64 [B]."""
    offset: Any
    """float32 [B]."""
    step: Any
    """float32 [B]."""


@triton.jit
def _add_product(x, y, rows, columns, total, D: tl.constexpr, BK: tl.constexpr):
    """``total`` [BM, BN] with the inner products of one half of the features each added."""
    depth = tl.arange(0, BK)
    for d in range(0, D, BK):
        at_x = rows[:, None] * D + (d + depth)[None, :]
        at_y = columns[None, :] * D + (d + depth)[:, None]
        if D % BK == 0:
            left, right = tl.load(x + at_x), tl.load(y + at_y)
        else:
            left = tl.load(x + at_x, mask=(d + depth < D)[None, :], other=0.0)
            right = tl.load(y + at_y, mask=(d + depth < D)[:, None], other=0.0)
        total = tl.dot(left, right, total)
    return total


@triton.jit
def _product(
    x, y, rows, columns, D: tl.constexpr, EXACT: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
    BK: tl.constexpr,
):  # fmt: skip
    """Inner products [BM, BN] of features: of their higher halves, or to 22 bits.

    Each pair of halves has a loop of its own: one needs half the shared memory of all at once.
    """
    total = tl.zeros((BM, BN), tl.float32)
    if EXACT:
        total = _add_product(x.high, y.low, rows, columns, total, D, BK)
        total = _add_product(x.low, y.high, rows, columns, total, D, BK)
        total *= _SPLIT_UNIT
    return _add_product(x.high, y.high, rows, columns, total, D, BK)


@triton.jit
def _half_angle(x, y, rows, columns):
    """Half the angles [BM, BN] between unit vectors, from the nearer of y and its antipode.

    Which one is nearer the sign of ``<x, y>`` says; a tile of signs and one of squares are all that
    has to be in registers at once.
    """
    x0, x1, x2 = (
        tl.load(x.xyz + rows * 3)[:, None],
        tl.load(x.xyz + rows * 3 + 1)[:, None],
        tl.load(x.xyz + rows * 3 + 2)[:, None],
    )
    y0, y1, y2 = (
        tl.load(y.xyz + columns * 3)[None, :],
        tl.load(y.xyz + columns * 3 + 1)[None, :],
        tl.load(y.xyz + columns * 3 + 2)[None, :],
    )
    near = x0 * y0 + x1 * y1 + x2 * y2 >= 0.0
    side = tl.where(near, 1.0, -1.0)
    d0, d1, d2 = x0 - side * y0, x1 - side * y1, x2 - side * y2
    w = (d0 * d0 + d1 * d1 + d2 * d2) * 0.25
    p = tl.zeros_like(w) + _ASIN[0]
    for power in tl.static_range(1, _ASIN_TERMS):
        p = p * w + _ASIN[power]
    half = tl.sqrt(w) * p
    return tl.where(near, half, _HALF_PI - half)


@triton.jit
def _feature_cost(product, x, y, problems, b, rows, columns, KIND: tl.constexpr):
    """Feature costs from inner products."""
    if FEATURES & KIND == COSINE:
        feature = 1.0 - product
    else:
        squares = tl.load(x.square + rows)[:, None] + tl.load(y.square + columns)[None, :]
        feature = squares - 2.0 * product
    return tl.maximum(feature, 0.0) * tl.load(problems.feature_factor + b)


@triton.jit
def _geography_cost(x, y, problems, b, rows, columns):
    return _half_angle(x, y, rows, columns) * tl.load(problems.geo_factor + b)


@triton.jit
def _class_cost(x, y, problems, rows, columns):
    """Costs [BM, BN] between classes: a table so small stays in the cache."""
    row, column = tl.load(x.classes + rows), tl.load(y.classes + columns)
    return tl.load(problems.table + row[:, None] * MOST_CLASSES + column[None, :])


@triton.jit
def cost_tile(
    x, y, problems, b, rows, columns, unit, KIND: tl.constexpr, GEO: tl.constexpr, D: tl.constexpr,
    EXACT: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """Costs [BM, BN] of problem ``b`` between points at ``rows`` and ``columns``, computed anew.

    ``unit`` is what a product of stored features counts for. Where a cost has two parts, even and
    odd columns take turns: a thread holds pairs of them, and registers for one of each pair's
    intermediate values are enough.
    """
    if FEATURES & KIND:
        cost = _product(x, y, rows, columns, D, EXACT, BM, BN, BK) * unit
        if GEO:
            even, odd = tl.split(tl.reshape(cost, (BM, BN // 2, 2)))
            left, right = tl.split(tl.reshape(columns, (BN // 2, 2)))
            even = _feature_cost(even, x, y, problems, b, rows, left, KIND)
            even += _geography_cost(x, y, problems, b, rows, left)
            odd = _feature_cost(odd, x, y, problems, b, rows, right, KIND)
            odd += _geography_cost(x, y, problems, b, rows, right)
            cost = tl.reshape(tl.join(even, odd), (BM, BN))
        else:
            cost = _feature_cost(cost, x, y, problems, b, rows, columns, KIND)
    else:
        cost = _geography_cost(x, y, problems, b, rows, columns)
    if CLASSES & KIND:
        cost += _class_cost(x, y, problems, rows, columns)
    return cost


@triton.jit
def kept_tile(kept, b, i, j, n, m):
    """Costs [BM, BN] of problem ``b`` at rows ``i`` and columns ``j``, as they were kept.

    Beyond n and m are costs that mean nothing.
    """
    pitch = (m + PITCH - 1) // PITCH * PITCH
    at = i.to(tl.int64)[:, None] * pitch + j[None, :]
    inside = (i < n)[:, None] & (j < pitch)[None, :]
    start = kept.costs + tl.load(kept.start + b) * PITCH
    values = tl.load(start + at, mask=inside, other=0).to(tl.float32)
    return tl.load(kept.offset + b) + tl.load(kept.step + b) * values
