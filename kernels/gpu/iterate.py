"""Sinkhorn's iteration with everything it decides by kept on the device.

What :func:`geospot_gpu.sinkhorn.solver.iterate` does elsewhere, without waiting for the device:
solved problems stay in the batch, where their programs return at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from geospot_gpu.kernels import relaxation
from geospot_gpu.kernels.contract import IterationSettings, Potentials, marginal_error

READ_EVERY = {"cpu": 1, "cuda": 8}
"""Iterations between two looks at how many problems are pending."""

# From this iteration on the rule of relaxation takes the same branches.
_STEADY = relaxation.WINDOW + 1


class Buffers(NamedTuple):
    """What a step reads and writes; nothing of problems that are not pending is written."""

    old_f: Tensor
    """[B, N], read."""
    g: Tensor
    """[B, M], read."""
    omega: Tensor
    """[B], float32, read."""
    pending: Tensor
    """[B], int32, read."""
    softmin_f: Tensor
    """[B, N]: the softmin of g."""
    f: Tensor
    """[B, N]: ``old_f + omega (softmin_f - old_f)``."""
    next_g: Tensor
    """[B, M]: the softmin of f."""


def iterate(
    step: Callable[[Buffers], None],
    weights: tuple[Tensor, Tensor],
    epsilon: float,
    settings: IterationSettings,
    limit: Tensor,
) -> Potentials:
    """Run steps until every problem is solved to the tolerance or has reached its limit.

    Args:
        step: one iteration of alternating half-steps.
        weights: masses of both sides, [B, N] and [B, M], zero at padding.
        epsilon: entropic regularisation.
        settings: how to iterate, but for its ``max_iterations``.
        limit: most iterations of each problem, int64 [B].
    """
    a, b = weights
    batch, device = len(a), a.device
    buffers = Buffers(
        old_f=torch.zeros_like(a),
        g=torch.zeros_like(b) if settings.start is None else settings.start.clone(),
        omega=a.new_ones(batch),
        pending=torch.ones(batch, dtype=torch.int32, device=device),
        softmin_f=torch.zeros_like(a),
        f=torch.zeros_like(a),
        next_g=torch.zeros_like(b),
    )
    iterations, last_error = torch.zeros_like(limit), a.new_zeros(batch)
    state = relaxation.begin(batch, device)
    left = _Left(buffers.pending)
    for iteration in range(1, int(limit.max()) + 1):
        buffers.old_f.copy_(buffers.f)
        step(buffers)
        error = marginal_error(b, buffers.g, buffers.next_g, epsilon)
        if iteration > 1 and not settings.symmetric:
            others = marginal_error(a, buffers.old_f, buffers.softmin_f, epsilon)
            error = torch.maximum(error, others)
        live = buffers.pending > 0
        iterations += live
        last_error = torch.where(live, error, last_error)
        solved = (buffers.omega == 1.0) & (error <= settings.tolerance)
        live &= ~(solved | (iterations >= limit))
        buffers.pending.copy_(live)
        if settings.symmetric:
            g = torch.lerp(buffers.f, buffers.next_g, 0.5)
        else:
            if settings.relaxed:
                state = _relax(state, iteration, error.double())
                near = error <= relaxation.NEAR * settings.tolerance
                near |= iterations + 1 == limit
                buffers.omega.copy_(torch.where(near, 1.0, state.omega))
            g = torch.lerp(buffers.g, buffers.next_g, state.omega.to(a.dtype)[:, None])
        buffers.g.copy_(torch.where(live[:, None], g, buffers.g))
        if iteration % READ_EVERY[device.type] == 0 and left.none():
            break
    return Potentials(buffers.f, buffers.g, buffers.next_g, iterations, last_error)


def _relax(state: relaxation.Relaxation, iteration: int, error: Tensor) -> relaxation.Relaxation:
    """The rule, told of a number of iterations that stays the same in the long run.

    It asks only how long ago things happened; so they age where the number stays.
    """
    if iteration > _STEADY:
        state = state._replace(changed_at=state.changed_at - 1.0, best_at=state.best_at - 1.0)
    updated: relaxation.Relaxation = relaxation.update(state, min(iteration, _STEADY), error)
    return updated


class _Left:
    """Tells whether problems are pending, from a copy that was begun when last asked."""

    def __init__(self, pending: Tensor) -> None:
        self._pending = pending
        self._on_gpu = pending.device.type == "cuda"
        self._count = torch.ones(1, dtype=torch.int64, pin_memory=self._on_gpu)
        self._copied: Any = torch.cuda.Event() if self._on_gpu else None  # type: ignore[no-untyped-call]

    def none(self) -> bool:
        """Whether none were left when this was last called; now, on a CPU."""
        if self._copied is None:
            return not bool(self._pending.any())
        self._copied.synchronize()  # long since done
        answer = int(self._count) == 0
        self._count.copy_(self._pending.sum(dtype=torch.int64)[None], non_blocking=True)
        self._copied.record()
        return answer
