"""How far to step: over-relaxation that adapts to each problem and cannot stall it."""

from __future__ import annotations

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


class Relaxation:
    """One over-relaxation factor per problem: ``f <- f + omega (softmin(g) - f)``.

    Near the solution Sinkhorn is a Gauss-Seidel iteration (Thibault et al. 2017, Overrelaxed
    Sinkhorn-Knopp), so Young's relation ``(lam + omega - 1)^2 = lam omega^2 rho`` ties the
    observed rate ``lam`` to the rate ``rho`` of plain Sinkhorn, and ``2 / (1 + sqrt(1 - rho))``
    is the best factor. A factor grows only by that estimate. It shrinks towards one, where
    Sinkhorn always converges, whenever the error has made no progress for a few iterations.

    Args:
        batch: number of problems.
        device: where the errors live.
        enabled: False keeps every factor at one, plain Sinkhorn.
    """

    def __init__(self, batch: int, device: torch.device, *, enabled: bool = True) -> None:
        self.enabled = enabled
        self.omega = torch.ones(batch, dtype=torch.float64, device=device)
        self._errors: list[Tensor] = []
        self._step = 0
        self._changed_at = torch.zeros(batch, dtype=torch.int64, device=device)
        self._best = torch.full_like(self.omega, torch.inf)
        self._best_at = torch.zeros_like(self._changed_at)

    def update(self, error: Tensor) -> None:
        """Take the marginal errors [B] after an iteration and choose the next factors."""
        if not self.enabled:
            return
        error = error.double()
        self._step += 1
        self._errors = [*self._errors[-WINDOW:], error]
        if self._step == PLAIN_STEPS:
            rate = error / self._errors[-2]
            first = torch.where(rate < FAST, _best_factor(rate), FIRST)
            self._change(torch.ones_like(first, dtype=torch.bool), first)
        elif self._step > PLAIN_STEPS:
            self._grow(error)
            self._shrink(error)

    def _grow(self, error: Tensor) -> None:
        if len(self._errors) <= WINDOW:
            return
        rate = (error / self._errors[0]) ** (1.0 / WINDOW)
        excess = self.omega - 1.0
        plain_rate = (rate + excess).square() / (rate * self.omega.square())
        factor = _best_factor(plain_rate).clamp(max=LARGEST)
        trusted = (rate > excess) & (rate < 1.0) & (self._step - self._changed_at > WINDOW)
        self._change(trusted & (factor > self.omega + 0.02), factor)

    def _shrink(self, error: Tensor) -> None:
        better = error < 0.9 * self._best
        self._best = torch.where(better, error, self._best)
        self._best_at = torch.where(better, self._step, self._best_at)
        stalled = (self._step - self._best_at >= PATIENCE) & (self.omega > 1.0)
        shorter = 1.0 + 0.75 * (self.omega - 1.0)
        self._change(stalled, torch.where(shorter < 1.02, 1.0, shorter))
        self._best = torch.where(stalled, error, self._best)
        self._best_at = torch.where(stalled, self._step, self._best_at)

    def _change(self, where: Tensor, factor: Tensor) -> None:
        self.omega = torch.where(where, factor, self.omega)
        self._changed_at = torch.where(where, self._step, self._changed_at)

    def select(self, index: Tensor) -> None:
        """Keep the problems at ``index`` [B'] of the batch."""
        self.omega = self.omega[index]
        self._errors = [error[index] for error in self._errors]
        self._changed_at = self._changed_at[index]
        self._best, self._best_at = self._best[index], self._best_at[index]


def _best_factor(plain_rate: Tensor) -> Tensor:
    return 2.0 / (1.0 + (1.0 - plain_rate.clamp(0.0, 0.9999)).sqrt())
