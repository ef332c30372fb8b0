"""A run whose pairs are in the form of version 0.1, a key of text in every row, into blocks."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from geospot_gpu.arrays import Columns, Indices
from geospot_gpu.distances.columns import bounds_stored_in, find, outputs_by_default, schema
from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.files.places import Place
from geospot_gpu.progress import Progress
from geospot_gpu.runs.block import Side, in_stored_form, places_in
from geospot_gpu.runs.manifest import entries
from geospot_gpu.runs.parts import Parts
from geospot_gpu.runs.store import Store

_ROWS = 100_000
"""Of a block, at most."""
_AT_ONCE = 10
"""Blocks whose values are in memory together; parts are read again for every so many."""
_KEY = 24
"""Digits of a region's key; that of a pair has those of its two regions."""
_OF_PAIRS = {"key": pa.string(), "source": pa.string(), "target": pa.string()}
_OF_PAIRS |= {"n_source": pa.int64(), "n_target": pa.int64(), "outputs": pa.string()}
_WIDE = {pa.float32(): pa.float64(), pa.int32(): pa.int64()}


class Converted(NamedTuple):
    """What became of the files of a run."""

    pairs: int
    """That are in blocks now."""
    files: tuple[int, int]
    """How many there were of pairs, and are."""
    bytes: tuple[int, int]
    damaged: int
    """Files that were set aside."""
    lost: int
    """Pairs in these, of those that still say how many."""
    unknown: tuple[str, ...]
    """Columns that were asked for once, and are not known here: they are left out."""
    baselines: int
    """Files of baselines that were removed."""


class _Rows(NamedTuple):
    """Pairs, [K] each, and where they are."""

    part: NDArray[np.int32]
    """Which part; -1 of those that are in blocks already."""
    row: NDArray[np.int32]
    left: NDArray[np.int32]
    """Number of the source."""
    right: NDArray[np.int32]
    outputs: NDArray[np.int32]
    """Number of the outputs that they have."""


@out_of_memory("converting a run", "convert it on a machine with more memory")
def convert(store: Store) -> Converted | None:
    """Put the pairs of a run into blocks, and remove the files that had them.

    These are removed when every pair is read back as it was written, so that a conversion that is
    stopped goes on where it is started again. Baselines are removed: they are cheap, and computed
    again where they are asked for.

    Args:
        store: of the run.

    Returns:
        What was done; None where there is nothing in the old form.

    Raises:
        GeospotError: a file cannot be read, written or removed, or is of neither form.
    """
    baselines = store.place.child("baselines")
    parts = Parts(store.pairs.place, _schema(), "pairs")
    before = parts.place.stamps("part-", ".parquet")
    old_baselines = baselines.names("part-", ".parquet")
    if not before and not old_baselines:
        return None
    found = _Conversion(store, parts, list(before))
    try:
        found.run()
        for name in found.names:
            parts.place.remove(name)
        for name in old_baselines:
            baselines.remove(name)
    except FileNotFoundError as error:
        raise GeospotError(
            f"{store.place}: somebody else converts it, too: run geospot convert again when that "
            "is done"
        ) from error
    after = parts.place.stamps("block-", ".parquet")
    damaged = [name for name in before if name not in found.names]
    return Converted(
        found.pairs,
        (len(before), len(after)),
        (sum(s.size for s in before.values()), sum(s.size for s in after.values())),
        len(damaged),
        sum(_rows_said(parts.place, name) for name in damaged),
        tuple(sorted(found.unknown)),
        len(old_baselines),
    )


