"""Tables of text: CSV and the like, of any delimiter, encoding and decimal mark."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import logging
import re
import warnings
from typing import Any, Literal, NamedTuple

import pandas as pd

from geospot_gpu.files.inputs import check_first_line, position
from geospot_gpu.files.tables import DELIMITERS
from geospot_gpu.names import name_key
from geospot_gpu.points.readers.arrow import frame_of
from geospot_gpu.points.readers.files import File, Wanted
from geospot_gpu.points.readers.numerals import numbers_of_text, unquoted
from geospot_gpu.progress import Progress

log = logging.getLogger("geospot_gpu")

ROWS = 100_000
"""Rows that are in memory as pandas reads them; all others are in Arrow's form."""
_SAMPLE = 1 << 16
"""Letters by which the delimiter is found."""
_LONG = 1 << 24
"""Bytes of a file from which on it is counted aloud."""
_NUMBER = re.compile(r"\s*[+-]?\d+([.,]\d*)?\s*")


class Form(NamedTuple):
    """How a table is written."""

    encoding: str
    delimiter: str
    quoting: Literal[0, 3]
    """``csv.QUOTE_MINIMAL`` or ``csv.QUOTE_NONE``."""


def is_text(file: File) -> bool:
    """Whether it may be a table of text: all that is no other kind."""
    return True


def read_delimited(file: File, wanted: Wanted) -> pd.DataFrame:
    """A table of text.

    All cells are read as text, piece by piece, and a column is one of numbers where all of it is:
    what it holds further down decides as much as what it begins with.
    """
    check_first_line(file.path)
    first, *others = _encodings(file.head)
    try:
        table, header = _cells(file, first)
    except UnicodeDecodeError:
        if not others:
            raise
        log.warning("%s: is not UTF-8 and is read as Latin-1: check its names", file.shown)
        table, header = _cells(file, others[0])
    plain = [name for name in header if name_key(name) not in wanted.text]
    return frame_of(numbers_of_text(table, plain))


def _encodings(head: bytes) -> tuple[str, ...]:
    """Encodings that a text may be in, the likeliest first."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ("utf-16",)
    if b"\0" in head:  # UTF-16 without a mark of order
        return ("utf-16-le" if head[1:2] == b"\0" else "utf-16-be",)
    return ("utf-8-sig", "cp1252")  # Latin-1 as Windows writes it


def _cells(file: File, encoding: str) -> tuple[Any, list[str]]:
    """All cells of a table as text, a table of Arrow, and its header."""
    import pyarrow as pa

    form = _form(file, encoding)
    pieces: list[Any] = []
    schema: Any = None
    bare = form.quoting == csv.QUOTE_NONE
    size = file.path.stat().st_size
    with warnings.catch_warnings(), file.open() as stream:
        warnings.simplefilter("error", pd.errors.ParserWarning)
        with (
            pd.read_csv(
                stream,
                sep=form.delimiter,
                encoding=encoding,
                quoting=form.quoting,
                dtype="str",
                keep_default_na=False,
                na_values=[""],
                index_col=False,  # or a field too many in each row would shift all columns
                chunksize=ROWS,
                skiprows=1 if _named_delimiter(_sample(file, encoding)) else 0,
            ) as reader,
            Progress(f"reading {file.path.name}", "B", total=size if size > _LONG else 0) as bar,
        ):
            for piece in reader:
                if schema is None:
                    header = [_unquote(str(name)) if bare else str(name) for name in piece.columns]
                    schema = pa.schema([(name, pa.large_string()) for name in header])
                piece.columns = pd.Index(header)
                table = pa.Table.from_pandas(piece, schema, preserve_index=False)
                table = table.replace_schema_metadata()  # pandas' own, that all is text
                pieces.append(unquoted(table) if bare else table)
                bar.update(position(stream) - bar.done)
    return pa.concat_tables(pieces), header


def _form(file: File, encoding: str) -> Form:
    sample = _sample(file, encoding)
    delimiter = _named_delimiter(sample) or _delimiter(sample)
    # Tables of tabs are mostly written without quoting: a quote is then a letter, and one that
    # begins a cell would swallow all up to the next one. So says the count of tabs in each line.
    bare = delimiter == "\t" and _even(file, encoding)
    return Form(encoding, delimiter, csv.QUOTE_NONE if bare else csv.QUOTE_MINIMAL)


def _sample(file: File, encoding: str) -> str:
    """Whole lines at the beginning."""
    decoder = codecs.getincrementaldecoder(encoding)()
    text = decoder.decode(file.head[: 2 * _SAMPLE])
    lines = text.splitlines(keepends=True)
    return "".join(lines[:-1] if len(lines) > 1 and len(file.head) > 2 * _SAMPLE else lines)


def _named_delimiter(sample: str) -> str | None:
    """What the first line says that the delimiter is, as Excel reads it: ``sep=;``."""
    line = sample[:7].splitlines()[0] if sample else ""
    return line[4] if len(line) == 5 and line.lower().startswith("sep=") else None


def _delimiter(sample: str) -> str:
    """The delimiter that cuts most lines into as many cells as the header, and most of these.

    Where two do, it is the one between numbers, which may have decimal commas.
    """

    def fit(mark: str) -> tuple[float, int, int]:
        bare = csv.reader(io.StringIO(sample), delimiter=mark, quoting=csv.QUOTE_NONE)
        quoted = csv.reader(io.StringIO(sample, newline=""), delimiter=mark)
        rows = []
        with contextlib.suppress(csv.Error):  # a cell too long to be looked at
            for row in bare if mark == "\t" else quoted:
                rows += [row] if any(row) else []
        width = len(rows[0]) if rows else 0
        if width < 2:
            return 0.0, 0, 0
        even = sum(len(row) == width for row in rows) / len(rows)
        numbers = sum(bool(_NUMBER.fullmatch(cell)) for row in rows for cell in row)
        return round(even, 1), width, numbers

    return max(DELIMITERS, key=fit)


def _even(file: File, encoding: str) -> bool:
    """Whether every line of a file has as many tabs as the first, taking a piece at a time."""
    with file.open() as stream, io.TextIOWrapper(stream, encoding, newline=None) as text:
        tabs = text.readline().count("\t")
        while lines := text.readlines(1 << 20):
            full = [line for line in lines if line != "\n"]
            if "".join(full).count("\t") != tabs * len(full):
                return False
    return True


def _unquote(name: str) -> str:
    quoted = len(name) > 1 and name[0] == name[-1] == '"'
    return name[1:-1].replace('""', '"') if quoted else name
