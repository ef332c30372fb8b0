"""How sure a difference of errors is where pairs share regions."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.transfer.label_shift.report import mean_of_pairs

Array = NDArray[np.float64]


def jackknife_z(gain: Array, source: NDArray[np.int64], target: NDArray[np.int64]) -> float:
    """The mean of a gain over its standard error by leaving out one region at a time.

    The error is too large rather than too small (Quenouille 1956; Efron & Stein 1981, The jackknife
    estimate of variance).

    Args:
        gain: of each pair, [K].
        source, target: positions of its regions, [K].

    >>> source, target = np.nonzero(~np.eye(3, dtype=bool))
    >>> round(jackknife_z(np.array([1.0, 2.0, 1.0, 3.0, 2.0, 3.0]), source, target), 2)
    1.73
    """
    pairs = pd.DataFrame({"source": source, "target": target, "gain": gain})
    found = mean_of_pairs(pairs, "gain")
    assert found is not None, "gains are known"
    mean, error = found
    return mean / error if error > 0.0 else 0.0
