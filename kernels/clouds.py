"""Batches of weighted point clouds, which share the arrays of all points."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geospot_gpu.kernels.halves import Halves, split


class Part(NamedTuple):
    """The coordinates of some points of every cloud of a batch, padded."""

    features: Tensor | None
    """[B, n, D], or None where the cost has no feature part."""
    xyz: Tensor
    """Unit vectors, [B, n, 3]."""
    classes: Tensor | None = None
    """int64 [B, n], or None where points have none."""


@dataclass(frozen=True, eq=False)
class PointArrays:
    """Points of many clouds, end to end.

    Args:
        features: [P, D], or None where the cost has no feature part.
        xyz: unit vectors, [P, 3]; their type is that of the computation.
        mass: [P]; sums to one over each cloud.
        classes: int64 [P], rows or columns of the costs between classes; None where the ground
            cost has none.
    """

    features: Tensor | None
    xyz: Tensor
    mass: Tensor
    classes: Tensor | None = None

    @cached_property
    def coordinates(self) -> Tensor:
        """The unit vectors, coordinate by coordinate, [3, P]."""
        return self.xyz.T.contiguous()

    @cached_property
    def feature_norm(self) -> Tensor:
        """Length of each feature vector, [P]."""
        norm: Tensor = torch.linalg.vector_norm(required(self.features), dim=1)
        return norm

    @cached_property
    def halves(self) -> Halves:
        """The features, each number in two halves, for matrix units."""
        return split(required(self.features))


@dataclass(frozen=True, eq=False)
class CloudBatch:
    """A batch of B weighted point clouds, each of them consecutive rows of shared arrays.

    Nothing is copied until a padded view is asked for: there, missing points repeat the last of
    the cloud with weight zero, so that every cost is finite and extremes need no mask.

    Args:
        points: the arrays.
        start: first row of each cloud, int64 [B], on the CPU.
        size: how many rows each has, int64 [B], on the CPU.
        width: points per cloud of the padded views; the largest size if None.
    """

    points: PointArrays
    start: NDArray[np.int64]
    size: NDArray[np.int64]
    width: int | None = None

    @classmethod
    def padded(cls, features: Tensor | None, xyz: Tensor, weight: Tensor) -> CloudBatch:
        """Clouds of equally many points: features [B, N, D], xyz [B, N, 3], weight [B, N]."""
        batch, n = weight.shape
        features = None if features is None else features.flatten(0, 1)
        return cls(
            PointArrays(features, xyz.flatten(0, 1), weight.flatten()),
            np.arange(batch, dtype=np.int64) * n,
            np.full(batch, n, dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.start)

    @property
    def shape(self) -> tuple[int, int]:
        """B and N of the padded views."""
        return len(self.size), self.width or int(self.size.max())

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the computation."""
        return self.points.xyz.dtype

    @property
    def device(self) -> torch.device:
        """Where the arrays live."""
        return self.points.xyz.device

    @cached_property
    def _rows(self) -> Tensor | slice:
        """Rows of the padded clouds, [B, N]; a slice where there is but one cloud."""
        start, size, width = self.start[:, None], self.size[:, None], self.shape[1]
        if len(self) == 1 and width == self.size[0]:
            return slice(int(self.start[0]), int(self.start[0]) + width)
        rows = start + np.minimum(np.arange(width), size - 1)
        return torch.from_numpy(rows).to(self.device)

    def padded_values(self, values: Tensor, points: slice = slice(None)) -> Tensor:
        """Values [P] or [P, d] of the points at positions ``points`` of every cloud, padded.

        Returns:
            [B, n] or [B, n, d]; a view where there is one cloud.
        """
        if isinstance(self._rows, slice):
            return values[self._rows][points][None]
        return values[self._rows[:, points]]

    @cached_property
    def weight(self) -> Tensor:
        """Masses, padded with zeros, [B, N]."""
        inside = torch.from_numpy(np.arange(self.shape[1]) < self.size[:, None])
        return self.padded_values(self.points.mass) * inside.to(self.device)

    def part(self, points: slice = slice(None)) -> Part:
        """The points at positions ``points`` of every cloud."""
        xyz, features = self.points.xyz, self.points.features
        if features is not None:
            features = self.padded_values(features, points).to(self.dtype)
        classes = self.points.classes
        if classes is not None:
            classes = self.padded_values(classes, points)
        return Part(features, self.padded_values(xyz, points), classes)

    def select(self, index: Tensor) -> CloudBatch:
        """The clouds at ``index`` [B'] of the batch."""
        chosen = index.cpu().numpy()
        width = self.shape[1]
        return replace(self, start=self.start[chosen], size=self.size[chosen], width=width)


def required(values: Tensor | None) -> Tensor:
    """The features or classes, which a cost with such a part must have been given."""
    assert values is not None
    return values
