"""How far to step: over-relaxation that adapts to each problem and cannot stall it.

``f <- f + omega (softmin(g) - f)``, with one factor omega per problem. Near the solution Sinkhorn
is a Gauss-Seidel iteration (Thibault et al. 2017, Overrelaxed Sinkhorn-Knopp), so Young's relation
``(lam + omega - 1)^2 = lam omega^2 rho`` ties the observed rate ``lam`` to the rate ``rho`` of
plain Sinkhorn, and ``2 / (1 + sqrt(1 - rho))`` is the best factor. A factor grows only by that
estimate. It shrinks towards one, where Sinkhorn always converges, whenever the error has made no
progress for a few iterations.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

PLAIN_STEPS = 3
"""Plain iterations before the first estimate of the convergence rate."""
WINDOW = 6
"""Iterations over which a later rate is averaged."""
PATIENCE = 5
"""Iterations without progress after which a step is shortened."""
FAST, FIRST, LARGEST = 0.35, 1.5, 1.9
"""Rate below which the first estimate is trusted; the factor otherwise; the largest factor."""
NEAR = 2.0
"""Within this multiple of the tolerance steps are exact, since a result ends with an exact one."""


NO_ERRORS = (1.0,) * WINDOW
"""The errors of no iteration yet, for a single problem."""


class Relaxation(NamedTuple):
    """What the rule remembers of a problem: numbers, or tensors [B] for a batch of them."""

    omega: Any
    """The factor of the next step."""
    changed_at: Any
    """Iteration after which it last changed."""
    best: Any
    """Smallest error of late."""
    best_at: Any
    """Iteration after which it was seen."""
    errors: Any
    """Errors of the last :data:`WINDOW` iterations, the latest last."""


def rule(where: Any, compiled: Any = lambda function: function) -> Any:
    """The rule, over numbers or tensors.

    Args:
        where: ``where(condition, a, b)`` for the kind of values.
        compiled: a compiler of functions.

    Returns:
        ``update(state, iteration, error)``: the state after the marginal errors of iteration
        1, 2, ... have been seen.
    """

    @compiled
    def best_factor(rate):  # type: ignore[no-untyped-def]
        rate = where(rate < 0.9999, rate, 0.9999)
        return 2.0 / (1.0 + (1.0 - rate) ** 0.5)

    @compiled
    def update(state, iteration, error):  # type: ignore[no-untyped-def]
        omega, changed_at, best, best_at, errors = state
        before = omega
        if iteration == PLAIN_STEPS:
            rate = error / errors[-1]
            omega = where(rate < FAST, best_factor(rate), FIRST)
        if iteration > PLAIN_STEPS:
            if iteration > WINDOW:
                rate = (error / errors[0]) ** (1.0 / WINDOW)
                excess = omega - 1.0
                factor = best_factor((rate + excess) ** 2 / (rate * omega**2))
                factor = where(factor < LARGEST, factor, LARGEST)
                trusted = (rate > excess) & (rate < 1.0) & (iteration - changed_at > WINDOW)
                omega = where(trusted & (factor > omega + 0.02), factor, omega)
            better = error < 0.9 * best
            best = where(better, error, best)
            best_at = where(better, 1.0 * iteration, best_at)
            stalled = (iteration - best_at >= PATIENCE) & (omega > 1.0)
            shorter = 1.0 + 0.75 * (omega - 1.0)
            omega = where(stalled, where(shorter < 1.02, 1.0, shorter), omega)
            best = where(stalled, error, best)
            best_at = where(stalled, 1.0 * iteration, best_at)
        changed_at = where(omega != before, 1.0 * iteration, changed_at)
        return Relaxation(omega, changed_at, best, best_at, errors[1:] + (error,))  # noqa: RUF005 (Numba)

    return update


update = rule(torch.where)
"""The rule over tensors."""


def begin(batch: int, device: torch.device) -> Relaxation:
    """The state before the first iteration, of a batch of problems."""
    one = torch.ones(batch, dtype=torch.float64, device=device)
    return Relaxation(one, 0.0 * one, torch.inf * one, 0.0 * one, (one,) * WINDOW)


def select(state: Relaxation, index: Tensor) -> Relaxation:
    """The state of the problems at ``index`` [B'] of the batch."""
    omega, changed_at, best, best_at = (value[index] for value in state[:4])
    errors = tuple(error[index] for error in state.errors)
    return Relaxation(omega, changed_at, best, best_at, errors)
