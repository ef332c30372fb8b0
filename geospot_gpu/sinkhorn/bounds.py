"""From potentials to a value with its certificate: dual below, primal of a rounded plan above."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from geospot_gpu.cost import GroundCost
from geospot_gpu.feature_costs import find
from geospot_gpu.kernels.contract import Kernel, Potentials
from geospot_gpu.sphere import EARTH_RADIUS_KM, HALF_CIRCUMFERENCE_KM

# Roundings that a great-circle angle from float vectors goes through, in units of 2^-24 or 2^-53.
_ANGLE_ROUNDINGS = 16.0
# Roundings of magnitude |C| + |f| + |g| on the way from costs and potentials to an exponent.
_EXPONENT_ROUNDINGS = 4.0
# By how much more an error counts where costs are divided by the largest of a pair, twice.
_OF_MAXIMA = 4.0


class Transport(NamedTuple):
    """Solved problems with their evidence, each field [B]; values in float64.

    The interval ``[ot_lower, ot_upper]`` contains the entropic OT value of the stated cost, and
    ``[transport_cost_lower, transport_cost_upper]`` the transport cost of its optimal plan,
    whatever the iteration did and whatever the precision was.
    """

    ot_value: Tensor
    ot_lower: Tensor
    ot_upper: Tensor
    transport_cost: Tensor
    transport_cost_lower: Tensor
    transport_cost_upper: Tensor
    iterations: Tensor
    marginal_error: Tensor
    converged: Tensor


def certify(
    kernel: Kernel, cost: GroundCost, potentials: Potentials, tolerance: float
) -> Transport:
    """Values and certified bounds of a batch of problems, in two passes over the costs.

    Below: the dual value of ``(f, next_g)``, which is feasible with mass exactly one because
    ``next_g`` is an exact half-step. Above: the primal value of the plan of ``(f, g)`` rounded to
    both marginals (Altschuler, Weed & Rigollet 2017, algorithm 2). Scaling down the overfull
    columns is the same as taking ``min(g, next_g)``; what is then missing in rows and columns is
    added as a product. The plan is first shrunk by what rounding leaves too much in any row or
    column, so that it is feasible as computed. Both bounds are widened by what rounding can do.
    """
    f, g, next_g, iterations, error = potentials
    b, epsilon = kernel.target.weight, kernel.epsilon
    dual = ot_value(kernel, potentials)

    capped = torch.minimum(g, next_g)
    over_a, over_b = kernel.marginals(f, capped)
    shrink = 1.0 / torch.maximum(over_a.amax(1), over_b.amax(1)).clamp(min=1.0)[:, None]
    row_gap, column_gap = 1.0 - shrink * over_a, 1.0 - shrink * over_b
    missing = (b * column_gap).sum(1, keepdim=True)
    u = torch.where(missing > 0, row_gap / (missing * shrink), 0.0)
    sums = kernel.plan_sums(f, capped, u, column_gap)
    scale = shrink[:, 0].double()
    transport = scale * sums.transport_cost
    primal = transport + epsilon * (scale * sums.entropy + scale.log())

    margin = rounding_error(kernel, cost, f, g, primal)
    lower = dual - margin
    upper = torch.maximum(primal + margin, lower)
    cost_lower, cost_upper = _transport_cost_interval(kernel, transport, margin, lower, upper)
    return Transport(
        ot_value=dual,
        ot_lower=lower,
        ot_upper=upper,
        transport_cost=transport,
        transport_cost_lower=torch.minimum(cost_lower, transport),
        transport_cost_upper=torch.maximum(cost_upper, transport),
        iterations=iterations,
        marginal_error=error.double(),
        converged=error <= tolerance,
    )


def ot_value(kernel: Kernel, potentials: Potentials) -> Tensor:
    """The dual value [B] of ``(f, next_g)``, in float64."""
    sides = (kernel.source.weight, potentials.f), (kernel.target.weight, potentials.next_g)
    first, second = ((weight.double() * values.double()).sum(1) for weight, values in sides)
    return first + second


def _transport_cost_interval(
    kernel: Kernel, transport_cost: Tensor, margin: Tensor, ot_lower: Tensor, ot_upper: Tensor
) -> tuple[Tensor, Tensor]:
    """Bounds [B] on the transport cost of the optimal plan P*, from that of a feasible plan P.

    The objectives of P and P* differ by ``eps K``, where ``K = KL(P, P*)``, so that the OT interval
    bounds K. As P and P* have the same marginals, their transport costs differ by eps times the
    difference in the means of ``log q``, where q is the density of P* over a x b. That is bounded
    by the variational formula of K (Boucheron, Lugosi & Massart 2013, Concentration inequalities,
    sections 2.8 and 4.9). As marginals are exact, ``log q`` is at most
    ``L = -log max(min a, min b)``; where it is negative P* has little mass, as
    ``q^(1/2) log^2 q <= 16 / e^2`` for q < 1. With ``W = L^2 + 16 / e^2`` the transport cost of P
    is above that of P* by at most ``eps (sqrt(2 W K) + 4 K)`` and below it by at most
    ``eps (sqrt(2 W K) + L K / 3)``. Also the entropy of P* lies in [0, L]. Rounding changes the
    transport cost of P by no more than ``margin``.
    """
    epsilon = kernel.epsilon
    lightest_a, lightest_b = (
        torch.where(cloud.weight > 0, cloud.weight, torch.inf).amin(1).double()
        for cloud in (kernel.source, kernel.target)
    )
    most = -torch.maximum(lightest_a, lightest_b).log()
    divergence = (ot_upper - ot_lower) / epsilon
    spread = (2.0 * (most.square() + 16.0 / math.e**2) * divergence).sqrt()
    lower = transport_cost - margin - epsilon * (spread + 4.0 * divergence)
    upper = transport_cost + margin + epsilon * (spread + most * divergence / 3.0)
    return torch.maximum(lower, ot_lower - epsilon * most), torch.minimum(upper, ot_upper)


def rounding_error(
    kernel: Kernel, cost: GroundCost, f: Tensor, g: Tensor, primal: Tensor
) -> Tensor:
    """Bound [B] on what floating-point rounding can do to an OT value.

    A softmin moves by no more than the largest error in a cost, plus what is lost in its exponent
    and its sum. Inner products and sums of D terms are charged sqrt(D) roundings (Higham & Mary
    2019, A new approach to probabilistic rounding error analysis).
    """
    source, target = kernel.source, kernel.target
    unit = torch.finfo(f.dtype).eps / 2.0
    feature_error, feature_size = _feature_error(kernel, cost, unit)
    per_radian = cost.geo_weight / cost.geo_scale * EARTH_RADIUS_KM
    geo_error: Tensor | float = per_radian * _ANGLE_ROUNDINGS * unit
    geo_size = cost.geo_weight / cost.geo_scale * HALF_CIRCUMFERENCE_KM
    if cost.scaling == "pair_max":
        # A cost is divided by its largest in the pair, and the mixture by its own, each of which is
        # as far off as what it divides. The mixture is then at most one.
        feature, geo = (
            _OF_MAXIMA * factor.flatten().double()
            for factor in (kernel.tiles.feature_factor, kernel.tiles.geo_factor)
        )
        feature_error = feature * feature_error
        geo_error = geo * (EARTH_RADIUS_KM * _ANGLE_ROUNDINGS * unit)
        feature_error = torch.where(kernel.tiles.vanishing, 1.0, feature_error)
        feature_size, geo_size = torch.ones_like(feature_size), 0.0
    else:
        share = (1.0 - cost.geo_weight) / cost.feature_scale
        feature_error, feature_size = share * feature_error, share * feature_size
    size = feature_size + geo_size + f.abs().amax(1).double() + g.abs().amax(1).double()
    roundings = _EXPONENT_ROUNDINGS
    if cost.class_table is not None:  # the table is rounded, and so are costs that it is added to
        size, roundings = size + max(map(max, cost.class_table)), roundings + 2.0
    terms = max(source.shape[1], target.shape[1])
    summation = math.sqrt(terms) * unit * (kernel.epsilon + primal.abs())
    return feature_error + geo_error + roundings * unit * size + summation


def _feature_error(kernel: Kernel, cost: GroundCost, unit: float) -> tuple[Tensor, Tensor]:
    """Largest error and largest size [B] of the unscaled feature cost."""
    source, target = kernel.source, kernel.target
    dimension = source.points.dimension
    if not cost.uses_features or dimension is None:
        zero = torch.zeros(len(source), dtype=torch.float64, device=source.device)
        return zero, zero
    norm_x, norm_y = (
        cloud.padded_values(cloud.points.feature_norm).amax(1).double()
        for cloud in (source, target)
    )
    declared = find(cost.feature)
    largest = declared.largest(norm_x, norm_y, dimension)
    roundings = declared.roundings(dimension)
    # Kernels take products of features as exactly as they say.
    product_error = roundings * kernel.feature_roundoff * norm_x * norm_y
    if cost.feature == "cosine":
        return product_error, largest
    if cost.feature == "sqeuclidean":
        squares = norm_x.square() + norm_y.square()
        return 2.0 * product_error + roundings * kernel.feature_roundoff * squares, largest
    return roundings * unit * largest, largest
