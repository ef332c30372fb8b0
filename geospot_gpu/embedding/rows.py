"""Rows of a table: their ids, and what is embedded of each, read from front to back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import compress, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.embedding.base import Embedder, Item, Unusable
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.files import content_hash, expanded
from geospot_gpu.files.inputs import why
from geospot_gpu.names import keys, labels
from geospot_gpu.points.readers import column, read_table
from geospot_gpu.points.table import Points

log = logging.getLogger("geospot_gpu")

_SHOWN = 3
_STEP, _BUFFER = 64, 1 << 20
"""Rows of a file that are in memory at a time, with their images; and bytes that are read ahead."""

Cells = tuple[Any, ...]


class Table(NamedTuple):
    """Where rows come from."""

    origin: str
    """For messages."""
    folder: Path
    """What paths in it are relative to."""
    header: pd.DataFrame
    """Its columns; rows do not count."""
    rows: Callable[[Sequence[Any]], Iterator[Cells]]
    """All rows, of the columns that are asked for."""
    numbers: NDArray[np.int64] | None = None
    """Of its rows, counted from 1; consecutive if None."""


def table_of(source: Any, text: Sequence[str]) -> Table:
    """A table, of which no more is read than has to be.

    Args:
        source: a file as :func:`~geospot_gpu.read_points` takes them; of Parquet files, and folders
            of them, only some rows are in memory at a time. Also points, a data frame of pandas,
            polars or Arrow, or a ``Dataset`` of Hugging Face, whose images are not decoded.
        text: columns of a CSV file that are not numbers.

    Raises:
        GeospotError: it is none of these, or cannot be read.
    """
    if isinstance(source, Points):
        frame, numbers = source.attributes, source.attributes.index.to_numpy()
        return _of_frame(frame, source.origin, Path())._replace(numbers=numbers)
    if isinstance(source, pd.DataFrame):
        return _of_frame(source, "table", Path())
    if hasattr(source, "with_format") and hasattr(source, "select"):
        header = source.with_format("arrow")[:0].to_pandas()

        def batches(columns: Sequence[str]) -> Iterator[Any]:
            some = source.select_columns(list(columns)).with_format("arrow")
            yield from some.iter(batch_size=_STEP)

        return _of_batches(batches, header, "dataset", Path())
    if hasattr(source, "to_pandas"):  # Arrow's and polars'
        return _of_frame(source.to_pandas(), "table", Path())
    path = expanded(checks.path(source, "points.path"))
    if path.is_dir() or path.name.lower().endswith((".parquet", ".geoparquet")):
        return _of_parquet(path)
    return _of_frame(pd.DataFrame(read_table(path, text)), str(path), path.parent)


def _of_frame(frame: pd.DataFrame, origin: str, folder: Path) -> Table:
    def rows(columns: Sequence[Any]) -> Iterator[Cells]:
        return zip(*(frame[name] for name in columns), strict=True)

    return Table(origin, folder, frame.iloc[:0], rows)


def _of_parquet(path: Path) -> Table:
    import pyarrow.dataset
    import pyarrow.parquet as pq

    try:
        data = pyarrow.dataset.dataset(path, format="parquet")
        header = data.schema.empty_table().to_pandas()
    except (OSError, ValueError) as error:
        raise GeospotError(f"{path}: cannot be read ({why(error)})") from error

    def batches(columns: Sequence[str]) -> Iterator[Any]:
        for file in data.files:
            # Without a buffer all images of a row group would be in memory at once.
            with pq.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False) as opened:
                yield from opened.iter_batches(_STEP, columns=list(columns), use_threads=False)

    return _of_batches(batches, header, str(path), path if path.is_dir() else path.parent)


def _of_batches(
    batches: Callable[[Sequence[str]], Iterator[Any]],
    header: pd.DataFrame,
    origin: str,
    folder: Path,
) -> Table:
    def rows(columns: Sequence[Any]) -> Iterator[Cells]:
        for batch in batches(columns):
            yield from zip(*(_values(batch.column(name)) for name in columns), strict=True)

    return Table(origin, folder, header, rows)


def _values(cells: Any) -> Iterator[Any]:
    return (cell.as_py() for cell in cells)


class Rows:
    """The rows of a table that are embedded, in their order.

    Of several rows of one id the first that has anything to embed is taken, which is said.

    Args:
        table: where they come from.
        by: says what is embedded of a row.
        id: column of the ids.

    Raises:
        GeospotError: a column is missing, or rows without an id are there.
    """

    def __init__(self, table: Table, by: Embedder, id: str) -> None:
        self.origin, self.by = table.origin, by
        self._table = table
        label = column(table.header, id, "id", table.origin).name
        self.id = str(label)
        self._columns = [
            column(table.header, name, "embed.column", table.origin).name for name in by.columns
        ]
        values = pd.Series([row[0] for row in table.rows([label])], name=self.id)
        ids = labels(values)
        compared = keys(ids)
        self._check(compared)
        self._taken = self._one_for_each(compared)
        self.ids = ids[self._taken].to_numpy(object)
        """Of what is embedded, [n]."""
        count = len(ids)
        self.numbers = np.arange(1, count + 1) if table.numbers is None else table.numbers
        self.numbers = self.numbers[self._taken]
        """Of its rows, [n]."""
        if len(self.ids) < count:
            log.warning(
                "%s: %d of %d rows have an id that another one has: one of each is embedded",
                *(self.origin, count - len(self.ids), count),
            )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def batch_sizes(self) -> list[int]:
        """How many are in each batch."""
        size, count = self.by.batch, len(self)
        return [min(size, count - low) for low in range(0, count, size)]

    def items(self) -> Iterator[Item]:
        """What is embedded, of all rows that have anything."""
        for _, batch in self.batches():
            yield from (item for item in batch if not isinstance(item, Unusable))

    def batches(
        self, wanted: Sequence[bool] | None = None
    ) -> Iterator[tuple[int, list[Item | Unusable]]]:
        """Batches with their numbers: what is embedded of each row, or why it is not.

        Args:
            wanted: which batches; all if None.
        """
        cells = compress(self._table.rows(self._columns), self._taken)
        for number, size in enumerate(self.batch_sizes):
            rows = list(islice(cells, size))
            if wanted is None or wanted[number]:
                yield number, [self._item(row) for row in rows]

    def _item(self, cells: Cells) -> Item | Unusable:
        try:
            return self.by.item(cells, self._table.folder)
        except Unusable as problem:
            return problem

    def say(self, problems: dict[int, str], advice: str) -> str:
        """What to say of positions that cannot be embedded, and why."""
        some = sorted(problems)[:_SHOWN]
        said = "; ".join(f"row {self.numbers[k]} {problems[k]}" for k in some)
        more = "; ..." if len(problems) > _SHOWN else ""
        return (
            f"{self.origin}: {len(problems)} of {len(self)} rows cannot be embedded: {said}{more}: "
            f"{advice}"
        )

    def _one_for_each(self, compared: pd.Series[Any]) -> NDArray[np.bool_]:
        """Which rows are taken, one of each id."""
        first = ~compared.duplicated().to_numpy(bool)
        if first.all():
            return first
        codes, _ = pd.factorize(compared)
        best = np.flatnonzero(first)  # by code
        open_codes = set(codes[~first].tolist())
        for k, cells in enumerate(self._table.rows(self._columns)):
            if codes[k] in open_codes and not isinstance(self._item(cells), Unusable):
                open_codes.remove(codes[k])
                best[codes[k]] = k
        taken = np.zeros(len(codes), bool)
        taken[best] = True
        return taken

    def _check(self, compared: pd.Series[Any]) -> None:
        if not len(compared):
            raise GeospotError(f"{self.origin}: has no rows: give at least one")
        missing = compared.isna().to_numpy(bool)
        if missing.any():
            rows = np.flatnonzero(missing)[:_SHOWN] + 1
            more = ", ..." if missing.sum() > _SHOWN else ""
            raise GeospotError(
                f"{self.origin}: {missing.sum()} rows have no id in column {self.id!r}: rows "
                f"{', '.join(map(str, rows))}{more}: give each one, or name another column with "
                "id=..."
            )


def digest_of(batch: Sequence[Item | Unusable]) -> str:
    """A hash of what is in a batch, 32 hexadecimal digits.

    Of a file its path, size and time of change stand for its content.
    """
    parts = []
    for item in batch:
        if isinstance(item, Path):
            status = item.stat()
            part = f"{item.absolute()}\0{status.st_size}\0{status.st_mtime_ns}".encode()
        elif isinstance(item, bytes):
            part = item
        else:
            part = str(item).encode(errors="surrogatepass")
        parts.append(f"{type(item).__name__}:{content_hash(part)}".encode())
    return content_hash(b"\0".join(parts))
