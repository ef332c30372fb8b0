"""Points that cover a target, chosen greedily out of millions."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geospot_gpu.devices import upload
from geospot_gpu.kernels.clouds import PointArrays
from geospot_gpu.progress import Progress
from geospot_gpu.selection.pool import PoolCosts

Array = NDArray[np.float64]

_SHORTLIST = 1 << 15
"""Points whose features stay in memory: those that may be chosen next."""
# Gains that are computed again at once: on a GPU a look costs its launches and a wait.
_FIRST_BATCH = {"cpu": 32, "cuda": 2048}
_LARGEST_BATCH = 2048
_STALE, _BOUNDED, _EXACT = range(3)
"""What is known of a gain: from before, a bound for now, or itself."""


class ChosenPoints(NamedTuple):
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


def cover_points(costs: PoolCosts, budget: int, start: Array) -> ChosenPoints:
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
    distance: list[Tensor] = []
    with Progress("choosing", "points", total=budget) as progress:
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
    return ChosenPoints(
        np.array(chosen, np.int64),
        weight.double().cpu().numpy(),
        torch.stack(distance).cpu().numpy() if distance else np.empty(0),
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
        self.cover = upload(torch.from_numpy(start), costs.mass.device, costs.mass.dtype)
        self._finite = bool(np.isfinite(start).all())  # the cover
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
        if not self._finite:  # the nearest one, in the mean
            return int(np.argmin(self._everywhere(self._costs.mean, "comparing")))
        if self._bound is None:
            self._first = self.cover
            self._bound = self._everywhere(
                lambda part: self._costs.gain_bounds(part, self.cover)[0], "gains of all"
            )
            self._bound[self._taken] = -np.inf
            self._draw_up_shortlist()
        batch = dict.fromkeys((_STALE, _BOUNDED), _FIRST_BATCH[self.cover.device.type])
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
        self.owner = torch.where(nearer, len(self._taken), self.owner)
        self._finite = True
        self._taken.append(best)
        if self._bound is not None:
            self._bound[best] = -np.inf
        self._known[:] = _STALE

    def distance(self) -> Tensor:
        """Mean cost from the targets to the nearest chosen point, a scalar in float64."""
        return self._costs.mass.double() @ self.cover.double()

    def guarantee(self, budget: int) -> float:
        """At least this share of the best possible gain of as many points is reached.

        Where nothing was there before, gains count from what the first point alone leaves: that
        gives the choice least credit.
        """
        if self._bound is None:  # a single point, the best of all
            return 1.0
        before = float(self._costs.mass.double() @ self._first.double())
        gain, left = before - float(self.distance()), np.maximum(self._bound, 0.0)
        most = left.sum() if budget >= len(left) else np.partition(left, -budget)[-budget:].sum()
        return gain / (gain + float(most)) if gain > 0 else 1.0

    def _everywhere(self, value: Callable[[PointArrays], Tensor], what: str) -> Array:
        """A value of every point of the pool, [n]."""
        found = []
        with Progress(what, "points", total=len(self._costs.pool)) as progress:
            for index, part in self._costs.pieces():
                found.append(value(part))
                progress.update(len(index))
        return torch.cat(found).double().cpu().numpy()

    def _draw_up_shortlist(self) -> None:
        """Keep the points of the largest bounds at hand."""
        assert self._bound is not None
        count = min(_SHORTLIST, self._costs.held, len(self._bound))
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
            part = self._part.take(upload(torch.from_numpy(piece), self.cover.device))
            index = self._shortlist[piece]
            if exactly:
                self._bound[index] = self._costs.gains(part, self.cover).double().cpu().numpy()
                self._known[piece] = _EXACT
            else:
                bound, exact = self._costs.gain_bounds(part, self.cover)
                found = bound.double().cpu().numpy()
                self._bound[index] = found if exact else np.minimum(self._bound[index], found)
                self._known[piece] = _EXACT if exact else _BOUNDED
        self.evaluations += len(some)
