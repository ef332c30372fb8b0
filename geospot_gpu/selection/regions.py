"""Which regions to take samples from, for a target and a budget."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd

from geospot_gpu.cost import GroundCost, check_one_scale
from geospot_gpu.engine.method import Solver, method_for
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.engine.settings import Engine, settled
from geospot_gpu.errors import checks
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.names import Name
from geospot_gpu.progress import shows_progress
from geospot_gpu.regions import Regions
from geospot_gpu.selection.candidates import CandidateCosts
from geospot_gpu.selection.facility import covered
from geospot_gpu.selection.methods import METHODS, ChosenRegions, RegionMethod, check_method
from geospot_gpu.selection.problem import Problem, pose
from geospot_gpu.selection.quota import quota_costs
from geospot_gpu.selection.shares import share_equally
from geospot_gpu.selection.steps import coverage_steps, union_steps
from geospot_gpu.selection.target_distances import TargetDistances, check_distance, solved_distances

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


@out_of_memory("choosing regions", "exclude regions, or sweep with a smaller regions.max_points")
@shows_progress
def select_regions(
    regions: Regions,
    target: Name | Iterable[Name] | Mapping[Any, float],
    budget: float,
    *,
    method: RegionMethod = "coverage",
    against: Regions | None = None,
    max_regions: int | None = None,
    quota: int | None = None,
    prices: pd.DataFrame | None = None,
    exclude: Iterable[Name] = (),
    have: Name | Iterable[Name] | Mapping[Any, int] = (),
    include_target: bool = False,
    by: str | TargetDistances = "divergence",
    exhaustive: bool = False,
    seed: int = 0,
    cost: GroundCost | None = None,
    solver: Solver | None = None,
    engine: Engine | None = None,
    progress: bool = False,
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
        progress: draw how far it has come.

    Raises:
        GeospotError: a name is unknown, no candidate is left, the budget buys nothing, or a costs
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
    how, engine = method_for(regions, cost, solver), settled(engine)
    check_one_scale(how.cost)
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
    pair_engine = PairEngine(problem.regions, how, engine)
    distances = by if callable(by) else partial(solved_distances, how, engine, by=by)
    costs = CandidateCosts(problem, pair_engine, distances, exhaustive, seed)
    return _described(costs, METHODS[method](costs))


def _with_enough_points(problem: Problem) -> Problem:
    """The problem over samples of the candidates that are as large as their quotas."""
    regions, largest = problem.regions, int(problem.quota.max())
    most = regions.sampling.max_points
    if most is None or largest <= most:
        return problem
    everything = np.arange(len(regions))
    return replace(problem, regions=regions.resampled(everything, largest))


def _described(costs: CandidateCosts, chosen: ChosenRegions) -> Selection:
    problem, order = costs.problem, chosen.order
    steps = union_steps(costs, order) if chosen.as_union else coverage_steps(costs, order)
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
    final = quota_costs(costs.engine, problem.targets, problem.candidates[order], quota)
    cover = covered(list(range(len(order))), final, costs.have_cost)
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
        "divergence" if chosen.as_union else "coverage",
        float(costs.mass @ cover),
        chosen.guarantee,
        int(improving[-1]) + 1 if len(improving) else 0,
        shortfall,
    )
