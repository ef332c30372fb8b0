"""Larger samples for the pairs whose sampling error is above a target."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.arrays import Indices
from geospot_gpu.distances.pair_table import PairTable
from geospot_gpu.regions import Regions


class Larger(NamedTuple):
    """Larger samples of some regions of a sweep, and the pairs to solve between them."""

    regions: Regions
    members: Indices
    """Which regions of the sweep these are."""
    left: Indices
    """Positions of the two sides of each pair among these regions."""
    right: Indices
    pairs: Indices
    """Which pairs of the sweep they are."""


def above_target(
    std_error: NDArray[np.float64],
    bias: NDArray[np.float64],
    upper: NDArray[np.float64],
    target: float,
) -> NDArray[np.bool_]:
    """Which pairs [K] may be further than ``target`` from the distance of all points.

    Where no claim is made of error and bias, the distance is near zero and mostly bias: the truth
    lies between zero and it, and its upper bound has to meet the target.

    Args:
        std_error, bias: of each pair, NaN where no claim is made, [K].
        upper: upper bounds on the distances, [K].
        target: in units of the scaled cost, as the distances.
    """
    largest = np.maximum(np.abs(std_error), np.abs(bias))  # NaN where either is
    above: NDArray[np.bool_] = np.where(np.isnan(largest), upper, largest) > target
    return above


def grow(
    regions: Regions,
    pairs: PairTable,
    target: float,
    solve: Callable[[Larger], PairTable],
) -> PairTable:
    """Solve pairs again from samples twice as large, until none is above the target.

    That ends at the latest when all points are taken. Samples of other pairs stay as they are.

    Args:
        regions: the regions of the sweep.
        pairs: the solved pairs, with ``std_error``, ``bias`` and ``upper``.
        target: largest standard error and bias, in units of the scaled cost.
        solve: solves pairs of larger samples, one row each.

    Returns:
        The pairs in the same order, each from the last samples that it needed.
    """

    def missing_of(table: PairTable) -> NDArray[np.bool_]:
        return above_target(table["std_error"], table["bias"], table["upper"], target)

    max_points = regions.sampling.max_points
    missing = np.flatnonzero(missing_of(pairs))
    while max_points is not None and len(missing):
        max_points *= 2
        both = np.concatenate([pairs.left[missing], pairs.right[missing]])
        needed, position = np.unique(both, return_inverse=True)
        i, j = np.split(position, 2)
        solved = solve(Larger(regions.resampled(needed, max_points), needed, i, j, missing))
        pairs = pairs.replaced(missing, solved)
        missing = missing[missing_of(solved)]
        if (regions.n_available[needed] <= max_points).all():
            break
    return pairs
