"""What a sample of points leaves uncertain about a distance between the regions they stand for."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from geospot_gpu.kernels.contract import Cloud, PointArrays, Potentials

if TYPE_CHECKING:
    from geospot_gpu.engine import Indices, PairEngine


class SamplingError:
    """Standard error and bias of divergences between subsampled regions.

    The divergence of samples of n and m points is asymptotically normal around its own mean, with
    variance ``Var(f_ab - f_aa) / n + Var(g_ab - g_bb) / m`` (del Barrio et al. 2023, An improved
    central limit theorem and fast convergence rates for entropic transportation costs), times
    ``1 - n / N`` for samples of n out of N points drawn without replacement. That mean lies above
    the distance of all points by a bias of order 1 / n: halving both samples adds as much again as
    the whole ones have, of which ``1 - n / N`` remains, the larger one where two sides differ.

    Near zero the limit degenerates: no claim is made where a certified interval contains zero or
    the bias is more than half of the divergence.

    Args:
        engine: what solves the pairs; its solver debiases.
    """

    def __init__(self, engine: PairEngine) -> None:
        regions = engine.regions
        self._engine = engine
        self._n = regions.n_points
        self._left_over = 1.0 - regions.n_points / regions.n_available
        self._potential = torch.zeros_like(engine.points.mass)
        self._known = np.zeros(len(regions), bool)
        self._half_terms = np.full(len(regions), np.nan)

    @property
    def subsampled(self) -> NDArray[np.bool_]:
        """Whether points were left out of each region, [R]."""
        sampled: NDArray[np.bool_] = self._left_over > 0.0
        return sampled

    def keep(self, index: Indices, cloud: Cloud, potential: Tensor) -> None:
        """Remember the symmetric potentials [B, N] of the regions at ``index`` [B]."""
        for region, start, size, row in zip(index, cloud.start, cloud.size, potential, strict=True):
            self._potential[start : start + size] = row[:size]
            self._known[region] = True

    def prepare(self, left: Indices, right: Indices) -> None:
        """Solve the self terms that the pairs need and that were not solved in this process."""
        needed = np.unique(np.concatenate([left, right]))
        needed = needed[self.subsampled[needed] & ~self._known[needed]]
        if len(needed):
            self._engine.self_terms(needed)

    def std_error(
        self, pair: tuple[Indices, Indices], clouds: tuple[Cloud, Cloud], potentials: Potentials
    ) -> NDArray[np.float64]:
        """Standard errors [B] of the divergences of a batch."""
        variance = np.zeros(len(pair[0]))
        sides = zip(pair, clouds, (potentials.f, potentials.next_g), strict=True)
        for index, cloud, potential in sides:
            weight = cloud.weight.double()
            difference = (potential - cloud.padded_values(self._potential)).double()
            mean = (weight * difference).sum(1, keepdim=True)
            spread = (weight * (difference - mean).square()).sum(1).cpu().numpy()
            variance += spread / self._n[index] * self._left_over[index]
        return np.sqrt(variance)

    def add_bias(self, pairs: pd.DataFrame, left: Indices, right: Indices) -> pd.DataFrame:
        """Pairs with columns ``std_error`` and ``bias``, null where no claim can be made.

        Args:
            pairs: columns ``divergence``, ``lower`` and ``std_error``, one row per pair.
            left, right: positions of the two regions of each pair.
        """
        bias = np.zeros(len(pairs))
        some = np.flatnonzero(self.subsampled[left] | self.subsampled[right])
        if len(some):
            i, j = left[some], right[some]
            half = self._half_engine()
            unknown = np.unique(np.concatenate([i, j]))
            unknown = unknown[np.isnan(self._half_terms[unknown])]
            if len(unknown):
                self._half_terms[unknown] = half.self_terms(unknown)["ot_value"].to_numpy()
            terms = (self._half_terms[i] + self._half_terms[j]) / 2
            halved = half.pairs(i, j)["ot_value"].to_numpy() - terms
            more = halved - pairs["divergence"].to_numpy()[some]
            bias[some] = more * np.maximum(self._left_over[i], self._left_over[j])
        claim = (pairs["lower"] > 0) & (pairs["divergence"] > 2 * np.abs(bias))
        return pairs.assign(
            std_error=pairs["std_error"].where(claim),
            bias=pd.Series(bias, pairs.index).where(claim),
        )

    def _half_engine(self) -> PairEngine:
        """The same engine on half samples: the first half of the points, which come shuffled."""
        half = copy.copy(self._engine)
        offsets, sizes = half.regions.offsets, half.sizes
        half.sizes = np.where(self.subsampled, np.maximum(sizes // 2, 1), sizes)
        points, mass = half.points, half.points.mass.clone()
        for k in np.flatnonzero(self.subsampled):
            kept = slice(int(offsets[k]), int(offsets[k] + half.sizes[k]))
            mass[kept] /= mass[kept].sum()
        half.points = PointArrays(points.features, points.xyz, mass)
        half.sampling_error = half.warm = None
        return half
