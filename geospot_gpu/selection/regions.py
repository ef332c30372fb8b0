"""Which regions to take samples from, for a target and a budget: methods behind one contract."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.cost import GroundCost, check_one_scale
from geospot_gpu.engine.engine import Engine, Indices, PairEngine, Solver, settled
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.names import Name
from geospot_gpu.regions import Regions
from geospot_gpu.selection.facility import Cover, cover_greedily, covered
from geospot_gpu.selection.problem import Problem, pose
from geospot_gpu.selection.quota import quota_costs
from geospot_gpu.selection.target_distances import check_distance, computed
from geospot_gpu.selection.union import Distance, Mixture, Unions
from geospot_gpu.sinkhorn.solver import Sinkhorn

Array = NDArray[np.float64]
Method = Literal["coverage", "union", "nearest", "random", "all"]
RowOf = Callable[[Problem], Array]
"""Distances from the candidates of a problem to its targets, [R, T]."""

MOST_UNIONS = 10_000
"""Unions that ``exhaustive`` tries at most."""
_NORMAL = 1.96
"""Half of a 95 % interval, in standard errors."""

log = logging.getLogger("geospot_gpu")


@dataclass(frozen=True)
class Selection:
    """Regions to take samples from.

    Attributes:
        targets: names of the targets.
        table: one row per region in the order in which they were chosen, columns ``order`` (from
            1), ``region``, ``quota``, ``available``, ``price``, ``distance``, ``lower`` and
            ``upper`` (after this step, 95 %), and ``improves`` (whether the step lowers the
            distance by more than its error).
        distance: what ``distance`` is: ``coverage``, the expected mean cost from the target's
            points to the nearest sample, or ``divergence``, of the union from the target.
        coverage: expected mean cost from the target's points to the nearest of all samples at the
            quotas of the table.
        guarantee: at least this share of the best possible gain is reached; None where the method
            claims nothing.
        improves_until: the step after which nothing improves beyond the error bars.
        shortfall: how many samples of the budget the chosen regions do not have.
    """

    targets: list[str]
    table: pd.DataFrame
    distance: Literal["coverage", "divergence"]
    coverage: float
    guarantee: float | None
    improves_until: int
    shortfall: int


class Choice(NamedTuple):
    """What a method chooses."""

    order: list[int]
    """Positions among the candidates, in the order in which they were taken."""
    guarantee: float | None = None
    as_union: bool = False
    """Whether steps are judged by the divergence of the union."""


class Setting:
    """A problem with what methods need to solve it, computed once and when it is needed."""

    def __init__(
        self, problem: Problem, engine: PairEngine, row_of: RowOf, exhaustive: bool, seed: int
    ) -> None:
        self.problem, self.engine = problem, engine
        self.exhaustive, self.seed = exhaustive, seed
        self._row_of = row_of

    @cached_property
    def costs(self) -> Array:
        """Expected cost of each target point from a quota-sized sample of each candidate, [M, R]"""
        problem = self.problem
        return quota_costs(self.engine, problem.targets, problem.candidates, problem.quota)

    @cached_property
    def have_cost(self) -> Array:
        """Cost of each target point from what is there already, infinite without, [M]."""
        problem = self.problem
        if len(problem.have) == 0:
            return np.full(len(self.mass), np.inf)
        costs = quota_costs(self.engine, problem.targets, problem.have, problem.have_counts)
        nearest: Array = costs.min(axis=1)
        return nearest

    @cached_property
    def mass(self) -> Array:
        """Of each target point, [M]."""
        regions, problem = self.engine.regions, self.problem
        parts = [
            share * regions.weight[slice(*regions.offsets[t : t + 2].tolist())].cpu().numpy()
            for t, share in zip(problem.targets, problem.shares, strict=True)
        ]
        return np.concatenate(parts)

    @cached_property
    def start(self) -> Array:
        """Cost of each target point before anything is chosen, [M]."""
        largest = float(self.costs.max())
        return np.where(np.isfinite(self.have_cost), self.have_cost, largest)

    @cached_property
    def unions(self) -> Unions:
        """Distances of unions from the targets."""
        if not isinstance(self.engine.solver, Sinkhorn):
            raise GeospotError("method=union needs solver=sinkhorn")
        return Unions(self.engine, self.problem.targets, self.problem.shares)

    def mixture(self, order: Sequence[int]) -> Mixture:
        """What is there already and the candidates in ``order``, as they will be trained on."""
        problem = self.problem
        members = [*problem.have.tolist(), *problem.candidates[list(order)].tolist()]
        counts = [*problem.have_counts.tolist(), *problem.quota[list(order)].tolist()]
        return Mixture(tuple(members), tuple(float(count) for count in counts))

    @cached_property
    def toward(self) -> Array:
        """Distance from each candidate to the targets by their shares, [R]."""
        distances: Array = self._row_of(self.problem) @ self.problem.shares
        return distances


def by_coverage(setting: Setting) -> Choice:
    """Greedy on the expected cost from the target's points to the nearest sample."""
    found: Cover = cover_greedily(
        setting.costs, setting.mass, setting.start, setting.problem.limits
    )
    return Choice(found.order.tolist(), found.guarantee)


