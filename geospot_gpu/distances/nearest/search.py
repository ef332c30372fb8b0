"""Nearest regions by divergence, without solving all pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.arrays import Indices
from geospot_gpu.cost import check_one_scale
from geospot_gpu.distances.nearest.lower_bounds import (
    HalfSteps,
    MomentBounds,
    self_value_bounds,
    whole_step_values,
)
from geospot_gpu.distances.pair_table import PairTable
from geospot_gpu.distances.solve import PairSolver

Array = NDArray[np.float64]

_OUTPUTS = ("divergence", "std_error", "bias")
_COLUMNS = ["rank", "region", "divergence", "lower", "upper", "std_error", "bias", "converged"]


@dataclass(frozen=True)
class Neighbours:
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
    """Finds the regions of smallest divergence from a target, and proves that they are.

    Lower bounds of rising cost leave regions out as soon as they cannot be among the nearest: one
    from moments, a half-step of Sinkhorn's algorithm, a whole one. What they have to beat is the
    k-th smallest upper end of an interval so far; the most promising pairs are solved first. (The
    divergence breaks the triangle inequality: distances to landmarks would prove nothing.)

    Args:
        solver: the regions and their method; one scale holds for all pairs. Self terms that it
            does not know are solved when they are needed.

    Raises:
        GeospotError: costs are scaled pair by pair.
    """

    def __init__(self, solver: PairSolver) -> None:
        engine = solver.engine
        check_one_scale(engine.cost)
        self._solver, self._engine = solver, engine
        self._moments, self._half = MomentBounds(engine), HalfSteps(engine)
        self._self_upper = self_value_bounds(engine)

    def nearest(self, target: int, candidates: Indices, k: int) -> Neighbours:
        """The ``k`` of the regions at ``candidates`` [K] that are nearest to ``target``.

        They are those of the full row in its order, wherever intervals are disjoint; equal
        divergences are ordered by name.
        """
        k = min(k, len(candidates))
        search = _Search(self._moments(target, candidates), k)

        def solve(chosen: Indices) -> None:
            index = candidates[chosen]
            self._know(index)
            pairs = self._solver.solve(np.full(len(index), target), index, _OUTPUTS)
            search.solved(chosen, pairs)

        self._know(np.array([target]))
        solve(search.open()[:k])
        halved = search.open()
        search.raise_bounds(halved, self._half_steps(target, candidates[halved]))
        stepped = search.open()
        search.raise_bounds(stepped, self._whole_steps(target, candidates[stepped]))
        for most in (k, len(candidates)):
            if len(chosen := search.open()[:most]):
                solve(chosen)
        index = candidates[np.concatenate(search.chosen)]
        found = pd.concat([pd.DataFrame(pairs.columns) for pairs in search.pairs])
        found["region"] = np.array(self._engine.regions.names, dtype=object)[index]
        ordered = found.sort_values(["divergence", "region"], ignore_index=True)[:k]
        ordered.insert(0, "rank", np.arange(1, k + 1))
        return Neighbours(ordered[_COLUMNS], len(candidates), len(halved), len(index))

    def _half_steps(self, target: int, index: Indices) -> Array:
        """Bounds [K] on divergences from a half-step of every pair."""
        rising = np.argsort(index)
        values = np.empty(len(index))
        values[rising] = self._half(target, index[rising])
        return values - self._of_selves(target, index)

    def _whole_steps(self, target: int, index: Indices) -> Array:
        """Bounds [K] on divergences from one iteration of every pair, and exact self terms."""
        self._know(index)
        values = whole_step_values(self._engine, index, np.full(len(index), target))
        return values - self._of_selves(target, index)

    def _of_selves(self, target: int, index: Indices) -> Array:
        """At most what the self terms take from OT values, [K]."""
        half: Array = (self._self_upper[index] + self._self_upper[target]) / 2.0
        return half

    def _know(self, index: Indices) -> None:
        """Solve the self terms of the regions at ``index`` that are not known yet."""
        self._solver.know(index, _OUTPUTS)
        upper = self._solver.selves.upper[index]
        self._self_upper[index] = np.minimum(self._self_upper[index], upper)


class _Search:
    """What is known of the distances of candidates.

    Args:
        bound: lower bounds on the divergences of the candidates, [K].
        k: how many are wanted.
    """

    def __init__(self, bound: Array, k: int) -> None:
        self._bound, self._k = bound, k
        self._upper = np.full(len(bound), np.inf)
        self.chosen: list[Indices] = []
        self.pairs: list[PairTable] = []

    def open(self) -> Indices:
        """Candidates that may still be among the nearest, the most promising first."""
        beaten = np.partition(self._upper, self._k - 1)[self._k - 1]
        some = np.flatnonzero(np.isinf(self._upper) & (self._bound <= beaten))
        return some[np.argsort(self._bound[some], kind="stable")]

    def raise_bounds(self, chosen: Indices, bound: Array) -> None:
        """Take other lower bounds into account."""
        self._bound[chosen] = np.maximum(self._bound[chosen], bound)

    def solved(self, chosen: Indices, pairs: PairTable) -> None:
        """Take solved pairs into account."""
        self._upper[chosen] = pairs["upper"]
        self.chosen.append(chosen)
        self.pairs.append(pairs)