class _Conversion:
    """What is known of the regions and pairs of a run while it is converted."""

    def __init__(self, store: Store, parts: Parts, names: list[str]) -> None:
        self._store, self._parts = store.pairs, parts
        self.names = names
        """Of the parts, undamaged ones once they are read."""
        self.unknown: set[str] = set()
        self.pairs = 0
        self._numbers: dict[str, int] = {}
        self._names: list[str] = []
        self._n_points: list[int] = []
        self._outputs: dict[tuple[str, ...], int] = {}
        with contextlib.suppress(GeospotError):  # the order of regions is a matter of speed alone
            for region in entries(store.read_manifest() or {"sources": [], "targets": None}):
                self._number(region["key"], region["name"], region.get("n_points", 0))

    def run(self) -> None:
        """Write what is not in blocks."""
        rows = self._believed(self._rows())
        self.pairs = len(rows.part)
        rows = _some(rows, np.flatnonzero(rows.part >= 0))
        with Progress("converting", "pairs", total=self.pairs) as progress:
            progress.update(self.pairs - len(rows.part))
            blocks = self._planned(rows)
            for k in range(0, len(blocks), _AT_ONCE):
                some = blocks[k : k + _AT_ONCE]
                values = self._values(_some(rows, np.concatenate(some)))
                start = 0
                for block in some:
                    self._write(_some(rows, block), values.slice(start, len(block)))
                    start += len(block)
                    progress.update(len(block))

    def _rows(self) -> _Rows:
        """All pairs, those in blocks first."""
        found = list(self._in_blocks())
        undamaged: list[str] = []
        with Progress("reading", "files", total=len(self.names)) as progress:
            for name in self.names:
                table = self._parts.table(name)
                if table is not None:
                    found.append(self._in_part(name, len(undamaged), table))
                    undamaged.append(name)
                progress.update()
        self.names = undamaged
        if not found:
            return _Rows(*(np.zeros(0, np.int32),) * 5)
        return _Rows(*map(np.concatenate, zip(*found, strict=True)))

    def _in_blocks(self) -> Iterator[_Rows]:
        for block in self._store.prove(self._store.blocks()):
            contents, table = block.contents, self._store.read(block, ["source", "target"])
            if table is None:
                continue
            sides = [
                np.array(list(map(self._number, side.keys, side.names, side.n_points)), np.int32)
                for side in (contents.sources, contents.targets)
            ]
            places = places_in(contents, table)
            n = len(table)
            outputs = self._outputs.setdefault(contents.outputs, len(self._outputs))
            yield _Rows(
                *(np.full(n, -1, np.int32), np.arange(n, dtype=np.int32)),
                *(sides[0][places[0]], sides[1][places[1]], np.full(n, outputs, np.int32)),
            )

    def _in_part(self, name: str, part: int, table: pa.Table) -> _Rows:
        n = len(table)
        whole = pc.match_substring_regex(table["key"], f"^[0-9a-f]{{{2 * _KEY}}}$")
        if not pc.all(whole, skip_nulls=False).as_py():
            raise GeospotError(
                f"{self._parts.place.file(name)}: its keys are not those of geospot_gpu 0.1: move "
                "the file away"
            )
        sides = []
        for start, side in ((0, "source"), (_KEY, "target")):
            keys = pc.utf8_slice_codeunits(table["key"], start, start + _KEY)
            words = keys.combine_chunks().dictionary_encode()
            at = words.indices.to_numpy()
            _, first = np.unique(at, return_index=True)
            regions = table.select([side, f"n_{side}"]).take(pa.array(first)).to_pydict().values()
            numbers = map(self._number, words.dictionary.to_pylist(), *regions)
            sides.append(np.array(list(numbers), np.int32)[at])
        codes, words = pd.factorize(_outputs(table))
        known = np.array([self._known(word) for word in words], np.int32)
        return _Rows(
            *(np.full(n, part, np.int32), np.arange(n, dtype=np.int32)),
            *(sides[0], sides[1], known[codes]),
        )

    def _number(self, key: str, name: str, n_points: int) -> int:
        """Of a region, which is told from others by its key."""
        number = self._numbers.setdefault(key, len(self._numbers))
        if number == len(self._names):
            self._names.append(name)
            self._n_points.append(n_points)
        self._n_points[number] = n_points or self._n_points[number]
        return number

    def _known(self, text: str) -> int:
        """The number of outputs that rows have, as they say."""
        asked = text.split(",")
        self.unknown.update(set(asked).difference(outputs_by_default()))
        known = tuple(name for name in outputs_by_default() if name in asked)
        return self._outputs.setdefault(known, len(self._outputs))

    def _believed(self, rows: _Rows) -> _Rows:
        """Each pair once, whichever region comes first: the first row of those that say most."""
        says = np.array([len(outputs) for outputs in self._outputs], np.int32)[rows.outputs]
        code = np.minimum(rows.left, rows.right).astype(np.int64) * len(self._names)
        code += np.maximum(rows.left, rows.right)
        order = np.lexsort((-says, code))
        repeated = np.diff(code[order], prepend=-1) == 0
        return _some(rows, order[~repeated])

    def _planned(self, rows: _Rows) -> list[Indices]:
        """Blocks of pairs that have the same outputs, with each name for one region on each side.

        Pairs of the same source are together, so that few blocks have to be read for one.
        """
        version, seen = np.zeros(len(self._names), np.int32), dict.fromkeys(self._names, 0)
        for number, name in enumerate(self._names):
            version[number] = seen[name]
            seen[name] += 1
        by = np.stack([rows.outputs, version[rows.left], version[rows.right]])
        order = np.lexsort((rows.right, rows.left, *by))
        changes = np.flatnonzero((np.diff(by[:, order]) != 0).any(0)) + 1
        return [
            group[k : k + _ROWS]
            for group in np.split(order, changes)
            for k in range(0, len(group), _ROWS)
        ]

    def _values(self, rows: _Rows) -> pa.Table:
        """What is stored of pairs, in their order."""
        order = np.argsort(rows.part, kind="stable")
        tables = []
        for part in np.unique(rows.part).tolist():
            table = self._parts.table(self.names[part])
            if table is None:
                where = self._parts.place.file(self.names[part])
                raise GeospotError(f"{where}: was damaged just now: run geospot convert again")
            own = rows.row[order[rows.part[order] == part]]
            tables.append(table.select(schema("pairs").names).take(pa.array(own)))
        return pa.concat_tables(tables).take(pa.array(np.argsort(order))).combine_chunks()

    def _write(self, rows: _Rows, values: pa.Table) -> None:
        """Write a block, and read it again."""
        (number,) = np.unique(rows.outputs).tolist()
        outputs = list(self._outputs)[number]
        asked = {name for output in outputs for name in find(output).stored}
        columns: Columns = {
            name: _numpy(values[name])
            for name in values.column_names
            if name in asked or values[name].null_count < len(values)
        }
        sides, places = [], []
        for numbers in (rows.left, rows.right):
            index, at = np.unique(numbers, return_inverse=True)
            sides.append(self._side(index.tolist()))
            places.append(at)
        block = self._store.write(
            (sides[0], sides[1]), "listed", outputs, (places[0], places[1]), columns
        )
        wanted = in_stored_form(columns, schema("pairs"), bounds_stored_in("pairs"))
        found = self._store.read(block, ["source", "target", *wanted.column_names])
        if found is None or not (
            all(map(np.array_equal, places_in(block.contents, found), places))
            and all(_equal(found[name], wanted[name]) for name in wanted.column_names)
        ):
            raise GeospotError(
                f"{self._store.place.file(block.name)}: is not read as it was written: the files "
                "of version 0.1 are kept; look at the disk, and run geospot convert again"
            )

    def _side(self, numbers: list[int]) -> Side:
        keys = list(self._numbers)
        return Side(
            tuple(self._names[k] for k in numbers),
            tuple(keys[k] for k in numbers),
            tuple(self._n_points[k] for k in numbers),
        )


