"""What a store holds of the pairs of a sweep: which are missing, and where the others are."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from geospot_gpu.arrays import Columns, Indices
from geospot_gpu.runs.block import Contents, Side, places_in
from geospot_gpu.runs.pair_store import Block, PairStore
from geospot_gpu.runs.plan import Cell, Grid

_RELIST = 10
"""How often blocks are listed anew because somebody merged those that were there."""
_KEPT_BYTES = 2**28
"""Of tables that were read, which the next cells need, too."""


class Held(NamedTuple):
    """Rows of a block that are pairs of the sweep."""

    block: Block
    rows: Indices
    """Which rows of the block, [K]."""
    left: Indices
    right: Indices
    swapped: NDArray[np.bool_]
    """Where the block has the right region as the source."""


class _Where(NamedTuple):
    """Positions in the sweep of the two sides of a block, -1 where it has none."""

    sources_left: Indices
    sources_right: Indices
    targets_left: Indices
    targets_right: Indices


class Catalogue:
    """The blocks of a store, seen from the pairs of a grid.

    A pair may be in several blocks: the first block that has it is believed.

    Args:
        store: where the blocks are.
        keys: of the regions of the sweep, by position: those of the sources, then those of the
            targets where the grid is not square.
        grid: the pairs of the sweep.
        n_sources: how many of the regions are sources.
    """

    def __init__(self, store: PairStore, keys: Sequence[str], grid: Grid, n_sources: int) -> None:
        self.store, self.grid, self.keys = store, grid, keys
        first = {key: k for k, key in enumerate(keys[:n_sources])}
        second = first
        if not grid.square:
            second = {key: k for k, key in enumerate(keys[n_sources:], n_sources)}
        self._left, self._right, self._regions = first, second, len(keys)
        self.n_points: Indices
        """Taken of the regions, [R]; 0 of those that no block has."""
        self.refresh()

    def refresh(self) -> None:
        """List the blocks anew."""
        for attempt in range(_RELIST):
            try:
                self._list()
                return
            except FileNotFoundError:
                if attempt == _RELIST - 1:
                    raise

    def _list(self) -> None:
        self.blocks: list[Block] = []
        self._where: list[_Where] = []
        self._listed: dict[int, tuple[Indices, Indices]] = {}
        self._cells: dict[Cell, list[int]] = defaultdict(list)
        self.n_points = np.zeros(self._regions, np.int64)
        for block in self.store.blocks():
            contents = block.contents
            where = _Where(
                *(
                    np.array([known.get(key, -1) for key in side.keys], np.int64)
                    for side in (contents.sources, contents.targets)
                    for known in (self._left, self._right)
                )
            )
            if not self._may_hold(where):
                continue
            number = len(self.blocks)
            if contents.shape == "listed":
                table = self.store.read(block, ["source", "target"])
                if table is None:
                    continue
                self._listed[number] = places_in(contents, table)
            self.blocks.append(block)
            self._where.append(where)
            for known, side in zip(where, _twice(contents), strict=True):
                there = known >= 0
                self.n_points[known[there]] = np.array(side.n_points)[there]
            for cell in self._touched(number):
                self._cells[cell].append(number)

    @staticmethod
    def _may_hold(where: _Where) -> bool:
        there = [bool((at >= 0).any()) for at in where]
        return (there[0] and there[3]) or (there[2] and there[1])

    def _touched(self, number: int) -> Iterable[Cell]:
        """Blocks of the grid that a block of the store may have pairs of."""
        where = self._where[number]
        if number in self._listed:
            held = self._held(number)
            rows, columns = self.grid.cells_of(held.left, held.right)
            both = np.unique(np.stack([rows, columns]), axis=1)
            return [Cell(int(row), int(column)) for row, column in both.T]
        found = set()
        for left, right in (
            (where.sources_left, where.targets_right),
            (where.targets_left, where.sources_right),
        ):
            rows, columns = self.grid.cells_of(left[left >= 0], right[right >= 0])
            found |= {
                Cell(int(row), int(column))
                for row in np.unique(rows)
                for column in np.unique(columns)
                if not self.grid.square or row <= column
            }
        return found

    def _held(self, number: int) -> Held:
        """All rows of a block that are pairs of the sweep."""
        block, where = self.blocks[number], self._where[number]
        places = self._listed.get(number) or block.contents.places()
        assert places is not None, "of listed pairs they are read"
        source, target = places
        parts = []
        for swapped, (of_left, left), (of_right, right) in (
            (False, (where.sources_left, source), (where.targets_right, target)),
            (True, (where.targets_left, target), (where.sources_right, source)),
        ):
            i, j = of_left[left], of_right[right]
            rows = np.flatnonzero((i >= 0) & (j >= 0) & ((i < j) | (not self.grid.square)))
            parts.append(Held(block, rows, i[rows], j[rows], np.full(len(rows), swapped)))
        if len(parts[1].rows) == 0:
            return parts[0]
        _, *sides = zip(*parts, strict=True)
        return Held(block, *map(np.concatenate, sides))

    def numbers(self, cell: Cell) -> list[int]:
        """Which of the blocks may have pairs of a block of the grid, the most believed first."""
        return self._cells.get(cell, [])

    def owners(self, cell: Cell, numbers: Collection[int] | None = None) -> NDArray[np.int32]:
        """Which of the blocks is believed of each pair of a block of the grid, [n, m]; -1 if none.

        Args:
            cell: the block of the grid.
            numbers: blocks to look into; all if not given.
        """
        left, right = self.grid.ends(cell)
        found = np.full((len(left), len(right)), -1, np.int32)
        for number in reversed(self.numbers(cell) if numbers is None else sorted(numbers)):
            held = _within(self._held(number), left, right)
            found[held.left - left.start, held.right - right.start] = number
        return found

    def held(self, cell: Cell) -> list[Held]:
        """Where the pairs of a block of the grid are, each once."""
        left, right = self.grid.ends(cell)
        numbers = self.numbers(cell)
        parts = [_within(self._held(number), left, right) for number in numbers]
        if len(parts) > 1:
            owner = self.owners(cell)
            parts = [
                _some(part, owner[part.left - left.start, part.right - right.start] == number)
                for number, part in zip(numbers, parts, strict=True)
            ]
        return [part for part in parts if len(part.rows)]

    def missing(self, cell: Cell, outputs: Collection[str]) -> dict[tuple[str, ...], Indices]:
        """Which pairs of a block of the grid are not there with all outputs.

        Returns:
            Positions among the pairs of :meth:`Grid.pairs`, by the outputs that are there.
        """
        left, right = self.grid.pairs(cell)
        rows, columns = self.grid.ends(cell)
        numbers = self.numbers(cell)
        if not numbers:
            return {(): np.arange(len(left))}
        owner = self.owners(cell)[left - rows.start, right - columns.start]
        found: dict[tuple[str, ...], list[Indices]] = defaultdict(list)
        found[()].append(np.flatnonzero(owner < 0))
        for number in numbers:
            known = self.blocks[number].contents.outputs
            if not set(known).issuperset(outputs):
                found[known].append(np.flatnonzero(owner == number))
        together = {known: np.concatenate(parts) for known, parts in found.items()}
        return {known: np.sort(at) for known, at in together.items() if len(at)}

    def count_missing(self, outputs: Collection[str]) -> int:
        """How many pairs of the sweep are not there with all outputs."""
        cells = (self.missing(cell, outputs) for cell in self.grid)
        return sum(len(at) for missing in cells for at in missing.values())

    def redundant(self) -> list[Block]:
        """Blocks all of whose pairs others have and are believed of, in this sweep."""
        believed: set[int] = set()
        shared = {n for numbers in self._cells.values() if len(numbers) > 1 for n in numbers}
        for cell, numbers in self._cells.items():
            if not shared.isdisjoint(numbers):
                believed.update(np.unique(self.owners(cell)).tolist())
        return [self.blocks[n] for n in sorted(shared - believed) if self._is_whole(n)]

    def listed(self) -> Iterator[Held]:
        """Blocks of listed pairs, all of which are of this sweep."""
        for number in self._listed:
            if self._is_whole(number):
                yield self._held(number)

    def _is_whole(self, number: int) -> bool:
        """Whether all rows of a block are pairs of this sweep."""
        return len(np.unique(self._held(number).rows)) == self.blocks[number].contents.rows

    def tables(
        self, cells: Iterable[Cell], columns: Sequence[str]
    ) -> Iterator[tuple[Held, pa.Table]]:
        """Columns of the pairs of blocks of the grid, with where they are.

        What is damaged is left out, aloud; what is merged meanwhile is found where it went.
        """
        kept: OrderedDict[str, pa.Table | None] = OrderedDict()
        for cell in cells:
            for held in self.held(cell):
                try:
                    table = self._kept(kept, held.block, columns)
                except FileNotFoundError:
                    table = None
                if table is None:
                    yield from self._moved(cell, held, columns)
                else:
                    yield held, _rows(table, held.rows)

    def find(
        self, left: Indices, right: Indices, columns: Sequence[str], outputs: Collection[str] = ()
    ) -> tuple[NDArray[np.bool_], Columns]:
        """Columns of some pairs, each of which is wanted once.

        Args:
            left, right: positions of the two regions of each pair, [K].
            columns: names of numbers.
            outputs: that a block must have for its pairs to be found.

        Returns:
            Which pairs were found, [K], and the values, NaN of the others.
        """
        found: Columns = {name: np.full(len(left), np.nan) for name in columns}
        there = np.zeros(len(left), np.bool_)
        if len(left) == 0:
            return there, found
        size = len(self.keys)
        code = left * size + right
        order = np.argsort(code)
        both = np.unique(np.stack(self.grid.cells_of(left, right)), axis=1)
        cells = [Cell(int(row), int(column)) for row, column in both.T]
        for held, table in self.tables(cells, columns):
            if not set(held.block.contents.outputs).issuperset(outputs):
                continue
            own = held.left * size + held.right
            at = np.minimum(np.searchsorted(code[order], own), len(code) - 1)
            hit = np.flatnonzero(code[order][at] == own)
            there[order[at[hit]]] = True
            for name in columns:
                found[name][order[at[hit]]] = table[name].to_numpy()[hit]
        return there, found

    def _kept(
        self, kept: OrderedDict[str, pa.Table | None], block: Block, columns: Sequence[str]
    ) -> pa.Table | None:
        if block.name in kept:
            kept.move_to_end(block.name)
            return kept[block.name]
        table = self.store.read(block, columns)
        kept[block.name] = table
        while len(kept) > 1 and sum(t.nbytes for t in kept.values() if t) > _KEPT_BYTES:
            kept.popitem(last=False)
        return table

    def _moved(
        self, cell: Cell, lost: Held, columns: Sequence[str]
    ) -> Iterator[tuple[Held, pa.Table]]:
        """The pairs of a block that is not there any more, from others that have them, if any."""
        self.refresh()
        left, right = self.grid.ends(cell)
        wanted = np.zeros((len(left), len(right)), np.bool_)
        wanted[lost.left - left.start, lost.right - right.start] = True
        for held in self.held(cell):
            some = _some(held, wanted[held.left - left.start, held.right - right.start])
            if len(some.rows) and (table := self.store.read(some.block, columns)) is not None:
                yield some, _rows(table, some.rows)


def _twice(contents: Contents) -> tuple[Side, Side, Side, Side]:
    """The side of a block that each entry of :class:`_Where` is of."""
    return contents.sources, contents.sources, contents.targets, contents.targets


def _rows(table: pa.Table, rows: Indices) -> pa.Table:
    if len(rows) == len(table) and (np.diff(rows) == 1).all():
        return table
    return table.take(pa.array(rows))


def _within(held: Held, left: range, right: range) -> Held:
    """The pairs whose regions are in these ranges of positions."""
    inside = (held.left >= left.start) & (held.left < left.stop)
    inside &= (held.right >= right.start) & (held.right < right.stop)
    return held if inside.all() else _some(held, inside)


def _some(held: Held, chosen: NDArray[np.bool_]) -> Held:
    return Held(
        *(held.block, held.rows[chosen], held.left[chosen], held.right[chosen]),
        swapped=held.swapped[chosen],
    )
