"""The values of test samples: how right or how wrong a model was at each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError
from geospot_gpu.files.tables import RawTable
from geospot_gpu.names import Names, keys, labels
from geospot_gpu.points.readers.columns import spelling
from geospot_gpu.transfer.scores.cells import MISSING, numbers

log = logging.getLogger("geospot_gpu")

Measure = Literal["mean", "rmse"]
"""What the score of a region is: the mean of the values of its samples, or the root of the mean of
their squares."""
VALUES: Mapping[str, frozenset[str]] = {
    "correct": frozenset({"correct", "iscorrect", "hit"}),
    "error": frozenset({"error", "abserror", "absoluteerror"}),
    "prediction": frozenset({"prediction", "predicted", "pred", "ypred", "yhat"}),
    "label": frozenset({"label", "truth", "true", "ytrue", "observed", "groundtruth"}),
}
_TRUTHS = {"true": "1", "false": "0"}
_LARGEST = 1e150
"""Whose square is a number."""
_FLAGS = {"true": "1", "false": "0", "yes": "1", "no": "0", "t": "1", "f": "0"}


def find(table: RawTable, words: frozenset[str]) -> int | None:
    """The first column whose header is one of some words."""
    found = [k for k, header in enumerate(table.headers) if spelling(header) in words]
    return found[0] if found else None


def named(table: RawTable, where: str, key: str, header: str) -> int:
    """The column that a setting names.

    Raises:
        GeospotError: there is no such column.
    """
    at = Names(table.headers).find(header, key)
    if at is None:
        there = ", ".join(h for h in table.headers[:20] if h.strip())
        raise GeospotError(f"{where}: {key}={header} is not a column; there are: {there}")
    return at


def values(
    table: RawTable, where: str, kind: str, score: str | None
) -> tuple[NDArray[np.float64], Measure]:
    """The value of each row, NaN where it has none, [n], and what the score of several is.

    Args:
        table: as it was read.
        where: what it is, for messages.
        kind: ``accuracy`` or ``error``.
        score: header of the column of ``correct`` or ``error``, if it was named.

    Raises:
        GeospotError: the columns are missing, or a value is not of its kind.
    """
    own = "correct" if kind == "accuracy" else "error"
    at = find(table, VALUES[own]) if score is None else named(table, where, "scores.score", score)
    commas = table.delimiter == ";"
    if at is not None:
        header = table.headers[at]
        cells = table.cells[at]
        if kind == "accuracy":
            cells = _flags(cells)
        found = numbers(cells, f"{where}: {header}", _cell(table, where, header), commas=commas)
        _check(found, table, where, header, kind)
        _check_size(found, _cell(table, where, header))
        return found, "mean"
    said, true = (find(table, VALUES[name]) for name in ("prediction", "label"))
    if said is None or true is None:
        there = ", ".join(h for h in table.headers[:20] if h.strip())
        raise GeospotError(
            f"{where}: has a row per sample, and scores.kind={kind} needs its column {own}, or "
            f"prediction and label; there are: {there}"
        )
    sides = [table.cells[k] for k in (said, true)]
    if kind == "accuracy":
        return _agree(*_known(sides[0], sides[1], where)), "mean"
    parsed = [
        numbers(side, f"{where}: {table.headers[k]}", _cell(table, where, table.headers[k]),
                commas=commas)
        for side, k in zip(sides, (said, true), strict=True)
    ]  # fmt: skip
    found = parsed[0] - parsed[1]
    _check_size(found, lambda k: f"{where}: {table.row} {table.cells.index[k]}: a difference of")
    return found, "rmse"


def _cell(table: RawTable, where: str, header: str) -> Callable[[int], str]:
    return lambda k: f"{where}: {table.row} {table.cells.index[k]}: {header}"


def _flags(cells: pd.Series[Any]) -> pd.Series[Any]:
    """True and false as 1 and 0."""
    if pd.api.types.is_bool_dtype(cells):
        return cells.astype("Float64")
    if cells.dtype != object and not pd.api.types.is_string_dtype(cells):
        return cells
    return cells.map(lambda cell: _FLAGS.get(str(cell).strip().lower(), cell))


def _check(found: NDArray[np.float64], table: RawTable, where: str, header: str, kind: str) -> None:
    wrong = (found < 0.0) | ((found > 1.0) & (kind == "accuracy"))
    if wrong.any():
        k = int(np.argmax(wrong))
        range_ = "correct, from 0 to 1" if kind == "accuracy" else "an error, which is 0 or more"
        raise GeospotError(
            f"{_cell(table, where, header)(k)} {found[k]:g} is not {range_}: mend it, or set "
            "scores.kind"
        )


def _check_size(found: NDArray[np.float64], cell: Callable[[int], str]) -> None:
    large = np.abs(found) > _LARGEST
    if large.any():
        k = int(np.argmax(large))
        raise GeospotError(f"{cell(k)} {found[k]:g} is too large: mend it or leave it out")


def _known(
    said: pd.Series[Any], true: pd.Series[Any], where: str
) -> tuple[pd.Series[Any], pd.Series[Any]]:
    """Two columns as text, with NA for ``NA``, ``none`` and the like.

    What both hold is taken for a class, aloud, but for ``nan``, which is never one.
    """
    sides = [keys(labels(side)).reset_index(drop=True) for side in (said, true)]
    words = [set(side.dropna().str.lower()) & MISSING for side in sides]
    classes = (words[0] & words[1]) - {"nan"}
    if classes:
        log.warning(
            "%s: %s is taken for a class, for it is a prediction and a label",
            *(where, ", ".join(map(repr, sorted(classes)))),
        )
    gone = MISSING - classes
    predicted, label = (side.mask(side.str.lower().isin(gone)) for side in sides)
    return predicted, label


def _agree(said: pd.Series[Any], true: pd.Series[Any]) -> NDArray[np.float64]:
    """Whether two columns of text hold the same number, truth or text, NaN where one is NA, [n]."""
    values = [
        pd.to_numeric(side.str.lower().replace(_TRUTHS), errors="coerce").to_numpy(
            float, na_value=np.nan
        )
        for side in (said, true)
    ]
    same = (said == true).fillna(False).to_numpy(bool) | (values[0] == values[1])
    return np.where((said.notna() & true.notna()).to_numpy(bool), same.astype(float), np.nan)
