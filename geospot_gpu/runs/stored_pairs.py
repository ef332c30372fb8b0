"""The pairs of a sweep as they are stored, read when and as far as they are asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from geospot_gpu.arrays import Columns, Indices
from geospot_gpu.distances.columns import mirrors, schema
from geospot_gpu.distances.growth import above_target
from geospot_gpu.distances.pair_table import PairTable
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.names import Name, Names
from geospot_gpu.runs.catalogue import Catalogue
from geospot_gpu.runs.held import Held
from geospot_gpu.runs.manifest import Manifest, entries
from geospot_gpu.runs.pair_store import PairStore
from geospot_gpu.runs.plan import Cell, Grid

if TYPE_CHECKING:
    import pandas as pd

GROWTH = ("std_error", "bias", "upper")
"""Columns that say whether a pair needs larger samples."""
_OF_REGIONS = ("source", "target", "n_source", "n_target")


class _Level(NamedTuple):
    """Pairs of larger samples."""

    code: Indices
    """What tells the pairs apart, ascending."""
    columns: Columns


class StoredPairs:
    """All pairs of a sweep that are stored, a table that is read as it is needed.

    It is an Arrow stream to whoever takes one, as DuckDB, polars, pandas and pyarrow do, time and
    again. Each pair comes once, of a sweep of one table with the region first that is first there,
    or that was asked for as the source. Columns are ``source``, ``target``, ``n_source``,
    ``n_target`` and those of the register that are stored.

    Args:
        store: where the pairs are.
        manifest: of the sweep.
        columns: that it has, in order; all of them if not given.
        source: names of regions that the source is one of; any if not given.
        target: the same of the target.
        catalogue: where the pairs are, if that is known.

    Raises:
        GeospotError: there is no such column or region.
    """

    def __init__(
        self,
        store: PairStore,
        manifest: Manifest,
        columns: Sequence[str] | None = None,
        source: Name | Collection[Name] | None = None,
        target: Name | Collection[Name] | None = None,
        catalogue: Catalogue | None = None,
    ) -> None:
        self._store, self._manifest = store, manifest
        every = [*_OF_REGIONS, *schema(store.table).names]
        self.columns = every if columns is None else checks.some_of(columns, every, "columns")
        self._regions = entries(manifest)
        self._n = len(manifest["sources"])
        square = manifest["targets"] is None
        self._names = [region["name"] for region in self._regions]
        self._sides = (
            _chosen(self._names[: self._n], source, "source", 0),
            _chosen(self._names[: self._n] if square else self._names[self._n :], target, "target",
                    0 if square else self._n),
        )  # fmt: skip
        self._everything = source is None and target is None
        self.grid = grid_of(manifest)
        self._catalogue = catalogue
        self._levels: tuple[set[str], list[_Level]] | None = None

    @property
    def catalogue(self) -> Catalogue:
        """Where the pairs are, as they were when it was first asked for."""
        if self._catalogue is None:
            keys = [region["key"] for region in self._regions]
            self._catalogue = Catalogue(self._store, keys, self.grid, self._n)
        return self._catalogue

    @property
    def names(self) -> list[str]:
        """Of the regions, those of a second table last."""
        return self._names

    @property
    def schema(self) -> pa.Schema:
        """The columns with their types."""
        types = {field.name: field.type for field in schema(self._store.table)}
        words = pa.dictionary(pa.int32(), pa.string())
        types |= {"source": words, "target": words, "n_source": pa.int64(), "n_target": pa.int64()}
        return pa.schema([(name, types[name]) for name in self.columns])

    def __len__(self) -> int:
        """How many pairs there are."""
        return sum(len(part.left) for part in self.parts([]))

    def __repr__(self) -> str:
        sides = f"{self._n:,}"
        if not self.grid.square:
            sides += f" x {len(self._regions) - self._n:,}"
        return f"<StoredPairs: of {sides} regions, with {', '.join(self.columns)}>"

    def parts(
        self, columns: Sequence[str], cells: Iterable[Cell] | None = None
    ) -> Iterator[PairTable]:
        """The pairs, some at a time, with columns as NumPy arrays; what is not known is NaN.

        Args:
            columns: names of columns that are stored.
            cells: blocks of the grid to look into; those that have pairs asked for if not given.
        """
        grown = len(self._manifest.get("larger_samples", [])) > 0
        mirror = mirrors()
        needed = [*columns, *(mirror[n] for n in columns if n in mirror)]
        needed = list(dict.fromkeys([*needed, *(GROWTH if grown else ())]))
        for cell in self._cells() if cells is None else cells:
            for part in self._read([cell], needed):
                if grown:
                    self._grow(part, needed)
                yield self._as_asked(part, columns)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The pairs in Arrow's form, some at a time."""
        stored = [name for name in self.columns if name not in _OF_REGIONS]
        form, before = self.schema, 0 if self.grid.square else self._n
        words = pa.array(self._names[: self._n]), pa.array(self._names[before:])
        for part in self.parts(stored):
            sides = {"source": (part.left, words[0]), "target": (part.right - before, words[1])}
            arrays = [
                pa.DictionaryArray.from_arrays(pa.array(sides[name][0], pa.int32()), sides[name][1])
                if name in sides
                else _arrow(part[name], form.field(name).type)
                for name in self.columns
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=form)

    def reader(self) -> pa.RecordBatchReader:
        """The pairs as a stream of Arrow, once."""
        return pa.RecordBatchReader.from_batches(self.schema, self.batches())

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.reader().__arrow_c_stream__(requested_schema)

    @out_of_memory("putting pairs into one table", "ask for fewer columns, or take them in batches")
    def to_table(self) -> pa.Table:
        """All of them as a table of Arrow."""
        return pa.Table.from_batches(self.batches(), self.schema)

    def to_pandas(self) -> pd.DataFrame:
        """All of them as a table of pandas, names as plain text."""
        frame: pd.DataFrame = self.to_table().to_pandas(split_blocks=True, self_destruct=True)
        for name in {"source", "target"}.intersection(frame.columns):
            frame[name] = frame[name].astype(object)
        return frame

    def _cells(self) -> list[Cell]:
        """Blocks of the grid that have pairs asked for, row by row."""
        groups = [
            np.unique(found).tolist()
            for found in self.grid.cells_of(*(np.flatnonzero(side) for side in self._sides))
        ]
        found = {Cell(row, column) for row in groups[0] for column in groups[1]}
        if self.grid.square:
            found = {Cell(min(cell), max(cell)) for cell in found}
        return sorted(found)

    def _tables(
        self, cells: Iterable[Cell], columns: Sequence[str], catalogue: Catalogue | None
    ) -> Iterator[tuple[Held, pa.Table]]:
        """Columns of the pairs of blocks of the grid of which the two regions are asked for."""
        sides = None if self._everything else self._sides
        return (catalogue or self.catalogue).tables(cells, columns, sides)

    def _n_points(self, catalogue: Catalogue | None) -> Indices:
        """How many points were taken of all regions, [R]."""
        return (catalogue or self.catalogue).n_points

    def _read(
        self, cells: Iterable[Cell], columns: Sequence[str], catalogue: Catalogue | None = None
    ) -> Iterator[PairTable]:
        """Pairs of blocks of the grid, with the source and the target as they come there."""
        mirror = mirrors()
        for held, table in self._tables(cells, columns, catalogue):
            there = {name: _numpy(table[name]) for name in columns}
            found = there
            if held.swapped.any():
                found = {
                    name: np.where(held.swapped, there[mirror[name]], values)
                    if name in mirror
                    else values
                    for name, values in there.items()
                }
            n_points = self._n_points(catalogue)
            found |= {"n_source": n_points[held.left], "n_target": n_points[held.right]}
            yield PairTable(held.left, held.right, found)

    def _as_asked(self, part: PairTable, columns: Sequence[str]) -> PairTable:
        """Pairs with a source and a target that are asked for as such, whichever comes first."""
        found = {name: part[name] for name in (*columns, *_OF_REGIONS[2:])}
        if self._everything:
            return PairTable(part.left, part.right, found)
        sources, targets = self._sides
        turned = ~(sources[part.left] & targets[part.right])
        for name, other in (mirrors() | {"n_source": "n_target", "n_target": "n_source"}).items():
            if name in found:
                found[name] = np.where(turned, part[other], part[name])
        left = np.where(turned, part.right, part.left)
        return PairTable(left, np.where(turned, part.left, part.right), found)

    def _grow(self, part: PairTable, columns: Sequence[str]) -> None:
        """Put what larger samples gave in place of what a pair's error was too large for."""
        target = self._manifest["target_error"]
        above = np.ones(len(part), np.bool_)
        if self._levels is None or not set(columns) <= self._levels[0]:
            self._levels = set(columns), self._larger(columns)
        for name in part.columns:  # Arrow's own may not be written to
            part.columns[name] = part[name].copy()
        for level in self._levels[1]:
            above &= above_target(part["std_error"], part["bias"], part["upper"], target)
            code = self._code(part)
            at = np.minimum(np.searchsorted(level.code, code), len(level.code) - 1)
            found = np.flatnonzero(above & (level.code[at] == code))
            above = np.zeros(len(part), np.bool_)
            above[found] = True
            for name, values in part.columns.items():
                values[found] = level.columns[name][at[found]]

    def _larger(self, columns: Sequence[str]) -> list[_Level]:
        """Pairs of each of the larger samples."""
        found = []
        for sample in self._manifest["larger_samples"]:
            keys = [f"none {k}" for k in range(len(self._regions))]
            for at, key in zip(sample["positions"], sample["keys"], strict=True):
                keys[at] = key
            catalogue = Catalogue(self._store, keys, self.grid, self._n)
            parts = list(self._read(self._cells(), columns, catalogue))
            if not parts:
                continue
            code = np.concatenate([self._code(part) for part in parts])
            order = np.argsort(code)
            values = {
                n: np.concatenate([part[n] for part in parts])[order] for n in parts[0].columns
            }
            found.append(_Level(code[order], values))
        return found

    def _code(self, pairs: PairTable) -> Indices:
        """A number for each pair."""
        return pairs.left * len(self._regions) + pairs.right


