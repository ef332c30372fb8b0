"""Facility location: greedy choices with guarantees, over a matrix of costs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

_SPENT = 1.0 + 1e-12
"""What a sum of prices may exceed a budget by: they are added in floating point."""


class ChoiceLimits(NamedTuple):
    """What a choice may cost."""

    price: Array
    """Of each candidate, [R], not negative."""
    budget: float
    """Largest sum of prices."""
    most: int
    """Largest number of candidates."""

    @property
    def affordable(self) -> NDArray[np.bool_]:
        """Which candidates can be had at all, [R]."""
        had: NDArray[np.bool_] = self.price <= self.budget * _SPENT
        return had

    def after(self, order: list[int]) -> NDArray[np.bool_]:
        """Which candidates [R] can still be had after those in ``order``."""
        left = self.affordable.copy()
        left[order] = False
        if len(order) >= self.most:
            left[:] = False
        had: NDArray[np.bool_] = self.price + self.price[order].sum() <= self.budget * _SPENT
        return left & had


class Cover(NamedTuple):
    """A choice of candidates, in the order in which they were taken."""

    order: Indices
    """Positions of the candidates, [K]."""
    gain: float
    """``F(S)``, by how much the choice lowers the mean cost of the points."""
    guarantee: float
    """At least this share of the best possible gain is reached, as is known afterwards."""


def cover_greedily(costs: Array, mass: Array, start: Array, limits: ChoiceLimits) -> Cover:
    """Choose candidates that are near to the points of a target.

    Maximises ``F(S) = sum_j b_j max_{r in S} (c0_j - d_jr)+``, which is monotone and submodular:
    the greedy choice reaches 1 - 1/e of the largest F for a number of candidates of equal price
    (Nemhauser, Wolsey & Fisher 1978, An analysis of approximations for maximizing submodular set
    functions). Where prices differ, the better of the greedy choice by gain per price and the best
    single candidate reaches half of that (Khuller, Moss & Naor 1999, The budgeted maximum coverage
    problem). The guarantee is on the gain, not on the cost that is left.

    Args:
        costs: ``d_jr``, cost of point j from candidate r, [M, R].
        mass: ``b_j``, [M].
        start: ``c0_j``, cost of each point before anything is chosen, [M].
        limits: prices, budget and number of candidates.

    >>> costs = np.array([[0.0, 0.6, 1.0], [1.0, 0.6, 0.0]])
    >>> limits = ChoiceLimits(price=np.ones(3), budget=2.0, most=2)
    >>> cover_greedily(costs, np.full(2, 0.5), np.ones(2), limits).order.tolist()
    [0, 2]
    """
    order = _greedy(costs, mass, start, limits)
    some = limits.price[limits.affordable]
    if len(some) and some.min() < some.max():
        single = int(np.argmax(np.where(limits.affordable, _gains(costs, mass, start), -1.0)))
        if gain_of([single], costs, mass, start) > gain_of(order, costs, mass, start):
            order = [single]
    gain = gain_of(order, costs, mass, start)
    most = gain + _residual(order, costs, mass, start, limits)
    return Cover(np.array(order, np.int64), gain, gain / most if most > 0 else 1.0)


def gain_of(order: list[int], costs: Array, mass: Array, start: Array) -> float:
    """``F`` of a choice."""
    return float(mass @ (start - covered(order, costs, start)))


def covered(order: list[int], costs: Array, start: Array) -> Array:
    """Cost of each point from the nearest of what was chosen, or as at the start, [M]."""
    cover: Array = np.minimum(start, costs[:, order].min(axis=1, initial=np.inf))
    return cover


def _greedy(costs: Array, mass: Array, start: Array, limits: ChoiceLimits) -> list[int]:
    order: list[int] = []
    mean = mass @ costs  # where nothing is gained, the nearer candidate is still the better one
    while (left := limits.after(order)).any():
        gain = _gains(costs, mass, covered(order, costs, start))
        with np.errstate(divide="ignore", invalid="ignore"):
            worth = np.where(limits.price > 0, gain / limits.price, np.where(gain > 0, np.inf, 0.0))
        ranked = np.lexsort((mean, -worth, ~left))
        order.append(int(ranked[0]))
    return order


def _gains(costs: Array, mass: Array, cover: Array) -> Array:
    """What each candidate would add, [R]."""
    gains: Array = mass @ np.maximum(cover[:, None] - costs, 0.0)
    return gains


def _residual(
    order: list[int], costs: Array, mass: Array, start: Array, limits: ChoiceLimits
) -> float:
    """At most that much more could be gained by any choice within the limits.

    By submodularity the best choice gains no more on top of S than its members do one by one: the
    largest such sum for that many candidates, or for the budget if parts of them could be had.
    """
    gain = _gains(costs, mass, covered(order, costs, start))
    gain[order] = 0.0
    gain[~limits.affordable] = 0.0
    by_count = np.sort(gain)[::-1][: limits.most].sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        worth = np.where(limits.price > 0, gain / limits.price, np.inf)
    ranked = np.argsort(-worth, kind="stable")
    spent = np.cumsum(limits.price[ranked])
    part = np.clip(
        (limits.budget - (spent - limits.price[ranked])) / np.maximum(limits.price[ranked], 1e-300),
        0.0,
        1.0,
    )
    part = np.where(limits.price[ranked] > 0, part, 1.0)
    return float(min(by_count, (gain[ranked] * part).sum()))