def by_union(setting: Setting) -> Choice:
    """Regions whose union, weighted as it will be trained on, is nearest to the targets."""
    limits = setting.problem.limits
    if setting.exhaustive:
        return _exhaustive(setting)
    order: list[int] = []
    while (left := np.flatnonzero(limits.after(order))).size:
        unions = [setting.mixture([*order, int(r)]) for r in left]
        order.append(int(left[np.argmin(setting.unions.values(unions))]))
        if limits.after(order).any():
            setting.unions.distance(setting.mixture(order))  # where extensions start from
    return Choice(order, as_union=True)


def _exhaustive(setting: Setting) -> Choice:
    """The best of all unions that the limits allow and no affordable candidate extends."""
    limits = setting.problem.limits
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
    values = setting.unions.values([setting.mixture(chosen) for chosen in sets])
    left, order = set(sets[int(np.argmin(values))]), list[int]()
    while left:  # in the order in which they would be taken
        options = sorted(left)
        unions = [setting.mixture([*order, r]) for r in options]
        order.append(options[int(np.argmin(setting.unions.values(unions)))])
        left.discard(order[-1])
    return Choice(order, as_union=True)


def by_nearest(setting: Setting) -> Choice:
    """The regions nearest to the targets, one by one."""
    return Choice(_within(setting, np.argsort(setting.toward, kind="stable")))


def by_chance(setting: Setting) -> Choice:
    """Regions drawn at random, a control."""
    generator = np.random.default_rng(setting.seed)
    return Choice(_within(setting, generator.permutation(len(setting.problem.candidates))))


def all_of_them(setting: Setting) -> Choice:
    """Every candidate that the budget pays for, a control."""
    return Choice(_within(setting, np.arange(len(setting.problem.candidates))))


def _within(setting: Setting, ranked: Indices) -> list[int]:
    """Candidates in that order, as far as the limits allow."""
    order: list[int] = []
    for r in ranked.tolist():
        if setting.problem.limits.after(order)[r]:
            order.append(r)
    return order


_METHODS: dict[str, Callable[[Setting], Choice]] = {
    "coverage": by_coverage,
    "union": by_union,
    "nearest": by_nearest,
    "random": by_chance,
    "all": all_of_them,
}


def check_method(method: str, exhaustive: bool) -> None:
    """Raise unless ``method`` is one of :data:`Method`, and fits."""
    if not isinstance(method, str) or method not in get_args(Method):
        raise GeospotError(f"method={method} is unknown: use one of {', '.join(get_args(Method))}")
    if exhaustive and method != "union":
        raise GeospotError(f"exhaustive=true has no effect on method={method}: use method=union")


