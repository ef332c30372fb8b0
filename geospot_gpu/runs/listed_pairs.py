"""The pairs of a run that stores the nearest regions of each region alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from geospot_gpu.arrays import Indices
from geospot_gpu.distances.columns import find
from geospot_gpu.distances.nearest.candidates import coded
from geospot_gpu.errors import GeospotError
from geospot_gpu.names import Name, Names
from geospot_gpu.runs.catalogue import Catalogue
from geospot_gpu.runs.held import Held, Positions
from geospot_gpu.runs.listing import Listing, found_at
from geospot_gpu.runs.manifest import Manifest, entries
from geospot_gpu.runs.neighbours import ListTable, NeighbourLists
from geospot_gpu.runs.plan import Cell
from geospot_gpu.runs.store import Store
from geospot_gpu.runs.stored_pairs import StoredPairs


class ListedPairs(StoredPairs):
    """The pairs of regions with their neighbours, each once, as :class:`StoredPairs` has all pairs.

    Args:
        store: of the run.
        manifest: of the run.
        columns, source, target: as for :class:`StoredPairs`.
        of: position of the one region whose neighbours are wanted; all if not given.

    Raises:
        GeospotError: there is no such column or region.
    """

    def __init__(
        self,
        store: Store,
        manifest: Manifest,
        columns: Sequence[str] | None = None,
        source: Name | Collection[Name] | None = None,
        target: Name | Collection[Name] | None = None,
        of: int | None = None,
    ) -> None:
        super().__init__(store.pairs, manifest, columns, source, target)
        self._of, self.lists = of, NeighbourLists.of(store, manifest, of)

    @cached_property
    def table(self) -> ListTable:
        """The lists, as they were when they were first asked for."""
        return self.lists.read()

    @cached_property
    def neighbours(self) -> Indices:
        """Positions of the neighbours of the one region, nearest first, [k]."""
        assert self._of is not None, "neighbours of one region are wanted"
        (row,) = self.table.neighbours
        found: Indices = row[row >= 0].astype(np.int64)
        return found

    @cached_property
    def codes(self) -> Indices:
        """Of the pairs that are asked for, ascending."""
        size = self.lists.regions
        if self._of is not None:
            return np.sort(coded(np.full(len(self.neighbours), self._of), self.neighbours, size))
        codes = self.lists.codes(self.table)
        if self._everything:
            return codes
        left, right = np.divmod(codes, size)
        sources, targets = self._sides
        asked = sources[left] & targets[right]
        if self.grid.square:
            asked |= sources[right] & targets[left]
        return codes[asked]

    @cached_property
    def listing(self) -> Listing:
        """Where the pairs are stored."""
        size = self.lists.regions
        keys = [region["key"] for region in self._regions]
        positions = Positions.of(keys, self._n, square=self.grid.square)
        if not self._everything or self._of is not None:  # no more blocks are read than are needed
            some = set(np.unique(np.divmod(self.codes, size)).tolist())
            sides = [{key: k for key, k in side.items() if k in some} for side in positions]
            positions = Positions(sides[0], sides[0] if self.grid.square else sides[1])
        return Listing(self._store, positions, size, self.codes)

    def _tables(
        self, cells: Iterable[Cell], columns: Sequence[str], catalogue: Catalogue | None
    ) -> Iterator[tuple[Held, pa.Table]]:
        return self.listing.tables(columns)

    def _n_points(self, catalogue: Catalogue | None) -> Indices:
        return self.listing.n_points

    def _cells(self) -> list[Cell]:
        return [Cell(0, 0)]  # the pairs are read block by block of the store


def neighbour_rows(
    store: Store, manifest: Manifest, name: Name, columns: Sequence[str]
) -> pd.DataFrame:
    """The nearest regions of one region, by rank.

    Args:
        store, manifest: of a run that stores the nearest alone.
        name: of the region.
        columns: of the pairs.

    Returns:
        A table indexed by the neighbour: ``rank``, and the columns.

    Raises:
        GeospotError: there is no such region, or it is one of the candidates alone.
    """
    names = [entry["name"] for entry in entries(manifest)]
    square, n = manifest["targets"] is None, len(manifest["sources"])
    known = Names(names if square else names[n:])
    at = known.find(name, "name")
    if at is None:
        raise GeospotError(
            f"{name!s}: is no region whose neighbours were found; {known.hint(str(name))}"
        )
    position = at if square else n + at
    side: dict[str, Name] = {"source" if square else "target": name}
    pairs = ListedPairs(store, manifest, ["source", "target", *columns], of=position, **side)
    found = pairs.to_pandas().set_index("target" if square else "source")[list(columns)]
    order = pd.Index([names[k] for k in pairs.neighbours], name=found.index.name)
    found.insert(0, "rank", order.get_indexer(found.index) + 1)
    return found.sort_values("rank")


def write_neighbours(pairs: ListedPairs, value: str, path: Path) -> None:
    """All lists as one table: ``region``, ``rank``, ``neighbour`` and the distance with bounds."""
    distance = find(value)
    names = [distance.sides(name)[0] for name in distance.variables]
    columns = {name: np.full(len(pairs.codes), np.nan, np.float32) for name in names}
    for part in pairs.parts(names):
        at = found_at(pairs.codes, coded(part.left, part.right, pairs.lists.regions))
        for name in names:
            columns[name][at] = part[name]
    target, neighbour = pairs.lists.pairs(pairs.table)
    at = found_at(pairs.codes, coded(target, neighbour, pairs.lists.regions))
    words = pa.array(pairs.names)
    rank = np.tile(np.arange(1, pairs.lists.k + 1, dtype=np.int32), len(target) // pairs.lists.k)
    arrays = {
        "region": pa.DictionaryArray.from_arrays(pa.array(target, pa.int32()), words),
        "rank": rank,
        "neighbour": pa.DictionaryArray.from_arrays(pa.array(neighbour, pa.int32()), words),
    }
    pq.write_table(pa.table(arrays | {name: columns[name][at] for name in names}), path)
