"""The settings of our solver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch

from geospot_gpu.errors import GeospotError, checks

Precision = Literal["single", "high"]


@dataclass(frozen=True)
class Sinkhorn:
    """A batched, log-stabilised Sinkhorn solver.

    Args:
        epsilon: entropic regularisation, in units of the scaled ground cost.
        tolerance: largest L1 violation of a marginal at which a problem counts as solved.
        max_iterations: iterations after which a problem is given up as not converged.
        relaxation: over-relax the iterations where that is faster (see
            :mod:`~geospot_gpu.kernels.relaxation`); False is plain Sinkhorn.
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

    remedy: ClassVar[str] = "solver.max_iterations, solver.tolerance or solver.epsilon"
    """What to raise where problems did not converge."""

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
        check_tolerance(self.tolerance)
        if self.max_iterations < 1:
            raise GeospotError(f"solver.max_iterations={self.max_iterations} must be at least 1")
        if not isinstance(self.precision, str) or self.precision not in get_args(Precision):
            raise GeospotError(
                f"solver.precision={self.precision!r} is unknown: use single or high"
            )
        check_rho(self.rho)

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the computation."""
        return torch.float32 if self.precision == "single" else torch.float64


def check_epsilon(epsilon: float) -> None:
    """Raise unless ``epsilon`` is a positive, finite number."""
    if not 0.0 < epsilon < float("inf"):
        raise GeospotError(f"solver.epsilon={epsilon} must be positive: try 0.01")


def check_tolerance(tolerance: float) -> None:
    """Raise unless ``tolerance`` lies between zero and one."""
    if not 0.0 < tolerance < 1.0:
        raise GeospotError(f"solver.tolerance={tolerance} must lie between 0 and 1")


def check_rho(rho: float) -> None:
    """Raise unless ``rho`` is a positive, finite number."""
    if not 0.0 < rho < float("inf"):
        raise GeospotError(f"solver.rho={rho} must be positive: try 0.01")
