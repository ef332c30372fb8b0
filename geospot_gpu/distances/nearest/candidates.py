"""Pairs of targets with regions that may be near them, and what is known of each so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.arrays import Indices
from geospot_gpu.distances.pair_table import PairTable

Array = NDArray[np.float64]
KNOWN = ("divergence", "lower", "upper")


def coded(left: Indices, right: Indices, regions: int) -> Indices:
    """A number for each of some pairs of so many regions, whichever of the two comes first."""
    code: Indices = np.minimum(left, right) * regions + np.maximum(left, right)
    return code


class KnownPairs:
    """Divergences of pairs of regions, with their intervals, by the positions of the regions.

    Args:
        regions: how many regions there are.
        below: pairs that are known besides; nothing is added to them.
    """

    def __init__(self, regions: int, below: KnownPairs | None = None) -> None:
        self._regions, self._below = regions, below
        self._code = np.empty(0, np.int64)
        self._values = np.empty((len(KNOWN), 0), np.float32)

    def __len__(self) -> int:
        return len(self._code)

    def add(self, pairs: PairTable) -> None:
        """Know pairs with the columns :data:`KNOWN`; of one that is known, what was known stays."""
        code = np.concatenate([self._code, coded(pairs.left, pairs.right, self._regions)])
        values = np.concatenate([self._values, np.stack([pairs[name] for name in KNOWN])], axis=1)
        self._code, first = np.unique(code, return_index=True)
        self._values = values[:, first]

    def find(self, left: Indices, right: Indices) -> tuple[NDArray[np.bool_], Array]:
        """Which of the pairs [K] are known, and their values [3, K], NaN of the others."""
        there, values = np.zeros(len(left), np.bool_), np.full((len(KNOWN), len(left)), np.nan)
        if self._below is not None:
            there, values = self._below.find(left, right)
        if len(self._code):
            code = coded(left, right, self._regions)
            at = np.minimum(np.searchsorted(self._code, code), len(self._code) - 1)
            own = self._code[at] == code
            values[:, own] = self._values[:, at[own]]
            there |= own
        return there, values


class Part(NamedTuple):
    """Pairs to look at, [J] each."""

    row: Indices
    """Which target each has."""
    candidate: Indices
    """Positions of the candidates."""
    bound: Array
    """Lower bounds on the divergences."""


class Ranked(NamedTuple):
    """The best candidates of every target, [T, k]."""

    at: Indices
    """Positions among the pairs, nearest first."""
    overlaps: NDArray[np.bool_]
    """Whether the interval of each overlaps with that of the next one that is solved, [T, k]."""


class Candidates:
    """What is known of the divergences of targets [T] from their candidates: flat, for P pairs.

    A pair is open while it may be among the ``k`` nearest of its target: while its lower bound is
    not above the k-th smallest upper end of an interval there.

    Args:
        targets: positions of the targets, [T].
        k: how many are wanted of each.
    """

    def __init__(self, targets: Indices, k: int) -> None:
        self.targets, self.k = targets, k
        self.row: Indices = np.empty(0, np.int64)
        """Which target each pair has, [P]."""
        self.index: Indices = np.empty(0, np.int64)
        """Positions of the candidates, [P]."""
        self.bound: Array = np.empty(0)
        self.solved: NDArray[np.bool_] = np.empty(0, np.bool_)
        self.values: Array = np.empty((len(KNOWN), 0))
        """Of the pairs that are solved, [3, P]."""
        self.halved = np.zeros(len(targets), np.int64)
        """For how many candidates of each target a half-step was taken, [T]."""

    def add(self, parts: Sequence[Part]) -> None:
        """More pairs, with lower bounds."""
        self.row = np.concatenate([self.row, *(part.row for part in parts)])
        self.index = np.concatenate([self.index, *(part.candidate for part in parts)])
        self.bound = np.concatenate([self.bound, *(part.bound for part in parts)])
        new = len(self.row) - len(self.solved)
        self.solved = np.concatenate([self.solved, np.zeros(new, np.bool_)])
        self.values = np.concatenate([self.values, np.full((len(KNOWN), new), np.nan)], axis=1)

    def pairs(self, at: Indices) -> tuple[Indices, Indices]:
        """Positions of the targets and of the candidates of some pairs."""
        return self.targets[self.row[at]], self.index[at]

    def look(self, known: KnownPairs) -> None:
        """Take over the pairs that are known."""
        at = np.flatnonzero(~self.solved)
        there, values = known.find(*self.pairs(at))
        self.solved[at[there]] = True
        self.values[:, at[there]] = values[:, there]

    def beaten(self) -> Array:
        """What a candidate of each target has to beat, [T]."""
        upper = self.values[2]
        order = self._sorted(np.flatnonzero(self.solved), upper)
        start, end = self._ends(order)
        enough = end - start >= self.k
        found = np.full(len(self.targets), np.inf)
        found[enough] = upper[order[start[enough] + self.k - 1]]
        found[np.isnan(found)] = np.inf
        return found

    def open(self, most: int | None = None) -> Indices:
        """Pairs that are open, the most promising of each target first, and at most so many."""
        some = np.flatnonzero(~self.solved & (self.bound <= self.beaten()[self.row]))
        some = self._sorted(some, self.bound)
        if most is None:
            return some
        start, _ = self._ends(some)
        return some[np.arange(len(some)) - start[self.row[some]] < most]

    def raise_bounds(self, at: Indices, bound: Array) -> None:
        """Take other lower bounds into account."""
        self.bound[at] = np.maximum(self.bound[at], bound)

    def drop(self) -> None:
        """Forget the pairs that are neither solved nor open."""
        kept = self.solved | (self.bound <= self.beaten()[self.row])
        self.row, self.index, self.bound = self.row[kept], self.index[kept], self.bound[kept]
        self.solved, self.values = self.solved[kept], self.values[:, kept]

    def solved_of(self) -> Indices:
        """How many pairs of each target are solved, [T]."""
        return np.bincount(self.row[self.solved], minlength=len(self.targets))

    def ranked(self, name_rank: Indices) -> Ranked:
        """The ``k`` nearest of each target, by divergence as it is stored, and then by name.

        Args:
            name_rank: of all regions, where their names stand in order.
        """
        value, lower, upper = self.values
        done = np.flatnonzero(self.solved)
        keys = name_rank[self.index[done]], value[done].astype(np.float32), self.row[done]
        order = done[np.lexsort(keys)]
        start, end = self._ends(order)
        at = order[start[:, None] + np.arange(self.k)]
        overlaps = np.zeros(at.shape, np.bool_)
        overlaps[:, :-1] = upper[at[:, :-1]] >= lower[at[:, 1:]]
        more = np.flatnonzero(end - start > self.k)
        following = order[start[more] + self.k]
        overlaps[more, -1] = upper[at[more, -1]] >= lower[following]
        return Ranked(at, overlaps)

    def _sorted(self, at: Indices, by: Array) -> Indices:
        """Pairs in order of their targets, and of a value of each."""
        return at[np.lexsort((by[at], self.row[at]))]

    def _ends(self, ordered: Indices) -> tuple[Indices, Indices]:
        """Where the pairs of each target begin and end among pairs in this order, [T] each."""
        rows = np.arange(len(self.targets))
        row = self.row[ordered]
        return np.searchsorted(row, rows), np.searchsorted(row, rows, side="right")
