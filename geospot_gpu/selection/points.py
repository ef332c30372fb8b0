"""Which single points to label or to train on, for a target."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from geospot_gpu.cost import GroundCost, check_one_scale
from geospot_gpu.engine.engine import Engine, PairEngine, Solver, settled
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.kernels.clouds import PointArrays
from geospot_gpu.names import Name
from geospot_gpu.regions import Regions
from geospot_gpu.selection.importance import importance_weights
from geospot_gpu.selection.pool import Pool, PoolCosts
from geospot_gpu.selection.problem import Asked, resolve
from geospot_gpu.selection.quota import quota_costs
from geospot_gpu.sinkhorn.solver import Sinkhorn

Array = NDArray[np.float64]

log = logging.getLogger("geospot_gpu")

_SHORTLIST = 1 << 15
"""Points whose features stay in memory: those that may be chosen next."""
_FIRST_BATCH = 32
_LARGEST_BATCH = 2048
_STALE, _BOUNDED, _EXACT = range(3)
"""What is known of a gain: from before, a bound for now, or itself."""


PointMethod = Literal["coverage", "importance"]


@dataclass(frozen=True)
class PointSelection:
    """Points to label or to train on.

    Attributes:
        targets: names of the targets.
        table: one row per point, the first one the most useful: ``order`` (from 1), ``id``,
            ``weight``, ``lon``, ``lat``, and ``region`` where the pool has regions.
        available: how many points there were to choose from.
        distance: mean cost from the targets' points to the nearest chosen one, or of the plan.
        guarantee: of ``coverage``, at least this share of the best possible gain is reached.
        evaluations: of ``coverage``, how many gains of single points were computed again.
        converged: whether the weights of ``importance`` did.
    """

    targets: list[str]
    table: pd.DataFrame
    available: int
    distance: float
    guarantee: float | None
    evaluations: int | None
    converged: bool


@out_of_memory("choosing points", "give fewer points to choose from, or a smaller neighbours")
def select_points(
    regions: Regions,
    target: Name | Iterable[Name] | Mapping[Any, float],
    budget: int | None = None,
    *,
    method: PointMethod = "coverage",
    pool: Pool | None = None,
    against: Regions | None = None,
    exclude: Iterable[Name] = (),
    have: Name | Iterable[Name] | Mapping[Any, int] = (),
    include_target: bool = False,
    neighbours: int | None = None,
    id: str | None = None,
    cost: GroundCost | None = None,
    solver: Solver | None = None,
    engine: Engine | None = None,
) -> PointSelection:
    """Which single points to label or to train on, so that a model does well on a target.

    Methods:
    - ``coverage``: the points near to every part of the target, greedily (:func:`cover_points`);
      their weights are the shares of the target that they are nearest to. What to label.
    - ``importance``: the points that coverage takes the target's mass from, with how much
      (:func:`~geospot_gpu.selection.importance.importance_weights`). What to train on.

    Args:
        regions: the regions; all of their points are the pool where none is given.
        target: name of a region, of several, or names with what they count.
        budget: how many points to choose; for ``importance`` the weightiest, or all.
        method: how to choose.
        pool: the points to choose from.
        against: the targets, where they are a table of their own.
        exclude: names of regions whose points are no candidates.
        have: regions whose samples are there already, all of them or the given numbers.
        include_target: whether points of a target may be chosen.
        neighbours: points of the pool that each target point may take from, for ``importance``.
        id: column that names points; their rows, counted from 1, if not given.
        cost: ground cost, on one scale; as for :func:`~geospot_gpu.pairwise` if not given.
        solver: for ``importance``; its ``rho`` is the price of using the pool unevenly.
        engine: device, backend, storage and memory budget.

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
    if method == "coverage" and budget is None:
        raise GeospotError("budget is needed: give how many points to choose")
    budget = checks.optional(checks.whole)(budget, "budget")
    neighbours = checks.optional(checks.whole)(neighbours, "neighbours")
    if budget is not None and budget < 1:
        raise GeospotError(f"budget={budget} buys nothing: give how many points to choose")
    if neighbours is not None and neighbours < 1:
        raise GeospotError(f"neighbours={neighbours}: give at least 1")
    cost, solver, engine = settled(regions, cost, solver, engine)
    check_one_scale(cost)
    asked = resolve(regions, against, target, exclude, have, include_target=include_target)
    if len(asked.have) and method == "importance":
        raise GeospotError("have has no effect on method=importance: use method=coverage")
    if pool is not None:
        checks.instance(pool, Pool, "pool", "as Pool.of_table makes it")
    else:
        pool = _pool(asked, include_target=include_target)
    pair_engine = PairEngine(asked.regions, cost, solver, engine)
    costs = PoolCosts(pair_engine, asked.targets, asked.shares, pool)
    names = [asked.regions.names[t] for t in asked.targets]
    if method == "importance":
        if not isinstance(solver, Sinkhorn):
            raise GeospotError("method=importance needs solver=sinkhorn")
        found = importance_weights(costs, solver, solver.rho or Sinkhorn.rho or 0.01, neighbours)
        kept = slice(0, budget)
        table = _table(pool, found.chosen[kept], found.weight[kept], id)
        if not found.converged:
            log.warning("the weights did not converge: raise solver.max_iterations or epsilon")
        return PointSelection(names, table, len(pool), found.distance, None, None, found.converged)
    start = np.full(len(costs.mass), np.inf)
    if len(asked.have):
        start = quota_costs(pair_engine, asked.targets, asked.have, asked.have_counts).min(axis=1)
    assert budget is not None
    chosen = cover_points(costs, budget, start)
    return PointSelection(
        names,
        _table(pool, chosen.chosen, chosen.weight, id),
        len(pool),
        float(chosen.distance[-1]) if len(chosen.distance) else float(costs.mass.cpu() @ start),
        chosen.guarantee,
        chosen.evaluations,
        True,
    )


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


