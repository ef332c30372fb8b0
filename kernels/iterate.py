"""Sinkhorn's iteration: in torch, on any device, or in a loop of the kernel's own.

The one in torch decides nothing on the host: errors, factors of relaxation and what is still to be
solved are tensors, one number for each problem. The host only reads how many problems are left, to
end, and to leave the others behind; on a GPU it reads an old number instead of waiting for the
latest.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from geospot_gpu.kernels import relaxation
from geospot_gpu.kernels.contract import (
    Iterates,
    IterationSettings,
    Kernel,
    Potentials,
    safe_log,
)

READ_EVERY = {"cpu": 1, "cuda": 8}
"""Iterations between two looks at how many problems are pending."""

# From this iteration on the rule of relaxation takes the same branches.
_STEADY = relaxation.WINDOW + 1


def iterate(kernel: Kernel, settings: IterationSettings) -> Potentials:
    """Potentials of a batch of problems, to the tolerance or the largest number of iterations."""
    return kernel.iterate(settings) or step_by_step(kernel, settings)


def step_by_step(
    kernel: Kernel,
    settings: IterationSettings,
    *,
    advance: Callable[[Iterates], None] | None = None,
    limit: Tensor | None = None,
) -> Potentials:
    """The iteration in torch.

    Between the same clouds the solution has ``f = g``, and averaging two half-steps reaches it in
    a handful of iterations where alternating ones crawl (Feydy et al. 2019, section 3.1).

    Args:
        kernel: of the batch.
        settings: how to iterate.
        advance: one iteration of alternating half-steps, if not :meth:`Kernel.advance`.
        limit: most iterations of each problem, int64 [B], where they differ; none is above
            ``max_iterations``.
    """
    tolerance, damping, epsilon = settings.tolerance, settings.damping, kernel.epsilon
    step = advance or partial(kernel.advance, damping=damping)
    a, b = kernel.source.weight, kernel.target.weight
    to = _begin(a, b, settings.start)
    iterations = torch.zeros(len(a), dtype=torch.int64, device=a.device)
    if limit is None:
        limit = torch.full_like(iterations, settings.max_iterations)
    state = relaxation.begin(len(a), a.device)
    # Of all problems; and of those that are still iterated, which stand there at ``alive``.
    zeros = torch.zeros_like(a), torch.zeros_like(b), torch.zeros_like(b)
    result = found = Potentials(*zeros, iterations, a.new_zeros(len(a)))
    alive: Tensor | None = None
    left = _Left(to.pending)
    for iteration in range(1, settings.max_iterations + 1):
        to.old_f.copy_(to.f)
        step(to)
        if damping < 1.0:
            shift = best_shift(a, to.f, damping, epsilon)
            to.f.add_(shift)
            to.next_g.sub_(shift)
        error = marginal_error(b, to.g, to.next_g, epsilon)
        if iteration > 1 and not settings.symmetric:
            others = marginal_error(a, to.old_f, to.softmin_f, epsilon)
            error = torch.maximum(error, others)
        live = to.pending > 0
        found.iterations.add_(live)
        solved = (to.omega == 1.0) & (error <= tolerance)
        ends = live & (solved | (found.iterations >= limit))
        for mask, now, kept in (
            (ends[:, None], to.f, found.f),
            (ends[:, None], to.g, found.g),
            (ends[:, None], to.next_g, found.next_g),
            (ends, error, found.marginal_error),
        ):
            torch.where(mask, now, kept, out=kept)
        to.pending.copy_(live & ~ends)
        if settings.symmetric:
            torch.lerp(to.f, to.next_g, 0.5, out=to.g)
        else:
            if settings.relaxed:
                state = _relax(state, iteration, error.double())
                near = (error <= relaxation.NEAR * tolerance) | (found.iterations + 1 == limit)
                to.omega.copy_(torch.where(near, 1.0, state.omega))
            to.g.lerp_(to.next_g, state.omega.to(a.dtype)[:, None])
        if iteration % READ_EVERY[a.device.type] != 0:
            continue
        pending = left.count()
        if pending == 0:
            break
        if not kernel.skips_solved and 2 * pending <= len(live):  # the rest goes on alone
            keep = to.pending.nonzero()[:, 0]
            if len(keep) == 0:
                break
            _put(result, alive, found)
            alive = keep if alive is None else alive[keep]
            kernel, state, limit = kernel.select(keep), relaxation.select(state, keep), limit[keep]
            to = Iterates(*(values[keep] for values in to))
            found = Potentials(*(values[keep] for values in found))
            a, b = kernel.source.weight, kernel.target.weight
            step, left = partial(kernel.advance, damping=damping), _Left(to.pending)
    _put(result, alive, found)
    return result


def marginal_error(weight: Tensor, potential: Tensor, softmin: Tensor, epsilon: float) -> Tensor:
    """L1 violation [B] of one marginal, from its potential and the softmin that would mend it."""
    return (weight * torch.expm1((potential - softmin) / epsilon).abs()).sum(1)


def best_shift(weight: Tensor, potential: Tensor, damping: float, epsilon: float) -> Tensor:
    """What to add to a damped potential [B, N], and to take from the other, to raise the dual most.

    Without it constants converge slowly where the price of a free marginal is high (Séjourné,
    Vialard & Peyré 2022, Faster unbalanced optimal transport, section 3). [B, 1]
    """
    rho = epsilon * damping / (1.0 - damping)
    return rho * (safe_log(weight) - potential / rho).logsumexp(1, keepdim=True)


def _begin(a: Tensor, b: Tensor, start: Tensor | None) -> Iterates:
    """What is known before the first iteration, of problems with masses [B, N] and [B, M]."""
    return Iterates(
        old_f=torch.zeros_like(a),
        g=torch.zeros_like(b) if start is None else start.clone(),
        omega=a.new_ones(len(a)),
        pending=torch.ones(len(a), dtype=torch.int32, device=a.device),
        softmin_f=torch.zeros_like(a),
        f=torch.zeros_like(a),
        next_g=torch.zeros_like(b),
    )


def _put(result: Potentials, alive: Tensor | None, found: Potentials) -> None:
    """Write what was found of the problems at ``alive``; None where that is the result itself."""
    if alive is not None:
        for values, part in zip(result, found, strict=True):
            values[alive] = part


def _relax(state: relaxation.Relaxation, iteration: int, error: Tensor) -> relaxation.Relaxation:
    """The rule, told of a number of iterations that stays the same in the long run.

    It asks only how long ago things happened; so they age where the number stays.
    """
    if iteration > _STEADY:
        state = state._replace(changed_at=state.changed_at - 1.0, best_at=state.best_at - 1.0)
    updated: relaxation.Relaxation = relaxation.update(state, min(iteration, _STEADY), error)
    return updated


class _Left:
    """How many problems are pending: now on a CPU; on a GPU, when that was last asked."""

    def __init__(self, pending: Tensor) -> None:
        self._pending = pending
        self._on_gpu = pending.device.type == "cuda"
        self._count = torch.full((1,), len(pending), pin_memory=self._on_gpu)
        self._copied: Any = torch.cuda.Event() if self._on_gpu else None  # type: ignore[no-untyped-call]

    def count(self) -> int:
        """The number; on a GPU a copy of the present one is begun, and none is waited for."""
        if self._copied is None:
            return int(self._pending.sum())
        self._copied.synchronize()  # long since done
        count = int(self._count)
        self._count.copy_(self._pending.sum(dtype=torch.int64)[None], non_blocking=True)
        self._copied.record()
        return count
