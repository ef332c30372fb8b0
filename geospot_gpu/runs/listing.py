"""Where some pairs of a sweep are stored, whichever they are: not more is held than is wanted."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from geospot_gpu.arrays import Indices
from geospot_gpu.distances.nearest.candidates import KNOWN, KnownPairs, coded
from geospot_gpu.distances.pair_table import PairTable
from geospot_gpu.runs.held import Found, Held, Positions, Wanted, blocks_of, points_in
from geospot_gpu.runs.pair_store import Block, PairStore


class Listing:
    """The blocks of a store, seen from some pairs of a sweep.

    A pair may be in several blocks: the first block that has it is believed.

    Args:
        store: where the blocks are.
        positions: of the regions of the sweep, or of those that the pairs have.
        regions: how many regions the sweep has.
        codes: of the pairs, ascending, [K]; see :func:`~.candidates.coded`.
        outputs: that a block must have for its pairs to be there.
    """

    def __init__(
        self,
        store: PairStore,
        positions: Positions,
        regions: int,
        codes: Indices,
        outputs: Collection[str] = (),
    ) -> None:
        self._store, self._positions, self._regions = store, positions, regions
        self._codes, self._outputs = codes, outputs
        self.blocks: list[Block] = []
        self.n_points = np.zeros(regions, np.int64)
        """Taken of the regions, [R]; 0 of those that no block has."""
        self._owner = np.full(len(codes), -1, np.int32)
        self._row = np.zeros(len(codes), np.int64)
        self._swapped = np.zeros(len(codes), np.bool_)
        for found, held in rows_of(store, positions, regions, outputs):
            at = found_at(codes, coded(held.left, held.right, regions))
            new = np.flatnonzero(at >= 0)
            new = new[self._owner[at[new]] < 0]
            if len(new) == 0:
                continue
            points_in(found, self.n_points)
            at = at[new]
            self._owner[at], self._row[at] = len(self.blocks), held.rows[new]
            self._swapped[at] = held.swapped[new]
            self.blocks.append(found.block)

    @property
    def there(self) -> NDArray[np.bool_]:
        """Which of the pairs are stored, [K]."""
        found: NDArray[np.bool_] = self._owner >= 0
        return found

    def tables(self, columns: Sequence[str]) -> Iterator[tuple[Held, pa.Table]]:
        """Columns of the pairs, block by block, with where they are.

        What is damaged is left out, aloud; what is merged meanwhile is found where it went.
        """
        lost = [np.empty(0, np.int64)]
        order = np.argsort(self._owner, kind="stable")
        start = np.searchsorted(self._owner[order], np.arange(len(self.blocks) + 1))
        for block, first, last in zip(self.blocks, start[:-1], start[1:], strict=True):
            own = order[first:last]
            left, right = np.divmod(self._codes[own], self._regions)
            held = Held(block, self._row[own], left, right, self._swapped[own])
            try:
                table = self._store.read(block, columns)
            except FileNotFoundError:
                lost.append(self._codes[own])
                continue
            if table is not None:
                yield held, table.take(pa.array(held.rows))
        missing = np.sort(np.concatenate(lost))
        if len(missing):
            again = Listing(self._store, self._positions, self._regions, missing, self._outputs)
            yield from again.tables(columns)


def rows_of(
    store: PairStore, positions: Positions, regions: int, outputs: Collection[str] = ()
) -> Iterator[tuple[Found, Held]]:
    """All rows of a store that are pairs of a sweep, block by block, those believed first."""
    every = Wanted(range(regions))
    for found in blocks_of(store, positions):
        if set(found.block.contents.outputs).issuperset(outputs):
            square = positions.left is positions.right
            yield found, found.held(every, every, square=square)


def known_pairs(
    store: PairStore,
    positions: Positions,
    regions: int,
    outputs: Collection[str],
    most: int,
) -> KnownPairs:
    """Divergences that are stored: of each region those with the regions nearest to it.

    Args:
        store, positions, regions, outputs: as for :class:`Listing`.
        most: how many of each region are of use.
    """
    known, parts, count = KnownPairs(regions), list[PairTable](), 0
    for found, held in rows_of(store, positions, regions, outputs):
        table = store.read(found.block, KNOWN)
        if table is None or len(held.rows) == 0:
            continue
        columns = {name: np.asarray(table[name])[held.rows] for name in KNOWN}
        parts.append(PairTable(held.left, held.right, columns))
        count += len(held.rows)
        if count > 8 * most * regions:  # as of all pairs of a sweep
            parts = [_nearest(parts, most)]
            count = len(parts[0])
    if parts:
        known.add(_nearest(parts, most))
    return known


def _nearest(parts: Sequence[PairTable], most: int) -> PairTable:
    """Pairs that are among the nearest of one of their regions."""
    left, right = (np.concatenate([getattr(p, side) for p in parts]) for side in ("left", "right"))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in KNOWN}
    kept = np.zeros(len(left), np.bool_)
    for side in (left, right):
        order = np.lexsort((columns["divergence"], side))
        first = np.searchsorted(side[order], side[order])
        kept[order[np.arange(len(order)) - first < most]] = True
    return PairTable(left, right, columns).some(kept)


def found_at(ascending: Indices, values: Indices) -> Indices:
    """Where values [K] stand among ascending ones, -1 where they do not."""
    if len(ascending) == 0:
        return np.full(len(values), -1, np.int64)
    at = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    return np.where(ascending[at] == values, at, -1)
