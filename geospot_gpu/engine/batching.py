"""Batches of problems of similar size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def batches_of_similar_size(
    n: NDArray[np.int64],
    m: NDArray[np.int64],
    max_entries: int,
    max_points: int,
    growth: NDArray[np.float64],
) -> list[NDArray[np.int64]]:
    """Split problems of ``n[k] x m[k]`` costs into batches.

    Args:
        n, m: sizes of the two sides of each problem, [K].
        max_entries: most entries that a batch may have after padding its problems to the largest;
            a problem larger than that is a batch of its own.
        max_points: most points on both sides together, likewise.
        growth: for each problem, the ratio between the sizes that may share its batch, [K].

    Returns:
        Positions of the problems of each batch; every problem is in exactly one.

    >>> sizes = np.array([5, 900, 5])
    >>> growth = np.full(3, 1.2)
    >>> batches = batches_of_similar_size(sizes, sizes, 1000, 100, growth)
    >>> [batch.tolist() for batch in batches]
    [[0, 2], [1]]
    """
    if len(n) == 0:
        return []
    step = np.log(growth)
    bucket = np.stack([growth, np.log(n) // step, np.log(m) // step], axis=1)
    _, group = np.unique(bucket, axis=0, return_inverse=True)
    order = np.argsort(group.ravel(), kind="stable")
    edges = np.flatnonzero(np.diff(group.ravel()[order])) + 1
    batches = []
    for members in np.split(order, edges):
        entries = int(n[members].max()) * int(m[members].max())
        points = int(n[members].max()) + int(m[members].max())
        count = max(1, min(max_entries // entries, max_points // points))
        batches += np.split(members, range(count, len(members), count))
    return batches
