"""Which pairs go into which block, in which order, and which blocks are still to be solved."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.arrays import Indices

# Work of a block in cost entries: about a second, so that little is lost when a run is killed,
# and at most a few hundred parts however large the sweep.
_LEAST_ENTRIES = {"cpu": 2 * 10**7, "cuda": 10**9}
_MOST_BLOCKS = 400
# However small the regions are: so that progress shows, and no table of pairs grows large.
_MOST_PAIRS = 100_000


def plan_blocks(n: Indices, m: Indices, device_type: str) -> list[Indices]:
    """Blocks of pairs of similar size and of about equal work; one part of the store each.

    They come in a shuffled but fixed order, so that the rate seen so far predicts the rest. The
    same block gives the same numbers, to the last bit, whoever solves it and when; in other
    company those of a pair may differ by what rounding does, within their intervals.

    Args:
        n, m: sizes of the two regions of each pair, [K].
        device_type: ``cpu`` or ``cuda``.

    Returns:
        Positions of the pairs of each block; every pair is in exactly one.
    """
    if len(n) == 0:
        return []
    work = n * m
    order = np.lexsort((np.minimum(n, m), np.maximum(n, m)))
    size = max(_LEAST_ENTRIES[device_type], int(work.sum()) // _MOST_BLOCKS)
    by_work, by_count = np.cumsum(work[order]) // size, np.arange(len(n)) // _MOST_PAIRS
    edges = np.flatnonzero((np.diff(by_work) > 0) | (np.diff(by_count) > 0)) + 1
    blocks = np.split(order, edges)
    shuffled = np.random.default_rng(0).permutation(len(blocks))
    return [blocks[k] for k in shuffled]


def missing_blocks(
    n: Indices, m: Indices, device_type: str, missing: NDArray[np.bool_]
) -> list[Indices]:
    """Blocks of the pairs that are missing.

    Blocks of the whole plan of which nothing is there stay as they are, so that a sweep that goes
    on, or is shared out, gives the bits of one that was never stopped. What is missing of the
    others is planned anew.

    Args:
        n, m, device_type: as for :func:`plan_blocks`.
        missing: which of the pairs, [K].
    """
    whole = [block for block in plan_blocks(n, m, device_type) if missing[block].all()]
    rest = missing.copy()
    for block in whole:
        rest[block] = False
    left = np.flatnonzero(rest)
    return [*whole, *(left[block] for block in plan_blocks(n[left], m[left], device_type))]
