"""Which points of a target to label, so that a few say how well a model does there."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from geospot_gpu.selection.pool import PoolCosts

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


class Sample(NamedTuple):
    """Points to try a model at.

    Attributes:
        chosen: positions in the pool, in random order: the first few are a sample, too, [k].
        distance: mean cost from the pool to the nearest point of the sources.
    """

    chosen: Indices
    distance: float


def sample_for_score(costs: PoolCosts, count: int, seed: int) -> Sample:
    """A sample of a pool of points, in strata of those that are alike for a model.

    Points are ordered by the cost of their nearest point of the sources in as many groups as the
    root of how many are wanted, for where that is large models fail; and within a group by the
    first principal component of their features, there and back again, for neighbours share what is
    easy or hard about them. Strata of the same mass follow this order (:func:`stratified`).

    Args:
        costs: from the points of the target, the pool, to those of the sources.
        count: how many to draw; all, where there are fewer.
        seed: of the draw.
    """
    cost = nearest_costs(costs)
    count = min(count, len(cost))
    groups = max(1, round(np.sqrt(count)))
    rank = np.empty(len(cost), np.int64)
    rank[np.argsort(cost, kind="stable")] = np.arange(len(cost))
    group = rank * groups // len(cost)
    along = _component(costs) * np.where(group % 2, -1.0, 1.0)
    order = np.lexsort((along, group))
    generator = np.random.default_rng(seed)
    return Sample(stratified(order, count, generator), float(cost.mean()))


def nearest_costs(costs: PoolCosts) -> Array:
    """Cost from each point of the pool to the nearest point of what it is compared with, [n]."""
    found = np.empty(len(costs.pool))
    for index, part in costs.pieces():
        nearest = costs.tile(part).reshape(len(index), -1).amin(1)
        found[index] = nearest.to("cpu", torch.float64).numpy()
    return found


def stratified(order: Indices, count: int, generator: np.random.Generator) -> Indices:
    """One point of each of as many strata as are wanted, in random order, [count].

    Points stand in a row, all as wide, and strata cut it into parts of the same mass; where a cut
    goes through a point, it is of both. In each stratum one point is drawn by its mass there, and
    none twice: a point that is cut and was drawn in one stratum is not drawn in the next, and where
    it was not, it is drawn there the more often (Deville 1998, Une nouvelle méthode de tirage à
    probabilités inégales). So every point has the same probability, ``count / n``, and the plain
    mean of whatever is measured at those drawn is unbiased, while strata of points that are alike
    take away what differs between strata (Neyman 1934, On the two different aspects of the
    representative method; Cochran 1977, Sampling techniques, chapter 5).

    Args:
        order: points, those that are alike beside each other, [n].
        count: how many to draw, at most n.
        generator: draws them.
    """
    cuts = np.arange(count + 1) * (len(order) / count)
    cuts[-1] = len(order)
    found: list[int] = []
    for low, high in itertools.pairwise(cuts):
        points = np.arange(int(low), min(int(np.ceil(high)), len(order)))
        mass = np.minimum(points + 1.0, high) - np.maximum(points, low)
        mass /= high - low
        if low > points[0]:  # it is cut, and the stratum before has the rest of it
            rest = (low - points[0]) / (high - low)
            if found[-1] != points[0] and generator.random() < mass[0] / (1.0 - rest):
                found.append(int(points[0]))
                continue
            mass[0] = 0.0
        found.append(int(generator.choice(points, p=mass / mass.sum())))
    drawn: Indices = order[generator.permutation(found)]
    return drawn


def _component(costs: PoolCosts) -> Array:
    """First principal component of the features of the pool, or of places on the sphere, [n]."""
    from sklearn.decomposition import PCA

    features = costs.pool.features if costs.uses_features else None
    values = costs.pool.xyz if features is None else features[np.arange(len(costs.pool))]
    if len(values) < 2:
        return np.zeros(len(values))
    found: Array = PCA(1, svd_solver="covariance_eigh").fit_transform(values)[:, 0]
    return found