def _schema() -> pa.Schema:
    """Of the pairs of version 0.1, those columns that are read; what it had more is left out."""
    values = [(field.name, _WIDE.get(field.type, field.type)) for field in schema("pairs")]
    return pa.schema([*_OF_PAIRS.items(), *values])


def _outputs(table: pa.Table) -> pd.Series[str]:
    """Which outputs rows have; the first ones did not say it."""
    pairs = table.select(["outputs", "divergence", "coverage_source_to_target"]).to_pandas()
    found = pd.Series("ot_value,transport_cost", pairs.index)
    for column, names in (
        ("divergence", "divergence,std_error,bias"),
        ("coverage_source_to_target", "coverage,nearest"),
    ):
        found = found.where(pairs[column].isna(), found + f",{names}")
    said: pd.Series[str] = pairs["outputs"].where(pairs["outputs"].notna(), found)
    return said


def _numpy(column: pa.ChunkedArray) -> NDArray[np.generic]:
    """Values as a block is written from them: a number that is not known is NaN, all else None."""
    if column.null_count and not pa.types.is_floating(column.type):
        return np.array(column.to_pylist(), object)
    return np.asarray(column)


def _equal(found: pa.ChunkedArray, wanted: pa.ChunkedArray) -> bool:
    """Whether two columns are the same to the last bit, text aside, of which how it is kept."""
    if pa.types.is_floating(wanted.type):
        return bool(np.array_equal(np.asarray(found), np.asarray(wanted), equal_nan=True))
    return bool(found.cast(wanted.type).equals(wanted))


def _some(rows: _Rows, index: Indices) -> _Rows:
    return _Rows(*(column[index] for column in rows))


def _rows_said(place: Place, name: str) -> int:
    """How many rows a file has that was set aside, where that can still be read."""
    with contextlib.suppress(FileNotFoundError, pa.ArrowException, OSError):
        content = place.read(f"{name.rpartition('.')[0]}.damaged")
        return int(pq.read_metadata(io.BytesIO(content)).num_rows)
    return 0
