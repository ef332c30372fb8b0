"""Regions that are alike, brought together into folds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.validation.folds import Fold

_MOST = 1.5
"""A fold may have so many times the samples of an even one, while others can still be merged."""


def similar_folds(distances: NDArray[np.float64], sizes: NDArray[np.int64], n_splits: int) -> Fold:
    """The fold of each region, so that regions in one fold are alike, [R].

    Average linkage (Sokal & Michener 1958): again and again the two groups are merged whose regions
    are nearest to each other on average. Without a limit one group would take nearly all: so two
    that have more than 1.5 times the samples of an even fold together are merged only where no
    others are left, the smallest two then.

    Args:
        distances: between regions, symmetric, [R, R].
        sizes: how many samples each has, [R].
        n_splits: how many folds, R or fewer.

    >>> line = np.array([0.0, 1.0, 10.0, 11.0])
    >>> similar_folds(abs(line - line[:, None]), np.ones(4, np.int64), 2).tolist()
    [0, 0, 1, 1]
    """
    apart = distances.astype(np.float64, copy=True)
    np.fill_diagonal(apart, np.inf)
    held, regions = sizes.astype(np.float64), np.ones(len(sizes))
    group = np.arange(len(sizes))
    most = _MOST * held.sum() / n_splits
    for _ in range(len(sizes) - n_splits):
        together = held[:, None] + held
        allowed = np.where(together <= most, apart, np.inf)
        if np.isinf(allowed).all():
            allowed = np.where(np.isinf(apart), np.inf, together)
        one, other = sorted(np.unravel_index(allowed.argmin(), apart.shape))
        share = regions[one] / (regions[one] + regions[other])
        merged = share * apart[one] + (1.0 - share) * apart[other]
        apart[one], apart[:, one] = merged, merged
        apart[other], apart[:, other], apart[one, one] = np.inf, np.inf, np.inf
        held[one] += held[other]
        regions[one] += regions[other]
        group[group == other] = one
    return np.unique(group, return_inverse=True)[1].astype(np.int64)
