"""Clouds of awkward shapes and what holds between them in float64, written from the definitions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp

from geospot_gpu.cost import GroundCost
from geospot_gpu.kernels.clouds import CloudBatch, PointArrays
from geospot_gpu.sphere import EARTH_RADIUS_KM

Array = NDArray[np.float64]


class Clouds(NamedTuple):
    """Clouds as a kernel takes them, and each in float64."""

    batch: CloudBatch
    features: list[Array]
    xyz: list[Array]
    mass: list[Array]


def random_clouds(
    sizes: list[int],
    features: int,
    cost: GroundCost,
    generator: np.random.Generator,
    *,
    scale: float = 1.0,
    zero_mass: bool = False,
    antipodes: bool = False,
) -> Clouds:
    """Random clouds.

    Args:
        sizes: of the clouds.
        features: how many each point has.
        cost: what they are for.
        generator: of the numbers.
        scale: of features whose length is free.
        zero_mass: whether some points have none.
        antipodes: whether every other point is opposite to the one before.
    """
    total, starts = sum(sizes), np.cumsum([0, *sizes[:-1]])
    xyz = _unit(generator.normal(size=(total, 3)))
    if antipodes:
        xyz[1::2] = -xyz[0::2][: len(xyz[1::2])]
    values = generator.normal(size=(total, features))
    values = _unit(values) if cost.feature == "cosine" else values * scale
    mass = generator.uniform(0.2, 2.0, total)
    for start, n in zip(starts, sizes, strict=True):
        if zero_mass and n > 2:
            mass[start + generator.integers(1, n, n // 3)] = 0.0
        mass[start : start + n] /= mass[start : start + n].sum()
    arrays = [torch.tensor(x, dtype=torch.float32) for x in (values, xyz, mass)]
    points = PointArrays(arrays[0] if cost.uses_features else None, *arrays[1:])
    batch = CloudBatch(points, starts.astype(np.int64), np.array(sizes, np.int64))
    rows = [slice(start, start + n) for start, n in zip(starts, sizes, strict=True)]
    each = ([values[of].double().numpy() for of in rows] for values in arrays)
    return Clouds(batch, *each)


def _unit(vectors: Array) -> Array:
    unit: Array = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def costs_between(source: Clouds, target: Clouds, k: int, cost: GroundCost) -> Array:
    """The costs [n, m] of problem ``k``."""
    total = np.zeros((len(source.mass[k]), len(target.mass[k])))
    if cost.uses_features:
        x, y = source.features[k], target.features[k]
        squares = ((x[:, None] - y[None]) ** 2).sum(-1)
        values = np.maximum(1.0 - x @ y.T, 0.0) if cost.feature == "cosine" else squares
        total += (1.0 - cost.geo_weight) / cost.feature_scale * values
    if cost.uses_geography:
        u, v = source.xyz[k][:, None], target.xyz[k][None]
        angle = 2.0 * np.arctan2(np.linalg.norm(u - v, axis=-1), np.linalg.norm(u + v, axis=-1))
        total += cost.geo_weight / cost.geo_scale * EARTH_RADIUS_KM * angle
    return total / total.max() if cost.scaling == "pair_max" else total


def softmin(costs: Array, potential: Array, mass: Array, epsilon: float) -> Array:
    """``-eps log sum_j mass_j exp((potential_j - costs_ij) / eps)`` of every row."""
    with np.errstate(divide="ignore"):
        logs = np.log(mass)
    found: Array = -epsilon * logsumexp((potential - costs) / epsilon + logs, axis=1)
    return found
