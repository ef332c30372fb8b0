"""All iterations of a problem in one call, compiled by Numba for float32 on a CPU.

The same iteration as that of ``kernels.iterate``, one problem to a thread, so that its costs stay
in the cache from the first iteration to the last. Importing this module needs Numba.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import math

import numpy as np
from numba import njit

from geospot_gpu.kernels.between_classes import CHANGE, LEAST, MOST_STEPS, OF_THE_ERROR
from geospot_gpu.kernels.cpu.loops import (
    TINY,
    F,
    exponential,
    log_sum_exp,
    log_sum_exp_columns,
    logarithm,
    loop,
    serial,
)
from geospot_gpu.kernels.relaxation import NEAR, NO_ERRORS, Relaxation, rule

REACH = F(30.0)
"""How far potentials, in units of epsilon, may move from the absorbed reference before stored
exponentials lose terms that matter: those below exp(-87) are cut, and twice the reach must stay
well short of that."""
_ROWS = 32  # a block of rows is still in the first cache when it is read again for its columns

# Called in one place: what is inlined before it is compiled takes no compilation of its own.
_once = njit(inline="always")
# Called in many places: inlined once they are compiled.
exp, log = serial(exponential), serial(logarithm)
_update = rule(njit(lambda condition, a, b: a if condition else b, inline="always"), njit)


@serial
def _absorb(costs, position, stride, g, epsilon, f0, g0, kernel):
    """Take as references the c-transforms of g, and ``exp((f0 + g0 - C) / eps)`` into kernel.

    Every row and column of the kernel then has an entry of exactly one (Schmitzer 2019,
    Stabilized sparse scaling algorithms, section 3).
    """
    n, m = kernel.shape
    inverse = F(1.0 / epsilon)
    g0[:] = F(np.inf)
    for i in range(n):
        row = costs[position + i * stride : position + i * stride + m]
        best = F(np.inf)
        for j in range(m):
            best = min(best, row[j] - g[j])
        f0[i] = best
        for j in range(m):
            g0[j] = min(g0[j], row[j] - best)
    for i in range(n):
        row, to = costs[position + i * stride : position + i * stride + m], kernel[i]
        for j in range(m):
            to[j] = exp((f0[i] + g0[j] - row[j]) * inverse)


@_once
def _row_sums(kernel, rows, v, sums):
    """``sum_j kernel_ij v_j`` for some rows, four at a time."""
    m = len(v)
    i, high = 0, len(rows)
    while i + 4 <= high:
        i0, i1, i2, i3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        k0, k1, k2, k3 = kernel[i0], kernel[i1], kernel[i2], kernel[i3]
        s0, s1, s2, s3 = F(0.0), F(0.0), F(0.0), F(0.0)
        for j in range(m):
            s0 += k0[j] * v[j]
            s1 += k1[j] * v[j]
            s2 += k2[j] * v[j]
            s3 += k3[j] * v[j]
        sums[i], sums[i + 1], sums[i + 2], sums[i + 3] = s0, s1, s2, s3
        i += 4
    while i < high:
        k0, s0 = kernel[rows[i]], F(0.0)
        for j in range(m):
            s0 += k0[j] * v[j]
        sums[i] = s0
        i += 1


@_once
def _add_columns(kernel, rows, u, columns):
    """Add ``sum_i u_i kernel_ij`` over some rows to columns, four rows at a time."""
    m = len(columns)
    i, high = 0, len(rows)
    while i + 4 <= high:
        i0, i1, i2, i3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        k0, k1, k2, k3 = kernel[i0], kernel[i1], kernel[i2], kernel[i3]
        u0, u1, u2, u3 = u[i], u[i + 1], u[i + 2], u[i + 3]
        for j in range(m):
            columns[j] += u0 * k0[j] + u1 * k1[j] + u2 * k2[j] + u3 * k3[j]
        i += 4
    while i < high:
        k0, u0 = kernel[rows[i]], u[i]
        for j in range(m):
            columns[j] += u0 * k0[j]
        i += 1


@serial
def _furthest(x, y):
    """The largest absolute difference."""
    most = F(0.0)
    for i in range(len(x)):
        most = max(most, abs(x[i] - y[i]))
    return most


@serial
def _marginal_error(weight, potential, softmin, inverse):
    """L1 violation of one marginal, from its potential and the softmin that would mend it."""
    error = F(0.0)
    for i in range(len(weight)):
        error += weight[i] * abs(exp((potential[i] - softmin[i]) * inverse) - F(1.0))
    return error


@_once
def _step(
    costs, position, stride, kernel, a, b, epsilon, damping, omega, f0, g0, f, next_f, g, next_g,
    rows, ends, v, by_class,
):  # fmt: skip
    """One iteration, from one read of the kernel where the potentials are within its reach.

    Returns:
        Whether they are: v and by_class then hold ``b_j exp((g_j - g0_j) / eps)`` and, for the
        rows of each class, what ``next_g`` is the logarithm of the sum of.
    """
    n, m = kernel.shape
    eps, inverse = F(epsilon), F(1.0 / epsilon)
    reach = REACH * eps
    if _furthest(g, g0) > reach:
        _absorb(costs, position, stride, g, epsilon, f0, g0, kernel)
    if _furthest(g, g0) <= reach:
        u, sums = np.empty(_ROWS, np.float32), np.empty(_ROWS, np.float32)
        for j in range(m):
            v[j] = b[j] * exp((g[j] - g0[j]) * inverse)
        by_class[:] = F(0.0)
        for k in range(len(by_class)):
            for low in range(ends[k], ends[k + 1], _ROWS):
                some = rows[low : min(ends[k + 1], low + _ROWS)]
                _row_sums(kernel, some, v, sums)
                for at in range(len(some)):
                    i = some[at]
                    aim = damping * (f0[i] - eps * log(sums[at]))
                    new = f[i] + omega * (aim - f[i])
                    next_f[i], f[i] = aim, new
                    u[at] = a[i] * exp((new - f0[i]) * inverse)
                _add_columns(kernel, some, u, by_class[k])
        if _furthest(f, f0) <= reach:
            for j in range(m):
                total = by_class[0, j]
                for k in range(1, len(by_class)):
                    total += by_class[k, j]
                next_g[j] = g0[j] - eps * log(total)
            return True
    else:
        weights, own = np.empty(m, np.float32), np.empty(m, np.float32)
        for j in range(m):
            weights[j] = g[j] * inverse + log(b[j])
        for i in range(n):
            row = costs[position + i * stride : position + i * stride + m]
            next_f[i] = -damping * eps * log_sum_exp(row, weights, inverse, own)[0]
            f[i] += omega * (next_f[i] - f[i])
    weights, peak, total = np.empty(n, np.float32), np.empty(m, np.float32), np.empty(m, np.float32)
    for i in range(n):
        weights[i] = f[i] * inverse + log(a[i])
    log_sum_exp_columns(costs, position, stride, weights, inverse, peak, total)
    for j in range(m):
        next_g[j] = -eps * (peak[j] + log(total[j]))
    return False


@_once
def _rows_by_class(classes, count):
    """Rows, those of a class together, and where those of each start, [n] and [count + 1]."""
    rows, ends = np.empty(len(classes), np.int64), np.zeros(count + 1, np.int64)
    for i in range(len(classes)):
        ends[classes[i] + 1] += 1
    for k in range(count):
        ends[k + 1] += ends[k]
    place = ends.copy()
    for i in range(len(classes)):
        rows[place[classes[i]]] = i
        place[classes[i]] += 1
    return rows, ends


@_once
def _balance(a, b, epsilon, error, f, g, next_g, g0, classes_a, classes_b, v, by_class):
    """Move all potentials of a class alike, so that classes exchange the mass that they have to.

    See :meth:`~geospot_gpu.kernels.between_classes.Exchange.balance`.
    """
    count, m = by_class.shape
    others = np.max(classes_b) + 1
    mass, rows, columns = np.zeros((count, others)), np.zeros(count), np.zeros(others)
    for k in range(count):
        for j in range(m):
            mass[k, classes_b[j]] += v[j] * by_class[k, j]
    for j in range(m):
        columns[classes_b[j]] += b[j]
    amiss = 0.0
    for c in range(others):
        total = 0.0
        for k in range(count):
            total += mass[k, c]
        amiss += abs(total - columns[c])
    if amiss < OF_THE_ERROR * error:
        return
    for i in range(len(a)):
        rows[classes_a[i]] += a[i]
    left, right = np.ones(count), np.ones(others)
    for _ in range(min(MOST_STEPS, len(a) * m // (4 * count * others))):
        change = 0.0
        for k in range(count):
            total = 0.0
            for c in range(others):
                total += mass[k, c] * right[c]
            left[k] = rows[k] / total if rows[k] > 0.0 and total > LEAST else 1.0
        for c in range(others):
            total = 0.0
            for k in range(count):
                total += mass[k, c] * left[k]
            new = columns[c] / total if columns[c] > 0.0 and total > LEAST else 1.0
            change = max(change, abs(new / right[c] - 1.0))
            right[c] = new
        if change < CHANGE:
            break
    top = np.max(left)
    for k in range(count):
        rows[k], left[k] = epsilon * math.log(left[k]), left[k] / top
    for c in range(others):
        columns[c] = epsilon * math.log(right[c])
    for i in range(len(a)):
        f[i] += F(rows[classes_a[i]])
    for j in range(m):
        moved = F(0.0)
        for k in range(count):
            moved += F(left[k]) * by_class[k, j]
        next_g[j] = g0[j] - F(epsilon) * log(max(moved, TINY)) - F(epsilon * math.log(top))
        g[j] += F(columns[classes_b[j]])


@_once
def _best_shift(weight, potential, rho):
    """See :func:`~geospot_gpu.kernels.iterate.best_shift`."""
    lowest, total = np.float64(np.inf), 0.0
    for i in range(len(weight)):
        lowest = min(lowest, np.float64(potential[i]))
    for i in range(len(weight)):
        total += weight[i] * math.exp((lowest - potential[i]) / rho)
    return F(rho * math.log(total) - lowest)


@loop
def solve(
    begin, end, position, stride, sizes, costs, a, b, epsilon, settings, classes, f, g, next_g,
    iterations, errors,
):  # fmt: skip
    """All iterations of the problems begin:end of a batch; see ``kernels.iterate``.

    Args:
        begin, end: which problems.
        position, stride: first cost of each problem and the step to its next row, int64 [B].
        sizes: rows and columns of each problem, int64 [B, 2].
        costs: flat.
        a, b: weights, [B, N] and [B, M].
        epsilon: the regularisation.
        settings: tolerance, largest number of iterations, whether to relax, whether symmetric,
            the damping, and whether classes exchange their mass.
        classes: of the points of the two sides, int32 [P] and [Q], where each problem's points
            start there, int64 [B, 2], and how many the rows have; empty, and one, where none.
        f, next_g: results, [B, N] and [B, M].
        g: where to start, and a result, [B, M].
        iterations, errors: results, [B].
    """
    tolerance, last, relaxed, symmetric, damping, exchanged = settings
    classes_a, classes_b, starts, count = classes
    inverse = F(1.0 / epsilon)
    for p in range(begin, end):
        n, m, at, step = sizes[p, 0], sizes[p, 1], position[p], stride[p]
        if count > 1:
            of_a = classes_a[starts[p, 0] : starts[p, 0] + n]
            of_b = classes_b[starts[p, 1] : starts[p, 1] + m]
            rows, ends = _rows_by_class(of_a, count)
        else:
            of_a = of_b = classes_a
            rows, ends = np.arange(n), np.array([0, n])
        v, by_class = np.empty(m, np.float32), np.empty((count, m), np.float32)
        ap, bp, fp, gp, next_gp = a[p, :n], b[p, :m], f[p, :n], g[p, :m], next_g[p, :m]
        kernel = np.empty((n, m), np.float32)
        f0, g0 = np.empty(n, np.float32), np.empty(m, np.float32)
        old_f, next_f = np.empty(n, np.float32), np.empty(n, np.float32)
        _absorb(costs, at, step, gp, epsilon, f0, g0, kernel)
        state = Relaxation(1.0, 0.0, np.inf, 0.0, NO_ERRORS)
        omega, error, iteration = 1.0, 0.0, 0
        while True:
            iteration += 1
            for i in range(n):  # not old_f[:] = f: Numba would compile what says that shapes differ
                old_f[i] = fp[i]
            within = _step(
                costs, at, step, kernel, ap, bp, epsilon, F(damping), F(omega), f0, g0,
                fp, next_f, gp, next_gp, rows, ends, v, by_class,
            )  # fmt: skip
            if damping < 1.0:
                shift = _best_shift(ap, fp, epsilon * damping / (1.0 - damping))
                for i in range(n):
                    fp[i] += shift
                for j in range(m):
                    next_gp[j] -= shift
            error = np.float64(_marginal_error(bp, gp, next_gp, inverse))
            if iteration > 1 and not symmetric:
                error = max(error, np.float64(_marginal_error(ap, old_f, next_f, inverse)))
            if iteration == last or (omega == 1.0 and error <= tolerance):
                break
            if symmetric:
                for j in range(m):
                    gp[j] = F(0.5) * (fp[j] + next_gp[j])
                continue
            if exchanged and within and count > 1 and damping == 1.0:
                _balance(ap, bp, epsilon, error, fp, gp, next_gp, g0, of_a, of_b, v, by_class)
            if relaxed:
                state = _update(state, iteration, error)
                near = error <= NEAR * tolerance or iteration + 1 == last
                omega = 1.0 if near else state.omega
            for j in range(m):
                gp[j] += F(state.omega) * (next_gp[j] - gp[j])
        iterations[p], errors[p] = iteration, error
