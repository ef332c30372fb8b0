"""Larger samples for the pairs whose sampling error is above a target."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.engine.engine import Indices
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


def above_target(pairs: pd.DataFrame, target: float) -> NDArray[np.bool_]:
    """Which pairs [K] may be further than ``target`` from the distance of all points.

    Where no claim is made of error and bias, the distance is near zero and mostly bias: the truth
    lies between zero and it, and its upper bound has to meet the target.

    Args:
        pairs: columns ``std_error``, ``bias`` and ``upper``.
        target: in units of the scaled cost, as the distances.
    """
    largest = pairs[["std_error", "bias"]].abs().max(axis=1, skipna=False)
    above: NDArray[np.bool_] = (largest.fillna(pairs["upper"]) > target).to_numpy()
    return above


def grow(
    regions: Regions,
    left: Indices,
    right: Indices,
    pairs: pd.DataFrame,
    target: float,
    solve: Callable[[Larger], pd.DataFrame],
) -> pd.DataFrame:
    """Solve pairs again from samples twice as large, until none is above the target.

    That ends at the latest when all points are taken. Samples of other pairs stay as they are.

    Args:
        regions: the regions of the sweep.
        left, right: positions of the two regions of each pair, [K].
        pairs: the solved pairs, in this order.
        target: largest standard error and bias, in units of the scaled cost.
        solve: solves pairs of larger samples, one row each.

    Returns:
        The pairs in the same order, each from the last samples that it needed.
    """
    pairs = pairs.reset_index(drop=True)
    max_points = regions.sampling.max_points
    missing = np.flatnonzero(above_target(pairs, target))
    while max_points is not None and len(missing):
        max_points *= 2
        both = np.concatenate([left[missing], right[missing]])
        needed, position = np.unique(both, return_inverse=True)
        i, j = np.split(position, 2)
        solved = solve(Larger(regions.resampled(needed, max_points), needed, i, j, missing))
        solved.index = pd.Index(missing)
        pairs = pd.concat([pairs[~pairs.index.isin(missing)], solved]).sort_index()
        missing = missing[above_target(solved, target)]
        if (regions.n_available[needed] <= max_points).all():
            break
    return pairs
