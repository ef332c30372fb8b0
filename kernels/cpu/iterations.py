"""All iterations of a problem in one call, compiled by Numba for float32 on a CPU.

The same iteration as that of ``kernels.iterate``, one problem to a thread, so that its costs stay
in the cache from the first iteration to the last. Importing this module needs Numba.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import math

import numpy as np
from numba import njit

from geospot_gpu.kernels.cpu.loops import (
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
def _row_sums(kernel, low, high, v, sums):
    """``sum_j kernel_ij v_j`` for rows low:high, four rows at a time."""
    m = len(v)
    i = low
    while i + 4 <= high:
        k0, k1, k2, k3 = kernel[i], kernel[i + 1], kernel[i + 2], kernel[i + 3]
        s0, s1, s2, s3 = F(0.0), F(0.0), F(0.0), F(0.0)
        for j in range(m):
            s0 += k0[j] * v[j]
            s1 += k1[j] * v[j]
            s2 += k2[j] * v[j]
            s3 += k3[j] * v[j]
        sums[i - low], sums[i - low + 1], sums[i - low + 2], sums[i - low + 3] = s0, s1, s2, s3
        i += 4
    while i < high:
        k0, s0 = kernel[i], F(0.0)
        for j in range(m):
            s0 += k0[j] * v[j]
        sums[i - low] = s0
        i += 1


@_once
def _add_columns(kernel, low, high, u, columns):
    """Add ``sum_i u_i kernel_ij`` over rows low:high to columns, four rows at a time."""
    m = len(columns)
    i = low
    while i + 4 <= high:
        k0, k1, k2, k3 = kernel[i], kernel[i + 1], kernel[i + 2], kernel[i + 3]
        u0, u1, u2, u3 = u[i - low], u[i - low + 1], u[i - low + 2], u[i - low + 3]
        for j in range(m):
            columns[j] += u0 * k0[j] + u1 * k1[j] + u2 * k2[j] + u3 * k3[j]
        i += 4
    while i < high:
        k0, u0 = kernel[i], u[i - low]
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
    costs, position, stride, kernel, a, b, epsilon, damping, omega, f0, g0, f, next_f, g, next_g
):
    """One iteration, from one read of the kernel where the potentials are within its reach."""
    n, m = kernel.shape
    eps, inverse = F(epsilon), F(1.0 / epsilon)
    reach = REACH * eps
    if _furthest(g, g0) > reach:
        _absorb(costs, position, stride, g, epsilon, f0, g0, kernel)
    if _furthest(g, g0) <= reach:
        v, u, sums = (
            np.empty(m, np.float32),
            np.empty(_ROWS, np.float32),
            np.empty(_ROWS, np.float32),
        )
        for j in range(m):
            v[j] = b[j] * exp((g[j] - g0[j]) * inverse)
        next_g[:] = F(0.0)
        for low in range(0, n, _ROWS):
            high = min(n, low + _ROWS)
            _row_sums(kernel, low, high, v, sums)
            for i in range(low, high):
                aim = damping * (f0[i] - eps * log(sums[i - low]))
                new = f[i] + omega * (aim - f[i])
                next_f[i], f[i] = aim, new
                u[i - low] = a[i] * exp((new - f0[i]) * inverse)
            _add_columns(kernel, low, high, u, next_g)
        if _furthest(f, f0) <= reach:
            for j in range(m):
                next_g[j] = g0[j] - eps * log(next_g[j])
            return
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
    begin, end, position, stride, sizes, costs, a, b, epsilon, settings, f, g, next_g, iterations,
    errors,
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
            and the damping.
        f, next_g: results, [B, N] and [B, M].
        g: where to start, and a result, [B, M].
        iterations, errors: results, [B].
    """
    tolerance, last, relaxed, symmetric, damping = settings
    inverse = F(1.0 / epsilon)
    for p in range(begin, end):
        n, m, at, step = sizes[p, 0], sizes[p, 1], position[p], stride[p]
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
            _step(
                costs, at, step, kernel, ap, bp, epsilon, F(damping), F(omega), f0, g0,
                fp, next_f, gp, next_gp,
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
            if relaxed:
                state = _update(state, iteration, error)
                near = error <= NEAR * tolerance or iteration + 1 == last
                omega = 1.0 if near else state.omega
            for j in range(m):
                gp[j] += F(state.omega) * (next_gp[j] - gp[j])
        iterations[p], errors[p] = iteration, error
