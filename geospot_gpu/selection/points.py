"""Which single points to label or to train on, for a target."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.cost import GroundCost, check_one_scale, check_without_labels
from geospot_gpu.displayed import Tabled
from geospot_gpu.engine.method import Solver, method_for
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.engine.settings import Engine, settled
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.names import Name
from geospot_gpu.progress import shows_progress
from geospot_gpu.regions import Regions
from geospot_gpu.selection.importance import Importance, drawn, importance_weights
from geospot_gpu.selection.point_cover import cover_points
from geospot_gpu.selection.pool import Pool, PoolCosts
from geospot_gpu.selection.problem import Asked, resolve
from geospot_gpu.selection.quota import quota_costs
from geospot_gpu.selection.strata import sample_for_score
from geospot_gpu.sinkhorn.solver import Sinkhorn

Array = NDArray[np.float64]

log = logging.getLogger("geospot_gpu")

_DRAWN_FROM = 256
"""Points of the pool near each target point that what ``coverage`` leaves is drawn from."""

PointMethod = Literal["coverage", "importance"]
Purpose = Literal["train", "score"]


@dataclass(frozen=True)
class PointSelection(Tabled):
    """Points to label or to train on.

    Attributes:
        targets: names of the targets.
        table: one row per point, the first one the most useful: ``order`` (from 1), ``id``,
            ``weight``, ``by`` (``coverage``, ``importance`` or ``score``, whose weight it is),
            ``lon`` and ``lat`` where points have coordinates, and ``region`` where the pool has
            regions.
        available: how many points there were to choose from.
        distance: mean cost from the targets' points to the nearest chosen one, or of the plan; to
            the nearest of the sources where points are chosen to estimate a score.
        guarantee: of ``coverage``, at least this share of the best possible gain is reached.
        evaluations: of ``coverage``, how many gains of single points were computed again.
        converged: whether the weights of importance did, where any were wanted.
    """

    targets: list[str]
    table: pd.DataFrame
    available: int
    distance: float
    guarantee: float | None
    evaluations: int | None
    converged: bool


@out_of_memory("choosing points", "give fewer points to choose from, or a smaller neighbours")
@shows_progress
def select_points(
    regions: Regions,
    target: Name | Iterable[Name] | Mapping[Any, float],
    budget: int | None = None,
    *,
    method: PointMethod = "coverage",
    purpose: Purpose = "train",
    pool: Pool | None = None,
    against: Regions | None = None,
    exclude: Iterable[Name] = (),
    have: Name | Iterable[Name] | Mapping[Any, int] = (),
    include_target: bool = False,
    neighbours: int | None = None,
    seed: int = 0,
    id: str | None = None,
    cost: GroundCost | None = None,
    solver: Solver | None = None,
    engine: Engine | None = None,
    progress: bool = False,
) -> PointSelection:
    """Which single points to label or to train on, so that a model does well on a target.

    With ``purpose="score"`` it is points of the target itself, to find how well a model does there:
    a stratified sample, whose plain mean is unbiased
    (:func:`~geospot_gpu.selection.strata.sample_for_score`), to be given to ``geospot predict
    few=``. Otherwise the methods are:

    - ``coverage``: the points near to every part of the target, greedily
      (:func:`~geospot_gpu.selection.point_cover.cover_points`); their weights are the shares of the
      target that they are nearest to. Once no point is nearer to any part of it, the rest of the
      budget is drawn by importance, without replacement. What to label.
    - ``importance``: the points that coverage takes the target's mass from, with how much
      (:func:`~geospot_gpu.selection.importance.importance_weights`). What to train on.

    Args:
        regions: the regions; all of their points are the pool where none is given.
        target: name of a region, of several, or names with what they count.
        budget: how many points to choose; for ``importance`` the weightiest, or all.
        method: how to choose.
        purpose: ``train``, or ``score`` to estimate the score of a model in the target.
        pool: the points to choose from; the target's own where the purpose is its score.
        against: the targets, where they are a table of their own.
        exclude: names of regions whose points are no candidates.
        have: regions whose samples are there already, all of them or the given numbers; where the
            purpose is a score those that the model was trained on, all others if not given.
        include_target: whether points of a target may be chosen.
        neighbours: points of the pool that each target point may take from, for ``importance``.
        seed: of what ``coverage`` draws by importance, and of the sample for a score.
        id: column that names points; if not given ``id``, or their rows, counted from 1, where the
            table has none.
        cost: ground cost, on one scale; as for :func:`~geospot_gpu.pairwise` if not given.
        solver: for importance; its ``rho`` is the price of using the pool unevenly. What
            ``coverage`` draws is drawn by :class:`~geospot_gpu.Sinkhorn` where it is another one.
        engine: device, backend, storage and memory budget.
        progress: draw how far it has come.

    Raises:
        GeospotError: a name is unknown, no point is left, the budget buys nothing, or the pool does
            not compare with the targets.

    >>> regions = Regions.from_points(
    ...     lon=[0, 9, 1, 2, 8, 90], lat=[0] * 6, region=list("ttaabb")
    ... )
    >>> select_points(regions, "t", 2).table.lon.tolist()
    [1.0, 8.0]
    """
    if not isinstance(method, str) or method not in get_args(PointMethod):
        raise GeospotError(
            f"method={method} is unknown for points: use one of {', '.join(get_args(PointMethod))}"
        )
    checks.one_of(purpose, get_args(Purpose), "purpose")
    if purpose == "score" and method != "coverage":
        raise GeospotError(f"method={method} has no effect on purpose=score: leave it out")
    if method == "coverage" and budget is None:
        raise GeospotError("budget is needed: give how many points to choose")
    budget = checks.optional(checks.whole)(budget, "budget")
    neighbours = checks.optional(checks.whole)(neighbours, "neighbours")
    seed = checks.whole(seed, "seed", least=0)
    if budget is not None and budget < 1:
        raise GeospotError(f"budget={budget} buys nothing: give how many points to choose")
    if neighbours is not None and neighbours < 1:
        raise GeospotError(f"neighbours={neighbours}: give at least 1")
    how, engine = method_for(regions, cost, solver), settled(engine)
    check_one_scale(how.cost)
    check_without_labels(how.cost, "selection of points")
    asked = resolve(regions, against, target, exclude, have, include_target=include_target)
    if len(asked.have) and method == "importance":
        raise GeospotError("have has no effect on method=importance: use method=coverage")
    if pool is not None:
        checks.instance(pool, Pool, "pool", "as Pool.of_table makes it")
    elif purpose == "score":
        pool = Pool.of_regions(asked.regions, asked.targets)
    else:
        pool = _pool(asked, include_target=include_target)
    pair_engine = PairEngine(asked.regions, how, engine)
    if purpose == "score":
        assert budget is not None
        return _for_score(asked, pair_engine, engine, pool, budget, seed, id)
    with engine.pool():  # the pool is encoded
        costs = PoolCosts(pair_engine, asked.targets, asked.shares, pool)
    names = [asked.regions.names[t] for t in asked.targets]
    if method == "importance":
        if not isinstance(how.solver, Sinkhorn):
            raise GeospotError("method=importance needs solver=sinkhorn")
        found = importance_weights(costs, how.solver, how.solver.rho, neighbours)
        kept = slice(0, budget)
        table = _table(pool, found.chosen[kept], found.weight[kept], "importance", id)
        _check_converged(found)
        _check_budget(budget, pool)
        return PointSelection(names, table, len(pool), found.distance, None, None, found.converged)
    start = np.full(len(costs.mass), np.inf)
    if len(asked.have):
        start = quota_costs(pair_engine, asked.targets, asked.have, asked.have_counts).min(axis=1)
    assert budget is not None
    _check_budget(budget, pool)
    chosen = cover_points(costs, budget, start)
    table = _table(pool, chosen.chosen, chosen.weight, "coverage", id)
    converged = True
    if (left := min(budget, len(pool)) - len(table)) > 0:
        solver = how.solver if isinstance(how.solver, Sinkhorn) else Sinkhorn()
        found = importance_weights(costs, solver, solver.rho, _DRAWN_FROM)
        _check_converged(found)
        rest, weight = _drawn(found, chosen.chosen, len(pool), left, seed)
        table = pd.concat([table, _table(pool, rest, weight, "importance", id)], ignore_index=True)
        table["order"] = np.arange(1, len(table) + 1)
        converged = found.converged
    return PointSelection(
        names,
        table,
        len(pool),
        float(chosen.distance[-1]) if len(chosen.distance) else float(costs.mass.cpu() @ start),
        chosen.guarantee,
        chosen.evaluations,
        converged,
    )


def _for_score(
    asked: Asked, pair_engine: PairEngine, engine: Engine, pool: Pool, budget: int, seed: int,
    id: str | None,
) -> PointSelection:  # fmt: skip
    """Points of the target at which to try a model."""
    if len(asked.targets) > 1:
        raise GeospotError("purpose=score: give one target, as each has a score of its own")
    sources = asked.have if len(asked.have) else asked.candidates
    if not len(sources):
        raise GeospotError("purpose=score: no other region is left that a model could be from")
    with engine.pool():
        costs = PoolCosts(pair_engine, sources, np.full(len(sources), 1.0 / len(sources)), pool)
    _check_budget(budget, pool)
    found = sample_for_score(costs, budget, seed)
    weight = np.full(len(found.chosen), 1.0 / len(found.chosen))
    table = _table(pool, found.chosen, weight, "score", id)
    names = [asked.regions.names[t] for t in asked.targets]
    return PointSelection(names, table, len(pool), found.distance, None, None, True)


def _drawn(
    found: Importance, chosen: NDArray[np.int64], points: int, count: int, seed: int
) -> tuple[NDArray[np.int64], Array]:
    """Points drawn by importance of those that are not chosen, and their weights."""
    weight = np.zeros(points)
    weight[found.chosen] = found.weight
    others = np.setdiff1d(np.arange(points), chosen)
    rest = others[drawn(weight[others], count, seed)]
    return rest, weight[rest]


def _check_budget(budget: int | None, pool: Pool) -> None:
    if budget is not None and budget > len(pool):
        log.warning("budget=%d: there are only %d points: all are taken", budget, len(pool))


def _check_converged(found: Importance) -> None:
    if not found.converged:
        log.warning("the weights did not converge: raise solver.max_iterations or epsilon")


def _pool(asked: Asked, *, include_target: bool) -> Pool:
    """The points of all candidates, without those of the targets."""
    if len(asked.candidates) == 0:
        raise GeospotError(
            "no candidates are left: all regions are targets, excluded or there already"
        )
    pool = Pool.of_regions(asked.regions, asked.candidates)
    if include_target:
        return pool
    sources = [asked.regions.sources[t] for t in asked.targets]
    own = [source.rows for source in sources if source.points is pool.points]
    others = ~np.isin(pool.rows, np.concatenate(own)) if own else np.ones(len(pool), bool)
    if not others.any():
        raise GeospotError("no candidates are left: all points are of the targets")
    return pool if others.all() else pool.take(np.flatnonzero(others))


def _table(
    pool: Pool, chosen: NDArray[np.int64], weight: Array, by: PointMethod | Purpose, id: str | None
) -> pd.DataFrame:
    rows = pool.rows[chosen]
    table = pd.DataFrame(
        {
            "order": np.arange(1, len(chosen) + 1),
            "id": pool.ids(id)[chosen],
            "weight": weight,
            "by": by,
        }
    )
    if pool.points.located:
        table = table.assign(lon=pool.points.lon[rows], lat=pool.points.lat[rows])
    return table if pool.region is None else table.assign(region=pool.region[chosen])
