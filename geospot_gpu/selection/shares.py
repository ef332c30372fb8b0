"""How a budget of samples is shared between regions that do not have equally many."""

from __future__ import annotations

import numpy as np

from geospot_gpu.arrays import Indices


def share_equally(available: Indices, budget: int, quota: Indices) -> Indices:
    """Samples of each of K regions: as equal as what they have allows, ``budget`` in all.

    What some regions lack goes to the others.

    Args:
        available: how many samples there are, [K].
        budget: how many to take; all there are if that is less.
        quota: no region gets less, [K].

    >>> share_equally(np.array([3, 10, 10]), 16, np.array([3, 5, 5])).tolist()
    [3, 7, 6]
    """
    quota = quota.copy()
    while (left := min(budget, int(available.sum())) - int(quota.sum())) > 0:
        spare = np.flatnonzero(quota < available)
        lowest = spare[quota[spare] == quota[spare].min()]
        quota[lowest[:left]] += 1 if left < len(lowest) else _rise(quota, available, lowest, left)
    return quota


def _rise(quota: Indices, available: Indices, lowest: Indices, left: int) -> int:
    """By how much the regions with the fewest samples can rise together."""
    others = quota[(quota > quota[lowest[0]]) & (quota < available)]
    steps = [left // len(lowest), int((available - quota)[lowest].min())]
    if len(others):
        steps.append(int(others.min() - quota[lowest[0]]))
    return min(steps)
