"""Which regions to take samples from, for a target and a budget."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from geospot_gpu.cost import GroundCost, check_one_scale
from geospot_gpu.displayed import Displayed
from geospot_gpu.engine.method import Solver, method_for
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.engine.settings import Engine, settled
from geospot_gpu.errors import checks
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.names import Name
from geospot_gpu.progress import shows_progress
from geospot_gpu.regions import Regions
from geospot_gpu.selection.candidates import CandidateCosts
from geospot_gpu.selection.methods import METHODS, ChosenRegions, RegionMethod, check_method
from geospot_gpu.selection.problem import Problem, pose
from geospot_gpu.selection.scatter import scattered
from geospot_gpu.selection.shares import share_equally
from geospot_gpu.selection.steps import Estimate, coverage_steps, union_steps
from geospot_gpu.selection.target_distances import TargetDistances, check_distance, solved_distances

log = logging.getLogger("geospot_gpu")


class BesideScatter(NamedTuple):
    """Coverage of a choice, and of the same budget scattered over all candidates."""

    chosen: Estimate
    scattered: Estimate
    gain: Estimate
    """By how much the choice is below what is scattered."""
    samples: int
    """How many are scattered."""
    regions: int
    """Over how many."""


@dataclass(frozen=True)
class Selection(Displayed):
    """Regions to take samples from.

    Attributes:
        targets: names of the targets.
        table: one row per region in the order in which they were chosen, columns ``order`` (from
            1), ``region``, ``quota``, ``available``, ``price``, ``distance``, ``lower`` and
            ``upper`` (after this step, 95 %), and ``improves`` (whether the step lowers the
            distance by more than its error). Samples of ``scatter`` are taken all at once: each row
            has the distance that all of them leave.
        distance: what ``distance`` is: ``coverage``, the expected mean cost from the target's
            points to the nearest sample, or ``divergence``, of the union from the target.
        coverage: expected mean cost from the target's points to the nearest of all samples at the
            quotas of the table.
        scatter: the same where the budget is scattered over all candidates, beside it.
        guarantee: at least this share of the best possible gain is reached; None where the method
            claims nothing.
        improves_until: the step after which nothing improves beyond the error bars.
        shortfall: how many samples of the budget the chosen regions do not have.
        scattered: whether the choice itself is scattered, all at once.
    """

    targets: list[str]
    table: pd.DataFrame
    distance: Literal["coverage", "divergence"]
    coverage: float
    scatter: BesideScatter
    guarantee: float | None
    improves_until: int
    shortfall: int
    scattered: bool = False


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

    The methods are:

    - ``coverage``: samples near to every part of the target, greedily, with a guarantee on the gain
      (:func:`~geospot_gpu.selection.facility.cover_greedily`).
    - ``union``: the union of samples that is nearest to the target by divergence, greedily as in
      GeoSpOT (arXiv 2604.16220), or the best of all. Regions count in it by their quotas, as they
      will be trained on.
    - ``nearest``: the regions nearest one by one, by the distance ``by``.
    - ``scatter``: samples scattered over all candidates, as many of each as a plan of coverage
      takes from it, in proportion (:func:`~geospot_gpu.selection.scatter.scattered`). Every method
      is put beside it.
    - ``random`` and ``all``: controls.

    Args:
        regions: the candidates, and the targets where there is no second table.
        target: name of a region, of several, or names with what they count.
        budget: how many samples may be taken; with ``prices`` what may be spent.
        method: how to choose.
        against: the targets, where they are a table of their own.
        max_regions: how many regions may be chosen; 5 if not given, or all where the budget pays
            for all samples there are. ``all`` knows no such limit, and ``scatter`` takes those
            of the largest shares where it is given.
        quota: samples of each chosen region, for ``scatter`` at most; the budget is shared if not
            given.
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
    problem = pose(
        regions,
        against,
        target=target,
        budget=budget,
        max_regions=len(regions) if method == "all" else max_regions,
        quota=quota,
        prices=prices,
        exclude=exclude,
        have=have,
        include_target=include_target,
    )
    distances = by if callable(by) else partial(solved_distances, how, engine, by=by)

    def costs_of(problem: Problem) -> CandidateCosts:
        pair_engine = PairEngine(problem.regions, how, engine)
        return CandidateCosts(problem, pair_engine, distances, exhaustive, seed)

    if method == "scatter":
        taken = costs_of(problem).taken
        problem = replace(problem, quota=scattered(problem, taken, over=max_regions, most=quota))
    costs = costs_of(_with_enough_points(problem))
    return _described(costs, METHODS[method](costs))


def _with_enough_points(problem: Problem) -> Problem:
    """The problem over samples of the candidates that are as large as their quotas."""
    regions, largest = problem.regions, int(problem.quota.max())
    most = regions.sampling.max_points
    if most is None or largest <= most:
        return problem
    everything = np.arange(len(regions))
    return replace(problem, regions=regions.resampled(everything, largest))


def _warn_of_shortfall(problem: Problem, chosen: ChosenRegions, samples: int) -> None:
    count = len(chosen.order)
    if chosen.scattered:
        log.warning(
            "budget=%d: no more than %d samples can be scattered over %d regions",
            *(int(problem.budget), samples, count),
        )
        return
    more = "; raise max_regions for more" if count < len(problem.candidates) else ""
    log.warning(
        "budget=%d: the %d regions chosen have only %d samples: all are taken%s",
        *(int(problem.budget), count, samples, more),
    )


def _described(costs: CandidateCosts, chosen: ChosenRegions) -> Selection:
    problem, order = costs.problem, chosen.order
    quota = problem.quota[order]
    shortfall = 0
    if problem.prices is None:
        if not chosen.scattered:
            quota = share_equally(problem.available[order], int(problem.budget), quota)
        shortfall = int(problem.budget) - int(quota.sum())
        if shortfall:
            _warn_of_shortfall(problem, chosen, int(quota.sum()))
    table = pd.DataFrame(
        {
            "order": np.arange(1, len(order) + 1),
            "region": [problem.name(r) for r in order],
            "quota": quota,
            "available": problem.available[order],
            "price": problem.price(np.bincount(order, quota, len(problem.quota)))[order],
        }
    )
    covers = costs.cover(order, quota, steps=not (chosen.as_union or chosen.scattered))
    steps = union_steps(costs, order) if chosen.as_union else coverage_steps(costs, covers)
    if chosen.scattered:
        steps = steps.loc[np.zeros(len(order), int)].reset_index(drop=True)
    table = table.join(steps)
    cover = of_rival = covers[:, -1]
    rival = problem.quota
    if not chosen.scattered:
        # More than a region's sample holds would take larger samples of all regions.
        here = costs.engine.regions.n_points[problem.candidates]
        rival = scattered(problem, costs.taken, most=here)
        of_rival = costs.cover(np.flatnonzero(rival).tolist(), rival[rival > 0])[:, -1]
    own, spread, gain = (
        Estimate.of(costs.mass, values) for values in (cover, of_rival, of_rival - cover)
    )
    beside = BesideScatter(own, spread, gain, int(rival.sum()), int((rival > 0).sum()))
    improving = np.flatnonzero(table["improves"])
    return Selection(
        targets=problem.target_names,
        table=table,
        distance="divergence" if chosen.as_union else "coverage",
        coverage=beside.chosen.value,
        scatter=beside,
        guarantee=chosen.guarantee,
        improves_until=int(improving[-1]) + 1 if len(improving) else 0,
        shortfall=shortfall,
        scattered=chosen.scattered,
    )
