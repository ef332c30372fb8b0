"""Which pairs go into which batch, and in which order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Work of a batch in cost entries: about a second, so that little is lost when a run is killed,
# and at most a few hundred shards however large the sweep.
_LEAST_ENTRIES = {"cpu": 2 * 10**7, "cuda": 10**9}
_MOST_SHARDS = 400
# However small the regions are: so that progress shows, and no table of pairs grows large.
_MOST_PAIRS = 100_000


def plan_batches(
    n: NDArray[np.int64], m: NDArray[np.int64], device_type: str
) -> list[NDArray[np.int64]]:
    """Batches of pairs of similar size and of about equal work, one shard each.

    They come in a shuffled but fixed order, so that the rate seen so far predicts the rest.

    Args:
        n, m: sizes of the two regions of each pair, [K].
        device_type: ``cpu`` or ``cuda``.

    Returns:
        Positions of the pairs of each batch; every pair is in exactly one.
    """
    if len(n) == 0:
        return []
    work = n * m
    order = np.lexsort((np.minimum(n, m), np.maximum(n, m)))
    size = max(_LEAST_ENTRIES[device_type], int(work.sum()) // _MOST_SHARDS)
    by_work, by_count = np.cumsum(work[order]) // size, np.arange(len(n)) // _MOST_PAIRS
    edges = np.flatnonzero((np.diff(by_work) > 0) | (np.diff(by_count) > 0)) + 1
    batches = np.split(order, edges)
    shuffled = np.random.default_rng(0).permutation(len(batches))
    return [batches[k] for k in shuffled]
