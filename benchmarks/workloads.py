"""The regions and pairs that benchmarks run on, and single problems as peers take them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import ot
import torch
from numpy.typing import NDArray
from torch import Tensor

import geospot_gpu as gs
from geospot_gpu.kernels.clouds import CloudBatch
from geospot_gpu.points.gallery import read_gallery
from geospot_gpu.sphere import EARTH_RADIUS_KM, HALF_CIRCUMFERENCE_KM, unit_vectors

Indices = NDArray[np.int64]
EPSILON = 0.01


class Problem(NamedTuple):
    """One balanced problem, float32."""

    x: Tensor
    """Features [n, D] and [m, D] of the two sides."""
    y: Tensor
    degrees_x: Tensor
    """Longitude and latitude, [n, 2] and [m, 2]."""
    degrees_y: Tensor
    a: Tensor
    """Weights [n] and [m]."""
    b: Tensor
    geo_weight: float
    pair_max: bool = False
    """Whether each part of the cost, and then their mixture, is divided by its largest value: the
    paper's problem. Otherwise one scale holds for all pairs."""

    def cost(self) -> Tensor:
        """The ground cost, whole, as a user of torch computes it."""
        feature = 1.0 - self.x @ self.y.T
        feature = feature / feature.max() if self.pair_max else feature
        if self.geo_weight == 0.0:
            return feature
        (lon_x, lat_x), (lon_y, lat_y) = (
            torch.deg2rad(degrees).unbind(1) for degrees in (self.degrees_x, self.degrees_y)
        )
        haversine = (
            torch.sin((lat_x[:, None] - lat_y) / 2) ** 2
            + torch.cos(lat_x)[:, None]
            * torch.cos(lat_y)
            * torch.sin((lon_x[:, None] - lon_y) / 2) ** 2
        )
        km = 2 * EARTH_RADIUS_KM * torch.arcsin(torch.sqrt(haversine.clamp(max=1.0)))
        km = km / (km.max() if self.pair_max else HALF_CIRCUMFERENCE_KM)
        cost = (1.0 - self.geo_weight) * feature + self.geo_weight * km
        return cost / cost.max() if self.pair_max else cost

    def to(self, device: str) -> Problem:
        """The same problem on a device."""
        return self._changed(lambda values: values.to(device))

    def _changed(self, change: Callable[[Tensor], Tensor]) -> Problem:
        x, y, degrees_x, degrees_y, a, b = (change(values) for values in self[:6])
        return self._replace(x=x, y=y, degrees_x=degrees_x, degrees_y=degrees_y, a=a, b=b)

    def exact(self) -> tuple[float, float]:
        """OT value and transport cost, by POT in float64 to 1e-9."""
        double = self._changed(lambda values: values.double())
        costs = double.cost().numpy()
        a, b = ((weight / weight.sum()).numpy() for weight in (double.a, double.b))
        plan = ot.sinkhorn(
            a, b, costs, reg=EPSILON, method="sinkhorn_log", numItermax=20_000, stopThr=1e-9
        )
        transport, positive = float((plan * costs).sum()), plan > 0
        relative = plan[positive] / np.outer(a, b)[positive]
        return transport + EPSILON * float((plan[positive] * np.log(relative)).sum()), transport


def problem(regions: gs.Regions, i: int, j: int, geo_weight: float) -> Problem:
    """The pair (i, j) of a collection."""
    sides = []
    assert regions.features is not None
    degrees = torch.from_numpy(np.stack([regions.lon, regions.lat], axis=1)).float()
    for k in (i, j):
        rows = slice(*regions.offsets[k : k + 2].tolist())
        sides.append((regions.features[rows], degrees[rows], regions.weight[rows].float()))
    (x, degrees_x, a), (y, degrees_y, b) = sides
    return Problem(x, y, degrees_x, degrees_y, a, b, geo_weight)


def countries() -> gs.Regions:
    """The 63 countries of the gallery, at most 1,000 points each."""
    return gs.Regions.from_gallery()


def kd_leaves(lon: NDArray[np.float64], lat: NDArray[np.float64], depth: int) -> list[Indices]:
    """Rows of the ``2^depth`` leaves of a tree that halves longitude and latitude in turn."""
    leaves = [np.arange(len(lon))]
    for level in range(depth):
        axis = lat if level % 2 else lon
        ordered = [rows[np.argsort(axis[rows], kind="stable")] for rows in leaves]
        leaves = [half for rows in ordered for half in np.array_split(rows, 2)]
    return leaves


def districts() -> gs.Regions:
    """2,048 regions of 48 or 49 points of the gallery."""
    points = read_gallery()
    leaves = kd_leaves(points.lon, points.lat, 11)
    groups = {f"district {k:04d}": rows for k, rows in enumerate(leaves)}
    return gs.Regions.from_groups(points, groups, min_points=1, max_points=None)


def sampled_pairs(count: int, pairs: int) -> tuple[Indices, Indices]:
    """Pairs of ``count`` regions, a fixed random sample without repetition."""
    generator = np.random.default_rng(0)
    chosen = generator.choice(count * (count - 1) // 2, pairs, replace=False)
    right = ((1 + np.sqrt(1 + 8 * chosen)) // 2).astype(np.int64)
    return chosen - right * (right - 1) // 2, right


def random_cloud(
    points: int, dimension: int | None, seed: int, kind: torch.dtype = torch.float32
) -> CloudBatch:
    """A batch of one cloud of points anywhere on Earth, with random features unless None."""
    generator = np.random.default_rng(seed)
    lon = generator.uniform(-180, 180, points)
    lat = np.degrees(np.arcsin(generator.uniform(-1, 1, points)))
    features = None
    if dimension is not None:
        vectors = torch.randn(points, dimension, generator=torch.Generator().manual_seed(seed))
        features = torch.nn.functional.normalize(vectors)[None]
    xyz = torch.from_numpy(unit_vectors(lon=lon, lat=lat)).to(kind)
    return CloudBatch.padded(features, xyz[None], torch.full((1, points), 1.0 / points, dtype=kind))
