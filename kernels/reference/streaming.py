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
        peak, total = self._sums(potential, side, epsilon)
        return -epsilon * (peak + total[:, 0].log_())

    @property
    def has_class_sums(self) -> bool:
        # The problem between classes is solved on the host, for which a GPU would wait.
        return self.source.device.type == "cpu" and self.tiles.class_costs is not None

    def class_sums(self, f: Tensor) -> tuple[Tensor, Tensor] | None:
        masks = self.source.class_masks.to(f.dtype)
        peak, total = self._sums(f, "target", self.epsilon, masks)
        return -self.epsilon * peak, total

    @full_precision()
    def _sums(
        self, potential: Tensor, side: Side, epsilon: float, masks: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Peaks [B, N] of the exponents, and the sums of exponentials beside them, [B, K, N].

        Args:
            potential: of the other side, [B, M].
            side: where the sums are.
            epsilon: what exponents are divided by.
            masks: which points of the other side are of each class, [B, K, M]; all of one if None.
        """
        here, there = self.oriented(side)
        log_weights = safe_log(there.weight) + potential / epsilon
        peak = torch.full_like(here.weight, -torch.inf)
        total = peak.new_zeros(len(here), 1 if masks is None else masks.shape[1], here.shape[1])
        for rows, columns in blocks(here, there, self.tile_entries):
            parts = here.part(rows), there.part(columns)
            tile = self.tiles.tile(*parts, exchanged=side == "target")
            tile.mul_(-1.0 / epsilon).add_(log_weights[:, None, columns])
            new_peak = torch.maximum(peak[:, rows], tile.amax(2))
            total[:, :, rows] *= (peak[:, rows] - new_peak).exp_()[:, None]
            tile.sub_(new_peak[:, :, None]).exp_()
            if masks is None:
                total[:, 0, rows] += tile.sum(2)
            else:
                total[:, :, rows] += masks[:, :, columns] @ tile.mT
            peak[:, rows] = new_peak
        return peak, total

    def select(self, index: Tensor) -> StreamingKernel:
        return StreamingKernel(
            self.tiles.select(index),
            self.source.select(index),
            self.target.select(index),
            self.epsilon,
            self.tile_entries,
        )
