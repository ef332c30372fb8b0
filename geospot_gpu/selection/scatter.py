"""A budget scattered over all candidates by a plan: the rival of every choice of regions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.arrays import Indices
from geospot_gpu.selection.problem import Problem

Array = NDArray[np.float64]


def apportion(share: Array, most: Indices, total: int) -> Indices:
    """Whole numbers that are as proportional to shares as they can be, by largest remainders.

    Who would get more than there is gets all, and the others share what is left. Each gets its
    exact share rounded down or up (Hamilton's method), and of two with as much room the one with
    the larger share gets no less. Of equal remainders those of larger shares come first, then those
    that stand first.

    Args:
        share: of each, [R], not negative.
        most: what each can have at most, [R]; nothing where the share is zero.
        total: what is shared; less where there is less room.

    >>> apportion(np.array([5.0, 3.0, 1.0]), np.array([9, 9, 9]), 4).tolist()
    [2, 1, 1]
    >>> apportion(np.array([5.0, 3.0, 1.0]), np.array([1, 9, 9]), 4).tolist()
    [1, 2, 1]
    """
    most = np.where(share > 0, most, 0)
    total = min(total, int(most.sum()))
    full = most == 0
    exact = most.astype(float)
    while not full.all():
        rest = share[~full]
        exact[~full] = rest / rest.sum() * (total - most[full].sum())
        beyond = ~full & (exact > most)
        if not beyond.any():
            break
        exact[beyond], full = most[beyond], full | beyond
    # What is whole but for rounding is whole.
    found: Indices = np.floor(np.minimum(exact + 1e-9, most)).astype(np.int64)
    left = total - int(found.sum())
    ranked = np.lexsort((-share, -np.round(exact - found, 9), found >= most))
    found[ranked[:left]] += 1
    return found


def scattered(
    problem: Problem, taken: Array, *, over: int | None = None, most: Indices | int | None = None
) -> Indices:
    """Samples of each candidate, [R]: of all of them, in proportion to what a plan takes of each.

    Regions that are nearer to more of the target give more: where distances hardly tell regions
    apart, the plan spreads over many, and where one is nearer to all of the target by far more than
    epsilon, it gives all. On each of the four tasks of benchmarks/selection, for ten targets or
    twelve other than those of its tables, models did better so than with samples in proportion to
    the points of regions, or half so and half by the plan. With prices, it is as many samples as
    the budget pays for when they are scattered so.

    Args:
        problem: candidates, budget and prices.
        taken: what the plan takes of each candidate
            (:func:`~geospot_gpu.selection.plan.taken_from`), [R], positive.
        over: number of regions, those of the largest shares; all if not given.
        most: samples of a region at most, for all or each of them; all it has if not given.
    """
    room = problem.available if most is None else np.minimum(problem.available, most)
    share = taken.copy()
    if problem.prices is not None:
        share = np.where(problem.prices.sum(axis=1) <= problem.budget, share, 0.0)
    if over is not None:
        share[np.argsort(-share, kind="stable")[over:]] = 0.0
    return apportion(share, room, _samples(problem, share, room))


def _samples(problem: Problem, share: Array, room: Indices) -> int:
    """How many samples the budget pays for."""
    most = int(room[share > 0].sum())
    if problem.prices is None:
        return int(min(problem.budget, most))
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if problem.price(apportion(share, room, middle)).sum() <= problem.budget * (1 + 1e-12):
            low = middle
        else:
            high = middle - 1
    return low
