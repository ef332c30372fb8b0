"""The blocks of a store: pairs of regions, and what is known of each."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from geospot_gpu.arrays import Columns, Indices
from geospot_gpu.distances.column import Table
from geospot_gpu.distances.columns import bounds_stored_in, schema
from geospot_gpu.errors import GeospotError
from geospot_gpu.files.places import Place, Stamp
from geospot_gpu.runs.block import (
    Contents,
    Shape,
    Side,
    encoded,
    file_name,
    in_stored_form,
    proof_in,
)
from geospot_gpu.runs.proof import DamagedFile, ProvenFile, footer_of, is_proven

log = logging.getLogger("geospot_gpu")

_NAMED = "block-", ".parquet"
_WORDS = ("source", "target", "kernel")
"""Columns of few different texts."""
_THREADS = 4
"""That read files: they wait for the disk, and hash without the lock of the interpreter."""

_proved: set[tuple[str, str, Stamp]] = set()
"""Files that this process has found to be as they were written, so that it hashes each once."""
_damaged: set[tuple[str, str, Stamp]] = set()
"""Those that are not, which a reader who may not write cannot set aside."""
_said: dict[tuple[str, str, Stamp], Contents] = {}
"""What blocks say of themselves, read once in a process."""


class Block(NamedTuple):
    """A file of the store, and what it says of itself."""

    name: str
    stamp: Stamp
    contents: Contents


class PairStore:
    """Blocks of pairs in one place.

    A block is never changed, so that writers need no lock: two may store the same pairs, and the
    one that says more is believed, or the first by name.

    Args:
        place: where the blocks are.
        table: which columns they have.
        about: what else their values depend on; blocks that say otherwise are not of this store.
    """

    def __init__(self, place: Place, table: Table, about: str = "") -> None:
        self.place, self.table, self.about = place, table, about
        self._threads: ThreadPoolExecutor | None = None

    def write(
        self,
        sides: tuple[Side, Side],
        shape: Shape,
        outputs: Sequence[str],
        places: tuple[Indices, Indices],
        columns: Columns,
    ) -> Block:
        """Store pairs for good.

        Args:
            sides: the regions of each side.
            shape: which pairs these are.
            outputs: names of the columns that were asked for.
            places: of the two regions of each pair in the sides, [K] each.
            columns: values by name as they are stored, [K] each.

        Raises:
            Unwritable: the place cannot be written.
        """
        values = in_stored_form(columns, schema(self.table), bounds_stored_in(self.table))
        contents = Contents(*sides, shape, tuple(outputs), len(places[0]), self.about)
        content = encoded(contents, places, values)
        name = file_name(content)
        self.place.prepare()
        self.place.write(name, content)
        stamp = self.place.stamps(name)[name]
        self._remember(name, stamp, contents)
        return Block(name, stamp, contents)

    def blocks(self) -> list[Block]:
        """All blocks, those that say most first.

        Those whose footers are damaged are set aside, aloud; values are proved when they are read.

        Raises:
            FileNotFoundError: somebody merged some meanwhile: list them anew.
            GeospotError: a file cannot be read, or is of another version.
        """
        stamps = self.place.stamps(*_NAMED)
        found = [b for b in self._pool.map(self._described, stamps, stamps.values()) if b]
        own = [block for block in found if block.contents.about == self.about]
        return sorted(own, key=lambda block: (-len(block.contents.outputs), block.name))

    def names(self) -> list[str]:
        """Of all files of blocks."""
        return self.place.names(*_NAMED)

    def read(self, block: Block, columns: Sequence[str]) -> pa.Table | None:
        """Columns of a block, null where it lacks them; None where it is damaged and set aside.

        Raises:
            FileNotFoundError: somebody merged it: its pairs are in another.
            GeospotError: it cannot be read.
        """
        try:
            with (
                self.place.open(block.name) as opened,
                ProvenFile(opened, proof_in(block.name)) as source,
            ):
                names = source.metadata.schema.names
                there = [name for name in columns if name in names]
                words = [name for name in _WORDS if name in names]
                with pq.ParquetFile(
                    source, metadata=source.metadata, read_dictionary=words
                ) as file:
                    table = file.read(columns=there, use_threads=False)
        except DamagedFile:
            self._set_aside(block.name, block.stamp)
            return None
        types = schema(self.table)
        for name in columns:
            if name not in there:
                nothing = pa.nulls(block.contents.rows, types.field(name).type)
                table = table.append_column(name, nothing)
        return table.select(list(columns))

    def columns(self, block: Block) -> list[str]:
        """Names of the values that a block has.

        Raises:
            FileNotFoundError: it is not there any more.
        """
        with self.place.open(block.name) as file:
            there = pq.read_schema(file).names
        return [name for name in schema(self.table).names if name in there]

    def prove(self, blocks: Sequence[Block]) -> list[Block]:
        """Those of the blocks whose content is as it was written; the others are set aside."""
        sound = self._pool.map(lambda b: self._is_proved(b), blocks)
        return [block for block, is_sound in zip(blocks, sound, strict=True) if is_sound]

    def remove(self, block: Block) -> None:
        """Remove a block whose pairs are in others."""
        self.place.remove(block.name)

    @property
    def _pool(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="geospot-reader")
        return self._threads

    def _is_proved(self, block: Block) -> bool:
        known = str(self.place), block.name, block.stamp
        if known in _proved:
            return True
        try:
            content = self.place.read(block.name)
        except FileNotFoundError:
            return True  # merged meanwhile
        if is_proven(content, proof_in(block.name)):
            _proved.add(known)
            return True
        self._set_aside(block.name, block.stamp)
        return False

    def _set_aside(self, name: str, stamp: Stamp) -> None:
        _damaged.add((str(self.place), name, stamp))
        log.warning(
            "%s: is damaged, its %s have to be computed again", self.place.file(name), self.table
        )
        self.place.set_aside(name)

    def _described(self, name: str, stamp: Stamp) -> Block | None:
        if (str(self.place), name, stamp) in _damaged:
            return None
        known = _said.get((str(self.place), name, stamp))
        if known is not None:
            return Block(name, stamp, known)
        try:
            footer = footer_of(lambda size: self.place.tail(name, size), stamp.size)
            if file_name(footer) != name:
                raise DamagedFile("its footer is not that which it was named by")
        except DamagedFile:
            self._set_aside(name, stamp)
            return None
        try:
            contents = Contents.of(pq.read_metadata(io.BytesIO(footer)))
        except MemoryError:  # one of Arrow's is an ArrowException, too
            raise
        except (ValueError, TypeError, KeyError, pa.ArrowException) as error:
            raise GeospotError(
                f"{self.place.file(name)}: was not written by this version of geospot_gpu "
                f"({error}): update the package, or move the file away"
            ) from error
        self._remember(name, stamp, contents)
        return Block(name, stamp, contents)

    def _remember(self, name: str, stamp: Stamp, contents: Contents) -> None:
        _said[(str(self.place), name, stamp)] = contents


def forget() -> None:
    """Forget what was proved, as a new process would."""
    _proved.clear()
    _damaged.clear()
    _said.clear()