@out_of_memory("choosing regions", "exclude regions, or sweep with a smaller regions.max_points")
def select_regions(
    regions: Regions,
    target: Name | Iterable[Name] | Mapping[Any, float],
    budget: float,
    *,
    method: Method = "coverage",
    against: Regions | None = None,
    max_regions: int | None = None,
    quota: int | None = None,
    prices: pd.DataFrame | None = None,
    exclude: Iterable[Name] = (),
    have: Name | Iterable[Name] | Mapping[Any, int] = (),
    include_target: bool = False,
    by: str | RowOf = "divergence",
    exhaustive: bool = False,
    seed: int = 0,
    cost: GroundCost | None = None,
    solver: Solver | None = None,
    engine: Engine | None = None,
) -> Selection:
    """Which regions to take samples from, so that a model does well on a target.

    Methods:
    - ``coverage``: samples near to every part of the target, greedily, with a guarantee on the gain
      (:func:`~geospot_gpu.selection.facility.cover_greedily`).
    - ``union``: the union of samples that is nearest to the target by divergence, greedily as in
      GeoSpOT (arXiv 2604.16220), or the best of all. Regions count in it by their quotas, as they
      will be trained on.
    - ``nearest``: the regions nearest one by one, by the distance ``by``.
    - ``random`` and ``all``: controls.

    Args:
        regions: the candidates, and the targets where there is no second table.
        target: name of a region, of several, or names with what they count.
        budget: how many samples may be taken; with ``prices`` what may be spent.
        method: how to choose.
        against: the targets, where they are a table of their own.
        max_regions: how many regions may be chosen; 5 if not given, or all where the budget pays
            for all samples there are. ``all`` knows no such limit.
        quota: samples of each chosen region; the budget is shared equally if not given.
        prices: columns ``region``, ``per_region`` and ``per_sample``; needs ``quota``.
        exclude: names of regions that are no candidates.
        have: regions whose samples are there already, all of them or the given numbers.
        include_target: whether a target may be a candidate for itself.
        by: distance of ``nearest``, or a function that finds it.
        exhaustive: try all unions instead of extending the best one.
        seed: of ``random``.
        cost: ground cost, on one scale; as for :func:`~geospot_gpu.pairwise` if not given.
        solver: :class:`~geospot_gpu.Sinkhorn` if not given.
        engine: device, backend, storage and memory budget.

    Raises:
        GeospotError: a name is unknown, no candidate is left, the budget buys nothing, or a setting
            is out of range.

    >>> regions = Regions.from_points(
    ...     lon=[0, 9, 1, 2, 8, 9, 90, 91], lat=[0] * 8, region=list("ttaabbcc")
    ... )
    >>> chosen = select_regions(regions, "t", 4, max_regions=2)
    >>> chosen.table.region.tolist(), chosen.table.quota.tolist()
    (['a', 'b'], [2, 2])
    """
    check_method(method, checks.flag(exhaustive, "exhaustive"))
    seed = checks.whole(seed, "seed", least=0)
    if not callable(by):
        check_distance(by)
    cost, solver, engine = settled(regions, cost, solver, engine)
    check_one_scale(cost)
    if method == "all":
        max_regions = len(regions)
    problem = pose(
        regions,
        against,
        target=target,
        budget=budget,
        max_regions=max_regions,
        quota=quota,
        prices=prices,
        exclude=exclude,
        have=have,
        include_target=include_target,
    )
    problem = _with_enough_points(problem)
    pair_engine = PairEngine(problem.regions, cost, solver, engine)
    row_of = partial(computed, cost, solver, engine, by=by) if not callable(by) else by
    setting = Setting(problem, pair_engine, row_of, exhaustive, seed)
    choice = _METHODS[method](setting)
    return _described(setting, choice)


def _with_enough_points(problem: Problem) -> Problem:
    """The problem over samples of the candidates that are as large as their quotas."""
    regions, largest = problem.regions, int(problem.quota.max())
    most = regions.sampling.max_points
    if most is None or largest <= most:
        return problem
    everything = np.arange(len(regions))
    return replace(problem, regions=regions.resampled(everything, largest))


