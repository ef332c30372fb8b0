"""Columns of text whose every cell is a number become columns of numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_NUMBER = r"^\s*[+-]?(\d+(,\d*)?|,\d+)([eE][+-]?\d+)?\s*$"
"""With a decimal comma, if any."""
_THOUSANDS = r"^\s*[+-]?\d{1,3}(,\d{3})+\s*$"
"""What may as well be a whole number, with commas between thousands."""
_QUOTED = r'^"(?:[^"]|"")*"$'

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


def unquoted(table: Any) -> Any:
    """A table of Arrow, all text, without the quotes around whole cells."""
    import pyarrow.compute as pc

    for name in table.schema.names:
        values = table[name]
        if not pc.any(pc.starts_with(values, '"')).as_py():
            continue
        inner = pc.replace_substring(pc.utf8_slice_codeunits(values, 1, -1), '""', '"')
        whole = pc.fill_null(pc.match_substring_regex(values, _QUOTED), False)
        table = _put(table, name, pc.if_else(whole, inner, values))
    return table


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
