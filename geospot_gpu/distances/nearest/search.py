"""Nearest regions by divergence, without solving all pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.arrays import Indices
from geospot_gpu.cost import check_one_scale, check_without_labels
from geospot_gpu.displayed import Tabled
from geospot_gpu.distances.nearest.candidates import Candidates, KnownPairs, Part, coded
from geospot_gpu.distances.nearest.lower_bounds import (
    HalfSteps,
    half_step_values,
    self_value_bounds,
    whole_step_values,
)
from geospot_gpu.distances.nearest.moments import MomentBounds
from geospot_gpu.distances.pair_table import PairTable
from geospot_gpu.distances.solve import PairSolver
from geospot_gpu.engine.method import check_entropic

Array = NDArray[np.float64]
Solve = Callable[[Indices, Indices], PairTable]

_OUTPUTS = ("divergence", "std_error", "bias")
_COLUMNS = ["rank", "region", "divergence", "lower", "upper", "std_error", "bias", "converged"]
_DENSE = 2
"""Where a target has one in so many regions for candidates, their half-steps are faster in clouds
of all that lies side by side."""


@dataclass(frozen=True)
class Neighbours(Tabled):
    """The regions nearest to a target.

    Attributes:
        table: columns ``rank`` (from 1), ``region``, ``divergence``, ``lower``, ``upper``,
            ``std_error``, ``bias`` and ``converged``, nearest first.
        candidates: how many regions there were to choose from.
        half_steps: for how many a half-step of Sinkhorn's algorithm was taken.
        solved: how many pairs were solved.
    """

    table: pd.DataFrame
    candidates: int
    half_steps: int
    solved: int


class NeighbourSearch:
    """Finds the regions of smallest divergence from targets, and proves that they are.

    Lower bounds of rising cost leave regions out as soon as they cannot be among the nearest: one
    from moments, a half-step of Sinkhorn's algorithm, a whole one. What they have to beat is the
    k-th smallest upper end of an interval so far; the most promising pairs are solved first. (The
    divergence breaks the triangle inequality: distances to landmarks would prove nothing.)

    Args:
        solver: the regions and their method; one scale holds for all pairs. Self terms that it
            does not know are solved when they are needed.
        solve: what solves pairs, the first region before the second; the solver if not given.

    Raises:
        GeospotError: costs are scaled pair by pair.
    """

    def __init__(self, solver: PairSolver, solve: Solve | None = None) -> None:
        engine = solver.engine
        check_one_scale(engine.cost)
        check_without_labels(engine.cost, "the search for the nearest")
        check_entropic(engine.solver, "the search for the nearest")
        self._solver, self._engine = solver, engine
        self._solve = solve or (lambda left, right: solver.solve(left, right, _OUTPUTS))
        self.moments, self._half = MomentBounds(engine.regions, engine.cost), HalfSteps(engine)
        self._self_upper = self_value_bounds(engine)

    @property
    def name_rank(self) -> Indices:
        """Where the name of each region stands in order, [R]."""
        return np.argsort(np.argsort(np.array(self._engine.regions.names, dtype=object)))

    def nearest(self, target: int, candidates: Indices, k: int) -> Neighbours:
        """The ``k`` of the regions at ``candidates`` [K] that are nearest to ``target``.

        They are those of the full row in its order, wherever intervals are disjoint; equal
        divergences are ordered by name.
        """
        targets = np.array([target])
        pairs = Candidates(targets, min(k, len(candidates)))
        rows = np.zeros(len(candidates), np.int64)
        pairs.add([Part(rows, candidates, self.moments(targets, candidates)[0])])
        known = KnownPairs(len(self._self_upper))
        tables = [self.solve(pairs, pairs.open(pairs.k), known), *self.refine(pairs, known)]
        ((*best,),) = pairs.ranked(self.name_rank).at
        index = pairs.index[best]
        columns = {n: np.concatenate([table[n] for table in tables]) for n in tables[0].columns}
        other = np.concatenate([table.left + table.right for table in tables]) - target
        place = {region: at for at, region in enumerate(other.tolist())}
        found = pd.DataFrame(columns).iloc[[place[region] for region in index.tolist()]]
        found["region"] = np.array(self._engine.regions.names, dtype=object)[index]
        found = found.reset_index(drop=True)
        found.insert(0, "rank", np.arange(1, pairs.k + 1))
        return Neighbours(found[_COLUMNS], len(candidates), int(pairs.halved[0]), len(other))

    def solve(self, pairs: Candidates, at: Indices, known: KnownPairs) -> PairTable:
        """Solve some pairs, each of two regions once, and whatever is known of all of them then."""
        target, candidate = pairs.pairs(at)
        regions = len(self._self_upper)
        left, right = np.divmod(np.unique(coded(target, candidate, regions)), regions)
        table = self._solve(left, right)
        self._note(np.union1d(left, right))
        known.add(table)
        pairs.look(known)
        return table

    def refine(self, pairs: Candidates, known: KnownPairs) -> list[PairTable]:
        """Bound and solve pairs until none is open.

        Args:
            pairs: of targets of which some are solved, so that there is something to beat.
            known: pairs that are solved, to which more are added.

        Returns:
            Those that were solved.
        """
        halved = pairs.open()
        pairs.halved += np.bincount(pairs.row[halved], minlength=len(pairs.targets))
        pairs.raise_bounds(halved, self._half_steps(*pairs.pairs(halved)))
        stepped = pairs.open()
        pairs.raise_bounds(stepped, self._whole_steps(*pairs.pairs(stepped)))
        tables = []
        for most in (pairs.k, None):
            if len(chosen := pairs.open(most)):
                tables.append(self.solve(pairs, chosen, known))
        return tables

    def _half_steps(self, target: Indices, index: Indices) -> Array:
        """Bounds [K] on divergences from a half-step of every pair, those of a target together."""
        values = np.empty(len(index))
        first = np.flatnonzero(np.diff(target, prepend=-1))
        groups = np.split(np.arange(len(index)), first[1:]) if len(index) else []
        least = len(self._self_upper) / _DENSE if self._engine.device.type == "cpu" else np.inf
        for group in groups:
            if len(group) >= least:
                rising = group[np.argsort(index[group])]
                values[rising] = self._half(int(target[group[0]]), index[rising])
        if few := [group for group in groups if len(group) < least]:
            rest = np.concatenate(few)
            values[rest] = half_step_values(self._engine, index[rest], target[rest])
        return values - self._of_selves(target, index)

    def _whole_steps(self, target: Indices, index: Indices) -> Array:
        """Bounds [K] on divergences from one iteration of every pair, and exact self terms."""
        if len(index) == 0:
            return np.empty(0)
        self._note(np.union1d(target, index))
        values = whole_step_values(self._engine, index, target)
        return values - self._of_selves(target, index)

    def _of_selves(self, target: Indices, index: Indices) -> Array:
        """At most what the self terms take from OT values, [K]."""
        half: Array = (self._self_upper[index] + self._self_upper[target]) / 2.0
        return half

    def _note(self, index: Indices) -> None:
        """Take the self terms of regions at ``index`` into account, solved if need be."""
        self._solver.know(index, _OUTPUTS)
        upper = self._solver.selves.upper[index]
        self._self_upper[index] = np.minimum(self._self_upper[index], upper)
