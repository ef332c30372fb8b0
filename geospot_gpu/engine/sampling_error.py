"""What a sample of points leaves uncertain about a distance between the regions they stand for."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geospot_gpu.arrays import Columns, Indices
from geospot_gpu.devices import upload
from geospot_gpu.kernels.clouds import CloudBatch, PointArrays
from geospot_gpu.kernels.contract import Potentials
from geospot_gpu.regions import Regions


class SamplingError:
    """Standard error and bias of divergences between subsampled regions.

    The divergence of samples of n and m points is asymptotically normal around its own mean, with
    variance ``Var(f_ab - f_aa) / n + Var(g_ab - g_bb) / m`` (del Barrio et al. 2023, An improved
    central limit theorem and fast convergence rates for entropic transportation costs), times
    ``1 - n / N`` for samples of n out of N points drawn without replacement. For points of masses
    w, ``Var(h) / n`` is ``sum w^2 (h - sum w h)^2``, the variance of a ratio estimate (Cochran
    1977, Sampling Techniques, section 6.3). That mean lies above
    the distance of all points by a bias of order 1 / n: halving both samples adds as much again as
    the whole ones have, of which ``1 - n / N`` remains, the larger one where two sides differ.

    Near zero the limit degenerates: no claim is made where a certified interval contains zero or
    the bias is more than half of the divergence. Where no point was left out, both are zero.

    Args:
        regions: the regions, on any device.
        points: their points, as the engine solves them.
    """

    def __init__(self, regions: Regions, points: PointArrays) -> None:
        self._points, self._offsets, self._sizes = points, regions.offsets, regions.sizes
        self._square_weight = upload(regions.square_weight, points.mass.device)
        self._mass = regions.weight.cpu()
        self._left_over = 1.0 - regions.n_points / regions.n_available
        self._half_sizes = np.where(
            self.subsampled, np.maximum(regions.sizes // 2, 1), regions.sizes
        )
        self._half_terms = np.full(len(regions), np.nan)

    @property
    def subsampled(self) -> NDArray[np.bool_]:
        """Whether points were left out of each region, [R]."""
        sampled: NDArray[np.bool_] = self._left_over > 0.0
        return sampled

    @cached_property
    def _potential(self) -> Tensor:
        """Self potentials of all points, [P]."""
        return torch.zeros_like(self._points.mass)

    @cached_property
    def _half_points(self) -> PointArrays:
        """The same points with the masses of half samples, the first halves of shuffled points."""
        dtype = self._points.mass.dtype
        total = torch.ones(len(self._mass), dtype=dtype)
        for k in np.flatnonzero(self.subsampled):
            kept = slice(int(self._offsets[k]), int(self._offsets[k] + self._half_sizes[k]))
            total[kept] = self._mass[kept].to(dtype).sum()
        mass = self._points.mass
        return replace(self._points, mass=mass / upload(total, mass.device))

    def half_clouds(
        self, pair: tuple[Indices, Indices]
    ) -> tuple[Indices, tuple[CloudBatch, CloudBatch]]:
        """Which pairs [B] of regions have a subsampled side, and the half samples of those."""
        left, right = pair
        some = np.flatnonzero(self.subsampled[left] | self.subsampled[right])
        source, target = (
            CloudBatch(self._half_points, self._offsets[side[some]], self._half_sizes[side[some]])
            for side in pair
        )
        return some, (source, target)

    def keep(self, cloud: CloudBatch, potentials: Potentials) -> None:
        """Remember the self potentials of a batch of regions."""
        cloud.put((potentials.f + potentials.next_g) / 2, self._potential)

    def keep_values(self, index: Indices, found: Columns) -> None:
        """Remember the OT values of the half samples of regions at ``index`` [B].

        Args:
            index: positions of the regions.
            found: columns ``ot_value`` and ``half_ot_value`` of their self terms.
        """
        half = found["half_ot_value"]
        self._half_terms[index] = np.where(np.isnan(half), found["ot_value"], half)

    def unknown(self, left: Indices, right: Indices) -> Indices:
        """Regions of pairs whose self terms are needed and were not solved in this process."""
        some = self.subsampled[left] | self.subsampled[right]
        needed = np.zeros(len(self._half_terms), np.bool_)
        needed[left[some]] = needed[right[some]] = True
        return np.flatnonzero(needed & np.isnan(self._half_terms))

    def variance(
        self,
        pair: tuple[Indices, Indices],
        clouds: tuple[CloudBatch, CloudBatch],
        potentials: Potentials,
    ) -> Tensor:
        """Squares [B] of the standard errors of the divergences of a batch, in float64."""
        mass = self._points.mass
        variance = torch.zeros(len(pair[0]), dtype=torch.float64, device=mass.device)
        sides = zip(pair, clouds, (potentials.f, potentials.next_g), strict=True)
        for index, cloud, potential in sides:
            if not self.subsampled[index].any():
                continue
            weight = cloud.weight.double()
            difference = (potential - cloud.padded_values(self._potential)).double()
            mean = (weight * difference).sum(1, keepdim=True)
            squares = cloud.padded_values(self._square_weight) * (weight > 0.0)
            spread = (squares * (difference - mean).square()).sum(1)
            variance += spread * upload(torch.from_numpy(self._left_over[index]), mass.device)
        return variance

    def claims(self, pairs: Columns, left: Indices, right: Indices) -> Columns:
        """Columns ``std_error`` and ``bias`` of pairs [K], null where no claim can be made.

        Args:
            pairs: columns ``divergence``, ``lower``, ``std_error`` and ``half_ot_value``.
            left, right: positions of the two regions of each pair.
        """
        halves = pairs["half_ot_value"] - (self._half_terms[left] + self._half_terms[right]) / 2
        left_over = np.maximum(self._left_over[left], self._left_over[right])
        bias = np.where(left_over > 0.0, (halves - pairs["divergence"]) * left_over, 0.0)
        apart = (pairs["lower"] > 0) & (pairs["divergence"] > 2 * np.abs(bias))
        claim = apart | (left_over == 0.0)
        return {
            "std_error": np.where(claim, pairs["std_error"], np.nan),
            "bias": np.where(claim, bias, np.nan),
        }