def _table(pool: Pool, chosen: NDArray[np.int64], weight: Array, id: str | None) -> pd.DataFrame:
    rows = pool.rows[chosen]
    table = pd.DataFrame(
        {
            "order": np.arange(1, len(chosen) + 1),
            "id": pool.ids(id)[chosen],
            "weight": weight,
            "lon": pool.points.lon[rows],
            "lat": pool.points.lat[rows],
        }
    )
    return table if pool.region is None else table.assign(region=pool.region[chosen])


class Chosen(NamedTuple):
    """Points of a pool.

    Attributes:
        chosen: their positions in the pool, in the order in which they were taken, [K].
        weight: share of the targets' mass that is nearer to this point than to any other, [K].
        distance: mean cost from the targets' points to the nearest chosen one, after each, [K].
        guarantee: at least this share of the best possible gain is reached.
        evaluations: how many gains of single points were computed beside those of all.
    """

    chosen: NDArray[np.int64]
    weight: Array
    distance: Array
    guarantee: float
    evaluations: int


def cover_points(costs: PoolCosts, budget: int, start: Array) -> Chosen:
    """The points that lower most the mean cost from the targets to the nearest chosen point.

    Greedy on the same function as :func:`~geospot_gpu.selection.facility.cover_greedily`, with its
    guarantee. Gains only fall as points are chosen, so those known from before are upper bounds,
    and few have to be computed again (Minoux 1978, Accelerated greedy algorithms for maximizing
    submodular set functions). The result is that of the greedy choice over all points.

    Args:
        costs: between the pool and the targets.
        budget: how many points to choose; fewer where no point gains anything any more.
        start: cost of every target point from what is there already, infinite without, [M].
    """
    count = len(costs.pool)
    budget = min(budget, count)
    search = _LazyGreedy(costs, start)
    chosen: list[int] = []
    distance: list[float] = []
    with tqdm(total=budget, desc="choosing", unit=" points") as progress:
        while len(chosen) < budget:
            best = search.best()
            if search.gain(best) <= 0.0:  # all targets have a point of the pool as near as any
                break
            search.take(best)
            chosen.append(best)
            distance.append(search.distance())
            progress.update()
    served = torch.where(search.owner < 0, len(chosen), search.owner)
    weight = torch.bincount(served, costs.mass, minlength=len(chosen) + 1)[: len(chosen)]
    return Chosen(
        np.array(chosen, np.int64),
        weight.double().cpu().numpy(),
        np.array(distance),
        search.guarantee(budget),
        search.evaluations,
    )


