"""Dense kernel: the costs of a batch are computed once and kept; iterations are products."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from geospot_gpu.kernels.clouds import CloudBatch
from geospot_gpu.kernels.contract import Side, safe_log
from geospot_gpu.kernels.precision import full_precision
from geospot_gpu.kernels.tiles import (
    LOWEST_EXPONENT,
    CostTiles,
    TiledKernel,
    blocks,
    column_sums,
    row_sums,
)

KEPT_TILES = 2
"""Arrays of the size of all costs that the kernel keeps: the costs and their exponentials."""

# How far potentials, in units of epsilon, may move from the absorbed reference before the
# stored exponentials lose terms that matter: those below exp(-87) (float32) are flushed, and
# twice the reach must stay well short of that.
_REACH = {torch.float32: 30.0, torch.float64: 300.0}


class DenseKernel(TiledKernel):
    """Keeps C and ``K = exp((f0 + g0 - C) / eps)`` for absorbed reference potentials f0, g0.

    A softmin is then one matrix-vector product between two logarithms (Schmitzer 2019, Stabilized
    sparse scaling algorithms, section 3). The references start from the two c-transforms of zero,
    which put an entry of exactly one into every row and column of K, and move to the current
    potentials when those have gone too far; beyond that, the softmin is taken in the log domain.

    On a GPU it always is, and K is not kept: to ask how far potentials have gone is to wait.
    """

    def __init__(
        self,
        tiles: CostTiles,
        source: CloudBatch,
        target: CloudBatch,
        epsilon: float,
        tile_entries: int,
    ) -> None:
        super().__init__(tiles, source, target, epsilon, tile_entries)
        costs = source.points.xyz.new_empty(*source.shape, target.shape[1])
        for rows, columns in blocks(source, target, tile_entries):
            costs[:, rows, columns] = tiles.tile(source.part(rows), target.part(columns))
        self._keep(costs)

    @classmethod
    def of_costs(
        cls,
        costs: Sequence[Tensor],
        tiles: CostTiles,
        source: CloudBatch,
        target: CloudBatch,
        epsilon: float,
        tile_entries: int,
    ) -> DenseKernel:
        """A kernel over costs that are at hand, one matrix [n, m] per problem."""
        kernel = object.__new__(cls)
        TiledKernel.__init__(kernel, tiles, source, target, epsilon, tile_entries)
        n, m = source.shape[1], target.shape[1]
        kernel._keep(torch.stack([_padded(matrix, n, m) for matrix in costs]))
        return kernel

    def _keep(self, costs: Tensor) -> None:
        self._costs = costs
        self._absorbs = costs.device.type == "cpu"
        self._exponentials = torch.empty_like(costs if self._absorbs else costs[:0])
        self._f0, self._g0 = (
            torch.zeros_like(self.source.weight),
            torch.zeros_like(self.target.weight),
        )
        self._absorbed = self.epsilon
        if self._absorbs:
            self._absorb(self._g0, self.epsilon)

    def _absorb(self, g: Tensor, epsilon: float) -> None:
        """Take as references the c-transforms of ``g`` [B, M]."""
        self._absorbed = epsilon
        costs, exponents = self._costs, self._exponentials
        torch.sub(costs, g[:, None, :], out=exponents)
        self._f0 = exponents.amin(2)
        torch.sub(costs, self._f0[:, :, None], out=exponents)
        self._g0 = exponents.amin(1)
        exponents.sub_(self._g0[:, None, :]).mul_(-1.0 / epsilon)
        exponents.clamp_(min=LOWEST_EXPONENT[exponents.dtype]).exp_()

    def cost_tile(self, rows: slice, columns: slice) -> Tensor:
        return self._costs[:, rows, columns]

    def softmin(self, potential: Tensor, side: Side, epsilon: float | None = None) -> Tensor:
        epsilon = epsilon or self.epsilon
        if not self._absorbs:
            return self._log_domain(potential, side, epsilon)
        if not self._brought_within_reach(potential, side, epsilon):
            return self._log_domain(potential, side, epsilon)
        if side == "source":
            scaling = ((potential - self._g0) / epsilon).exp_().mul_(self.target.weight)
            return self._f0 - epsilon * row_sums(self._exponentials, scaling).log_()
        scaling = ((potential - self._f0) / epsilon).exp_().mul_(self.source.weight)
        return self._g0 - epsilon * column_sums(self._exponentials, scaling).log_()

    @property
    def has_class_sums(self) -> bool:
        return self._absorbs and self.tiles.class_costs is not None

    @full_precision()
    def class_sums(self, f: Tensor) -> tuple[Tensor, Tensor] | None:
        if not self._brought_within_reach(f, "target", self.epsilon):
            return None
        scaling = ((f - self._f0) / self.epsilon).exp_().mul_(self.source.weight)
        return self._g0, (self.source.class_masks * scaling[:, None]) @ self._exponentials

    def _factored_density(
        self, f: Tensor, g: Tensor, rows: slice, columns: slice, costs: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        sides: tuple[tuple[Tensor, Side], ...] = (f, "target"), (g, "source")
        if not (self._absorbs and all(self._within_reach(*side, self.epsilon) for side in sides)):
            return super()._factored_density(f, g, rows, columns, costs)
        p = ((f - self._f0)[:, rows] / self.epsilon).exp_()
        q = ((g - self._g0)[:, columns] / self.epsilon).exp_()
        return p, q, self._exponentials[:, rows, columns]

    def _brought_within_reach(self, potential: Tensor, side: Side, epsilon: float) -> bool:
        """Whether the stored exponentials serve, after they have moved if they have to."""
        if self._within_reach(potential, side, epsilon):
            return True
        g = potential if side == "source" else self._log_domain(potential, side, epsilon)
        self._absorb(g, epsilon)
        return self._within_reach(potential, side, epsilon)

    def _within_reach(self, potential: Tensor, side: Side, epsilon: float) -> bool:
        """Whether the stored exponentials serve for a potential at an epsilon."""
        if epsilon != self._absorbed:
            return False
        reference = self._g0 if side == "source" else self._f0
        reach = _REACH[potential.dtype] * epsilon
        return bool((potential - reference).abs().amax() <= reach)

    def _log_domain(self, potential: Tensor, side: Side, epsilon: float) -> Tensor:
        """The softmin by a log-sum-exp over the costs, a few rows at a time."""
        batch, n, m = self._costs.shape
        rows = max(1, self.tile_entries // (batch * m))
        _, there = self.oriented(side)
        weights = safe_log(there.weight) + potential / epsilon
        by_row: list[Tensor] = []
        by_column = torch.full_like(self.target.weight, -torch.inf)
        for start in range(0, n, rows):
            exponents = self._costs[:, start : start + rows] / -epsilon
            if side == "source":
                by_row.append(exponents.add_(weights[:, None, :]).logsumexp(2))
            else:
                exponents.add_(weights[:, start : start + rows, None])
                by_column = torch.logaddexp(by_column, exponents.logsumexp(1))
        return -epsilon * (torch.cat(by_row, dim=1) if side == "source" else by_column)

    def select(self, index: Tensor) -> DenseKernel:
        chosen = object.__new__(DenseKernel)
        source, target = self.source.select(index), self.target.select(index)
        TiledKernel.__init__(
            chosen, self.tiles.select(index), source, target, self.epsilon, self.tile_entries
        )
        chosen._costs, chosen._absorbs = self._costs[index], self._absorbs
        chosen.tile_entries = self.tile_entries
        chosen._absorbed = self._absorbed
        chosen._f0, chosen._g0 = self._f0[index], self._g0[index]
        chosen._exponentials = self._exponentials[index] if self._absorbs else self._exponentials
        return chosen


def _padded(costs: Tensor, n: int, m: int) -> Tensor:
    """Costs with the last row and column repeated, as padding repeats the last point."""
    rows, columns = (
        torch.arange(size, device=costs.device).clamp(max=there - 1)
        for size, there in zip((n, m), costs.shape, strict=True)
    )
    return costs[rows[:, None], columns]
