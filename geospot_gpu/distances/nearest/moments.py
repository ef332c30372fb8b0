"""Lower bounds on Sinkhorn divergences from means and spreads of regions, one or many at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geospot_gpu.arrays import Indices
from geospot_gpu.cost import GroundCost
from geospot_gpu.devices import upload
from geospot_gpu.regions import Regions
from geospot_gpu.sphere import EARTH_RADIUS_KM

Array = NDArray[np.float64]

# Great circles are conditionally negative definite: their series in Legendre polynomials,
# pi/2 - sum over odd l of c_l P_l(cos), has positive c_l only (Schoenberg 1942). This is c_1.
_FIRST_DEGREE = 3.0 * math.pi / 8.0
# Roundings that a mean of n vectors is charged, for each sqrt(n).
_ROUNDINGS = 4.0
_ROUNDED_DIRECTION = 2.0**-21
"""Radians that rounding may have turned a direction by, and then some."""
_FEW_DIMENSIONS = 8
"""Up to here differences are as fast as products, and exact."""
_DIRECTIONS = 8
"""In which regions are told apart where they are put into groups."""


class _Balls(NamedTuple):
    """Balls in a Euclidean space, or on the unit sphere, where angles are distances."""

    centre: Tensor
    """[R, d]."""
    radius: Tensor
    """[R], float64."""
    on_sphere: bool = False

    def apart(self, rows: Tensor, columns: Tensor) -> Tensor:
        """How far, at least, any two points of two balls are apart, [T, K] in float64."""
        distance = _distances(self.centre[rows].double(), self.centre[columns].double())
        distance = _angles(distance) if self.on_sphere else distance
        return (distance - self.radius[rows, None] - self.radius[columns]).clamp(min=0.0)

    def around(self, groups: Sequence[Indices]) -> _Balls:
        """For each group a ball that holds the balls of its members."""
        centres, radii = [], []
        for group in groups:
            members = self.centre[group].double()
            centre = members.mean(0)
            if self.on_sphere:
                centre = torch.nn.functional.normalize(centre, dim=0)
            away = torch.linalg.vector_norm(members - centre, dim=1)
            away = _angles(away) if self.on_sphere else away
            centres.append(centre)
            radii.append((away + self.radius[group]).amax() + 1e-12)
        return _Balls(torch.stack(centres), torch.stack(radii), self.on_sphere)


class MomentBounds:
    """A bound from the means and spreads of regions: no cost between two points is evaluated.

    Where a cost is conditionally negative definite, it is the squared distance of embeddings in a
    Hilbert space. Moving one cloud there changes the divergence by the squared distance of the
    means alone, so that ``S(a, b)`` is that of the centred clouds, which is not negative (Feydy et
    al. 2019, theorem 1), plus the energy distance
    ``E C(x, y) - E C(x, x') / 2 - E C(y, y') / 2``. All ground costs are, but of those that a user
    has registered nothing is known.

    The energy distance is the sum of those of its parts. Cosine and squared Euclidean costs need
    the means of the features alone. For great circles and Euclidean costs it is at least the
    distance of the means less twice both mean distances from them; for great circles also the part
    of their Legendre series that is linear, again a difference of means.

    All of it grows with distances between means, so that balls around the means of many regions
    have a bound that holds for every two of them.

    Args:
        regions: the regions.
        cost: their cost; one scale for all pairs.
    """

    def __init__(self, regions: Regions, cost: GroundCost) -> None:
        self._cost, self._count = cost, len(regions)
        self._features: _Balls | None = None
        self._places: tuple[_Balls, _Balls] | None = None
        if cost.own_feature:
            return
        if cost.uses_features:
            assert regions.features is not None
            mean, radius = _means(regions, regions.features)
            if cost.feature == "euclidean":
                centres = mean.repeat_interleave(_lengths(regions), dim=0)
                away = _differences(regions.features, centres.to(regions.device))
                radius = radius + 2.0 * sums(regions, regions.weight * away)
            self._features = _Balls(mean, radius)
        if cost.uses_geography:
            mean, radius = _means(regions, regions.xyz)
            direction = torch.nn.functional.normalize(mean, dim=1)
            centres = direction.repeat_interleave(_lengths(regions), dim=0)
            angle = _angles(_differences(regions.xyz, centres.to(regions.device)))
            spread = 2.0 * sums(regions, regions.weight * angle) + _ROUNDED_DIRECTION
            self._places = _Balls(mean, radius), _Balls(direction, spread, on_sphere=True)

    @property
    def known(self) -> bool:
        """Whether anything is known of this cost."""
        return not self._cost.own_feature

    def __call__(self, rows: Indices, columns: Indices) -> Array:
        """Bounds [T, K] on the divergences between regions at ``rows`` [T] and ``columns`` [K]."""
        i, j = torch.from_numpy(rows), torch.from_numpy(columns)
        if not self.known:
            return np.full((len(i), len(j)), -np.inf)
        bound = torch.zeros(len(i), len(j), dtype=torch.float64)
        if self._features is not None:
            away = self._features.apart(i, j)
            bound += self._of_features * (away if self._is_plain else away.square())
        if self._places is not None:
            linear, angle = (balls.apart(i, j) for balls in self._places)
            longest = torch.maximum(_FIRST_DEGREE / 2.0 * linear.square(), angle)
            bound += self._of_places * longest
        return bound.numpy()

    def of_groups(self, groups: Sequence[Indices]) -> MomentBounds:
        """Bounds on the smallest divergence between any two regions of two groups."""
        found = object.__new__(MomentBounds)
        found._cost, found._count = self._cost, len(groups)
        found._features = None if self._features is None else self._features.around(groups)
        found._places = None
        if self._places is not None:
            linear, angle = (balls.around(groups) for balls in self._places)
            found._places = linear, angle
        return found

    def embedded(self) -> Array:
        """Regions as points in few dimensions, where those of small bounds are near, [R, d]."""
        parts = []
        if self._features is not None:
            centred = self._features.centre.double()
            centred = centred - centred.mean(0)
            _, directions = torch.linalg.eigh(centred.T @ centred)
            scale = self._of_features ** (1.0 if self._is_plain else 0.5)
            parts.append(scale * centred @ directions[:, -_DIRECTIONS:])
        if self._places is not None:
            scale = math.sqrt(self._of_places * _FIRST_DEGREE / 2.0)
            parts.append(scale * self._places[0].centre.double())
        return torch.cat(parts, dim=1).numpy() if parts else np.zeros((self._count, 1))

    @property
    def _is_plain(self) -> bool:
        """Whether the bound on features is a distance, and not its square."""
        return self._cost.feature == "euclidean"

    @property
    def _of_features(self) -> float:
        share = (1.0 - self._cost.geo_weight) / self._cost.feature_scale
        return share / 2.0 if self._cost.feature == "cosine" else share

    @property
    def _of_places(self) -> float:
        return self._cost.geo_weight / self._cost.geo_scale * EARTH_RADIUS_KM


def leaves(vectors: Array, size: int) -> list[Indices]:
    """Rows [R] in groups of at most ``size`` that lie together; groups that follow lie near.

    Groups are halved along their widest direction, as those of a k-d tree (Bentley 1975).

    >>> [part.tolist() for part in leaves(np.array([[0.0], [9.0], [1.0], [8.0]]), 2)]
    [[0, 2], [3, 1]]
    """
    parts = [np.arange(len(vectors))]
    while max(map(len, parts)) > size:
        halves = []
        for part in parts:
            if len(part) <= size:
                halves.append(part)
                continue
            widest = np.argmax(vectors[part].std(0))
            ordered = part[np.argsort(vectors[part, widest], kind="stable")]
            halves += [ordered[: len(part) // 2], ordered[len(part) // 2 :]]
        parts = halves
    return parts


def _means(regions: Regions, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Mean vectors [R, d] of regions, on the CPU, and what rounding may have done to them, [R]."""
    mean = torch.nn.functional.embedding_bag(
        torch.arange(len(vectors), device=vectors.device),
        vectors,
        torch.from_numpy(regions.offsets[:-1]).to(vectors.device),
        mode="sum",
        per_sample_weights=regions.weight.to(vectors.dtype),
    ).cpu()
    unit = torch.finfo(vectors.dtype).eps / 2.0
    largest = float(torch.linalg.vector_norm(vectors, dim=1).amax())
    error = _ROUNDINGS * unit * largest * torch.from_numpy(np.sqrt(regions.sizes))
    return mean, error


def _lengths(regions: Regions) -> Tensor:
    return torch.from_numpy(regions.sizes)


def sums(regions: Regions, values: Tensor) -> Tensor:
    """Sums [R] of values [N] of points over regions, float64 on the CPU."""
    lengths = upload(_lengths(regions), values.device)
    return torch.segment_reduce(values.double(), "sum", lengths=lengths).cpu()


def _differences(x: Tensor, y: Tensor) -> Tensor:
    """Distances [N] of vectors [N, d], float64."""
    distance: Tensor = torch.linalg.vector_norm(x.double() - y.double(), dim=-1)
    return distance


def _angles(chords: Tensor) -> Tensor:
    """Angles between unit vectors that are so far apart, in radians."""
    return 2.0 * (chords / 2.0).clamp(max=1.0).asin()


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """Distances of vectors [T, d] from others [K, d], rounded down where products give them."""
    if x.shape[1] <= _FEW_DIMENSIONS:
        return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
    lengths = x.square().sum(1)[:, None] + y.square().sum(1)
    error = 4.0 * x.shape[1] * torch.finfo(torch.float64).eps * lengths
    return (lengths - 2.0 * (x @ y.T) - error).clamp(min=0.0).sqrt()
