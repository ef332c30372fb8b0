"""Which pairs go into which block, in which order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.arrays import Indices

# Work of a block in cost entries: about a second, so that little is lost when a run is killed,
# and a few hundred blocks of large sweeps, so that there are not too many files.
_LEAST_ENTRIES = {"cpu": 2 * 10**7, "cuda": 10**9}
_MOST_BLOCKS = 400
# Pairs of a block, however small its regions are: so that progress shows, and no table of pairs
# grows large.
_MOST_PAIRS = 100_000
_LARGEST_GROUP = 1000
_FEWER = 10
"""How many times less work a block may have so that every worker has some."""


class Cell(NamedTuple):
    """A block of a grid: every region of one group with every region of another, or the same."""

    row: int
    column: int


class Grid:
    """The pairs of a sweep, cut into blocks of about equal work, one file of the store each.

    Regions that follow each other make a group of about as many points as every other group has;
    a block is the pairs between two groups. What a block is made of is known from its two numbers,
    so that a plan of any number of pairs takes as much memory as its regions do. The same block
    gives the same numbers, to the last bit, whoever solves it and when; in other company those of
    a pair may differ by what rounding does, within their intervals.

    Args:
        sizes: of the sources, [N].
        others: of the targets, [M]; None for all pairs of the sources, each once.
        device_type: ``cpu`` or ``cuda``.
        least: how many blocks there should be, so that every worker has some.

    >>> grid = Grid(np.array([1, 1, 1]), None, "cpu")
    >>> list(grid), [side.tolist() for side in grid.pairs(Cell(0, 0))]
    ([Cell(row=0, column=0)], [[0, 0, 1], [1, 2, 2]])
    """

    def __init__(
        self, sizes: Indices, others: Indices | None, device_type: str, least: int = 1
    ) -> None:
        self.square, self.device_type = others is None, device_type
        self._n = len(sizes)
        self._sizes = sizes if others is None else np.concatenate([sizes, others])
        both = sizes, sizes if others is None else others
        work = float(both[0].sum()) * float(both[1].sum()) / (2 if self.square else 1)
        entries = max(work / _MOST_BLOCKS, _LEAST_ENTRIES[device_type])
        if least > 1:
            entries = min(entries, max(work / least, _LEAST_ENTRIES[device_type] / _FEWER))
        points = np.sqrt(entries)
        most = np.clip(max(map(len, both)) // 64, int(np.sqrt(_MOST_PAIRS)), _LARGEST_GROUP)
        self.rows = _edges(sizes, float(points), int(most))
        self.columns = self.rows
        if others is not None:
            self.columns = self._n + _edges(others, float(points), int(most))

    @property
    def total(self) -> int:
        """How many pairs there are."""
        n, every = self._n, len(self._sizes)
        return n * (n - 1) // 2 if self.square else n * (every - n)

    def __len__(self) -> int:
        rows, columns = len(self.rows) - 1, len(self.columns) - 1
        single = int((np.diff(self.rows) == 1).sum())  # no pairs of a region with itself
        return rows * (rows + 1) // 2 - single if self.square else rows * columns

    def __iter__(self) -> Iterator[Cell]:
        """The blocks that have pairs, row by row."""
        for row in range(len(self.rows) - 1):
            for column in range(row if self.square else 0, len(self.columns) - 1):
                cell = Cell(row, column)
                if self.count(cell):
                    yield cell

    def shuffled(self) -> list[Cell]:
        """The blocks in a fixed order in which the rate seen so far predicts the rest."""
        cells = list(self)
        return [cells[k] for k in np.random.default_rng(0).permutation(len(cells))]

    def ends(self, cell: Cell) -> tuple[range, range]:
        """Positions of the regions on the two sides of a block."""
        return (
            range(int(self.rows[cell.row]), int(self.rows[cell.row + 1])),
            range(int(self.columns[cell.column]), int(self.columns[cell.column + 1])),
        )

    def is_triangle(self, cell: Cell) -> bool:
        """Whether both sides of a block are the same regions."""
        return self.square and cell.row == cell.column

    def count(self, cell: Cell) -> int:
        """How many pairs a block has."""
        n, m = map(len, self.ends(cell))
        return n * (n - 1) // 2 if self.is_triangle(cell) else n * m

    def work(self, cell: Cell) -> int:
        """Cost entries of a block."""
        left, right = (self._sizes[side.start : side.stop] for side in self.ends(cell))
        both = int(left.sum()) * int(right.sum())
        return (both - int((left**2).sum())) // 2 if self.is_triangle(cell) else both

    def pairs(self, cell: Cell) -> tuple[Indices, Indices]:
        """Positions of the two regions of each pair of a block, [K], the left ones ascending."""
        left, right = (np.arange(side.start, side.stop) for side in self.ends(cell))
        if self.is_triangle(cell):
            i, j = np.triu_indices(len(left), k=1)
            return left[i], left[j]
        return np.repeat(left, len(right)), np.tile(right, len(left))

    def cells_of(self, left: Indices, right: Indices) -> tuple[Indices, Indices]:
        """Rows and columns of the blocks that pairs [K] are in."""
        return (
            np.searchsorted(self.rows, left, side="right") - 1,
            np.searchsorted(self.columns, right, side="right") - 1,
        )


def _edges(sizes: Indices, points: float, most: int) -> Indices:
    """Where groups begin, and where the last one ends: of ``points`` points and ``most`` regions.

    A group may have less where the next region alone would be too large for it.
    """
    edges, total, count = [0], 0, 0
    for k, size in enumerate(sizes.tolist()):
        if count and (total + size > points or count == most):
            edges.append(k)
            total = count = 0
        total, count = total + size, count + 1
    return np.array([*edges, len(sizes)], np.int64)


def plan_listed(n: Indices, m: Indices, device_type: str) -> list[Indices]:
    """Blocks of pairs that no grid has: of similar size and of about equal work, in a fixed order.

    Args:
        n, m: sizes of the two regions of each pair, [K].
        device_type: ``cpu`` or ``cuda``.

    Returns:
        Positions of the pairs of each block; every pair is in exactly one.
    """
    if len(n) == 0:
        return []
    work = n * m
    order: NDArray[np.int64] = np.lexsort((np.minimum(n, m), np.maximum(n, m)))
    size = max(_LEAST_ENTRIES[device_type], int(work.sum()) // _MOST_BLOCKS)
    by_work, by_count = np.cumsum(work[order]) // size, np.arange(len(n)) // _MOST_PAIRS
    edges = np.flatnonzero((np.diff(by_work) > 0) | (np.diff(by_count) > 0)) + 1
    blocks = np.split(order, edges)
    shuffled = np.random.default_rng(0).permutation(len(blocks))
    return [blocks[k] for k in shuffled]
