"""The nearest of other samples, of other folds, and of samples to places elsewhere."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from geospot_gpu.arrays import Indices

Vectors = NDArray[np.float64]

_TREE = 8
"""Up to so many dimensions trees are faster than products of matrices."""
_LISTED = 64
"""Neighbours that are listed of each sample: with fewer more is searched, with more, less."""


def nearest(places: Vectors, samples: Vectors) -> NDArray[np.float64]:
    """Euclidean distance of each place [m, D] to the nearest of samples [n, D], [m]."""
    return _search(places, samples, 1)[1][:, 0]


def nearest_elsewhere(samples: Vectors, fold: NDArray[np.int64]) -> NDArray[np.float64]:
    """Euclidean distance of each sample [n, D] to the nearest that is in another fold, [n]."""
    found: NDArray[np.float64] = np.empty(len(samples))
    for k in np.unique(fold):
        found[fold == k] = nearest(samples[fold == k], samples[fold != k])
    return found


class Neighbours(NamedTuple):
    """The nearest samples of each sample: one list, which serves many folds."""

    samples: Vectors
    """[n, D]."""
    position: Indices
    """Of the nearest samples, the nearest first, most often itself before all others, [n, K]."""
    distance: NDArray[np.float64]
    """Euclidean, [n, K]."""

    @classmethod
    def of(cls, samples: Vectors) -> Neighbours:
        """List them: of two samples or more."""
        return cls(samples, *_search(samples, samples, min(_LISTED, len(samples))))

    def apart(self) -> NDArray[np.float64]:
        """Distance of each sample to the nearest other one, [n]."""
        return self.elsewhere(np.arange(len(self.samples)))

    def elsewhere(self, fold: NDArray[np.int64]) -> NDArray[np.float64]:
        """The same as :func:`nearest_elsewhere`, mostly read from the list."""
        other = fold[self.position] != fold[:, None]
        first = other.argmax(axis=1)
        rows = np.arange(len(fold))
        found: NDArray[np.float64] = self.distance[rows, first]
        unlisted = ~other[rows, first]
        for k in np.unique(fold[unlisted]):
            some = unlisted & (fold == k)
            found[some] = nearest(self.samples[some], self.samples[fold != k])
        return found


def _search(places: Vectors, samples: Vectors, count: int) -> tuple[Indices, NDArray[np.float64]]:
    """Positions and distances of the ``count`` nearest samples of each place, [m, count]."""
    if samples.shape[1] <= _TREE:
        distance, index = cKDTree(samples).query(places, np.arange(1, count + 1))
        return np.asarray(index, np.int64), np.asarray(distance, np.float64)
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(samples)
    index = search.kneighbors(places, return_distance=False)
    # Distances from products of matrices are inexact where they are small: they are taken anew.
    distance = np.stack(
        [np.linalg.norm(places - samples[index[:, k]], axis=1) for k in range(count)], axis=1
    )
    return index.astype(np.int64), distance
