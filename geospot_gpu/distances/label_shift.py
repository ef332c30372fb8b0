"""How much the labels of two regions differ, and what few labels leave uncertain about it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import erf

from geospot_gpu.arrays import Indices
from geospot_gpu.points.labels import are_numbers, known
from geospot_gpu.regions import Regions

Floats = NDArray[np.float64]


class Shift(NamedTuple):
    """Label shift of pairs of regions [K]; NaN where one of them has no known label."""

    value: Floats
    """Less what chance alone adds to it."""
    error: Floats
    """Its standard error."""


def label_shift(regions: Regions, left: Indices, right: Indices) -> Shift:
    """How far the labels of the right region are from those of the left one.

    For classes it is the total variation of their shares, in [0, 1]; for numbers the Wasserstein
    distance of order one, in units of the label. Both are ``sum_x |F(x) - G(x)| w(x)``: over
    classes F and G are shares and w is 1/2, over numbers they are distribution functions and w is
    the step to the next number.

    Shares of k labels are near normal, ``F - G`` with variance
    ``v = F (1 - F) / k + G (1 - G) / k'``. So chance adds to each term the mean of a folded normal
    less the absolute mean (Leone, Nelson & Nottingham 1961, The folded normal distribution), which
    is taken off. For it ``F - G`` is scaled to the size that it has without chance,
    ``sum (F - G)^2`` being ``sum v`` too large on average: at the differences as they are found,
    which are too large, chance would seem to add less than it does. No shift is below 0, so that of
    very few labels some of it remains.
    Where signs of ``F - G`` are right, the shift is a difference of two means of some h(label),
    whose variance is ``Var h / k + Var h / k'``: that is the error. For it either side has one
    label more, with the mean of both shares, so that a few equal labels do not seem certain.

    Labels are weighted by the masses w of their points, and k is ``(sum w)^2 / sum w^2``.

    Args:
        regions: the regions.
        left, right: positions of the two regions of each pair, [K].

    >>> regions = Regions.from_points(
    ...     lon=range(4), lat=[0] * 4, region=list("aabb"), label=[0.5, 1.5, 100.5, 101.5]
    ... )
    >>> label_shift(regions, np.array([0]), np.array([1])).value.round(2).tolist()
    [99.95]
    """
    nothing = np.full(len(left), np.nan)
    value, error = nothing.copy(), nothing
    if regions.label is None or not len(left):
        return Shift(value, error)
    there, labels = known(regions.label), regions.label
    weight, square = (x.cpu().numpy() for x in (regions.weight, regions.square_weight))
    numbers = are_numbers(labels)
    codes = np.asarray(labels if numbers else pd.factorize(labels, sort=True)[0])
    sides: dict[int, tuple[Floats, Floats, float]] = {}
    for r in np.unique(np.concatenate([left, right])).tolist():
        rows = np.arange(*regions.offsets[r : r + 2])
        rows = rows[there[rows]]
        if len(rows):
            total = weight[rows].sum()
            k = total**2 / square[rows].sum()
            found, of = np.unique(codes[rows].astype(np.float64), return_inverse=True)
            sides[r] = found, np.bincount(of, weight[rows] / total).astype(np.float64), float(k)
    for at, (i, j) in enumerate(zip(left.tolist(), right.tolist(), strict=True)):
        if i in sides and j in sides:
            value[at], error[at] = _of_pair(sides[i], sides[j], numbers=numbers)
    return Shift(value, error)


def _of_pair(
    one: tuple[Floats, Floats, float], other: tuple[Floats, Floats, float], *, numbers: bool
) -> tuple[float, float]:
    """Shift and error between two sides: labels [n], their shares [n], and how many they are."""
    at = np.union1d(one[0], other[0])
    shares = np.zeros((2, len(at)))
    for side, (labels, share, _) in zip(shares, (one, other), strict=True):
        side[np.searchsorted(at, labels)] = share
    k = np.array([[one[2]], [other[2]]])
    steps = np.diff(at, append=at[-1:]) if numbers else np.full(len(at), 0.5)
    levels = np.minimum(np.cumsum(shares, axis=1) if numbers else shares, 1.0)  # as rounded
    difference = levels[0] - levels[1]
    spread = np.sqrt((levels * (1.0 - levels) / k).sum(0))
    squares = float((difference**2 * steps).sum())
    excess = float((spread**2 * steps).sum())
    scale = np.sqrt(max(1.0 - excess / squares, 0.0)) if squares > 0.0 else 0.0
    value = float(((np.abs(difference) - _chance(scale * difference, spread)) * steps).sum())
    if numbers:  # sum_x s(x) w(x) over all x from the label on
        h = np.cumsum((np.sign(difference) * steps)[::-1])[::-1]
    else:
        h = np.sign(difference) * steps
    # One label more on either side, of any that both have: five of one class are not certain to be.
    smooth = (k * shares + shares.mean(0)) / (k + 1.0)
    mean = (smooth * h).sum(1, keepdims=True)
    variance = (smooth * (h - mean) ** 2).sum(1, keepdims=True) / k
    return max(value, 0.0), float(np.sqrt(variance.sum()))


def _chance(mean: Floats, spread: Floats) -> Floats:
    """By how much the mean of |x| is above |mean|, x being normal with mean and spread."""
    safe = np.where(spread > 0.0, spread, 1.0)
    z = np.abs(mean) / (safe * np.sqrt(2.0))
    folded = safe * np.sqrt(2.0 / np.pi) * np.exp(-(z**2)) + np.abs(mean) * (erf(z) - 1.0)
    return np.where(spread > 0.0, folded, 0.0)
