"""Columns of a table of text: numbers where every cell is one, in all pieces of a long table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

_NUMBER = r"^\s*[+-]?((\d+|\d{1,3}(\.\d{3})+)(,\d*)?|,\d+)([eE][+-]?\d+)?\s*$"
"""With a decimal comma and points between thousands, if any."""
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
    ``10,5`` is a number, and ``1,234`` one with decimals in the same table alone. There ``1.234``
    has thousands, unless a point can be nothing but the decimal mark in some column.

    >>> import pyarrow as pa
    >>> table = pa.table({"a": ["1", "02"], "b": ["1,5", "2"], "c": ["1.234", "NA"]})
    >>> numbers_of_text(table, ["a", "b", "c"]).to_pydict()
    {'a': [1, 2], 'b': [1.5, 2.0], 'c': ['1.234', 'NA']}
    """
    import pyarrow.compute as pc

    names = list(names)
    found = {name: _numbers(table[name]) for name in names}
    if decimal_commas(table, names):
        marked = [name for name in names if _holds(table[name], "[,.]")]
        local = [name for name in marked if _are(table[name], _NUMBER)]
        if not any(found[name] is not None for name in marked if name not in local):
            for name in local:  # no point is a decimal mark
                table = _put(table, name, pc.replace_substring(table[name], ".", ""))
        for name in local:
            if not _holds(table[name], r"\."):
                found[name] = _numbers(pc.replace_substring(table[name], ",", "."))
    for name, numbers in found.items():
        if numbers is not None:
            table = _put(table, name, numbers)
    return table


def decimal_commas(table: Any, names: Iterable[str]) -> bool:
    """Whether a comma can be nothing but the decimal mark in one of the named columns of text."""
    import pyarrow.compute as pc

    for name in names:
        values = table[name]
        if _holds(values, ",") and _are(values, _NUMBER):
            marked = values.filter(pc.match_substring(values, ","))
            if not _all(marked, _THOUSANDS):
                return True
    return False


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


def _are(values: Any, pattern: str) -> bool:
    """As :func:`_all`, which fails soon where the first ones do not match."""
    return _all(values.slice(0, _SOME), pattern) and _all(values, pattern)


def _holds(values: Any, pattern: str) -> bool:
    """Whether a text that is there has it in it."""
    import pyarrow.compute as pc

    return pc.any(pc.match_substring_regex(values, pattern)).as_py() is True


def _put(table: Any, name: str, values: Any) -> Any:
    return table.set_column(table.schema.names.index(name), name, values)
