"""Sinkhorn's algorithm over a kernel's softmin: configuration and iteration, no device, no file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.kernels import relaxation
from geospot_gpu.kernels.contract import (
    IterationSettings,
    Kernel,
    Potentials,
    best_shift,
    marginal_error,
)

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
        precision: ``single`` computes in float32, ``high`` in float64.
        rho: price of leaving the source marginal in coverage (see
            :func:`~geospot_gpu.sinkhorn.coverage.certify_coverage`), in units of the scaled ground
            cost.

    Raises:
        GeospotError: a value lies outside its range.
    """

    epsilon: float = 0.01
    tolerance: float = 1e-3
    max_iterations: int = 1000
    relaxation: bool = True
    precision: Precision = "single"
    rho: float = 0.01

    def __post_init__(self) -> None:
        checks.settle(
            self,
            "solver",
            epsilon=checks.real,
            tolerance=checks.real,
            max_iterations=checks.whole,
            relaxation=checks.flag,
            rho=checks.real,
        )
        check_epsilon(self.epsilon)
        if not 0.0 < self.tolerance < 1.0:
            raise GeospotError(f"solver.tolerance={self.tolerance} must lie between 0 and 1")
        if self.max_iterations < 1:
            raise GeospotError(f"solver.max_iterations={self.max_iterations} must be at least 1")
        if not isinstance(self.precision, str) or self.precision not in get_args(Precision):
            raise GeospotError(
                f"solver.precision={self.precision!r} is unknown: use single or high"
            )
        if not 0.0 < self.rho < float("inf"):
            raise GeospotError(f"solver.rho={self.rho} must be positive: try 0.01")

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the computation."""
        return torch.float32 if self.precision == "single" else torch.float64


def check_epsilon(epsilon: float) -> None:
    """Raise unless ``epsilon`` is a positive, finite number."""
    if not 0.0 < epsilon < float("inf"):
        raise GeospotError(f"solver.epsilon={epsilon} must be positive: try 0.01")


def iterate(kernel: Kernel, settings: IterationSettings) -> Potentials:
    """Potentials of a batch of problems, to the tolerance or the largest number of iterations."""
    return kernel.iterate(settings) or _iterate(kernel, settings)


def _iterate(kernel: Kernel, settings: IterationSettings) -> Potentials:
    """The iteration over a kernel's steps; problems leave the batch once they are solved.

    Between the same clouds the solution has ``f = g``, and averaging two half-steps reaches it in
    a handful of iterations where alternating ones crawl (Feydy et al. 2019, section 3.1).
    """
    tolerance, epsilon, last = settings.tolerance, kernel.epsilon, settings.max_iterations
    f = torch.zeros_like(kernel.source.weight)
    g = torch.zeros_like(kernel.target.weight) if settings.start is None else settings.start
    batch, device = len(f), f.device
    state = relaxation.begin(batch, device)
    result = Potentials(
        torch.empty_like(f),
        torch.empty_like(g),
        torch.empty_like(g),
        torch.zeros(batch, dtype=torch.int64, device=device),
        torch.zeros(batch, dtype=f.dtype, device=device),
    )
    alive = torch.arange(batch, device=device)  # original positions of the problems in the kernel
    pending = torch.ones(batch, dtype=torch.bool, device=device)
    omega = torch.ones_like(f[:, 0])
    for iteration in range(1, last + 1):
        a, b = kernel.source.weight, kernel.target.weight
        old_f = f
        next_f, f, next_g = kernel.step(f, g, omega, settings.damping)
        if settings.damping < 1.0:
            shift = best_shift(a, f, settings.damping, epsilon)
            f, next_g = f + shift, next_g - shift
        error = marginal_error(b, g, next_g, epsilon)
        if iteration > 1 and not settings.symmetric:
            error = torch.maximum(error, marginal_error(a, old_f, next_f, epsilon))
        done = pending & (omega == 1.0) & (error <= tolerance)
        if iteration == last:
            done = pending
        if bool(done.any()):
            where = alive[done]
            result.f[where], result.g[where], result.next_g[where] = f[done], g[done], next_g[done]
            result.iterations[where], result.marginal_error[where] = iteration, error[done]
            pending = pending & ~done
            if not bool(pending.any()):
                break
        if settings.symmetric:
            g = torch.lerp(f, next_g, 0.5)
        else:
            if settings.relaxed:
                state = relaxation.update(state, iteration, error.double())
                near = (error <= relaxation.NEAR * tolerance) | (iteration + 1 == last)
                omega = torch.where(near, 1.0, state.omega).to(f.dtype)
            g = torch.lerp(g, next_g, state.omega.to(g.dtype)[:, None])
        if 2 * int(pending.sum()) <= len(pending):  # the rest goes on alone
            keep = pending.nonzero()[:, 0]
            kernel, state = kernel.select(keep), relaxation.select(state, keep)
            f, g, omega, alive, pending = (x[keep] for x in (f, g, omega, alive, pending))
    return result
