"""Batches of weighted point clouds, which share the arrays of all points."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geospot_gpu.devices import upload
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
        features: [P, D], whole or in halves; None where the cost has no feature part. What is read
            of halves has 22 bits: kernels that take it say so by ``feature_roundoff``.
        xyz: unit vectors, [P, 3]; their type is that of the computation.
        mass: [P]; sums to one over each cloud.
        classes: int64 [P], rows or columns of the costs between classes; None where the ground
            cost has none.
    """

    features: Tensor | Halves | None
    xyz: Tensor
    mass: Tensor
    classes: Tensor | None = None

    @property
    def dimension(self) -> int | None:
        """D, or None where there are no features."""
        features = self.features
        return features.dimension if isinstance(features, Halves) else _columns(features)

    @cached_property
    def coordinates(self) -> Tensor:
        """The unit vectors, coordinate by coordinate, [3, P]."""
        return self.xyz.T.contiguous()

    @cached_property
    def feature_norm(self) -> Tensor:
        """Length of each feature vector, [P]."""
        if isinstance(self.features, Halves):
            return self.features.square.sqrt()
        norm: Tensor = torch.linalg.vector_norm(required(self.features), dim=1)
        return norm

    @cached_property
    def class_count(self) -> int:
        """Classes that points have, up to the last one that some point is of."""
        return 1 + int(required(self.classes).max())

    @cached_property
    def small_classes(self) -> Tensor:
        """The classes in half the bytes, int32 [P]."""
        return required(self.classes).int()

    @cached_property
    def halves(self) -> Halves:
        """The features, each number in two halves, for matrix units."""
        features = self.features
        return features if isinstance(features, Halves) else split(required(features))

    def take(self, rows: Tensor) -> PointArrays:
        """The points at ``rows`` [P'], with the masses that they have."""
        features, classes = self.features, self.classes
        if features is not None:
            features = features.take(rows) if isinstance(features, Halves) else features[rows]
        classes = None if classes is None else classes[rows]
        return PointArrays(features, self.xyz[rows], self.mass[rows], classes)


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
        return upload(torch.from_numpy(rows), self.device)

    def padded_values(self, values: Tensor | Halves, points: slice = slice(None)) -> Tensor:
        """Values [P] or [P, d] of the points at positions ``points`` of every cloud, padded.

        Returns:
            [B, n] or [B, n, d]; a view where there is one cloud.
        """
        rows = self._rows
        if isinstance(rows, slice):
            some = range(rows.start, rows.stop)[points]
            at: slice | Tensor = slice(some.start, some.stop)
        else:
            at = rows[:, points]
        found = values.whole(at) if isinstance(values, Halves) else values[at]
        return found[None] if isinstance(at, slice) else found

    @cached_property
    def weight(self) -> Tensor:
        """Masses, padded with zeros, [B, N]."""
        inside = torch.from_numpy(np.arange(self.shape[1]) < self.size[:, None])
        return self.padded_values(self.points.mass) * upload(inside, self.device)

    @cached_property
    def class_masks(self) -> Tensor:
        """Which points are of which class, bool [B, K, N]."""
        of = self.padded_values(required(self.points.classes))
        return of[:, None] == torch.arange(self.points.class_count, device=of.device)[:, None]

    @cached_property
    def places(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Of all points, cloud after cloud: place in a flattened padded view, and row, [S] each."""
        cloud = np.repeat(np.arange(len(self)), self.size)
        number = np.arange(len(cloud)) - (np.cumsum(self.size) - self.size)[cloud]
        return cloud * self.shape[1] + number, self.start[cloud] + number

    def put(self, values: Tensor, to: Tensor) -> None:
        """Write padded values [B, N] to the rows of their points in ``to`` [P]."""
        place, row = (upload(torch.from_numpy(index), to.device) for index in self.places)
        to[row] = values.flatten()[place]

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


def required(values: Tensor | Halves | None) -> Tensor:
    """The features or classes, which must be there as they are: those of torch's kernels are."""
    assert isinstance(values, Tensor)
    return values


def _columns(values: Tensor | None) -> int | None:
    return None if values is None else values.shape[1]
