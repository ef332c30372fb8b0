"""Tables of text: CSV and the like, of any delimiter, encoding and decimal mark."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import logging
import re
import warnings
from collections.abc import Iterator
from typing import Any, BinaryIO, Literal, NamedTuple

import pandas as pd

from geospot_gpu.errors import GeospotError
from geospot_gpu.files.inputs import check_first_line, position
from geospot_gpu.files.tables import DELIMITERS
from geospot_gpu.names import name_key
from geospot_gpu.points.readers.arrow import frame_of
from geospot_gpu.points.readers.files import File, Wanted
from geospot_gpu.points.readers.numerals import (
    decimal_commas,
    joined,
    numbers_of_text,
    of_pandas,
    unquoted,
)
from geospot_gpu.progress import Progress

log = logging.getLogger("geospot_gpu")

ROWS = 100_000
"""Rows of a piece, which pandas reads; what was read before is in Arrow's form."""
_SAMPLE = 1 << 16
"""Letters by which the delimiter is found."""
_LONG = 1 << 24
"""Bytes of a file from which on it is counted aloud."""
_NUMBER = re.compile(r"\s*[+-]?\d+([.,]\d*)?\s*")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)")
_COMMENT = "#"
"""How lines before the header begin that are about the table."""
_TOO_MANY = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")
"""What pandas says of a row with more cells than the header."""


class Form(NamedTuple):
    """How a table is written."""

    encoding: str
    delimiter: str
    quoting: Literal[0, 3]
    """``csv.QUOTE_MINIMAL`` or ``csv.QUOTE_NONE``."""
    skipped: int
    """Lines before the header."""


def is_text(file: File) -> bool:
    """Whether it may be a table of text: all that is no other kind."""
    return True


def read_delimited(file: File, wanted: Wanted) -> pd.DataFrame:
    """A table of text.

    It is read piece by piece; a column is one of numbers where all of it is: what it holds further
    down decides as much as what it begins with.
    """
    check_first_line(file.path)
    first, *others = _encodings(file.head)
    try:
        try:
            table = _table(file, first, wanted)
        except UnicodeDecodeError:
            if not others:
                raise
            log.warning("%s: is not UTF-8 and is read as Latin-1: check its names", file.shown)
            table = _table(file, others[0], wanted)
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        found = _TOO_MANY.search(str(error))
        if found is None and "Length of header" not in str(error):
            raise
        where = f"line {found[2]} has {found[3]} cells" if found else "rows have more cells"
        than = f"and the first {found[1]}" if found else "than the first line"
        raise GeospotError(
            f"{file.shown}: {where} {than}: put a header with a name for each column first, and "
            "cells that hold the delimiter in quotes"
        ) from error
    return frame_of(table)


