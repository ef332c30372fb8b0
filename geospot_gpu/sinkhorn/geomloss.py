"""GeomLoss as a solver: its own SamplesLoss on the same ground cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geospot_gpu.cost import GroundCost
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.kernels.clouds import CloudBatch, Part
from geospot_gpu.kernels.keops import quiet_import
from geospot_gpu.kernels.reference.dense import DenseKernel
from geospot_gpu.kernels.tiles import CostTiles
from geospot_gpu.sinkhorn.solver import check_epsilon

GEOMLOSS_TILES = 8
"""Arrays of the size of all costs that GeomLoss and the kernel beside it keep at once."""


@dataclass(frozen=True)
class GeomLoss:
    """The Sinkhorn loop of GeomLoss (Feydy 2020, Geometric data analysis, section 3.3).

    It anneals epsilon by a fixed schedule and does not check convergence, so its results carry
    no interval and no iteration count.

    Args:
        epsilon: final entropic regularisation, in units of the scaled ground cost.
        scaling: ratio of successive epsilons, in (0, 1); closer to one is slower and more exact.

    Raises:
        GeospotError: a value lies outside its range.
    """

    epsilon: float = 0.01
    scaling: float = 0.95

    def __post_init__(self) -> None:
        checks.settle(self, "solver", epsilon=checks.real, scaling=checks.real)
        check_epsilon(self.epsilon)
        if not 0.0 < self.scaling < 1.0:
            raise GeospotError(f"solver.scaling={self.scaling} must lie between 0 and 1")

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the computation."""
        return torch.float32


def geomloss_transport(
    cost: GroundCost, source: CloudBatch, target: CloudBatch, solver: GeomLoss, budget: int
) -> dict[str, NDArray[np.generic]]:
    """Divergence, OT value and transport cost of a batch, as GeomLoss finds them.

    Returns:
        Columns ``divergence``, ``ot_value``, ``transport_cost`` and ``marginal_error``, each [B];
        ``converged`` is null.
    """
    with quiet_import():
        from geomloss import SamplesLoss

    entries = max(1, budget // (source.points.xyz.element_size() * GEOMLOSS_TILES))
    tiles = CostTiles(cost, source, target, entries)
    kernel = DenseKernel(tiles, source, target, solver.epsilon, entries)
    diameter = max(float(kernel.largest_cost()), solver.epsilon)

    def ground_cost(x: Tensor, y: Tensor) -> Tensor:
        return tiles.tile(_unpack(x), _unpack(y))

    def loss(*, debias: bool, potentials: bool) -> SamplesLoss:
        return SamplesLoss(
            "sinkhorn",
            p=1,
            blur=solver.epsilon,
            scaling=solver.scaling,
            diameter=diameter,
            cost=ground_cost,
            debias=debias,
            potentials=potentials,
            backend="tensorized",
        )

    measures = (source.weight, _pack(source), target.weight, _pack(target))
    f, g = loss(debias=False, potentials=True)(*measures)
    divergence = loss(debias=True, potentials=False)(*measures)
    value = (source.weight * f).sum(1) + (target.weight * g).sum(1)
    zeros = torch.zeros_like(f), torch.zeros_like(g)
    sums = kernel.plan_sums(f, g, *zeros)
    over_a, over_b = kernel.marginals(f, g)
    error = torch.maximum(
        (source.weight * (over_a - 1.0).abs()).sum(1),
        (target.weight * (over_b - 1.0).abs()).sum(1),
    )
    columns = {
        "divergence": divergence,
        "ot_value": value,
        "transport_cost": sums.transport_cost,
        "marginal_error": error,
    }
    results: dict[str, NDArray[np.generic]] = {
        name: column.double().cpu().numpy() for name, column in columns.items()
    }
    results["converged"] = np.full(len(f), None, dtype=object)
    return results


def _pack(cloud: CloudBatch) -> Tensor:
    """Unit vectors and features side by side: GeomLoss knows one vector per point."""
    points = cloud.part()
    return torch.cat([part for part in (points.xyz, points.features) if part is not None], dim=2)


def _unpack(points: Tensor) -> Part:
    return Part(points[..., 3:] if points.shape[-1] > 3 else None, points[..., :3])
