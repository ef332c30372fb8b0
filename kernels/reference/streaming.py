"""Streaming kernel: costs are recomputed tile by tile; memory grows with n + m only."""

from __future__ import annotations

import torch
from torch import Tensor

from geospot_gpu.kernels.contract import Side, safe_log
from geospot_gpu.kernels.tiles import TiledKernel, blocks


class StreamingKernel(TiledKernel):
    """Reductions by an online log-sum-exp over tiles that are forgotten at once."""

    def cost_tile(self, rows: slice, columns: slice) -> Tensor:
        return self.tiles.tile(self.source.part(rows), self.target.part(columns))

    def softmin(self, potential: Tensor, side: Side, epsilon: float | None = None) -> Tensor:
        epsilon = epsilon or self.epsilon
        here, there = self.oriented(side)
        log_weights = safe_log(there.weight) + potential / epsilon
        peak = torch.full_like(here.weight, -torch.inf)
        total = torch.zeros_like(here.weight)
        for rows, columns in blocks(here, there, self.tile_entries):
            parts = here.part(rows), there.part(columns)
            tile = self.tiles.tile(*parts, exchanged=side == "target")
            tile.mul_(-1.0 / epsilon).add_(log_weights[:, None, columns])
            new_peak = torch.maximum(peak[:, rows], tile.amax(2))
            total[:, rows] *= (peak[:, rows] - new_peak).exp_()
            total[:, rows] += tile.sub_(new_peak[:, :, None]).exp_().sum(2)
            peak[:, rows] = new_peak
        return -epsilon * (peak + total.log_())

    def select(self, index: Tensor) -> StreamingKernel:
        return StreamingKernel(
            self.tiles.select(index),
            self.source.select(index),
            self.target.select(index),
            self.epsilon,
            self.tile_entries,
        )
