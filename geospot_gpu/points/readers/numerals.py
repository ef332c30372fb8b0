"""Columns of a table of text: numbers where every cell is one, in all pieces of a long table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

_NUMBER = r"^\s*[+-]?(\d+(,\d*)?|,\d+)([eE][+-]?\d+)?\s*$"
"""With a decimal comma, if any."""
_THOUSANDS = r"^\s*[+-]?\d{1,3}(,\d{3})+\s*$"
"""What may as well be a whole number, with commas between thousands."""
_QUOTED = r'^"(?:[^"]|"")*"$'

_EXACT = 2**53
"""Whole numbers below this are exact in float64."""
_SOME = 1000
"""Rows by which it is decided whether to look at all."""


def numbers_of_text(table: Any, names: Iterable[str]) -> Any:
    """A table of Arrow, all text, with numbers in those of the named columns that hold numbers.

    A comma is the decimal mark of all columns where it can be nothing else in one of them:
    ``10,5`` is a number, and ``1,234`` one with decimals in the same table alone.

    >>> import pyarrow as pa
    >>> table = pa.table({"a": ["1", "02"], "b": ["1,5", "2"], "c": ["1.5", "NA"]})
    >>> numbers_of_text(table, ["a", "b", "c"]).to_pydict()
    {'a': [1, 2], 'b': [1.5, 2.0], 'c': ['1.5', 'NA']}
    """
    import pyarrow.compute as pc

    with_commas: list[str] = []
    commas_are_marks = False
    for name in names:
        values = table[name]
        numbers = _numbers(values)
        if numbers is not None:
            table = _put(table, name, numbers)
        elif _all(values.slice(0, _SOME), _NUMBER) and _all(values, _NUMBER):
            with_commas.append(name)
            marked = pc.match_substring(values, ",")
            commas_are_marks |= not _all(values.filter(marked), _THOUSANDS)
    for name in with_commas if commas_are_marks else ():
        points = pc.replace_substring(table[name], ",", ".")
        table = _put(table, name, _numbers(points))
    return table


def unquoted(values: Any) -> Any:
    """Texts of Arrow, without the quotes around whole ones."""
    import pyarrow.compute as pc

    if not pc.any(pc.starts_with(values, '"')).as_py():
        return values
    inner = pc.replace_substring(pc.utf8_slice_codeunits(values, 1, -1), '""', '"')
    whole = pc.fill_null(pc.match_substring_regex(values, _QUOTED), False)
    return pc.if_else(whole, inner, values)


def of_pandas(values: pd.Series[Any]) -> Any:
    """A piece of a column as pandas reads it, in Arrow; of type null where all is missing."""
    import pyarrow as pa

    if values.isna().all():
        return pa.nulls(len(values))
    found = pa.Array.from_pandas(values)
    return found.cast(pa.large_string()) if pa.types.is_string(found.type) else found


def joined(pieces: list[Any]) -> Any:
    """One column of its pieces; None where they are of types that have no common one.

    Whole numbers and others have one, unless some are so large that it rounds them.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kinds = {piece.type for piece in pieces} - {pa.null()}
    if len(kinds) > 1 and kinds != {pa.int64(), pa.float64()}:
        return None
    kind = pa.float64() if len(kinds) > 1 or not kinds else kinds.pop()
    if pa.types.is_floating(kind):
        for piece in pieces:
            ends = pc.min_max(piece).as_py()
            if ends["min"] is not None and max(abs(ends["min"]), abs(ends["max"])) >= _EXACT:
                return None
    return pa.chunked_array([piece.cast(kind) for piece in pieces], kind)


def _numbers(values: Any) -> Any:
    """The numbers, or truth values, that all texts of a column are; None where one is not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if values.null_count == len(values):
        return values.cast(pa.float64())
    kinds = (pa.int64(), pa.uint64(), pa.float64(), pa.bool_())
    if pc.any(pc.match_substring_regex(values.slice(0, _SOME), r"^[\s+]|\s$")).as_py():
        values = pc.utf8_ltrim(pc.utf8_trim_whitespace(values), "+")
    for kind in kinds:
        try:
            values.slice(0, _SOME).cast(kind)  # which fails soon where all of it would
            return values.cast(kind)
        except pa.ArrowInvalid:
            continue
    return None


def _all(values: Any, pattern: str) -> bool:
    """Whether all texts that are there match."""
    import pyarrow.compute as pc

    return bool(pc.all(pc.match_substring_regex(values, pattern)).as_py() is not False)


def _put(table: Any, name: str, values: Any) -> Any:
    return table.set_column(table.schema.names.index(name), name, values)
