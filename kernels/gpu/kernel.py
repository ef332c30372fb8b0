"""Triton kernel: costs from matrix units, for batches of problems of any sizes, on a GPU.

Iterations run on costs kept as 16-bit fixed point where those fit the budget, and on costs that are
computed anew from features of 11 bits where they do not. Neither is what results are judged by: the
last iteration, and all evidence, takes costs whose features have 22 bits.

Both halves of an iteration share a launch where costs are kept. Elsewhere a column sum needs the
potentials of its rows, which need all columns first: a second product either way.
"""

from __future__ import annotations

import torch
from torch import Tensor

from geospot_gpu.kernels import halves
from geospot_gpu.kernels.clouds import CloudBatch
from geospot_gpu.kernels.contract import (
    Iterates,
    IterationSettings,
    Kernel,
    PlanSums,
    Potentials,
    Side,
)
from geospot_gpu.kernels.gpu.batch import Batch
from geospot_gpu.kernels.iterate import step_by_step
from geospot_gpu.kernels.tiles import CostTiles, smallest

_TILE_ENTRIES = 1 << 26


class TritonKernel(Kernel):
    """Reductions by Triton's programs.

    Args:
        tiles: the cost and its factors per problem; not euclidean.
        source, target: the clouds, in float32.
        epsilon: entropic regularisation.
        keep: keep the costs, in two bytes each.
    """

    skips_solved = True

    tiles: CostTiles

    def __init__(
        self, tiles: CostTiles, source: CloudBatch, target: CloudBatch, epsilon: float, keep: bool
    ) -> None:
        super().__init__(source, target, epsilon)
        self.tiles = tiles
        self.batch = Batch(tiles, source, target, epsilon)
        if keep:
            self.batch.keep()

    @property
    def feature_roundoff(self) -> float:
        return halves.ROUNDOFF

    def softmin(self, potential: Tensor, side: Side) -> Tensor:
        here, _ = self.oriented(side)
        softmin = torch.zeros_like(here.weight)
        batch = self.batch
        batch.softmin(potential.contiguous(), side, batch.all, softmin, exact=True)
        return softmin

    def nearest(self) -> tuple[Tensor, Tensor]:
        def tile(rows: slice, columns: slice) -> Tensor:
            return self.tiles.tile(self.source.part(rows), self.target.part(columns))

        return smallest(self.source, self.target, _TILE_ENTRIES, tile)

    def iterate(self, settings: IterationSettings) -> Potentials | None:
        """Iterate on cheap costs; then repeat the last iteration on exact ones.

        Where the exact costs say that the tolerance is missed, iterations go on with them. Damped
        iterations are exact from the first.
        """
        if settings.damping != 1.0:
            return None
        cheap = step_by_step(self, settings, advance=self._cheap_step)
        limit = settings.max_iterations + 1 - cheap.iterations
        exact = step_by_step(self, settings._replace(start=cheap.g), limit=limit)
        return exact._replace(iterations=cheap.iterations + exact.iterations - 1)

    def advance(self, to: Iterates, damping: float) -> None:
        if damping == 1.0:
            self._step(to, exact=True)
            return
        self.batch.softmin(to.g, "source", to.pending, to.softmin_f, exact=True)
        to.softmin_f.mul_(damping)
        torch.lerp(to.old_f, to.softmin_f, to.omega[:, None], out=to.f)
        self.batch.softmin(to.f, "target", to.pending, to.next_g, exact=True)

    def marginals(self, f: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        over_a, over_b = torch.zeros_like(f), torch.zeros_like(g)
        self.batch.marginals(f, g, over_a, over_b)
        return over_a, over_b

    def plan_sums(self, f: Tensor, g: Tensor, u: Tensor, v: Tensor) -> PlanSums:
        return PlanSums(*self.batch.plan_sums(f, g, u, v))

    def select(self, index: Tensor) -> TritonKernel:
        source, target = self.source.select(index), self.target.select(index)
        chosen = TritonKernel(self.tiles.select(index), source, target, self.epsilon, keep=False)
        if self.batch.keeps:
            values, *others = self.batch.kept
            chosen.batch.kept = type(self.batch.kept)(values, *(x[index] for x in others))
            chosen.batch.keeps = True
        return chosen

    def _cheap_step(self, to: Iterates) -> None:
        if self.batch.keeps:
            self.batch.kept_step(to)
        else:
            self._step(to, exact=False)

    def _step(self, to: Iterates, *, exact: bool) -> None:
        """One iteration, each half in launches of its own."""
        relax = to.old_f, to.omega, to.f
        self.batch.softmin(to.g, "source", to.pending, to.softmin_f, relax, exact=exact)
        self.batch.softmin(to.f, "target", to.pending, to.next_g, exact=exact)
