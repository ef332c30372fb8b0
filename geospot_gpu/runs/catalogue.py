"""What a store holds of the pairs of a sweep: which are missing, and where the others are."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from geospot_gpu.arrays import Columns, Indices
from geospot_gpu.distances.columns import mirrors
from geospot_gpu.runs.held import Found, Held, Mask, Positions, Wanted, blocks_of, points_in
from geospot_gpu.runs.pair_store import Block, PairStore
from geospot_gpu.runs.plan import Cell, Grid

_RELIST = 10
"""How often blocks are listed anew because somebody merged those that were there."""
_KEPT_BYTES = 2**28
"""Of tables that were read, which the next cells need, too."""


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
        self._positions = Positions.of(keys, n_sources, square=grid.square)
        self._regions = len(keys)
        self.n_points: Indices
        """Taken of the regions, [R]; 0 of those that no block has."""
        self.refresh()

    def look(self) -> None:
        """List the blocks anew if others are there than when they were listed."""
        if set(self.store.names()) != self._names:
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
        self._names = set(self.store.names())
        self.blocks: list[Block] = []
        self._found: list[Found] = []
        self._cells: dict[Cell, list[int]] = defaultdict(list)
        self.n_points = np.zeros(self._regions, np.int64)
        for found in blocks_of(self.store, self._positions):
            self.blocks.append(found.block)
            self._found.append(found)
            points_in(found, self.n_points)
            number = len(self._found) - 1
            for cell in self._touched(number):
                self._cells[cell].append(number)

    def _touched(self, number: int) -> Iterable[Cell]:
        """Blocks of the grid that a block of the store may have pairs of."""
        where = self._found[number].where
        if self._found[number].listed is not None:
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
        every = Wanted(range(self._regions))
        return self._found[number].held(every, every, square=self.grid.square)

    def numbers(self, cell: Cell) -> list[int]:
        """Which of the blocks may have pairs of a block of the grid, the most believed first."""
        return self._cells.get(cell, [])

    def owners(self, cell: Cell) -> NDArray[np.int32]:
        """Which block is believed of each pair of a block of the grid, [n, m]; -1 if none."""
        left, right = self.grid.ends(cell)
        found = np.full((len(left), len(right)), -1, np.int32)
        sides = Wanted(left), Wanted(right)
        for number in reversed(self.numbers(cell)):
            held = self._found[number].held(*sides, square=self.grid.square)
            found[held.left - left.start, held.right - right.start] = number
        return found

    def held(self, cell: Cell, sides: tuple[Mask, Mask] | None = None) -> list[Held]:
        """Where the pairs of a block of the grid are, each once.

        Args:
            cell: the block of the grid.
            sides: which regions [R] are wanted on one side of a pair and which on the other, be it
                left or right where the grid is square; all if not given.
        """
        left, right = self.grid.ends(cell)
        ways = [(None, None)] if sides is None else [sides, sides[::-1]][: 1 + self.grid.square]
        numbers, parts = self.numbers(cell), []
        for k, (one, other) in enumerate(ways):
            wanted = Wanted(left, one), Wanted(right, other)
            for number in numbers:
                held = self._found[number].held(*wanted, square=self.grid.square)
                if k == 1 and sides is not None:  # others were found before
                    held = held.some(~(sides[0][held.left] & sides[1][held.right]))
                if len(held.rows):
                    parts.append((number, held))
        if len(numbers) > 1 and parts:
            owner = self.owners(cell)
            parts = [
                (n, part.some(owner[part.left - left.start, part.right - right.start] == n))
                for n, part in parts
            ]
        return [part for _, part in parts if len(part.rows)]

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
        for number, found in enumerate(self._found):
            if found.listed is not None and self._is_whole(number):
                yield self._held(number)

    def _is_whole(self, number: int) -> bool:
        """Whether all rows of a block are pairs of this sweep."""
        return len(np.unique(self._held(number).rows)) == self.blocks[number].contents.rows

    def tables(
        self,
        cells: Iterable[Cell],
        columns: Sequence[str],
        sides: tuple[Mask, Mask] | None = None,
    ) -> Iterator[tuple[Held, pa.Table]]:
        """Columns of the pairs of blocks of the grid, with where they are.

        What is damaged is left out, aloud; what is merged meanwhile is found where it went.

        Args:
            cells: the blocks of the grid.
            columns: names of columns that are stored.
            sides: as for :meth:`held`.
        """
        kept: OrderedDict[str, pa.Table | None] = OrderedDict()
        for cell in cells:
            for held in self.held(cell, sides):
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
        """Columns of some pairs, each of which is wanted once, as they are from left to right.

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
        mirror = mirrors()
        read = list(dict.fromkeys([*columns, *(mirror.get(name, name) for name in columns)]))
        for held, table in self.tables(cells, read):
            if not set(held.block.contents.outputs).issuperset(outputs):
                continue
            own = held.left * size + held.right
            at = np.minimum(np.searchsorted(code[order], own), len(code) - 1)
            hit = np.flatnonzero(code[order][at] == own)
            there[order[at[hit]]] = True
            for name in columns:
                values, turned = (table[one].to_numpy() for one in (name, mirror.get(name, name)))
                found[name][order[at[hit]]] = np.where(held.swapped, turned, values)[hit]
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
        left, right = self.grid.ends(cell)
        wanted = np.zeros((len(left), len(right)), np.bool_)
        wanted[lost.left - left.start, lost.right - right.start] = True
        for attempt in range(_RELIST):
            self.refresh()
            complete = True
            for held in self.held(cell):
                some = held.some(wanted[held.left - left.start, held.right - right.start])
                if len(some.rows) == 0:
                    continue
                try:
                    table = self.store.read(some.block, columns)
                except FileNotFoundError:
                    if attempt == _RELIST - 1:
                        raise
                    table = None
                if table is None:
                    complete = False
                    continue
                wanted[some.left - left.start, some.right - right.start] = False
                yield some, _rows(table, some.rows)
            if complete:
                return


def _rows(table: pa.Table, rows: Indices) -> pa.Table:
    if len(rows) == len(table) and (np.diff(rows) == 1).all():
        return table
    return table.take(pa.array(rows))
