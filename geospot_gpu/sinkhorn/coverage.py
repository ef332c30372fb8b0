"""Coverage: how well the source covers the target, with its certificate."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from geospot_gpu.cost import GroundCost
from geospot_gpu.kernels.contract import Kernel, Potentials
from geospot_gpu.sinkhorn.bounds import rounding_error


class Coverage(NamedTuple):
    """Semi-relaxed problems with their evidence, each field [B]; values in float64.

    The interval ``[lower, upper]`` contains the coverage of the stated cost.
    """

    value: Tensor
    lower: Tensor
    upper: Tensor
    converged: Tensor


def damping(rho: float, epsilon: float) -> float:
    """What a softmin is multiplied by where its marginal is free at price ``rho``."""
    return rho / (rho + epsilon)


def certify_coverage(
    kernel: Kernel, cost: GroundCost, potentials: Potentials, rho: float, tolerance: float
) -> Coverage:
    """The coverage and certified bounds of a batch of problems, in one pass over the costs.

    Coverage is ``min <P, C> + eps KL(P, a x b) + rho KL(P1, a)`` over plans whose target marginal
    is b. Below: its dual value ``<b, g> + rho <a, 1 - exp(-f / rho)>`` (Chizat et al. 2018, Scaling
    algorithms for unbalanced optimal transport problems, section 3), for any f with g its exact
    half-step. Above: the primal value of the plan of those potentials, whose target marginal is b.
    """
    f, _, g, _, error = potentials
    a, b = kernel.source.weight.double(), kernel.target.weight.double()
    over_a, over_b = (sums.double() for sums in kernel.marginals(f, g))
    there, here = a > 0, b > 0
    # What rounding left of the target marginal goes into g; rows change by no more than `uneven`.
    uneven = torch.where(here, (over_b - 1.0).abs(), 0.0).amax(1)
    mended = g.double() - kernel.epsilon * torch.where(here, over_b, 1.0).log()
    of_target = (b * mended).sum(1)
    f64 = f.double()
    dual = of_target - (rho * a * torch.where(there, torch.expm1(-f64 / rho), 0.0)).sum(1)
    by_row = torch.where(there, f64 + rho * over_a.clamp(min=1e-300).log(), 0.0)
    primal = of_target + (a * over_a * by_row).sum(1)

    unit = torch.finfo(f.dtype).eps / 2.0
    terms = max(kernel.source.shape[1], kernel.target.shape[1])
    loss = uneven + math.sqrt(terms) * unit
    slack = loss * (kernel.epsilon + (a * over_a * (by_row.abs() + rho)).sum(1))
    margin = rounding_error(kernel, cost, f, g, primal) + slack
    lower, upper = dual - margin, primal + margin
    return Coverage(dual, lower, torch.maximum(upper, lower), error <= tolerance)


def importance(kernel: Kernel, potentials: Potentials) -> Tensor:
    """Source marginal of the plan over the source's own masses, float64 [B, N].

    How much more each source point counts for the target than for its own region: weights for
    training that carry a model from source to target. Zero at padding; weighted by the source's
    masses they sum to one.
    """
    f, _, g, _, _ = potentials
    a = kernel.source.weight.double()
    over_a = kernel.marginals(f, g)[0].double()
    return torch.where(a > 0, over_a / (a * over_a).sum(1, keepdim=True), 0.0)
