"""Sinkhorn's algorithm over a kernel's softmin: configuration and iteration, no device, no file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from geospot_gpu.errors import GeospotError
from geospot_gpu.kernels.contract import Kernel
from geospot_gpu.sinkhorn.relaxation import Relaxation

Precision = Literal["single", "high"]


@dataclass(frozen=True)
class Sinkhorn:
    """A batched, log-stabilised Sinkhorn solver.

    Args:
        epsilon: entropic regularisation, in units of the scaled ground cost.
        tolerance: largest L1 violation of a marginal at which a problem counts as solved.
        max_iterations: iterations after which a problem is given up as not converged.
        relaxation: over-relax the iterations where that is faster (see
            :class:`~geospot_gpu.sinkhorn.relaxation.Relaxation`); False is plain Sinkhorn.
        debias: compute the self terms and with them the Sinkhorn divergence (Feydy et al. 2019,
            Interpolating between OT and MMD, equation 3). False leaves it null.
        precision: ``single`` computes in float32, ``high`` in float64.

    Raises:
        GeospotError: a value lies outside its range.
    """

    epsilon: float = 0.01
    tolerance: float = 1e-3
    max_iterations: int = 1000
    relaxation: bool = True
    debias: bool = True
    precision: Precision = "single"

    def __post_init__(self) -> None:
        check_epsilon(self.epsilon)
        if not 0.0 < self.tolerance < 1.0:
            raise GeospotError(f"solver.tolerance={self.tolerance} must lie between 0 and 1")
        if self.max_iterations < 1:
            raise GeospotError(f"solver.max_iterations={self.max_iterations} must be at least 1")
        if self.precision not in get_args(Precision):
            raise GeospotError(
                f"solver.precision={self.precision!r} is unknown: use single or high"
            )

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the computation."""
        return torch.float32 if self.precision == "single" else torch.float64


def check_epsilon(epsilon: float) -> None:
    """Raise unless ``epsilon`` is a positive, finite number."""
    if not 0.0 < epsilon < float("inf"):
        raise GeospotError(f"solver.epsilon={epsilon} must be positive: try 0.01")


class Potentials(NamedTuple):
    """What the iteration ends with, for a batch of B problems.

    ``f`` is the exact softmin of ``g``, so that the plan's source marginal is exact;
    ``next_g`` is the exact softmin of ``f``, which tells the plan's target marginal:
    ``b exp((g - next_g) / eps)``.
    """

    f: Tensor
    """[B, N]"""
    g: Tensor
    """[B, M]"""
    next_g: Tensor
    """[B, M]"""
    iterations: Tensor
    """[B], int64"""
    marginal_error: Tensor
    """[B]: L1 violation of the target marginal of the plan of (f, g)."""


def marginal_error(weight: Tensor, potential: Tensor, softmin: Tensor, epsilon: float) -> Tensor:
    """L1 violation [B] of one marginal, from its potential and the softmin that would mend it."""
    return (weight * torch.expm1((potential - softmin) / epsilon).abs()).sum(1)


def iterate(
    kernel: Kernel, solver: Sinkhorn, *, tolerance: float, symmetric: bool = False
) -> Potentials:
    """Potentials of a batch of problems, from zero to the tolerance.

    Args:
        kernel: the reductions of the batch.
        solver: epsilon, when to give up, and whether to over-relax.
        tolerance: largest marginal error of a solved problem.
        symmetric: both sides are the same clouds. The solution has ``f = g``, and averaging two
            half-steps reaches it in a handful of iterations where alternating ones crawl
            (Feydy et al. 2019, section 3.1).
    """
    epsilon = solver.epsilon
    g = torch.zeros_like(kernel.target.weight)
    f = torch.zeros_like(kernel.source.weight)
    batch, device = len(f), f.device
    relaxation = Relaxation(batch, device, enabled=solver.relaxation)
    result = Potentials(
        torch.empty_like(f),
        torch.empty_like(g),
        torch.empty_like(g),
        torch.zeros(batch, dtype=torch.int64, device=device),
        torch.zeros(batch, dtype=f.dtype, device=device),
    )
    alive = torch.arange(batch, device=device)  # original positions of the problems in the kernel
    pending = torch.ones(batch, dtype=torch.bool, device=device)
    for iteration in range(1, solver.max_iterations + 1):
        a, b = kernel.source.weight, kernel.target.weight
        omega = relaxation.omega[:, None].to(f.dtype)
        next_f = kernel.softmin(g, "source")
        if symmetric or iteration in (1, solver.max_iterations):
            source_error = torch.zeros_like(a[:, 0])
        else:
            source_error = marginal_error(a, f, next_f, epsilon)
        # Once its marginal is good enough, take the exact half-step that a result needs.
        exact = source_error <= tolerance
        f = torch.where(exact[:, None], next_f, torch.lerp(f, next_f, omega))
        next_g = kernel.softmin(f, "target")
        error = torch.maximum(marginal_error(b, g, next_g, epsilon), source_error)
        done = pending & exact & (error <= tolerance)
        if iteration == solver.max_iterations:
            done = pending
        if bool(done.any()):
            where = alive[done]
            result.f[where], result.g[where], result.next_g[where] = f[done], g[done], next_g[done]
            result.iterations[where], result.marginal_error[where] = iteration, error[done]
            pending = pending & ~done
            if not bool(pending.any()):
                break
        relaxation.update(error)
        g = torch.lerp(f, next_g, 0.5) if symmetric else torch.lerp(g, next_g, omega)
        if 2 * int(pending.sum()) <= len(pending):  # the rest goes on alone
            keep = pending.nonzero()[:, 0]
            kernel = kernel.select(keep)
            relaxation.select(keep)
            f, g, alive, pending = f[keep], g[keep], alive[keep], pending[keep]
    return result
