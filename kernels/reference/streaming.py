"""Streaming kernel: costs are recomputed tile by tile; memory grows with n + m only."""

from __future__ import annotations

import torch
from torch import Tensor

from geospot_gpu.kernels.contract import Side, safe_log
from geospot_gpu.kernels.precision import full_precision
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

    @property
    def sums_by_class(self) -> bool:
        # The problem between classes is solved on the host, for which a GPU would wait.
        return self.source.device.type == "cpu" and self.tiles.class_costs is not None

    @full_precision()
    def softmin_by_class(self, f: Tensor) -> Tensor | None:
        here, there = self.oriented("target")
        log_weights = safe_log(there.weight) + f / self.epsilon
        ones = there.class_masks.to(f.dtype)
        peak = torch.full_like(here.weight, -torch.inf)
        total = peak.new_zeros(len(here), ones.shape[1], here.shape[1])
        for rows, columns in blocks(here, there, self.tile_entries):
            tile = self.tiles.tile(here.part(rows), there.part(columns), exchanged=True)
            tile.mul_(-1.0 / self.epsilon).add_(log_weights[:, None, columns])
            new_peak = torch.maximum(peak[:, rows], tile.amax(2))
            total[:, :, rows] *= (peak[:, rows] - new_peak).exp_()[:, None]
            tile.sub_(new_peak[:, :, None]).exp_()
            total[:, :, rows] += ones[:, :, columns] @ tile.mT
            peak[:, rows] = new_peak
        return -self.epsilon * (peak[:, None] + total.log_())

    def select(self, index: Tensor) -> StreamingKernel:
        return StreamingKernel(
            self.tiles.select(index),
            self.source.select(index),
            self.target.select(index),
            self.epsilon,
            self.tile_entries,
        )
