"""How sure a difference of errors is where pairs share regions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def jackknife_z(gain: Array, source: NDArray[np.int64], target: NDArray[np.int64]) -> float:
    """The mean of a gain over its standard error by leaving out one region at a time.

    Without a region all pairs from it and to it are gone (Quenouille 1956; Efron & Stein 1981, The
    jackknife estimate of variance, by which it is too large rather than too small).

    Args:
        gain: of each pair, [K].
        source, target: positions of its regions, [K].

    >>> source, target = np.nonzero(~np.eye(3, dtype=bool))
    >>> round(jackknife_z(np.array([1.0, 2.0, 1.0, 3.0, 2.0, 3.0]), source, target), 2)
    1.73
    """
    regions = np.unique(np.concatenate([source, target]))
    without = np.array([gain[(source != r) & (target != r)].mean() for r in regions])
    count = len(regions)
    variance = (count - 1) / count * np.sum((without - without.mean()) ** 2)
    return float(gain.mean() / np.sqrt(variance)) if variance > 0.0 else 0.0
