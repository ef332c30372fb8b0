"""Costs that are at hand as matrices: computed at once, solved, and summed over."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from geospot_gpu.cost import GroundCost
from geospot_gpu.kernels.clouds import CloudBatch, required
from geospot_gpu.kernels.contract import Kernel
from geospot_gpu.kernels.cpu import compiled_kernel
from geospot_gpu.kernels.precision import full_precision
from geospot_gpu.kernels.reference.dense import DenseKernel
from geospot_gpu.kernels.spec import torch_alone
from geospot_gpu.kernels.tiles import CostTiles, tile_entries


def kernel_of_costs(
    cost: GroundCost,
    costs: Sequence[Tensor],
    source: CloudBatch,
    target: CloudBatch,
    epsilon: float,
    budget: int,
) -> Kernel:
    """The kernel over costs that are at hand.

    Args:
        cost: the ground cost, on one scale.
        costs: one matrix [n, m] per problem.
        source, target: the clouds that they are between.
        epsilon: entropic regularisation.
        budget: memory in bytes that tiles may take.
    """
    entries = tile_entries(source.dtype, budget, source.device.type)
    tiles = CostTiles(cost, source, target, entries)
    compiled = compiled_kernel(source.dtype, source.device.type)
    if compiled is not None:
        kernel: Kernel = compiled.CompiledKernel.of_costs(costs, tiles, source, target, epsilon)
        return kernel
    return DenseKernel.of_costs(costs, tiles, source, target, epsilon, entries)


def costs_between(cost: GroundCost, source: CloudBatch, target: CloudBatch) -> Tensor:
    """All costs [n, m] between two clouds, each a batch of one, on one scale."""
    tiles = CostTiles(cost, source, target, 1)
    compiled = compiled_kernel(source.dtype, source.device.type)
    if compiled is not None and torch_alone(cost) is None:
        costs: Tensor = compiled.CompiledKernel(tiles, source, target, 1.0, None).costs
        return costs
    return tiles.tile(source.part(), target.part())[0]


@full_precision()
def mean_costs(cost: GroundCost, source: CloudBatch, target: CloudBatch) -> Tensor:
    """Mean costs [n] from the points of a cloud to another, each a batch of one, on one scale."""
    mass = target.points.mass
    products = not cost.uses_features or cost.feature in ("cosine", "sqeuclidean")
    if not products or cost.class_costs is not None:
        return costs_between(cost, source, target) @ mass
    total = torch.zeros_like(source.points.mass)
    if cost.uses_features:
        x, y = required(source.points.features), required(target.points.features).to(mass.dtype)
        values = 1.0 - x @ (mass @ y)
        if cost.feature == "sqeuclidean":
            values = x.square().sum(1) + 2.0 * (values - 1.0) + mass @ y.square().sum(1)
        total += (1.0 - cost.geo_weight) / cost.feature_scale * values
    if cost.uses_geography:
        geography = GroundCost(geo_weight=1.0, geo_scale=cost.geo_scale)
        total += cost.geo_weight * (costs_between(geography, source, target) @ mass)
    return total


def cover_gains(costs: Tensor, cover: Tensor, mass: Tensor) -> Tensor:
    """``sum_j mass_j (cover_j - cost_ij)+`` of each row of costs [n, m], which may change them."""
    if compiled_kernel(costs.dtype, costs.device.type) is None:
        return costs.neg_().add_(cover).clamp_(min=0.0) @ mass
    from geospot_gpu.kernels.cpu import loops
    from geospot_gpu.kernels.cpu.threads import spread

    gains = torch.empty(len(costs))
    spread(loops.gains, len(costs), costs.numpy(), cover.numpy(), mass.numpy(), gains.numpy())
    return gains
