"""GeomLoss as a solver: its own Sinkhorn loop, over the softmins of our kernels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from geospot_gpu.cost import GroundCost
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.feature_costs import find
from geospot_gpu.kernels.clouds import CloudBatch
from geospot_gpu.kernels.contract import IterationSettings, Kernel, Potentials, Side
from geospot_gpu.kernels.iterate import best_shift, marginal_error
from geospot_gpu.kernels.keops import quiet_import
from geospot_gpu.sinkhorn.solver import check_epsilon, check_rho, check_tolerance
from geospot_gpu.sphere import HALF_CIRCUMFERENCE_KM

# By how much a length may exceed a power of two that it is taken for, as its logarithm: that of
# unit vectors is one but for rounding.
_ROUNDING = 1e-3
# Pairs of half-steps around those of the schedule: where the loop begins, its last one, ours.
_AROUND = 3


@dataclass(frozen=True)
class GeomLoss:
    """The Sinkhorn loop of GeomLoss (Feydy 2020, Geometric data analysis, section 3.3.3).

    It anneals epsilon by a fixed schedule from the largest cost there can be, and does not look at
    convergence: what it ends with is judged like the results of any solver. The loop is that of
    GeomLoss's ``SamplesLoss`` with ``p=1``, ``blur=epsilon`` and ``reach=rho``; softmins are those
    of the engine's kernels, so that batches are ragged and costs need not be kept.

    Args:
        epsilon: final entropic regularisation, in units of the scaled ground cost.
        scaling: ratio of successive epsilons, in (0, 1); closer to one is slower and more exact.
        tolerance: largest L1 violation of a marginal at which a problem counts as solved. It ends
            no iteration, and is looser than :class:`~geospot_gpu.Sinkhorn`'s, since annealing by
            such ratios leaves hundredths.
        rho: price of leaving the source marginal in coverage, as for
            :class:`~geospot_gpu.Sinkhorn`.

    Raises:
        GeospotError: a value lies outside its range.
    """

    epsilon: float = 0.01
    scaling: float = 0.95
    tolerance: float = 0.1
    rho: float = 0.01

    remedy: ClassVar[str] = "solver.scaling, solver.tolerance or solver.epsilon"
    """What to raise where problems did not converge."""

    def __post_init__(self) -> None:
        real = checks.real
        checks.settle(self, "solver", epsilon=real, scaling=real, tolerance=real, rho=real)
        check_epsilon(self.epsilon)
        check_tolerance(self.tolerance)
        check_rho(self.rho)
        if not 0.0 < self.scaling < 1.0:
            raise GeospotError(f"solver.scaling={self.scaling} must lie between 0 and 1")

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the computation."""
        return torch.float32


def anneal(
    kernel: Kernel, settings: IterationSettings, *, cost: GroundCost, scaling: float
) -> Potentials:
    """Potentials of a batch of problems, as GeomLoss's loop leaves them.

    Each problem is annealed from a bound on its own costs, so that nothing depends on what else is
    in the batch.

    Args:
        kernel: of the batch.
        settings: of them ``symmetric`` and ``damping`` count.
        cost: the ground cost.
        scaling: ratio of successive epsilons.
    """
    diameter = diameters(kernel, cost).clamp(min=kernel.epsilon)
    levels = sorted(set(diameter.tolist()))
    if len(levels) == 1:
        return _anneal(kernel, settings, levels[0], scaling)
    parts = []
    for level in levels:
        index = (diameter == level).nonzero()[:, 0]
        parts.append((index, _anneal(kernel.select(index), settings, level, scaling)))
    back = torch.cat([index for index, _ in parts]).argsort()
    fields = zip(*(found for _, found in parts), strict=True)
    return Potentials(*(torch.cat(field)[back] for field in fields))


def diameters(kernel: Kernel, cost: GroundCost) -> Tensor:
    """What no cost of a problem exceeds but for rounding, float64 [B].

    Lengths of features are rounded up to powers of two: most problems have the same.
    """
    largest = torch.ones(len(kernel.source), dtype=torch.float64, device=kernel.source.device)
    if cost.scaling == "pair_max":
        return largest
    largest *= cost.geo_weight / cost.geo_scale * HALF_CIRCUMFERENCE_KM
    if cost.uses_features:
        dimension = kernel.source.points.dimension or 0
        share = (1.0 - cost.geo_weight) / cost.feature_scale
        lengths = _length(kernel.source), _length(kernel.target)
        largest += share * find(cost.feature).largest(*lengths, dimension)
    if cost.class_table is not None:
        largest += max(map(max, cost.class_table))
    return largest


def _length(cloud: CloudBatch) -> Tensor:
    """The power of two that no feature vector is longer than, float64 [B]."""
    longest = cloud.padded_values(cloud.points.feature_norm).amax(1).double()
    return (longest.log2() - _ROUNDING).ceil().exp2()


def _anneal(
    kernel: Kernel, settings: IterationSettings, diameter: float, scaling: float
) -> Potentials:
    epsilon, damping = kernel.epsilon, settings.damping
    rho = None if damping == 1.0 else epsilon * damping / (1.0 - damping)

    def softmin(eps: float, side: Side, exponents: Tensor) -> Tensor:
        # Kernels put in the masses, which the loop takes for one: what it gives is g / eps.
        found = kernel.softmin(exponents * eps, side, float(eps))
        # It dampens both sides; the target's marginal is to be fixed.
        return found if rho is None or side == "source" else found * (1.0 + eps / rho)

    loop = _geomloss()
    epsilons = loop.epsilon_schedule(1, diameter, epsilon, scaling)
    a, b = kernel.source.weight, kernel.target.weight
    with torch.no_grad():  # the loop sets, and would leave, gradients enabled
        _, _, g, _ = loop.sinkhorn_loop(
            _Mirrored(softmin) if settings.symmetric else softmin,
            torch.zeros_like(a),
            torch.zeros_like(b),
            None,
            None,
            "source",
            "target",
            epsilons,
            rho,
            debias=False,
        )
        f = damping * kernel.softmin(g, "source")
        next_g = kernel.softmin(f, "target")
        if rho is not None:
            shift = best_shift(a, f, damping, epsilon)
            f, g, next_g = f + shift, g - shift, next_g - shift
        error = marginal_error(b, g, next_g, epsilon)
    iterations = torch.full((len(a),), len(epsilons) + _AROUND, device=a.device)
    return Potentials(f, g, next_g, iterations, error)


class _Mirrored:
    """Softmins between the same clouds: those of the two sides are one, and taken once."""

    def __init__(self, softmin: Callable[[float, Side, Tensor], Tensor]) -> None:
        self._softmin = softmin
        self._last: Tensor | None = None

    def __call__(self, eps: float, side: Side, exponents: Tensor) -> Tensor:
        last, self._last = self._last, None
        if last is None:
            last = self._last = self._softmin(eps, side, exponents)
        return last


@cache
def _geomloss() -> Any:
    """The module of GeomLoss's loop and its schedule; GeomLoss has no public name for them."""
    with quiet_import():
        from geomloss._legacy import sinkhorn_divergence
    return sinkhorn_divergence
