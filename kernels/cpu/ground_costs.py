"""Loops that make costs, compiled by Numba for float32 on a CPU; see ``loops`` for the manner.

Importing this module needs Numba.
"""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"

from __future__ import annotations

import math

import numpy as np

from geospot_gpu.kernels.cpu.loops import F, inline, loop, polynomial

# asin(s) / s in w = s^2 up to 1/2.
_A = polynomial(lambda w: np.arcsin(np.sqrt(w)) / np.sqrt(w), 1e-12, 0.5, 9)
_QUARTER, _HALF_PI = F(0.25), F(math.pi / 2.0)


@inline
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


@loop
def products(begin, end, layout, costs, features, start_a, start_b):
    """Inner products of features into costs, four rows by two columns at a time.

    Args:
        begin, end, layout: the work.
        costs: flat.
        features: of the two sides, [P, D] and [Q, D]; they are read where they are.
        start_a, start_b: first point of each problem's clouds, [B].
    """
    features_a, features_b = features
    for item in range(begin, end):
        k, low, high, position = layout.items[item]
        m, stride, sa, sb = layout.size[k], layout.stride[k], start_a[k], start_b[k]
        for i in range(low, high, 4):
            # Where fewer rows or columns are left, the last is computed again.
            i1, i2, i3 = min(i + 1, high - 1), min(i + 2, high - 1), min(i + 3, high - 1)
            x0, x1 = features_a[sa + i], features_a[sa + i1]
            x2, x3 = features_a[sa + i2], features_a[sa + i3]
            row0 = costs[position + (i - low) * stride :]
            row1 = costs[position + (i1 - low) * stride :]
            row2 = costs[position + (i2 - low) * stride :]
            row3 = costs[position + (i3 - low) * stride :]
            for j in range(0, m, 2):
                last = min(j + 1, m - 1)
                y, z = features_b[sb + j], features_b[sb + last]
                y0, y1, y2, y3 = F(0.0), F(0.0), F(0.0), F(0.0)
                z0, z1, z2, z3 = F(0.0), F(0.0), F(0.0), F(0.0)
                for d in range(len(y)):
                    y0 += x0[d] * y[d]
                    y1 += x1[d] * y[d]
                    y2 += x2[d] * y[d]
                    y3 += x3[d] * y[d]
                    z0 += x0[d] * z[d]
                    z1 += x1[d] * z[d]
                    z2 += x2[d] * z[d]
                    z3 += x3[d] * z[d]
                row0[j], row1[j], row2[j], row3[j] = y0, y1, y2, y3
                row0[last], row1[last], row2[last], row3[last] = z0, z1, z2, z3


@loop
def mix(
    begin,
    end,
    layout,
    costs,
    product,
    squares,
    factors,
    points_a,
    points_b,
    start_a,
    start_b,
    classes,
):
    """Turn products (or distances) of features into costs, in place.

    ``cost = feature_factor max(c + |x|^2 + |y|^2 + slope product, 0) + geo_factor half angle
    + table of classes``

    Args:
        layout: the work.
        costs: flat.
        product: c and the slope; a slope of 0 says that there is no feature part.
        squares: squared lengths of the feature vectors of the two sides, [P] and [Q]; empty where
            the feature cost has none.
        factors: feature_factor and geo_factor of each problem, [B, 2].
        points_a, points_b: unit vectors, coordinate by coordinate, [3, P] and [3, Q].
        start_a, start_b: first point of each problem's clouds, [B].
        classes: of the points of the two sides, int32 [P] and [Q], and the costs between them,
            [K, L]; empty where there are none.
    """
    constant, slope = product
    classes_a, classes_b, table = classes
    squares_a, squares_b = squares
    for item in range(begin, end):
        k, low, high, position = layout.items[item]
        m, sa, sb = layout.size[k], start_a[k], start_b[k]
        cf, cg = factors[k, 0], factors[k, 1]
        y0, y1, y2 = points_b[0, sb : sb + m], points_b[1, sb : sb + m], points_b[2, sb : sb + m]
        for i in range(low, high):
            row = costs[position : position + m]
            position += layout.stride[k]
            if slope == F(0.0):
                row[:] = F(0.0)
            elif len(squares_a) > 0:
                square, others = squares_a[sa + i], squares_b[sb : sb + m]
                for j in range(m):
                    row[j] = cf * max(square + others[j] + slope * row[j], F(0.0))
            else:
                for j in range(m):
                    row[j] = cf * max(constant + slope * row[j], F(0.0))
            if cg > F(0.0):
                x0, x1, x2 = points_a[0, sa + i], points_a[1, sa + i], points_a[2, sa + i]
                for j in range(m):
                    row[j] += cg * _half_angle(x0, x1, x2, y0[j], y1[j], y2[j])
            if len(classes_a) > 0:
                by_class, of = table[classes_a[sa + i]], classes_b[sb : sb + m]
                for j in range(m):
                    row[j] += by_class[of[j]]
