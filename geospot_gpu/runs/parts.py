"""Rows by key in Parquet files that are written once, and named by the hash of their content."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from geospot_gpu import files
from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.files.places import Place

log = logging.getLogger("geospot_gpu")


_ATTEMPTS = 10


class Parts:
    """A place of rows that have a key.

    A part is never changed, so that writers need no lock: they may add the same rows twice, and a
    later one tidies. Its name is the hash of its content, so that damage anywhere in it is noticed:
    Parquet's own checksums leave page headers and the footer out.

    Args:
        place: where the parts are.
        schema: columns of a part, with a ``key``; those that a part lacks are null.
        what: what the rows are, for messages.
        rank: how much rows say, [N]: of those of one key, the first that says most is believed.
    """

    def __init__(
        self,
        place: Place,
        schema: pa.Schema,
        what: str,
        rank: Callable[[pd.DataFrame], NDArray[np.int64]] | None = None,
    ) -> None:
        self.place, self.schema, self._what, self._rank = place, schema, what, rank
        self.repeats = False
        """Whether the last reading found rows more than once."""

    def write(self, rows: pd.DataFrame) -> None:
        """Store rows for good; columns of the schema that are absent become null.

        Raises:
            Unwritable: the place cannot be written.
        """
        columns = rows.reindex(columns=self.schema.names)
        self._write(pa.Table.from_pandas(columns, schema=self.schema, preserve_index=False))

    @out_of_memory("reading stored results", "take fewer regions")
    def read(self, keys: pa.Array) -> pd.DataFrame:
        """The rows of ``keys`` that are stored, each once; damaged parts are set aside, aloud.

        Raises:
            GeospotError: a part cannot be read, or is of another version.
        """
        for attempt in range(_ATTEMPTS):
            tables = [self.schema.empty_table()]
            try:
                for _, table in self._tables():
                    wanted = pc.is_in(table["key"].cast(keys.type), value_set=keys)
                    tables.append(table.filter(wanted))
                break
            except FileNotFoundError as error:  # somebody tidied: its rows are in another part
                if attempt == _ATTEMPTS - 1:
                    raise GeospotError(
                        f"{self.place}: changes faster than it can be read"
                    ) from error
        rows: pd.DataFrame = pa.concat_tables(tables).to_pandas()
        first = self._first(rows)
        self.repeats = len(first) < len(rows)
        return rows.iloc[first].reset_index(drop=True)

    def tidy(self) -> None:
        """Leave one row of each key, where the last reading found rows that several have stored.

        A part goes when its rows are stored in another, so that a row is always in one at least,
        whoever else reads, writes or tidies.
        """
        if not self.repeats:
            return
        try:
            self._merge()
        except (
            FileNotFoundError,
            files.Unwritable,
        ) as error:  # somebody tidies, or nobody can write
            log.warning("%s: some rows stay stored twice: %s", self.place, error)

    def _merge(self) -> None:
        tables = dict(self._tables())
        keys = pd.concat([table["key"].to_pandas() for table in tables.values()], keys=tables)
        repeated = keys[keys.duplicated(keep=False)].index.unique(0)
        if len(repeated) == 0:
            return
        merged = pa.concat_tables([tables[path] for path in repeated])
        own = self._write(merged.take(self._first(merged.to_pandas())))
        for name in repeated:
            if name != own:
                self.place.remove(name)

    def _first(self, rows: pd.DataFrame) -> NDArray[np.int64]:
        """Positions, in order, of the row of each key that is believed."""
        order = np.arange(len(rows))
        if self._rank is not None and rows["key"].duplicated().any():
            order = np.argsort(-self._rank(rows), kind="stable")
        return np.sort(order[~rows["key"].iloc[order].duplicated().to_numpy()])

    def _write(self, table: pa.Table) -> str:
        content = pa.BufferOutputStream()
        pq.write_table(table.replace_schema_metadata(None), content, compression="zstd")
        part = content.getvalue().to_pybytes()
        name = part_name(part)
        self.place.prepare()
        self.place.write(name, part)
        return name

    def names(self) -> list[str]:
        """Of the parts, damaged ones among them."""
        return self.place.names("part-", ".parquet")

    def table(self, name: str) -> pa.Table | None:
        """A part; None where it is damaged, and set aside aloud.

        Raises:
            FileNotFoundError: it is not there any more.
            GeospotError: it cannot be read, or is of another version.
        """
        content, where = self.place.read(name), self.place.file(name)
        if name != part_name(content):
            log.warning("%s: is damaged, its %s have to be computed again", where, self._what)
            self.place.set_aside(name)
            return None
        try:
            return pq.read_table(pa.BufferReader(content), schema=self.schema)
        except MemoryError:  # one of Arrow's is an ArrowException, too
            raise
        except (ValueError, pa.ArrowException) as error:
            raise GeospotError(
                f"{where}: was not written by this version of geospot_gpu ({error}): update "
                "the package, or move the file away"
            ) from error

    def _tables(self) -> Iterator[tuple[str, pa.Table]]:
        """The parts with their tables, undamaged ones only."""
        for name in self.names():
            table = self.table(name)
            if table is not None:
                yield name, table


def part_name(content: bytes) -> str:
    """What a part is called, which proves its content."""
    return f"part-{files.content_hash(content)}.parquet"
