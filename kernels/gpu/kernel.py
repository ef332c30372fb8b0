"""Triton kernel: costs from matrix units, for batches of problems of any sizes, on a GPU.

Iterations run on costs kept as 16-bit fixed point where those fit the budget, and on costs that are
computed anew from features of 11 bits where they do not. Neither is what results are judged by: the
last iteration, and all evidence, takes costs whose features have 22 bits.

Both halves of an iteration share a launch where costs are kept. Elsewhere a column sum needs the
potentials of its rows, which need all columns first: a second product either way.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from geospot_gpu.kernels import halves
from geospot_gpu.kernels.clouds import CloudBatch
from geospot_gpu.kernels.contract import IterationSettings, Kernel, PlanSums, Potentials, Side
from geospot_gpu.kernels.gpu import loop
from geospot_gpu.kernels.gpu.batch import Batch
from geospot_gpu.kernels.tiles import CostTiles


class TritonKernel(Kernel):
    """Reductions by Triton's programs.

    Args:
        tiles: the cost and its factors per problem; not euclidean.
        source, target: the clouds, in float32.
        epsilon: entropic regularisation.
        keep: keep the costs, in two bytes each.
    """

    tiles: CostTiles

    def __init__(
        self, tiles: CostTiles, source: CloudBatch, target: CloudBatch, epsilon: float, keep: bool
    ) -> None:
        super().__init__(source, target, epsilon)
        self.tiles = tiles
        self.batch = self._stored = Batch(tiles, source, target, epsilon, keep=keep)
        self._nearest: tuple[Tensor, Tensor] | None = None
        self._wants_nearest = False

    @property
    def feature_roundoff(self) -> float:
        return halves.ROUNDOFF

    def softmin(self, potential: Tensor, side: Side, epsilon: float | None = None) -> Tensor:
        here, _ = self.oriented(side)
        softmin = torch.zeros_like(here.weight)
        own = epsilon is None or epsilon == self.epsilon
        batch = self.batch if epsilon is None else self.batch.at(epsilon)
        batch.softmin(potential.contiguous(), side, softmin, exact=own)
        return softmin

    def nearest(self) -> tuple[Tensor, Tensor]:
        if self._nearest is None:
            self._wants_nearest = True
            self.marginals(*(torch.zeros_like(c.weight) for c in (self.source, self.target)))
        assert self._nearest is not None
        return self._nearest

    def expect_nearest(self) -> None:
        self._wants_nearest = True

    def iterate(self, settings: IterationSettings) -> Potentials:
        """Iterate on cheap costs; then repeat the last iteration on exact ones.

        Where the exact costs say that the tolerance is missed, iterations go on with them.
        """
        stored = self._stored
        damped: Side = "source" if stored is self.batch else "target"
        cheap = loop.solve(stored, settings, exact=False, damped=damped)
        limit = settings.max_iterations + 1 - cheap.iterations
        again = settings._replace(start=cheap.g if damped == "source" else cheap.f)
        exact = loop.solve(self.batch, again, exact=True, limit=limit)
        iterations = (cheap.iterations + exact.iterations - 1).long()
        return Potentials(exact.f, exact.g, exact.next_g, iterations, exact.error)

    def transposed(self) -> TritonKernel | None:
        """The same kept costs, whose columns are now the source side."""
        if not self.batch.keeps:
            return None
        turned = copy.copy(self)
        turned.source, turned.target = self.target, self.source
        turned._nearest, turned._wants_nearest = None, False
        turned.batch = Batch(self.tiles, self.target, self.source, self.epsilon)
        return turned

    def marginals(self, f: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        over_a, over_b = torch.zeros_like(f), torch.zeros_like(g)
        nearest = None
        if self._wants_nearest and self._nearest is None:
            self._nearest = nearest = torch.full_like(f, torch.inf), torch.full_like(g, torch.inf)
        self.batch.marginals(f, g, over_a, over_b, nearest)
        return over_a, over_b

    def plan_sums(self, f: Tensor, g: Tensor, u: Tensor, v: Tensor) -> PlanSums:
        return PlanSums(*self.batch.plan_sums(f, g, u, v))

    def select(self, index: Tensor) -> TritonKernel:
        source, target = self.source.select(index), self.target.select(index)
        return TritonKernel(self.tiles.select(index), source, target, self.epsilon, keep=False)
