"""What can be known of a batch of pairs once it is solved, each a function of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from geospot_gpu.arrays import Indices
from geospot_gpu.cost import GroundCost
from geospot_gpu.devices import upload
from geospot_gpu.engine.arriving import Found
from geospot_gpu.engine.sampling_error import SamplingError
from geospot_gpu.kernels.clouds import CloudBatch
from geospot_gpu.kernels.contract import IterationSettings, Kernel, Potentials
from geospot_gpu.sinkhorn.bounds import certify, ot_value
from geospot_gpu.sinkhorn.coverage import certify_coverage, damping
from geospot_gpu.sinkhorn.geomloss import GeomLoss
from geospot_gpu.sinkhorn.solver import Sinkhorn

Iterate = Callable[[Kernel, IterationSettings], Potentials]
"""How a solver finds potentials, as :func:`~geospot_gpu.kernels.iterate.iterate` does."""


class Solved(NamedTuple):
    """A batch of B pairs with its potentials."""

    pair: tuple[Indices, Indices]
    """Positions of the two regions of each pair, [B]."""
    kernel: Kernel
    build: Callable[[GroundCost, CloudBatch, CloudBatch], Kernel]
    """Makes a kernel of the same kind of a cost over other clouds."""
    cost: GroundCost
    solver: Sinkhorn | GeomLoss
    iterate: Iterate
    settings: IterationSettings
    potentials: Potentials

    @property
    def clouds(self) -> tuple[CloudBatch, CloudBatch]:
        """Both sides."""
        return self.kernel.source, self.kernel.target


def transport(batch: Solved) -> Found:
    """The columns of :class:`~geospot_gpu.sinkhorn.bounds.Transport`, each [B]."""
    found = certify(batch.kernel, batch.cost, batch.potentials, batch.settings.tolerance)
    return found._asdict()


def coverage(batch: Solved, converged: Tensor) -> Found:
    """How well either side covers the other, each [B].

    Args:
        batch: the pairs.
        converged: what of it is converged so far, [B]; what is returned counts the coverages, too.
    """
    solver, kernel = batch.solver, batch.kernel
    settings = batch.settings._replace(damping=damping(solver.rho, solver.epsilon))
    back = batch.cost.exchanged
    other = kernel.transposed() or batch.build(back, kernel.target, kernel.source)
    columns: Found = {}
    directions = (
        ("source_to_target", kernel, batch.potentials.next_g),
        ("target_to_source", other, batch.potentials.f),
    )
    for direction, problem, start in directions:
        solved = batch.iterate(problem, settings._replace(start=start.contiguous()))
        covered = certify_coverage(problem, batch.cost, solved, solver.rho, solver.tolerance)
        columns[f"coverage_{direction}"] = covered.value
        columns[f"coverage_{direction}_lower"] = covered.lower
        columns[f"coverage_{direction}_upper"] = covered.upper
        converged = converged & covered.converged
    return columns | {"converged": converged}


def nearest(kernel: Kernel) -> Found:
    """Mean cost of the points of one side to the nearest of the other, each direction [B]."""
    clouds, costs = (kernel.source, kernel.target), kernel.nearest()
    sides = zip(clouds, costs, strict=True)
    means = [(c.weight.double() * torch.where(c.weight > 0, x, 0.0)).sum(1) for c, x in sides]
    return {"nearest_target_to_source": means[0], "nearest_source_to_target": means[1]}


def half_samples(batch: Solved, sampling: SamplingError) -> Tensor:
    """OT values [B] between half samples, NaN where neither side of a pair is a sample."""
    source = batch.kernel.source
    half = torch.full((len(source),), torch.nan, dtype=torch.float64, device=source.device)
    some, small = sampling.half_clouds(batch.pair)
    if len(some):
        chosen = torch.from_numpy(some)
        fewer = batch.kernel.prefix(chosen, *small) or batch.build(batch.cost, *small)
        chosen = upload(chosen, source.device)
        start = batch.potentials.next_g[chosen, : small[1].shape[1]]
        solved = batch.iterate(fewer, batch.settings._replace(start=start.contiguous()))
        half[chosen] = ot_value(fewer, solved)
    return half
