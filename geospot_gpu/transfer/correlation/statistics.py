"""Weighted correlations of pairs, in which a pair of weight k counts as k pairs alike."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.transfer.correlation.kendall import kendall

Array = NDArray[np.float64]
STATISTICS = ("pearson", "spearman", "kendall")
FLAT = 1e-12
"""Values that differ by less, relative to the largest one, differ by rounding."""


def correlations(x: Array, y: Array, weight: Array) -> dict[str, float]:
    """Pearson's, Spearman's and Kendall's correlation of [K] values, NaN where a side is constant.

    Spearman's is Pearson's of the weighted mid-ranks; Kendall's is tau-b with the product of their
    weights for every two pairs (Vigna 2015, A weighted correlation index for rankings with ties).
    Equal weights give the usual three.

    Args:
        x, y: values of magnitude 1 at most, [K].
        weight: of the pairs, positive, with a sum of 1, [K].

    >>> x, y = np.array([0.1, 0.2, 0.4]), np.array([0.3, 0.2, 0.9])
    >>> found = correlations(x, y, np.full(3, 1 / 3))
    >>> [round(found[name], 3) for name in STATISTICS]
    [0.893, 0.5, 0.333]
    """
    if not (varies(x, weight) and varies(y, weight)):
        return dict.fromkeys(STATISTICS, float("nan"))
    ranks = [mid_ranks(side, weight[None])[0] for side in (x, y)]
    return {
        "pearson": float(np.sum(weight * standardised(x, weight) * standardised(y, weight))),
        "spearman": float(np.sum(weight * np.prod([standardised(r, weight) for r in ranks], 0))),
        "kendall": float(kendall(x, y, weight[None])[0]),
    }


def mid_ranks(values: Array, weight: Array) -> Array:
    """The share of the weight below each value and half of that at it, [N, K].

    Up to scale and origin these are the usual ranks, means of ties, where weights are equal.

    Args:
        values: [K].
        weight: rows of weights that sum to 1, [N, K].

    >>> mid_ranks(np.array([3.0, 1.0, 3.0, 7.0]), np.full((1, 4), 0.25)).tolist()
    [[0.5, 0.125, 0.5, 0.875]]
    """
    order = np.argsort(values, kind="stable")
    distinct = np.flatnonzero(np.append(np.diff(values[order]) > 0.0, True))
    upto = np.cumsum(weight[:, order], axis=1)[:, distinct]
    middle = upto.copy()
    middle[:, 1:] += upto[:, :-1]
    middle /= 2.0
    return middle[:, np.searchsorted(values[order][distinct], values)]


def standardised(x: Array, weight: Array) -> Array:
    """Values less their mean, over their standard deviation; NaN where they are constant.

    Args:
        x: values of magnitude 1 at most, [..., K].
        weight: with sums of 1, [K] or [..., K].
    """
    centred: Array = x - np.einsum("...k,...k->...", weight, x)[..., None]
    variance = np.einsum("...k,...k,...k->...", weight, centred, centred)[..., None]
    with np.errstate(invalid="ignore"):
        centred /= np.sqrt(np.where(variance > FLAT**2, variance, np.nan))
    return centred


def varies(x: Array, weight: Array) -> bool:
    """Whether values of magnitude 1 at most, [K], differ by more than rounding."""
    return bool(np.ptp(x) > FLAT and np.isfinite(standardised(x, weight)).all())


def rank_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of Spearman's correlation over all pairs, of a table as ``correlate`` makes it."""
    return table[(table["scope"] == "overall") & (table["statistic"] == "spearman")]
