"""Folds of training points, for the index of each from points of other folds."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError
from geospot_gpu.names import keys, labels
from geospot_gpu.points.table import Points
from geospot_gpu.sphere import unit_vectors

FOLDS = 10


def folds(points: Points, seed: int) -> tuple[NDArray[np.int64], str]:
    """Which fold each training point is in, [n], and what the folds are.

    Those of the column ``fold`` where there is one; else blocks of points that lie together
    (:func:`blocks`), for a fold of neighbours would find each other next door; drawn by chance
    where points have no coordinates.

    Raises:
        GeospotError: the column ``fold`` is empty in some rows.
    """
    if "fold" in points.attributes:
        codes = pd.factorize(keys(labels(points.attributes["fold"])), sort=True)[0]
        if (codes < 0).any():
            raise GeospotError(
                f"{points.origin}: its column fold is empty in {int((codes < 0).sum())} rows: fill "
                "them, or leave the column out"
            )
        return codes.astype(np.int64), "the column fold"
    if points.located:
        return blocks(points.lon, points.lat, seed), "blocks of places"
    drawn = np.random.default_rng(seed).permutation(len(points)) % FOLDS
    return drawn.astype(np.int64), "chance"


def blocks(
    lon: NDArray[np.float64], lat: NDArray[np.float64], seed: int, count: int = FOLDS
) -> NDArray[np.int64]:
    """Blocks of places that lie together, by k-means on the sphere, [n]."""
    from sklearn.cluster import KMeans

    xyz = unit_vectors(lon=lon, lat=lat)
    count = min(count, len(np.unique(xyz, axis=0)))
    found: NDArray[np.int64] = KMeans(count, random_state=seed, n_init=4).fit_predict(xyz)
    return found.astype(np.int64)