class _LazyGreedy:
    """The greedy choice, with upper bounds on gains that are made exact where it matters.

    Attributes:
        cover: cost of each target point from what is chosen, [M].
        owner: which of the chosen points is nearest to each target point; -1 for none, [M].
        evaluations: how many gains or bounds on them were computed, not counting the first ones of
            all points.
    """

    def __init__(self, costs: PoolCosts, start: Array) -> None:
        self._costs = costs
        self.cover = torch.from_numpy(start).to(costs.mass)
        self.owner = torch.full(start.shape, -1, dtype=torch.int64, device=costs.mass.device)
        self.evaluations = 0
        self._bound: Array | None = None  # on the gain of every point of the pool
        self._first = self.cover
        self._taken: list[int] = []
        self._shortlist = np.empty(0, np.int64)
        self._known = np.empty(0, np.int8)  # of the shortlist: _STALE, _BOUNDED or _EXACT
        self._beyond = np.inf  # no point off the shortlist gains more
        self._part: PointArrays | None = None

    def best(self) -> int:
        """The point that gains most."""
        if not bool(torch.isfinite(self.cover).all()):  # the nearest one, in the mean
            return int(np.argmin(self._everywhere(self._costs.mean, "comparing")))
        if self._bound is None:
            self._first = self.cover
            self._bound = self._everywhere(
                lambda part: self._costs.gain_bounds(part, self.cover)[0], "gains of all"
            )
            self._bound[self._taken] = -np.inf
            self._draw_up_shortlist()
        batch = {_STALE: _FIRST_BATCH, _BOUNDED: _FIRST_BATCH}
        while True:
            bound = self._bound[self._shortlist]
            top = int(np.argmax(bound))
            known = int(self._known[top])
            if bound[top] < self._beyond:
                self._draw_up_shortlist()
            elif known == _EXACT:
                return int(self._shortlist[top])
            else:
                alike = np.flatnonzero(self._known == known)
                some = alike[np.argsort(-bound[alike], kind="stable")[: batch[known]]]
                self._look_again(some, exactly=known == _BOUNDED)
                batch[known] = min(2 * batch[known], _LARGEST_BATCH)

    def gain(self, point: int) -> float:
        """What a point that was found best gains; infinite for the first of all."""
        return np.inf if self._bound is None else float(self._bound[point])

    def take(self, best: int) -> None:
        """Choose a point."""
        tile = self._costs.tile(self._costs.part(np.array([best])))[0]
        nearer = tile < self.cover
        self.cover = torch.where(nearer, tile, self.cover)
        self.owner[nearer] = len(self._taken)
        self._taken.append(best)
        if self._bound is not None:
            self._bound[best] = -np.inf
        self._known[:] = _STALE

    def distance(self) -> float:
        """Mean cost from the targets to the nearest chosen point."""
        return float(self._costs.mass.double() @ self.cover.double())

    def guarantee(self, budget: int) -> float:
        """At least this share of the best possible gain of as many points is reached.

        Where nothing was there before, gains count from what the first point alone leaves: that
        gives the choice least credit.
        """
        if self._bound is None:  # a single point, the best of all
            return 1.0
        before = float(self._costs.mass.double() @ self._first.double())
        gain, left = before - self.distance(), np.maximum(self._bound, 0.0)
        most = left.sum() if budget >= len(left) else np.partition(left, -budget)[-budget:].sum()
        return gain / (gain + float(most)) if gain > 0 else 1.0

    def _everywhere(self, value: Callable[[PointArrays], Tensor], what: str) -> Array:
        """A value of every point of the pool, [n]."""
        found = np.empty(len(self._costs.pool))
        with tqdm(total=len(found), desc=what, unit=" points", unit_scale=True) as progress:
            for piece in self._costs.pieces():
                index = np.arange(piece.start, piece.stop)
                found[piece] = value(self._costs.part(index)).double().cpu().numpy()
                progress.update(len(index))
        return found

    def _draw_up_shortlist(self) -> None:
        """Keep the points of the largest bounds at hand."""
        assert self._bound is not None
        count = min(_SHORTLIST, len(self._bound))
        split = np.argpartition(-self._bound, count - 1)
        self._shortlist = np.sort(split[:count])
        self._beyond = float(self._bound[split[count:]].max(initial=-np.inf))
        self._known = np.full(count, _STALE, np.int8)
        self._part = self._costs.part(self._shortlist)

    def _look_again(self, some: NDArray[np.int64], *, exactly: bool) -> None:
        """Lower the bounds of some of the shortlist, or make them exact."""
        assert self._part is not None
        assert self._bound is not None
        for piece in np.array_split(some, -(-len(some) // self._costs.rows)):
            at = torch.from_numpy(piece).to(self.cover.device)
            part = PointArrays(
                None if self._part.features is None else self._part.features[at],
                self._part.xyz[at],
                self._part.mass[at],
            )
            index = self._shortlist[piece]
            if exactly:
                self._bound[index] = self._costs.gains(part, self.cover).double().cpu().numpy()
                self._known[piece] = _EXACT
            else:
                bound, exact = self._costs.gain_bounds(part, self.cover)
                lower = np.minimum(self._bound[index], bound.double().cpu().numpy())
                self._bound[index] = bound.double().cpu().numpy() if exact else lower
                self._known[piece] = _EXACT if exact else _BOUNDED
        self.evaluations += len(some)