def _encodings(head: bytes) -> tuple[str, ...]:
    """Encodings that a text may be in, the likeliest first."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ("utf-16",)
    if b"\0" in head:  # UTF-16 without a mark of order
        return ("utf-16-le" if head[1:2] == b"\0" else "utf-16-be",)
    return ("utf-8-sig", "cp1252")  # Latin-1 as Windows writes it


def _table(file: File, encoding: str, wanted: Wanted) -> Any:
    """The table of Arrow in a file of a known encoding."""
    import pyarrow as pa

    form = _form(file, encoding)
    bare = form.quoting == csv.QUOTE_NONE
    with file.open() as stream, _reading(stream, form, {}) as reader:
        header = [str(label) for label in reader.get_chunk(0).columns]
    names = [_unquote(label) if bare else label for label in header]
    as_text = {
        label for label, name in zip(header, names, strict=True) if name_key(name) in wanted.text
    }
    while True:
        pieces = _pieces(file, form, header, as_text)
        columns = {label: joined(pieces[label]) for label in header}
        # Numbers here and words there: as numbers some have lost how they are written.
        mixed = {label for label, column in columns.items() if column is None}
        if not mixed:
            found = dict(zip(names, columns.values(), strict=True))
            words = [
                name for name, column in found.items() if pa.types.is_large_string(column.type)
            ]
            if bare:
                found |= {name: unquoted(found[name]) for name in words}
            table = pa.table(found)
            free = [name for name in words if name_key(name) not in wanted.text]
            # Beside decimal commas 1.234 may have thousands, which 1.234 as a number has not.
            mixed = {label for label in header if _has_point(columns[label])}
            if not mixed or not decimal_commas(table, free):
                return numbers_of_text(table, free)
        as_text |= mixed


def _has_point(values: Any) -> bool:
    """Whether numbers were read, some of them with a decimal point."""
    import pyarrow as pa

    return bool(pa.types.is_floating(values.type)) and values.null_count < len(values)


def _pieces(file: File, form: Form, header: list[str], as_text: set[str]) -> dict[str, list[Any]]:
    """Each column in pieces of Arrow, of the types that pandas finds for each piece."""
    pieces: dict[str, list[Any]] = {label: [] for label in header}
    size = file.path.stat().st_size
    bar = Progress(f"reading {file.path.name}", "B", total=size if size > _LONG else 0)
    with (
        file.open() as stream,
        _reading(stream, form, dict.fromkeys(as_text, "str")) as reader,
        bar,
    ):
        for piece in reader:
            for label in header:
                pieces[label].append(of_pandas(piece[label]))
            bar.update(position(stream) - bar.done)
    return pieces


@contextlib.contextmanager
def _reading(stream: BinaryIO, form: Form, kinds: dict[str, str]) -> Iterator[Any]:
    """A table in pieces; only empty cells are missing."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        with pd.read_csv(
            stream,
            sep=form.delimiter,
            encoding=form.encoding,
            quoting=form.quoting,
            skiprows=form.skipped,
            dtype=kinds,
            keep_default_na=False,
            na_values=[""],
            index_col=False,  # or a field too many in each row would shift all columns
            chunksize=ROWS,
            low_memory=False,
        ) as reader:
            yield reader


def _form(file: File, encoding: str) -> Form:
    sample = _sample(file, encoding)
    named = _named_delimiter(sample)
    skipped = 1 if named else _comments(sample)
    delimiter = named or _delimiter("".join(_LINE.findall(sample)[skipped:]))
    # Tables of tabs are mostly written without quoting: a quote is then a letter, and one that
    # begins a cell would swallow all up to the next one. So says the count of tabs in each line.
    bare = delimiter == "\t" and _even(file, encoding, skipped)
    quoting: Literal[0, 3] = csv.QUOTE_NONE if bare else csv.QUOTE_MINIMAL
    return Form(encoding, delimiter, quoting, skipped)


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


def _comments(sample: str) -> int:
    """How many lines of comments there are before the header, which may itself begin as one does.

    It does where it has as many cells as the row after it.
    """
    lines = _LINE.findall(sample)
    if sample.startswith("/*"):  # as PANGAEA has it
        return next((at for at, line in enumerate(lines, 1) if line.strip() == "*/"), 0)
    n = next((at for at, line in enumerate(lines) if not line.startswith(_COMMENT)), 0)
    if not n:
        return 0
    mark = _delimiter("".join(lines[n:]))
    last, row = (len(next(csv.reader([line], delimiter=mark), ())) for line in lines[n - 1 : n + 1])
    return n - 1 if last == row > 1 else n


def _delimiter(sample: str) -> str:
    """The delimiter that cuts most lines into as many cells as the header, and most of these.

    Where two do, it is the one between numbers, which may have decimal commas.
    """

    def fit(mark: str) -> tuple[float, int, int]:
        bare = csv.reader(io.StringIO(sample, newline=None), delimiter=mark, quoting=csv.QUOTE_NONE)
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


def _even(file: File, encoding: str, skipped: int) -> bool:
    """Whether every line of a file has as many tabs as the header, taking a piece at a time."""
    with file.open() as stream, io.TextIOWrapper(stream, encoding, newline=None) as text:
        for _ in range(skipped):
            text.readline()
        tabs = text.readline().count("\t")
        while lines := text.readlines(1 << 20):
            full = [line for line in lines if line != "\n"]
            if "".join(full).count("\t") != tabs * len(full):
                return False
    return True


def _unquote(name: str) -> str:
    quoted = len(name) > 1 and name[0] == name[-1] == '"'
    return name[1:-1].replace('""', '"') if quoted else name
