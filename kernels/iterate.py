"""Sinkhorn's iteration: in torch, on any device, or in a loop of the kernel's own.

The one in torch decides nothing on the host: errors, factors of relaxation and what is still to be
solved are tensors, one number for each problem. The host only reads how many problems are left, to
end, and to leave the others behind; on a GPU it reads an old number instead of waiting for the
latest.
"""

from __future__ import annotations

import torch
from torch import Tensor

from geospot_gpu.kernels import relaxation
from geospot_gpu.kernels.between_classes import Exchange
from geospot_gpu.kernels.contract import IterationSettings, Kernel, Potentials, safe_log
from geospot_gpu.kernels.looks import Looks

# From this iteration on the rule of relaxation takes the same branches.
_STEADY = relaxation.WINDOW + 1


def iterate(kernel: Kernel, settings: IterationSettings) -> Potentials:
    """Potentials of a batch of problems, to the tolerance or the largest number of iterations."""
    return kernel.iterate(settings) or step_by_step(kernel, settings)


def step_by_step(kernel: Kernel, settings: IterationSettings) -> Potentials:
    """The iteration in torch.

    Between the same clouds the solution has ``f = g``, and averaging two half-steps reaches it in
    a handful of iterations where alternating ones crawl (Feydy et al. 2019, section 3.1).
    """
    tolerance, damping, epsilon = settings.tolerance, settings.damping, kernel.epsilon
    a, b = kernel.source.weight, kernel.target.weight
    f, g = torch.zeros_like(a), torch.zeros_like(b) if settings.start is None else settings.start
    omega, pending = a.new_ones(len(a)), torch.ones(len(a), dtype=torch.bool, device=a.device)
    iterations = torch.zeros(len(a), dtype=torch.int64, device=a.device)
    state = relaxation.begin(len(a), a.device)
    # Of all problems; and of those that are still iterated, which stand there at ``alive``.
    zeros = torch.zeros_like(a), torch.zeros_like(b), torch.zeros_like(b)
    result = found = Potentials(*zeros, iterations, a.new_zeros(len(a)))
    alive: Tensor | None = None
    looks = Looks(pending)
    # Where a marginal is free at a price, mass need not change its class.
    by_class = settings.by_class and kernel.has_class_sums
    by_class = by_class and not settings.symmetric and damping == 1.0
    exchange = Exchange(kernel) if by_class else None
    for iteration in range(1, settings.max_iterations + 1):
        old_f = f
        parts = None
        if exchange and iteration >= exchange.due:
            softmin_f = kernel.softmin(g, "source")
            f = torch.lerp(f, softmin_f, omega[:, None])
            parts = kernel.class_sums(f)
            if parts is None:
                next_g = kernel.softmin(f, "target")
            else:
                next_g = parts[0] - epsilon * parts[1].sum(1).log_()
        else:
            softmin_f, f, next_g = kernel.step(f, g, omega, damping)
        if damping < 1.0:
            shift = best_shift(a, f, damping, epsilon)
            f, next_g = f + shift, next_g - shift
        error = marginal_error(b, g, next_g, epsilon)
        if iteration > 1 and not settings.symmetric:
            error = torch.maximum(error, marginal_error(a, old_f, softmin_f, epsilon))
        found.iterations.add_(pending)
        solved = (omega == 1.0) & (error <= tolerance)
        ends = pending & (solved | (iteration == settings.max_iterations))
        for mask, now, kept in (
            (ends[:, None], f, found.f),
            (ends[:, None], g, found.g),
            (ends[:, None], next_g, found.next_g),
            (ends, error, found.marginal_error),
        ):
            torch.where(mask, now, kept, out=kept)
        pending.logical_and_(~ends)
        if exchange and parts is not None:
            moved = exchange.balance(iteration, f, g, parts, torch.where(pending, error, torch.inf))
            f, g, next_g = moved or (f, g, next_g)
        if settings.symmetric:
            g = torch.lerp(f, next_g, 0.5)
        else:
            if settings.relaxed:
                state = _relax(state, iteration, error.double())
                near = error <= relaxation.NEAR * tolerance
                near = near | (iteration + 1 == settings.max_iterations)
                omega = torch.where(near, 1.0, state.omega).to(a.dtype)
            g = torch.lerp(g, next_g, state.omega.to(a.dtype)[:, None])
        left = looks.look()
        count = int(left.sum())
        if count == 0:
            break
        if 2 * count <= len(left):  # the rest goes on alone
            keep = left.nonzero()[:, 0]
            _put(result, alive, found)
            there = keep.to(a.device)
            alive = there if alive is None else alive[there]
            kernel, state = kernel.select(keep), relaxation.select(state, there)
            f, g, omega, pending = f[there], g[there], omega[there], pending[there]
            found = Potentials(*(values[there] for values in found))
            a, b = kernel.source.weight, kernel.target.weight
            exchange = Exchange(kernel, exchange.due) if exchange else None
            looks = Looks(pending)
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
