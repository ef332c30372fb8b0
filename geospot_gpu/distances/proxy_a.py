"""The proxy A-distance: how well a classifier tells the points of two regions apart."""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geospot_gpu.arrays import Indices
from geospot_gpu.regions import Regions

Array = NDArray[np.float64]
FOLDS = 5
PENALTY = 0.05
"""Of the squared weights of the classifier, for a total weight of 1 of all points: a tenth of what
its features are in the mean, squared."""
_FEATURES = 64
_SEED = 0
_LEAST = 1e-9
"""Mass of a region outside of a fold below which there is nothing to learn from."""


class Cloud(NamedTuple):
    """What the classifiers of all pairs of a region are made of.

    Attributes:
        z: features of its points, those of one fold after those of another, [n, D + 1]; the last
            is 1.
        weight: of the points, with a sum of 1, [n].
        ends: where the points of the folds start and end, [FOLDS + 1].
        squares: weighted mean of the products of features outside of each fold, [FOLDS, D + 1,
            D + 1].
        means: weighted mean of the features there, [FOLDS, D + 1].
        learnable: whether there are points outside of each fold, [FOLDS].
    """

    z: Array
    weight: Array
    ends: NDArray[np.int64]
    squares: Array
    means: Array
    learnable: NDArray[np.bool_]


def proxy_a_distance(
    regions: Regions, vectors: Tensor, left: Indices, right: Indices, width: float
) -> Array:
    """Proxy A-distance of pairs of regions, ``2 (1 - 2 err)``, in [0, 2], [K].

    ``err`` is the error of a classifier that tells points of the one region from those of the
    other, both regions counting alike (Ben-David et al. 2007, Analysis of representations for
    domain adaptation; Ben-David et al. 2010, A theory of learning from different domains). It is 0
    where it can tell nothing, and 2 where it is never wrong. The classifier is ridge regression on
    ``PENALTY`` of labels 1 and -1 from random Fourier features (Rahimi & Recht 2007) of a Gaussian
    kernel: few enough that it is not always right, and it bends where features are few. Points are
    classified by what was learned of the others, in ``FOLDS`` folds; which fold a point is in
    depends on its vector alone, so that all copies are in one, in either region. Where nothing of a
    region lies outside of a fold, its points are told by chance.

    Args:
        regions: the regions.
        vectors: of all points, [N, D].
        left, right: positions of the two regions of each pair, [K].
        width: of the Gaussian kernel.
    """
    members = np.unique(np.concatenate([left, right])).tolist()
    clouds = {}
    for k in members:
        rows = slice(*regions.offsets[k : k + 2].tolist())
        clouds[k] = _cloud(vectors[rows], regions.weight[rows].cpu().numpy(), width)
    found = np.empty(len(left))
    for k in np.unique(left).tolist():
        at = np.flatnonzero(left == k)
        found[at] = _from_one(clouds[k], [clouds[other] for other in right[at].tolist()])
    return found


def fourier_features(vectors: Tensor, width: float) -> Array:
    """Random Fourier features of a Gaussian kernel of vectors [n, D], the same ones always."""
    generator = np.random.default_rng(_SEED)
    frequencies = generator.normal(size=(vectors.shape[1], _FEATURES)) / width
    phases = generator.uniform(0.0, 2.0 * np.pi, _FEATURES)
    projected = vectors.double() @ torch.from_numpy(frequencies).to(vectors.device)
    found: Array = np.cos(projected.cpu().numpy() + phases)
    return found


def fold_of(vectors: Tensor) -> NDArray[np.int64]:
    """The fold of each vector [n], by its content."""
    rows = np.ascontiguousarray(vectors.float().cpu().numpy()) + 0.0  # no minus zero
    return np.array([zlib.crc32(row.tobytes()) % FOLDS for row in rows], np.int64)


def _cloud(vectors: Tensor, weight: Array, width: float) -> Cloud:
    folds = fold_of(vectors)
    order = np.argsort(folds, kind="stable")
    weight = weight[order]
    z = np.pad(fourier_features(vectors, width)[order], ((0, 0), (0, 1)), constant_values=1.0)
    ends = np.searchsorted(folds[order], np.arange(FOLDS + 1))
    parts = [slice(*ends[f : f + 2]) for f in range(FOLDS)]
    squares = np.stack([(z[part].T * weight[part]) @ z[part] for part in parts])
    means = np.stack([weight[part] @ z[part] for part in parts])
    outside = 1.0 - np.array([weight[part].sum() for part in parts])
    scale = 1.0 / np.maximum(outside, _LEAST)
    return Cloud(
        z, weight, ends,
        (squares.sum(0) - squares) * scale[:, None, None],
        (means.sum(0) - means) * scale[:, None],
        outside > _LEAST,
    )  # fmt: skip


def _from_one(one: Cloud, others: list[Cloud]) -> Array:
    """Distances from one region to others, [K]."""
    penalty = np.full(one.z.shape[1], PENALTY)
    penalty[-1] = 0.0  # the intercept is free
    system = (one.squares + np.stack([other.squares for other in others])) / 2.0
    system += np.diag(penalty)
    difference = (one.means - np.stack([other.means for other in others])) / 2.0
    learnable = one.learnable & np.stack([other.learnable for other in others])
    system[~learnable], difference[~learnable] = np.eye(len(penalty)), 0.0
    rule = np.linalg.solve(system, difference[..., None])[..., 0]  # [K, FOLDS, D + 1]
    mistaken = np.zeros(len(others))
    for f in range(FOLDS):
        own = slice(*one.ends[f : f + 2])
        mistaken += one.weight[own] @ _wrong(one.z[own] @ rule[:, f].T)
        for k, other in enumerate(others):
            theirs = slice(*other.ends[f : f + 2])
            mistaken[k] += other.weight[theirs] @ _wrong(-(other.z[theirs] @ rule[k, f]))
    return np.clip(2.0 * (1.0 - mistaken), 0.0, 2.0)


def _wrong(score: Array) -> Array:
    """1 where a score that should be positive is negative, and a half where it is zero."""
    return 0.5 * (1.0 - np.sign(score))
