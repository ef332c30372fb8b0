"""The nearest regions of many targets at once, of which most pairs are never looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.arrays import Indices
from geospot_gpu.distances.nearest.candidates import Array, Candidates, KnownPairs, Part, coded
from geospot_gpu.distances.nearest.moments import MomentBounds, leaves
from geospot_gpu.distances.nearest.search import NeighbourSearch
from geospot_gpu.distances.pair_table import PairTable

_LEAF = 64
"""Regions of a group that is left out as a whole."""
_NEAR = 4
"""How many times the neighbours that are wanted are looked at first."""
_MOST_PAIRS = 2 * 10**6
"""Pairs that are looked at together."""


class Groups(NamedTuple):
    """Regions that lie together, for each side of all pairs."""

    candidates: tuple[Indices, ...]
    """Positions of regions that may be neighbours."""
    targets: tuple[Indices, ...]
    """Positions of regions whose neighbours are wanted: the candidates again, or others."""

    @classmethod
    def of(cls, moments: MomentBounds, n_candidates: int) -> Groups:
        """Groups of all regions: all others are candidates of each.

        Args:
            moments: of the regions.
            n_candidates: how many of them, the first ones, may be neighbours; the others are the
                targets then, if there are any.
        """
        vectors = moments.embedded()
        first = tuple(leaves(vectors[:n_candidates], _LEAF))
        if n_candidates == len(vectors):
            return cls(first, first)
        others = leaves(vectors[n_candidates:], _LEAF)
        return cls(first, tuple(n_candidates + group for group in others))


class Lists(NamedTuple):
    """The nearest regions of targets [T], nearest first."""

    targets: Indices
    neighbours: Indices
    """Positions, [T, k]."""
    solved: Indices
    """Of how many candidates the divergence was known in the end, [T]."""
    halved: Indices
    """For how many a half-step was taken, [T]."""
    overlaps: NDArray[np.bool_]
    """Whether the interval of each overlaps with that of the next one that is solved, [T, k]."""
    pairs: list[PairTable]
    """Those of the neighbours that were solved for it, each once."""


class ListSearch:
    """Finds the nearest regions of groups of targets.

    A group of candidates is left out as a whole where a bound from moments says that none of it
    can be near to any of a group of targets. So the time for one target grows with the number of
    groups at most, and the pairs that are solved are few.

    Args:
        search: over the regions.
        groups: of them.
        known: pairs that need not be solved.
    """

    def __init__(self, search: NeighbourSearch, groups: Groups, known: KnownPairs) -> None:
        self._search, self._groups, self._known = search, groups, known
        every = groups.candidates
        if groups.targets is not groups.candidates:
            every += groups.targets
        self._first_target = len(every) - len(groups.targets)
        self._between = search.moments.of_groups(every)
        self._sizes = np.array([len(group) for group in groups.candidates])
        self._name_rank = search.name_rank

    def __call__(self, numbers: Sequence[int], k: int) -> Lists:
        """The ``k`` nearest regions of all targets in the groups with these numbers."""
        targets = np.concatenate([self._groups.targets[number] for number in numbers])
        square = self._first_target == 0
        pairs = Candidates(targets, min(k, int(self._sizes.sum()) - square))
        known = KnownPairs(len(self._name_rank), self._known)
        found: list[PairTable] = []
        parts, later, row = [], [], 0
        for number in numbers:
            bounds = self._bounds(number)
            order = np.argsort(bounds, kind="stable")
            reached = np.cumsum(self._sizes[order])
            enough = int(np.searchsorted(reached, max(_NEAR * k, 2 * _LEAF))) + 1
            parts.append(self._looked_at(row, number, order[:enough]))
            later.append((row, number, order[enough:], bounds[order[enough:]]))
            row += len(self._groups.targets[number])
        pairs.add(parts)
        pairs.look(known)
        if len(first := pairs.open(pairs.k)):
            found.append(self._search.solve(pairs, first, known))
        pairs.drop()
        beaten, parts = pairs.beaten(), []
        for row, number, others, bounds in later:
            some = beaten[row : row + len(self._groups.targets[number])]
            parts.append(self._looked_at(row, number, others[bounds <= some.max()], some))
            if sum(len(part[0]) for part in parts) > _MOST_PAIRS:
                found += self._refined(pairs, parts, known)
                parts = []
        found += self._refined(pairs, parts, known)
        return self._lists(pairs, found)

    def _refined(self, pairs: Candidates, more: list[Part], known: KnownPairs) -> list[PairTable]:
        pairs.add(more)
        pairs.look(known)
        solved = self._search.refine(pairs, known)
        pairs.drop()
        return solved

    def _bounds(self, number: int) -> Array:
        """Bounds between a group of targets and all groups of candidates."""
        every = np.arange(len(self._sizes))
        bounds: Array = self._between(np.array([self._first_target + number]), every)[0]
        return bounds

    def _looked_at(
        self, row: int, number: int, groups: Indices, beaten: Array | None = None
    ) -> Part:
        """The pairs of a group of targets with groups of candidates, but for those beaten.

        Args:
            row: of the first of the targets.
            number: of the group of targets.
            groups: numbers of the groups of candidates.
            beaten: what the bound of each target may be at most.
        """
        targets = self._groups.targets[number]
        members = (self._groups.candidates[group] for group in groups)
        index = np.concatenate([np.empty(0, np.int64), *members])
        bound = self._search.moments(targets, index)
        chosen = targets[:, None] != index
        if beaten is not None:
            chosen &= bound <= beaten[:, None]
        i, j = np.nonzero(chosen)
        return Part(row + i, index[j], bound[i, j])

    def _lists(self, pairs: Candidates, found: Sequence[PairTable]) -> Lists:
        at, overlaps = pairs.ranked(self._name_rank)
        neighbours = pairs.index[at]
        own = np.repeat(pairs.targets, pairs.k), neighbours.ravel()
        n = len(self._name_rank)
        wanted = coded(*own, n)
        kept = [table.some(np.isin(coded(table.left, table.right, n), wanted)) for table in found]
        return Lists(pairs.targets, neighbours, pairs.solved_of(), pairs.halved, overlaps, kept)
