"""Tables as people hand them on: how a file is packed and written is found from what it holds."""

from __future__ import annotations

import codecs
import csv
import io
import logging
import re
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from geospot_gpu.errors import GeospotError
from geospot_gpu.files.inputs import LONGEST_LINE, check_parquet, unpacked, why
from geospot_gpu.names import name_of

log = logging.getLogger("geospot_gpu")

DELIMITERS = ",;\t|"
_LONG_LINE = re.compile(rf"[^\r\n]{{{LONGEST_LINE + 1}}}")


class RawTable(NamedTuple):
    """Headers and cells, nothing interpreted."""

    headers: list[str]
    """As they are written, but in one line each; blank where there is none, [C]."""
    cells: pd.DataFrame
    """Columns 0 to C - 1, text where the table was text; its index numbers the rows, [N, C]."""
    row: str
    """What a row is called: ``line`` of a file of text, or ``row`` (from 1) of other tables."""
    delimiter: str | None
    """Of a file of text."""


def read_raw_table(table: object, key: str) -> RawTable:
    """A table from a file or from what libraries call one.

    Files may be delimited by commas, semicolons, tabs or bars, be in UTF-8, UTF-16 or Latin-1, be
    compressed by gzip, or be Parquet, whatever they are called. The labels of a pandas index
    become the first columns: without a header where they have no name, but the first of two is then
    ``source`` and the second ``target``.

    Args:
        table: a path, a data frame or a series of pandas, or anything with ``to_pandas``.
        key: what the caller calls it, for messages.

    Raises:
        GeospotError: it is of another kind, or the file cannot be read.
    """
    if isinstance(table, str | Path):
        return _of_file(Path(table))
    if hasattr(table, "to_pandas"):  # polars, pyarrow, xarray
        try:
            table = table.to_pandas()
        except (TypeError, ValueError) as error:
            raise GeospotError(
                f"{key}: a {type(table).__name__} that is no table: give a file or a data frame"
            ) from error
    if not isinstance(table, pd.DataFrame | pd.Series):
        raise GeospotError(f"{key} is of type {type(table).__name__}: give a file or a data frame")
    return _of_frame(table, key)


def _of_frame(frame: pd.DataFrame | pd.Series[Any], key: str) -> RawTable:
    if isinstance(frame, pd.Series):
        frame = frame.to_frame(frame.name or "score")
    if frame.columns.nlevels > 1:
        raise GeospotError(f"{key}: its columns have several levels: keep one")
    levels = list(frame.index.names)
    if len(levels) == 2:
        levels = [name or side for name, side in zip(levels, ("source", "target"), strict=True)]
    parts = [pd.Series(frame.index.get_level_values(k)) for k in range(len(levels))]
    parts += [frame.iloc[:, k].reset_index(drop=True) for k in range(frame.shape[1])]
    headers = ["" if name is None else name_of(name, f"{key}: header") for name in levels]
    headers += [name_of(name, f"{key}: header") for name in frame.columns]
    cells = pd.concat(parts, axis=1, keys=range(len(parts)))
    if cells.empty:
        raise GeospotError(f"{key}: has no rows")
    cells.index = pd.RangeIndex(1, len(cells) + 1)
    return RawTable([" ".join(header.splitlines()) for header in headers], cells, "row", None)


def _of_file(path: Path) -> RawTable:
    try:
        with unpacked(path) as file:
            raw = file.read()
        if raw.startswith(b"PAR1"):
            check_parquet(io.BytesIO(raw), str(path))
            return _of_frame(pd.read_parquet(io.BytesIO(raw)), str(path))
        text = _decoded(raw, path)
    except GeospotError:
        raise
    except Exception as error:  # a broken file is one in many ways
        raise GeospotError(f"{path}: cannot be read ({why(error)})") from error
    if _LONG_LINE.search(text):
        raise GeospotError(
            f"{path}: cannot be read (a line is longer than {LONGEST_LINE:,} letters): give a line "
            "for each row"
        )
    return _delimited(text, path)


def _decoded(raw: bytes, path: Path) -> str:
    if raw.startswith(b"PK\x03\x04"):
        raise GeospotError(f"{path}: cannot be read (an archive or workbook): save it as CSV")
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16")
    if b"\0" in raw:
        raise GeospotError(f"{path}: cannot be read (no text): save it as CSV in UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252")  # Latin-1 as Windows writes it
        log.warning("%s: is not UTF-8 and is read as Latin-1: check its names", path)
        return text


def _delimited(text: str, path: Path) -> RawTable:
    """Rows of the delimiter that gives every row as many cells as the header, and most of these."""
    readings = {mark: _rows(text, mark) for mark in DELIMITERS}
    sizes = {mark: {len(row) for _, row in rows} for mark, rows in readings.items()}
    even = {
        mark: readings[mark] for mark, size in sizes.items() if len(size) == 1 and max(size) > 1
    }
    delimiter, rows = max(
        (even or readings).items(), key=lambda one: len(one[1][0][1]) if one[1] else 0
    )
    if len(rows) < 2:
        raise GeospotError(
            f"{path}: cannot be read (no rows, or quotes that do not close): give a header and "
            "rows as CSV"
        )
    width = len(rows[0][1])
    for line, row in rows:
        if len(row) != width:
            raise GeospotError(
                f"{path}: line {line} has {len(row)} cells and the header {width}: mend the line, "
                "or quote cells that hold the delimiter"
            )
    used = [k for k in range(width) if any(row[k].strip() for _, row in rows)]
    cells = pd.DataFrame(
        [[row[k] for k in used] for _, row in rows[1:]],
        index=[line for line, _ in rows[1:]],
        dtype=object,
    )
    cells.columns = pd.RangeIndex(len(used))
    headers = [" ".join(rows[0][1][k].splitlines()) for k in used]
    return RawTable(headers, cells, "line", delimiter)


def _rows(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Rows that hold anything, each with the line where it ends; none if quotes do not close.

    Tables of R lack the header of the first column.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error:
        return []
    if len(rows) > 1 and {len(row) for _, row in rows[1:]} == {len(rows[0][1]) + 1}:
        rows[0] = rows[0][0], ["", *rows[0][1]]
    return rows
