"""Exact optimal transport, without regularisation: POT's network simplex, and what certifies it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from geospot_gpu.cost import GroundCost
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.packages import imported
from geospot_gpu.kernels.contract import Kernel
from geospot_gpu.kernels.tiles import TiledKernel
from geospot_gpu.sinkhorn.bounds import Transport, rounding_error

MOST_COSTS = 25_000_000
"""Of a pair, as 5,000 x 5,000: the network simplex takes some 1.5 GB and 15 s for these."""

_EXACT = 1e-9
"""Largest L1 violation of a marginal, and gap between primal and dual, of what is solved."""


@dataclass(frozen=True)
class EMD:
    """The earth mover's distance: optimal transport itself, for pairs of small regions.

    The network simplex of POT (Bonneel et al. 2011, Displacement interpolation using Lagrangian
    mass transport) solves each pair alone, on the CPU and in float64. Of a region with itself the
    distance is zero, so that ``divergence``, ``ot_value`` and ``transport_cost`` are one number,
    with an interval as wide as rounding. ``coverage``, ``std_error`` and ``bias`` rest on
    regularisation and are not given; ``iterations`` is zero, as POT does not count its pivots.

    Args:
        max_iterations: pivots after which a problem is given up as not converged.

    Raises:
        GeospotError: a value lies outside its range.
    """

    max_iterations: int = 10_000_000

    remedy: ClassVar[str] = "solver.max_iterations"
    """What to raise where problems did not converge."""

    def __post_init__(self) -> None:
        checks.settle(self, "solver", max_iterations=checks.whole)
        if not 1 <= self.max_iterations < 2**63:
            raise GeospotError(f"solver.max_iterations={self.max_iterations} must be at least 1")

    @property
    def epsilon(self) -> float:
        """Nothing is regularised."""
        return 0.0

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the computation."""
        return torch.float64


def solve_exactly(kernel: Kernel, cost: GroundCost, solver: EMD) -> Transport:
    """Exact transport of a batch of problems, one after another.

    Below is the value of the dual potentials of the simplex, made feasible by a c-transform: of
    any f, ``g_j = min_i (C_ij - f_i)`` makes ``<a, f> + <b, g>`` a lower bound (Peyré & Cuturi
    2019, Computational Optimal Transport, section 3.1). Above is the cost of its plan, and of what
    the plan misses in the marginals at the largest cost. Both are widened by what rounding can do
    to the costs.

    Args:
        kernel: of the batch, which gives its costs.
        cost: the ground cost.
        solver: when to give up.

    Raises:
        GeospotError: POT is not installed.
    """
    assert isinstance(kernel, TiledKernel)
    everything = slice(None)
    costs = kernel.cost_tile(everything, everything).double().cpu().numpy()
    clouds = kernel.source, kernel.target
    a, b = (cloud.weight.double().cpu().numpy() for cloud in clouds)
    sizes = zip(kernel.source.size.tolist(), kernel.target.size.tolist(), strict=True)
    f, g = np.zeros_like(a), np.zeros_like(b)
    found = np.zeros((4, len(a)))
    for k, (n, m) in enumerate(sizes):
        f[k, :n], g[k, :m], *found[:, k] = _solved(
            a[k, :n], b[k, :m], costs[k, :n, :m], solver.max_iterations
        )
    device = kernel.source.device
    dual, primal, error, done = (torch.from_numpy(row.copy()).to(device) for row in found)
    of_source, of_target = (torch.from_numpy(side).to(device) for side in (f, g))
    margin = rounding_error(kernel, cost, of_source, of_target, primal)
    lower, upper = torch.minimum(dual, primal) - margin, torch.maximum(dual, primal) + margin
    return Transport(
        ot_value=primal,
        ot_lower=lower,
        ot_upper=upper,
        transport_cost=primal,
        transport_cost_lower=lower,
        transport_cost_upper=upper,
        iterations=torch.zeros(len(a), dtype=torch.int64, device=device),
        marginal_error=error,
        converged=done > 0,
    )


def _solved(
    a: NDArray[np.float64], b: NDArray[np.float64], costs: NDArray[np.float64], most: int
) -> tuple[Any, ...]:
    """Of one problem potentials [n] and [m], dual and primal value, marginal error, and success."""
    a, b = a / a.sum(), b / b.sum()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what did not converge is said with its region
        plan, log = _pot().lp.emd(a, b, np.ascontiguousarray(costs), numItermax=most, log=True)
    f = log["u"]
    g = (costs - f[:, None]).min(axis=0)
    f = (costs - g[None, :]).min(axis=1)
    missing = max(np.abs(plan.sum(1) - a).sum(), np.abs(plan.sum(0) - b).sum())
    dual = float(a @ f + b @ g)
    primal = float((plan * costs).sum() + missing * costs.max())
    solved = log["warning"] is None and missing <= _EXACT and primal - dual <= _EXACT
    return f, g, dual, primal, missing, solved


def check_installed() -> None:
    """Raise where POT is not installed."""
    _pot()


def _pot() -> Any:
    return imported("ot", "solver=emd needs POT", "emd")
