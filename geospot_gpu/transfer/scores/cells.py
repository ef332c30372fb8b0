"""Numbers as people publish them in tables: with spreads, percent signs and decimal commas."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError
from geospot_gpu.points.labels import MISSING

log = logging.getLogger("geospot_gpu")

_NUMBER = r"[+-]?(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?"
_CELL = re.compile(
    rf"(?P<value>{_NUMBER})\s*(?P<percent>%?)\s*"
    rf"(?P<spread>(?:±|\+/?-)\s*{_NUMBER}\s*(?P<behind>%?)|[(\[][^()\[\]]*[0-9][^()\[\]]*[)\]])?"
)
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")


def numbers(
    cells: pd.Series[Any], what: str, where: Callable[[int], str], *, commas: bool = False
) -> NDArray[np.float64]:
    """The numbers of a column, NaN where it holds none, [N].

    ``0.71 ± 0.02``, ``0.71 +/- 0.02`` and ``0.71 (0.02)`` are 0.71, and ``71 %`` is too; either is
    said. Decimals are written with a comma or with a point, not with both.

    Args:
        cells: text or numbers.
        what: the table and what it holds, for messages.
        where: names the cell at a position, for messages.
        commas: whether ``1,234`` is known to be no thousand, as where cells are divided by
            semicolons.

    Raises:
        GeospotError: a cell is neither a finite number nor missing, ``1,234`` may be either number,
            or some cells only have a percent sign.
    """
    of = pd.api.types
    if of.is_float_dtype(cells) or of.is_integer_dtype(cells):
        found = cells.to_numpy(np.float64, na_value=np.nan)
        _refuse(np.isinf(found), cells, where)
        return found
    texts = np.array([_text(cell) for cell in cells], object)
    missing = np.array([text.lower() in MISSING for text in texts], bool)
    found = np.full(len(cells), np.nan)
    matches = [None if gone else _CELL.fullmatch(t) for t, gone in zip(texts, missing, strict=True)]
    for k, match in enumerate(matches):
        if match is not None:
            found[k] = float(match["value"].replace(",", "."))
    _refuse(~missing & ~np.isfinite(found), cells, where)
    _check_decimals([match["value"] for match in matches if match], what, commas)
    spread = np.array([bool(match and match["spread"]) for match in matches], bool)
    percent = np.array(
        [bool(match and (match["percent"] or match["behind"])) for match in matches], bool
    )
    if spread.any():
        log.warning(
            "%s: what follows %d numbers, as in %r, is left out",
            *(what, int(spread.sum()), texts[np.argmax(spread)]),
        )
    if percent.any():
        without = ~missing & ~percent
        if without.any():
            first, other = np.argmax(percent), np.argmax(without)
            raise GeospotError(
                f"{where(int(other))} is {texts[other]!r} and elsewhere {texts[first]!r}: write "
                "all numbers with a percent sign, or none"
            )
        log.warning("%s: %d percentages are divided by 100", what, int(percent.sum()))
        found = np.where(percent, found / 100.0, found)
    return found


def _text(cell: object) -> str:
    if cell is None or cell is pd.NA or cell is pd.NaT:
        return ""
    return str(cell).strip().replace("\N{MINUS SIGN}", "-")


def _refuse(wrong: NDArray[np.bool_], cells: pd.Series[Any], where: Callable[[int], str]) -> None:
    if wrong.any():
        first = int(np.argmax(wrong))
        shown = cells.iloc[first]
        shown = repr(shown) if isinstance(shown, str) else str(shown)
        raise GeospotError(
            f"{where(first)} {shown} is not a finite number: mend it or leave it out"
        )


def _check_decimals(values: list[str], what: str, commas: bool) -> None:
    """Raise where a comma may part thousands, or some decimals have a comma and some a point."""
    comma = [value for value in values if "," in value]
    point = [value for value in values if "." in value]
    if comma and point:
        raise GeospotError(
            f"{what}: {comma[0]!r} has a decimal comma and {point[0]!r} a point: write all numbers "
            "alike"
        )
    if comma and not commas and all(_THOUSANDS.fullmatch(value) for value in comma):
        raise GeospotError(
            f"{what}: {comma[0]!r} may be {comma[0].replace(',', '.')} or "
            f"{comma[0].replace(',', '')}: write it with a point or without the comma"
        )
