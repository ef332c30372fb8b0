"""Small problems for the numerical tests, and their float64 oracles."""

from __future__ import annotations

import numpy as np
import ot
import torch
from numpy.typing import NDArray

import geospot_gpu as gs
from geospot_gpu.kernels import make_kernel
from geospot_gpu.kernels.clouds import CloudBatch, PointArrays
from geospot_gpu.kernels.contract import Kernel

Array = NDArray[np.float64]
STORAGES = ("kept", "streamed")


def random_regions(
    sizes: list[int], *, dimension: int | None = 8, seed: int = 0, spread: float = 1.0
) -> gs.Regions:
    """Regions of random points with random weights, anywhere on Earth."""
    generator = np.random.default_rng(seed)
    region = np.repeat([f"r{k:02d}" for k in range(len(sizes))], sizes)
    total = len(region)
    features = None
    if dimension is not None:
        centres = generator.normal(size=(len(sizes), dimension))
        features = np.repeat(centres, sizes, axis=0)
        features = features + spread * generator.normal(size=(total, dimension))
    return gs.Regions.from_points(
        lon=generator.uniform(-180, 180, total),
        lat=np.degrees(np.arcsin(generator.uniform(-1, 1, total))),
        region=region.tolist(),
        weight=generator.uniform(0.2, 2.0, total),
        features=features,
    )


def cloud(regions: gs.Regions, index: int, dtype: torch.dtype = torch.float64) -> CloudBatch:
    """One region as a batch of one cloud."""
    points = PointArrays(regions.features, regions.xyz.to(dtype), regions.weight.to(dtype))
    return CloudBatch(points, regions.offsets[index : index + 1], regions.sizes[index : index + 1])


def kernel(
    storage: str,
    regions: gs.Regions,
    i: int,
    j: int,
    cost: gs.GroundCost,
    epsilon: float,
    dtype: torch.dtype = torch.float64,
    budget: int = 2**30,
) -> Kernel:
    """The kernel of regions ``i`` and ``j`` that ``auto`` takes for a storage."""
    source, target = cloud(regions, i, dtype), cloud(regions, j, dtype)
    return make_kernel(cost, source, target, epsilon, budget, storage=storage)


def cost_matrix(regions: gs.Regions, i: int, j: int, cost: gs.GroundCost) -> Array:
    """The ground cost in float64, written anew from its definition with NumPy."""
    x, y = (slice(*regions.offsets[k : k + 2].tolist()) for k in (i, j))
    total = np.zeros((x.stop - x.start, y.stop - y.start))
    if cost.geo_weight < 1.0:
        assert regions.features is not None
        features = regions.features.double().numpy()
        u, v = features[x], features[y]
        squares = ((u[:, None] - v[None]) ** 2).sum(-1)
        feature = {
            "cosine": 1.0 - u @ v.T,
            "sqeuclidean": squares,
            "euclidean": np.sqrt(squares),
        }[cost.feature]
        total += (1.0 - cost.geo_weight) * feature / cost.feature_scale
    if cost.geo_weight > 0.0:
        lon, lat = np.radians(regions.lon), np.radians(regions.lat)
        haversine = (
            np.sin((lat[x][:, None] - lat[y][None]) / 2) ** 2
            + np.cos(lat[x])[:, None]
            * np.cos(lat[y])[None]
            * np.sin((lon[x][:, None] - lon[y][None]) / 2) ** 2
        )
        km = 2 * 6371.0088 * np.arcsin(np.sqrt(np.clip(haversine, 0, 1)))
        total += cost.geo_weight * km / cost.geo_scale
    return total


def weights(regions: gs.Regions, index: int) -> Array:
    """Masses of the points of a region."""
    rows = slice(*regions.offsets[index : index + 2].tolist())
    return regions.weight[rows].numpy()


def exact_transport(a: Array, b: Array, costs: Array, epsilon: float) -> tuple[float, float]:
    """OT value (entropy relative to a x b) and transport cost, by POT in float64 to 1e-9."""
    plan = ot.sinkhorn(
        a, b, costs, reg=epsilon, method="sinkhorn_log", numItermax=100_000, stopThr=1e-9
    )
    transport = float((plan * costs).sum())
    positive = plan > 0
    relative = plan[positive] / np.outer(a, b)[positive]
    return transport + epsilon * float((plan[positive] * np.log(relative)).sum()), transport
