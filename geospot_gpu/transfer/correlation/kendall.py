"""Kendall's tau-b where pairs weigh differently, for many weights at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
_ENTRIES = 1 << 22
_FEW = 200
"""Values up to which all two are compared: SciPy takes half a millisecond for a few, too."""
_LEAST = 1e-13
"""A share of all two that is not tied and below this is rounding."""


def kendall(x: Array, y: Array, weight: Array) -> Array:
    """Kendall's tau-b of [K] values under each row of weights, [N]; NaN where a side is constant.

    Every two values count with the product of their weights (Vigna 2015, A weighted correlation
    index for rankings with ties), so whole weights count values as often as they say.

    Args:
        x, y: [K].
        weight: rows that sum to 1, [N, K].

    >>> x, y = np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])
    >>> kendall(x, y, np.array([[0.25, 0.25, 0.5]])).round(3).tolist()
    [0.2]
    >>> round(float(kendalltau([1, 2, 3, 3], [1, 3, 2, 2]).statistic), 3)
    0.2
    """
    if len(weight) == 1 and np.ptp(weight) == 0.0:
        few = len(x) <= _FEW and np.ptp(x) > 0.0 and np.ptp(y) > 0.0
        return np.array([_of_all_two(x, y) if few else kendalltau(x, y).statistic])
    rank_x, rank_y = (np.unique(side, return_inverse=True)[1].astype(np.int64) for side in (x, y))
    order_x, order_y = _order(rank_x, rank_y), _order(rank_y, rank_x)
    place = np.empty_like(order_x)
    place[order_x] = np.arange(len(x))
    discordant = _inverted(place[order_y], weight[:, order_y])
    # Joint ties are in both of the ties of x and those of y.
    tied = [
        _tied(weight[:, order], changes)
        for order, changes in (
            (order_x, np.diff(rank_x[order_x]) > 0),
            (order_y, np.diff(rank_y[order_y]) > 0),
            (order_x, (np.diff(rank_x[order_x]) > 0) | (np.diff(rank_y[order_x]) > 0)),
        )
    ]
    comparable = (1.0 - tied[0] - tied[1] + tied[2]) / 2.0
    untied = np.minimum(1.0 - tied[0], 1.0 - tied[1])
    scale = np.sqrt((1.0 - tied[0]) * np.where(untied > _LEAST, 1.0 - tied[1], np.nan)) / 2.0
    tau: Array = (comparable - 2.0 * discordant) / scale
    return tau


def _of_all_two(x: Array, y: Array) -> float:
    """Tau-b of [K] values that weigh the same, neither side constant, in O(K^2)."""
    signs_x, signs_y = (np.sign(side[:, None] - side) for side in (x, y))
    return float(np.vdot(signs_x, signs_y) / np.sqrt(np.abs(signs_x).sum() * np.abs(signs_y).sum()))


def _order(first: Indices, second: Indices) -> Indices:
    """Positions by the first ranks, then by the second, then as they are, [K]."""
    count = len(first)
    return np.argsort((first * count + second) * count + np.arange(count))


def _tied(weight: Array, changes: NDArray[np.bool_]) -> Array:
    """Sum of products of the weights of all two that are tied, or one and the same, [N]."""
    starts = np.flatnonzero(np.append(True, changes))
    total: Array = (np.add.reduceat(weight, starts, axis=1) ** 2).sum(1)
    return total


def _inverted(places: Indices, weight: Array) -> Array:
    """Sum of products of the weights of all two of which the earlier has the later place, [N].

    Both what stands in a row and its places are cut into S parts of S, with S * S about K. Two of
    different parts in either sense are counted by sums over parts, the others one by one, in
    O(K sqrt(K)) without a loop.

    Args:
        places: a permutation, [K].
        weight: in its order, [N, K].
    """
    size = int(np.ceil(np.sqrt(len(places))))
    padded = np.arange(size * size)
    padded[: len(places)] = places
    row = np.zeros((len(weight), size * size))
    row[:, : len(places)] = weight
    at = np.empty_like(padded)
    at[padded] = np.arange(len(padded))
    part = (padded // size).reshape(size, size)
    blocks = row.reshape(len(weight), size, size).swapaxes(0, 1)  # [S, N, S]
    buckets = row[:, at].reshape(len(weight), size, size).swapaxes(0, 1)
    sums = blocks @ (part[:, :, None] == np.arange(size)).astype(float)  # [S, N, S] by bucket
    earlier = np.cumsum(sums, axis=0) - sums
    later = np.cumsum(earlier[:, :, ::-1], axis=2)[:, :, ::-1] - earlier
    total: Array = np.einsum("snk,snk->n", sums, later)
    inside, block = padded.reshape(size, size), (at // size).reshape(size, size)
    step = max(1, _ENTRIES // size**2)
    for low in range(0, size, step):
        some = slice(low, low + step)
        # [S', earlier, later]
        swapped = np.triu(inside[some, :, None] > inside[some, None, :])
        total += np.einsum("snk,snk->n", blocks[some] @ swapped.astype(float), blocks[some])
        swapped = np.triu(block[some, :, None] > block[some, None, :])
        total += np.einsum("snk,snk->n", buckets[some] @ swapped.astype(float), buckets[some])
    return total
