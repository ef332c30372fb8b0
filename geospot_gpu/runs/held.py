"""Rows of a block that are pairs of a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.arrays import Indices
from geospot_gpu.runs.block import Contents, places_in
from geospot_gpu.runs.pair_store import Block, PairStore

Mask = NDArray[np.bool_]


class Where(NamedTuple):
    """Positions in a sweep of the regions on the two sides of a block, -1 where it has none."""

    sources_left: Indices
    sources_right: Indices
    targets_left: Indices
    targets_right: Indices


class Positions(NamedTuple):
    """Where regions stand in a sweep, by their keys: one may stand on both sides of a pair."""

    left: dict[str, int]
    right: dict[str, int]

    @classmethod
    def of(cls, keys: Sequence[str], n_sources: int, *, square: bool) -> Positions:
        """Those of a sweep.

        Args:
            keys: of its regions, those of the targets last where it is not square.
            n_sources: how many of the regions are sources.
            square: whether the sources are the targets, too.
        """
        first = {key: k for k, key in enumerate(keys[:n_sources])}
        if square:
            return cls(first, first)
        return cls(first, {key: k for k, key in enumerate(keys[n_sources:], n_sources)})

    def where(self, contents: Contents) -> Where | None:
        """Those of the regions of a block; None where none of its pairs is of the sweep."""
        found = Where(
            *(
                np.array([known.get(key, -1) for key in side.keys], np.int64)
                for side in (contents.sources, contents.targets)
                for known in self
            )
        )
        there = [bool((at >= 0).any()) for at in found]
        return found if (there[0] and there[3]) or (there[2] and there[1]) else None


class Wanted(NamedTuple):
    """The regions that are wanted on one side of a pair."""

    positions: range
    mask: Mask | None = None
    """Which of all regions, [R]; all if not given."""

    def among(self, positions: Indices) -> Mask:
        """Which of some positions, [K]."""
        found: Mask = (positions >= self.positions.start) & (positions < self.positions.stop)
        return found if self.mask is None else found & self.mask[positions]


class Held(NamedTuple):
    """Rows of a block that are pairs of a sweep."""

    block: Block
    rows: Indices
    """Which rows of the block, [K]."""
    left: Indices
    right: Indices
    swapped: Mask
    """Where the block has the right region as the source."""

    def some(self, chosen: Mask) -> Held:
        """Those of the rows that are chosen, [K]."""
        if chosen.all():
            return self
        rows = self.rows[chosen], self.left[chosen], self.right[chosen], self.swapped[chosen]
        return Held(self.block, *rows[:3], swapped=rows[3])


class Found(NamedTuple):
    """A block of the store, as a sweep sees it."""

    block: Block
    where: Where
    listed: tuple[Indices, Indices] | None
    """Places of the two regions of each pair in the block's sides, where it lists them."""

    def held(self, left: Wanted, right: Wanted, *, square: bool) -> Held:
        """Its rows that are pairs of wanted regions."""
        where = self.where
        rows, i, j = self._rows(where.sources_left, where.targets_right, left, right)
        turned, b, a = self._rows(where.sources_right, where.targets_left, right, left)
        found = Held(
            self.block,
            np.concatenate([rows, turned]),
            np.concatenate([i, a]),
            np.concatenate([j, b]),
            np.repeat([False, True], [len(rows), len(turned)]),
        )
        if square:
            found = found.some(found.left < found.right)
        if not found.swapped.any() or found.swapped.all():
            return found
        # Of regions that are on both sides of a block it may have either direction of a pair.
        code = found.left * (1 + max(left.positions.stop, right.positions.stop)) + found.right
        first = np.zeros(len(code), np.bool_)
        first[np.unique(code, return_index=True)[1]] = True
        return found.some(first)

    def _rows(
        self, of_source: Indices, of_target: Indices, source: Wanted, target: Wanted
    ) -> tuple[Indices, Indices, Indices]:
        """Rows, and positions of their sources and targets."""
        sources, targets = source.among(of_source), target.among(of_target)
        if not (sources.any() and targets.any()):
            return _NONE, _NONE, _NONE
        contents: Contents = self.block.contents
        if contents.shape == "all":  # as most are: no more is looked at than is wanted
            a, b = np.flatnonzero(sources), np.flatnonzero(targets)
            rows = (a[:, None] * len(targets) + b).ravel()
            return rows, np.repeat(of_source[a], len(b)), np.tile(of_target[b], len(a))
        places = self.listed or contents.places()
        assert places is not None, "of listed pairs they are read"
        rows = np.flatnonzero(sources[places[0]] & targets[places[1]])
        return rows, of_source[places[0][rows]], of_target[places[1][rows]]


def blocks_of(store: PairStore, positions: Positions) -> Iterator[Found]:
    """The blocks of a store that may hold pairs of a sweep, those that say most first.

    Raises:
        FileNotFoundError: somebody merged one meanwhile.
    """
    for block in store.blocks():
        where = positions.where(block.contents)
        if where is None:
            continue
        listed = None
        if block.contents.shape == "listed":
            table = store.read(block, ["source", "target"])
            if table is None:
                continue
            listed = places_in(block.contents, table)
        yield Found(block, where, listed)


def points_in(found: Found, n_points: Indices) -> None:
    """Note how many points a block says were taken of its regions, in an array of all, [R]."""
    contents = found.block.contents
    sides = (contents.sources, contents.sources, contents.targets, contents.targets)
    for known, side in zip(found.where, sides, strict=True):
        there = known >= 0
        n_points[known[there]] = np.array(side.n_points)[there]


_NONE = np.array([], np.int64)