def grid_of(manifest: Manifest) -> Grid:
    """The pairs of a sweep in blocks, as they were planned where a manifest says it."""
    sizes = [
        None if side is None else np.array([region.get("n_distinct", 1) for region in side])
        for side in (manifest["sources"], manifest["targets"])
    ]
    assert sizes[0] is not None, "a sweep has sources"
    return Grid(sizes[0], sizes[1], "cpu" if manifest["device"] == "cpu" else "cuda")


def _chosen(
    names: Sequence[str], chosen: Name | Collection[Name] | None, key: str, before: int
) -> NDArray[np.bool_]:
    """Which of the regions are asked for, those of the other side before them."""
    found = np.zeros(before + len(names), np.bool_)
    if chosen is None:
        found[before:] = True
        return found
    known = Names(names)
    for name in [chosen] if isinstance(chosen, str) else checks.listed(chosen, key):
        at = known.find(name, key)
        if at is None:
            raise GeospotError(f"{key}={name}: is no region of this run; {known.hint(str(name))}")
        found[before + at] = True
    return found


def _numpy(column: pa.ChunkedArray) -> NDArray[Any]:
    """Values as NumPy has them; missing numbers are NaN."""
    if pa.types.is_dictionary(column.type):
        chunks = [
            np.array(chunk.dictionary.to_pylist(), object)[chunk.indices.fill_null(0)]
            for chunk in column.chunks
        ]
        return np.concatenate(chunks) if chunks else np.array([], object)
    if pa.types.is_boolean(column.type):
        return np.array(column.fill_null(False))
    if column.null_count and pa.types.is_integer(column.type):
        return np.array(column.cast(pa.float64()))
    return np.array(column)


def _arrow(values: NDArray[Any], kind: pa.DataType) -> pa.Array:
    return pa.array(values, kind, from_pandas=pa.types.is_integer(kind))
