"""A block: pairs of regions in one Parquet file, written once and named by the hash of its content.

Its columns ``source`` and ``target`` are names of regions: small integers, to Parquet, into a table
that the file has of its own. The footer says of these names which content they stand for, and which
pairs and outputs the file holds, so that nobody has to read the values to know what is missing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from geospot_gpu.arrays import Columns, Indices
from geospot_gpu.runs.proof import name_of, proven_file

FORMAT = 3
"""Of blocks; version 0.1 had a table of keys in every row."""
_FOOTER = b"geospot"

Shape = Literal["all", "triangle", "listed"]
"""Which pairs there are: every source with every target, row by row; every region with those after
it; or those that the columns ``source`` and ``target`` list."""


class Side(NamedTuple):
    """The regions on one side of the pairs of a block, each once."""

    names: tuple[str, ...]
    keys: tuple[str, ...]
    """What the regions are stored under; see :func:`~geospot_gpu.runs.identity.region_keys`."""
    n_points: tuple[int, ...]
    """How many points were taken of each."""

    @classmethod
    def of(cls, said: Sequence[Sequence[Any]]) -> Self:
        """A side as a footer has it; texts that many blocks have are in memory once."""
        names, keys, n_points = said
        return cls(tuple(map(sys.intern, names)), tuple(map(sys.intern, keys)), tuple(n_points))


class Contents(NamedTuple):
    """What a block says of itself."""

    sources: Side
    targets: Side
    """The sources again, where the shape is a triangle."""
    shape: Shape
    outputs: tuple[str, ...]
    """Names of the columns that were asked for."""
    rows: int
    about: str = ""
    """What else the values depend on."""

    def footer(self) -> dict[bytes, bytes]:
        """It as JSON."""
        sides = [list(self.sources)] if self.shape == "triangle" else [*map(list, self[:2])]
        plain = self._asdict() | {"format": FORMAT, "sides": sides}
        del plain["sources"], plain["targets"], plain["rows"]
        return {_FOOTER: json.dumps(plain, separators=(",", ":")).encode()}

    @classmethod
    def of(cls, metadata: pq.FileMetaData) -> Self:
        """What a file says.

        Raises:
            ValueError: it is no block of this format.
        """
        plain = json.loads((metadata.metadata or {}).get(_FOOTER, b"{}"))
        if not isinstance(plain, dict) or plain.pop("format", None) != FORMAT:
            raise ValueError("it does not say which pairs it holds")
        sides = [Side.of(side) for side in plain.pop("sides")]
        return cls(sides[0], sides[-1], outputs=tuple(plain.pop("outputs")),
                   rows=metadata.num_rows, **plain)  # fmt: skip

    def places(self) -> tuple[Indices, Indices] | None:
        """Places of the two regions of each pair in the tables of their sides, [rows] each.

        None where the columns have to be read: see :func:`places_in`.
        """
        return _places(self.shape, len(self.sources.keys), len(self.targets.keys))


@lru_cache(maxsize=4)  # the next blocks are as large
def _places(shape: Shape, n: int, m: int) -> tuple[Indices, Indices] | None:
    if shape == "all":
        return np.repeat(np.arange(n), m), np.tile(np.arange(m), n)
    if shape == "triangle":
        i, j = np.triu_indices(n, k=1)
        return i.astype(np.int64), j.astype(np.int64)
    return None


def places_in(contents: Contents, table: pa.Table) -> tuple[Indices, Indices]:
    """As :meth:`Contents.places`, of the columns ``source`` and ``target`` of a block."""
    found = []
    for side, column in ((contents.sources, "source"), (contents.targets, "target")):
        names = table[column].combine_chunks()
        if isinstance(names, pa.ChunkedArray):  # of no rows
            names = names.chunk(0) if names.num_chunks else pa.array([], pa.string())
        if not isinstance(names, pa.DictionaryArray):
            names = names.dictionary_encode()
        place = {name: k for k, name in enumerate(side.names)}
        of_word = np.array([place[word] for word in names.dictionary.to_pylist()], np.int64)
        found.append(of_word[names.indices.to_numpy()])
    return found[0], found[1]


def encoded(contents: Contents, places: tuple[Indices, Indices], values: pa.Table) -> bytes:
    """A block as the content of a file.

    Args:
        contents: what it says of itself.
        places: of the two regions of each pair in the tables of their sides, [rows] each.
        values: columns as they are stored.
    """
    sides = {
        name: pa.DictionaryArray.from_arrays(pa.array(at, pa.int32()), pa.array(side.names))
        for name, side, at in zip(("source", "target"), contents[:2], places, strict=True)
    }
    table = pa.table(sides | dict(zip(values.column_names, values.columns, strict=True)))
    words = [field.name for field in table.schema if not pa.types.is_floating(field.type)]
    numbers = [name for name in table.column_names if name not in words]
    return proven_file(
        table,
        contents.footer(),
        compression="zstd",
        use_dictionary=[name for name in words if name != "converged"],
        column_encoding=dict.fromkeys(numbers, "BYTE_STREAM_SPLIT"),
        write_statistics=False,
    )


def file_name(content: bytes) -> str:
    """What a block is called, or one with this footer, which proves its content."""
    return f"block-{name_of(content)}.parquet"


def proof_in(name: str) -> str:
    """What proves a block of this name."""
    return name.removeprefix("block-").removesuffix(".parquet")


def in_stored_form(
    columns: Columns, schema: pa.Schema, bounds: tuple[Sequence[str], Sequence[str]]
) -> pa.Table:
    """Columns as they are stored: numbers as float32, those of bounds rounded outward.

    Args:
        columns: values, [K] each; what the schema does not have is left out.
        schema: what may be stored, and how.
        bounds: names of the lower and the upper ones.
    """
    lower, upper = map(frozenset, bounds)
    arrays = {}
    for field in schema:
        if field.name not in columns:
            continue
        values: NDArray[Any] = np.asarray(columns[field.name])
        if pa.types.is_float32(field.type):
            with np.errstate(over="ignore"):
                found = values.astype(np.float32)
            if field.name in lower:
                found = np.where(found > values, np.nextafter(found, np.float32(-np.inf)), found)
            elif field.name in upper:
                found = np.where(found < values, np.nextafter(found, np.float32(np.inf)), found)
            # As a whole number of bits: a null would cost a mask in every reader.
            arrays[field.name] = pa.array(found, pa.float32())
        else:
            arrays[field.name] = pa.array(values, field.type)
    return pa.table(arrays)