def _described(setting: Setting, choice: Choice) -> Selection:
    problem, order = setting.problem, choice.order
    steps = _union_steps(setting, order) if choice.as_union else _coverage_steps(setting, order)
    quota = problem.quota[order]
    shortfall = 0
    if not problem.priced:
        quota = share_equally(problem.available[order], int(problem.budget), quota)
        shortfall = int(problem.budget) - int(quota.sum())
        if shortfall:
            more = "; raise max_regions for more" if len(order) < len(problem.candidates) else ""
            log.warning(
                "budget=%d: the %d regions chosen have only %d samples: all are taken%s",
                *(int(problem.budget), len(order), int(quota.sum()), more),
            )
    final = quota_costs(setting.engine, problem.targets, problem.candidates[order], quota)
    cover = covered(list(range(len(order))), final, setting.have_cost)
    price = quota.astype(float) if not problem.priced else problem.limits.price[order]
    table = pd.DataFrame(
        {
            "order": np.arange(1, len(order) + 1),
            "region": [problem.name(r) for r in order],
            "quota": quota,
            "available": problem.available[order],
            "price": price,
        }
    ).join(steps)
    improving = np.flatnonzero(table["improves"])
    return Selection(
        problem.target_names,
        table,
        "divergence" if choice.as_union else "coverage",
        float(setting.mass @ cover),
        choice.guarantee,
        int(improving[-1]) + 1 if len(improving) else 0,
        shortfall,
    )


def share_equally(available: Indices, budget: int, quota: Indices) -> Indices:
    """Samples of each of K regions: as equal as what they have allows, ``budget`` in all.

    What some regions lack goes to the others.

    Args:
        available: how many samples there are, [K].
        budget: how many to take; all there are if that is less.
        quota: no region gets less, [K].

    >>> share_equally(np.array([3, 10, 10]), 16, np.array([3, 5, 5])).tolist()
    [3, 7, 6]
    """
    quota = quota.copy()
    while (left := min(budget, int(available.sum())) - int(quota.sum())) > 0:
        spare = np.flatnonzero(quota < available)
        lowest = spare[quota[spare] == quota[spare].min()]
        quota[lowest[:left]] += 1 if left < len(lowest) else _rise(quota, available, lowest, left)
    return quota


def _rise(quota: Indices, available: Indices, lowest: Indices, left: int) -> int:
    """By how much the regions with the fewest samples can rise together."""
    others = quota[(quota > quota[lowest[0]]) & (quota < available)]
    steps = [left // len(lowest), int((available - quota)[lowest].min())]
    if len(others):
        steps.append(int(others.min() - quota[lowest[0]]))
    return min(steps)


def _coverage_steps(setting: Setting, order: list[int]) -> pd.DataFrame:
    """Coverage after each step, with the error that the target's points leave in it.

    The points of a target are taken as a sample of the places that a model will be used at.
    """
    mass, before = setting.mass, setting.have_cost
    rows = []
    for step in range(1, len(order) + 1):
        cover = covered(order[:step], setting.costs, setting.have_cost)
        value, error = _mean(mass, cover)
        gained, noise = _mean(mass, before - cover) if np.isfinite(before[0]) else (np.inf, 0.0)
        half = _NORMAL * error
        rows.append((value, value - half, value + half, gained > _NORMAL * noise))
        before = cover
    return pd.DataFrame(rows, columns=["distance", "lower", "upper", "improves"])


def _mean(mass: Array, values: Array) -> tuple[float, float]:
    """Weighted mean, and its standard error as a ratio estimate."""
    mean = float(mass @ values)
    return mean, float(np.sqrt(np.square(mass * (values - mean)).sum()))


def _union_steps(setting: Setting, order: list[int]) -> pd.DataFrame:
    """Divergence of the union after each step, with the error that samples leave in it."""
    before: Distance | None = None
    if len(setting.problem.have):
        before = setting.unions.distance(setting.mixture([]))
    rows = []
    for step in range(1, len(order) + 1):
        found = setting.unions.distance(setting.mixture(order[:step]))
        if not found.converged:
            log.warning("the union of %d regions did not converge", step)
        half = _NORMAL * _error(found, None)
        improves = before is None or before.value - found.value > _NORMAL * _error(found, before)
        rows.append((found.value, found.lower - half, found.upper + half, improves))
        before = found
    return pd.DataFrame(rows, columns=["distance", "lower", "upper", "improves"])


def _error(found: Distance, before: Distance | None) -> float:
    """Standard error of a divergence, or of its difference from another one of the same targets."""
    change = found.of_target - (0.0 if before is None else before.of_target)
    total = float(np.square(change).sum())
    earlier = {} if before is None else before.of_member
    for k, values in found.of_member.items():
        total += float(np.square(values - earlier.get(k, 0.0)).sum())
    return math.sqrt(total)
