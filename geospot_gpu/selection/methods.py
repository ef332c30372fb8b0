"""Methods that choose regions, behind one contract."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import numpy as np

from geospot_gpu.arrays import Indices
from geospot_gpu.errors import GeospotError
from geospot_gpu.selection.candidates import CandidateCosts
from geospot_gpu.selection.facility import Cover, cover_greedily

RegionMethod = Literal["coverage", "union", "nearest", "scatter", "random", "all"]

MOST_UNIONS = 10_000
"""Unions that ``exhaustive`` tries at most."""


class ChosenRegions(NamedTuple):
    """What a method chooses."""

    order: list[int]
    """Positions among the candidates, in the order in which they were taken."""
    guarantee: float | None = None
    as_union: bool = False
    """Whether steps are judged by the divergence of the union."""
    scattered: bool = False
    """Whether there are no steps, and quotas are as they are."""


def by_coverage(costs: CandidateCosts) -> ChosenRegions:
    """Greedy on the expected cost from the target's points to the nearest sample."""
    found: Cover = cover_greedily(costs.expected, costs.mass, costs.start, costs.problem.limits)
    return ChosenRegions(found.order.tolist(), found.guarantee)


def by_union(costs: CandidateCosts) -> ChosenRegions:
    """Regions whose union, weighted as it will be trained on, is nearest to the targets."""
    limits = costs.problem.limits
    if costs.exhaustive:
        return _exhaustive(costs)
    order: list[int] = []
    while (left := np.flatnonzero(limits.after(order))).size:
        unions = [costs.mixture([*order, int(r)]) for r in left]
        order.append(int(left[np.argmin(costs.unions.values(unions))]))
        if limits.after(order).any():
            costs.unions.distance(costs.mixture(order))  # where extensions start from
    return ChosenRegions(order, as_union=True)


def _exhaustive(costs: CandidateCosts) -> ChosenRegions:
    """The best of all unions that the limits allow and no affordable candidate extends."""
    limits = costs.problem.limits
    count, most = len(limits.price), limits.most
    if math.comb(count, most) > MOST_UNIONS:
        raise GeospotError(
            f"exhaustive=true: {most} of {count} regions form {math.comb(count, most):,} unions, "
            f"more than {MOST_UNIONS:,}: lower max_regions, or exclude regions"
        )
    sets = [
        list(chosen)
        for size in range(1, most + 1)
        for chosen in itertools.combinations(range(count), size)
        if limits.price[list(chosen)].sum() <= limits.budget * (1 + 1e-12)
        and not limits.after(list(chosen)).any()
    ]
    values = costs.unions.values([costs.mixture(chosen) for chosen in sets])
    left, order = set(sets[int(np.argmin(values))]), list[int]()
    while left:  # in the order in which they would be taken
        options = sorted(left)
        unions = [costs.mixture([*order, r]) for r in options]
        order.append(options[int(np.argmin(costs.unions.values(unions)))])
        left.discard(order[-1])
    return ChosenRegions(order, as_union=True)


def by_nearest(costs: CandidateCosts) -> ChosenRegions:
    """The regions nearest to the targets, one by one."""
    return ChosenRegions(_within(costs, np.argsort(costs.to_targets, kind="stable")))


def by_scatter(costs: CandidateCosts) -> ChosenRegions:
    """Every candidate that samples are scattered over, those of most samples first."""
    quota = costs.problem.quota
    order = [int(r) for r in np.argsort(-quota, kind="stable") if quota[r]]
    return ChosenRegions(order, scattered=True)


def by_chance(costs: CandidateCosts) -> ChosenRegions:
    """Regions drawn at random, a control."""
    generator = np.random.default_rng(costs.seed)
    return ChosenRegions(_within(costs, generator.permutation(len(costs.problem.candidates))))


def all_of_them(costs: CandidateCosts) -> ChosenRegions:
    """Every candidate that the budget pays for, a control."""
    return ChosenRegions(_within(costs, np.arange(len(costs.problem.candidates))))


def _within(costs: CandidateCosts, ranked: Indices) -> list[int]:
    """Candidates in that order, as far as the limits allow."""
    order: list[int] = []
    for r in ranked.tolist():
        if costs.problem.limits.after(order)[r]:
            order.append(r)
    return order


METHODS: dict[str, Callable[[CandidateCosts], ChosenRegions]] = {
    "coverage": by_coverage,
    "union": by_union,
    "nearest": by_nearest,
    "scatter": by_scatter,
    "random": by_chance,
    "all": all_of_them,
}


def check_method(method: str, exhaustive: bool) -> None:
    """Raise unless ``method`` is one of :data:`RegionMethod`, and fits."""
    if not isinstance(method, str) or method not in get_args(RegionMethod):
        raise GeospotError(
            f"method={method} is unknown: use one of {', '.join(get_args(RegionMethod))}"
        )
    if exhaustive and method != "union":
        raise GeospotError(f"exhaustive=true has no effect on method={method}: use method=union")
