"""How far places are from training points: the dissimilarity index and local point density."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError

Array = NDArray[np.float64]


SAME = 1e-5
"""Index below which a place is a training point: what is left is rounding."""
_ROUNDING = 1e-12
"""Deviation over the mean of features that differ by rounding alone."""


class Distances(NamedTuple):
    """Of some places."""

    di: Array
    """Their dissimilarity index, 0 at training points, [m]."""
    lpd: NDArray[np.int64]
    """How many training points are within the threshold of each, [m]."""


class Dissimilarity:
    """The dissimilarity index of Meyer & Pebesma, and what of it is inside.

    Predicting into unknown space? Estimating the area of applicability of spatial prediction models
    (2021, Methods Ecol. Evol. 12:1620), sections 2.2 to 2.4: the distance of a place to the nearest
    training point over the mean distance between training points, every feature scaled by its
    standard deviation among these. The threshold is the upper whisker of the same index of the
    training points, each seen from those of other folds: the largest that is not above the third
    quartile and one and a half times the range of the quartiles. All features count alike, for the
    model that gave the scores is not known; one that is the same at all training points counts
    nothing.

    The local point density of Schumacher, Knoth, Ludwig & Meyer (2025, Estimation of local training
    data point densities to support the assessment of spatial prediction uncertainty, Geosci. Model
    Dev. 18:10185) is the number of training points that are within the threshold of a place.

    Args:
        training: features of the training points, [n, D].
        fold: of each, [n].

    Raises:
        GeospotError: there are fewer than two training points, or a single fold.

    Attributes:
        mean: mean distance between training points.
        training: index of each training point from those of other folds, float64 [n].
        threshold: above which a place is outside.

    >>> line = np.arange(4.0)[:, None]
    >>> found = Dissimilarity(line, np.array([0, 1, 0, 1]))
    >>> found.of(np.array([[0.0], [5.0]])).di.round(3).tolist(), round(found.threshold, 3)
    ([0.0, 1.2], 0.6)
    """

    def __init__(self, training: NDArray[np.floating[Any]], fold: NDArray[Any]) -> None:
        n = len(training)
        if n < 2:
            raise GeospotError(f"training: {n} points: an area of applicability needs at least two")
        if len(np.unique(fold)) < 2:
            raise GeospotError("training: all points are of one fold: give two folds at least")
        self._centre = training.mean(axis=0, dtype=np.float64)
        deviation = training.std(axis=0, ddof=1, dtype=np.float64)
        deviation[deviation <= _ROUNDING * np.abs(self._centre)] = 0.0
        if not deviation.any():
            raise GeospotError("training: all points have the same features: nothing is dissimilar")
        self._scale = 1.0 / np.where(deviation > 0.0, deviation, np.inf)
        self._points = self._scaled(training)
        total, nearest = 0.0, np.empty(n)
        for rows, block in _blocks(self._points, self._points):
            total += float(block.sum(dtype=np.float64))
            nearest[rows] = np.where(fold[rows, None] == fold, np.inf, block).min(1)
        self.mean = total / (n * (n - 1))
        self.training: Array = nearest / self.mean
        self.threshold = upper_whisker(self.training)

    def of(self, places: NDArray[np.floating[Any]]) -> Distances:
        """The index and the density of places with features [m, D]."""
        index, density = np.empty(len(places)), np.empty(len(places), np.int64)
        for rows, block in _blocks(self._scaled(places), self._points):
            relative = block / self.mean
            least = relative.min(1)
            index[rows] = np.where(least < SAME, 0.0, least)
            density[rows] = (relative <= self.threshold).sum(1)
        return Distances(index, density)

    def _scaled(self, features: NDArray[np.floating[Any]]) -> Array:
        found: Array = (features - self._centre) * self._scale  # small numbers: exact distances
        return found


def upper_whisker(values: Array) -> float:
    """The largest of the values that is no outlier of a box plot.

    >>> upper_whisker(np.array([1.0, 2.0, 3.0, 4.0, 100.0]))
    4.0
    """
    low, high = np.quantile(values, [0.25, 0.75])
    return float(values[values <= high + 1.5 * (high - low)].max())


def _blocks(x: Array, y: Array) -> Iterator[tuple[slice, Array]]:
    """Euclidean distances between the rows of two matrices, some rows of the first at a time."""
    from sklearn.metrics import pairwise_distances_chunked

    start = 0
    for block in pairwise_distances_chunked(x, y if y is not x else None):
        yield slice(start, start + len(block)), block
        start += len(block)
