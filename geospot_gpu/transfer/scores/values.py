"""The values of test samples: how right or how wrong a model was at each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError
from geospot_gpu.files.tables import RawTable
from geospot_gpu.names import Names, keys, labels, name_of
from geospot_gpu.points.labels import MISSING
from geospot_gpu.points.readers.columns import spelling
from geospot_gpu.transfer.scores.cells import numbers

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
PROBABILITY = "probability_"
"""How a header of the probability of a class begins, which its name follows."""
_TRUTHS = {"true": "1", "false": "0"}
_LARGEST = 1e150
"""Whose square is a number."""
_ROUNDED = 0.02
"""By how much probabilities of a row, as they are written, may miss one."""
_FLAGS = {"true": "1", "false": "0", "yes": "1", "no": "0", "t": "1", "f": "0"}


class Values(NamedTuple):
    """What the rows of a table say of how right or how wrong a model was, one entry for each."""

    value: NDArray[np.float64]
    """NaN where there is none, [n]."""
    measure: Measure
    prediction: pd.Series[Any] | None
    """Classes as :func:`same` writes them, NA where there is none, or numbers; None where the table
    does not say, [n]."""
    label: pd.Series[Any] | None


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


def values(table: RawTable, where: str, kind: str, score: str | None) -> Values:
    """The value of each row, and what the score of several is.

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
    said, true = (find(table, VALUES[name]) for name in ("prediction", "label"))
    if at is not None:
        header = table.headers[at]
        cells = table.cells[at]
        if kind == "accuracy":
            cells = _flags(cells)
        found = numbers(cells, f"{where}: {header}", _cell(table, where, header), commas=commas)
        _check(found, table, where, header, kind)
        _check_size(found, _cell(table, where, header))
        label = None
        if kind == "accuracy" and true is not None:
            label = same(_known([table.cells[true]], where)[0])
        return Values(found, "mean", None, label)
    if said is None or true is None:
        there = ", ".join(h for h in table.headers[:20] if h.strip())
        raise GeospotError(
            f"{where}: has a row per sample, and scores.kind={kind} needs its column {own}, or "
            f"prediction and label; there are: {there}"
        )
    sides = [table.cells[k] for k in (said, true)]
    if kind == "accuracy":
        predicted, label = map(same, _known(sides, where))
        there_ = (predicted.notna() & label.notna()).to_numpy(bool)
        equal = (predicted == label).fillna(False).to_numpy(bool)
        return Values(np.where(there_, equal.astype(float), np.nan), "mean", predicted, label)
    parsed = [
        numbers(side, f"{where}: {table.headers[k]}", _cell(table, where, table.headers[k]),
                commas=commas)
        for side, k in zip(sides, (said, true), strict=True)
    ]  # fmt: skip
    found = parsed[0] - parsed[1]
    _check_size(found, lambda k: f"{where}: {table.row} {table.cells.index[k]}: a difference of")
    return Values(found, "rmse", *map(pd.Series, parsed))


def probabilities(table: RawTable, where: str) -> pd.DataFrame | None:
    """Probabilities of classes [n, K] that a table has in columns ``probability_CLASS``, or None.

    Columns are classes as :func:`same` writes them; rows sum to one, and are NaN where one is
    missing.

    Raises:
        GeospotError: a cell is no probability, a row does not sum to one, or a class comes twice.
    """
    at = [k for k, h in enumerate(table.headers) if h.strip().lower().startswith(PROBABILITY)]
    if not at:
        return None
    headers = [table.headers[k].strip() for k in at]
    classes = same(keys(pd.Series([h[len(PROBABILITY) :] for h in headers], dtype="string")))
    if classes.isna().any() or classes.duplicated().any():
        wrong = headers[int((classes.isna() | classes.duplicated()).to_numpy(bool).argmax())]
        raise GeospotError(f"{where}: {wrong} names no class, or one that another column has")
    commas = table.delimiter == ";"
    found = np.column_stack(
        [
            numbers(table.cells[k], f"{where}: {h}", _cell(table, where, h), commas=commas)
            for k, h in zip(at, headers, strict=True)
        ]
    )
    for k, header in enumerate(headers):
        _check(found[:, k], table, where, header, "accuracy", "a probability")
    total = found.sum(1)
    off = np.abs(total - 1.0) > _ROUNDED
    if off.any():
        k = int(off.argmax())
        raise GeospotError(
            f"{where}: {table.row} {table.cells.index[k]}: probabilities sum to {total[k]:g}, not "
            f"to one: give a column {PROBABILITY}CLASS for every class"
        )
    return pd.DataFrame(found / total[:, None], columns=classes.tolist())


def columns_of_probability(table: pd.DataFrame) -> list[str]:
    """Names of the columns that are probabilities of classes."""
    return [str(name) for name in table.columns if str(name).startswith(PROBABILITY)]


def _cell(table: RawTable, where: str, header: str) -> Callable[[int], str]:
    return lambda k: f"{where}: {table.row} {table.cells.index[k]}: {header}"


def _flags(cells: pd.Series[Any]) -> pd.Series[Any]:
    """True and false as 1 and 0."""
    if pd.api.types.is_bool_dtype(cells):
        return cells.astype("Float64")
    if cells.dtype != object and not pd.api.types.is_string_dtype(cells):
        return cells
    return cells.map(lambda cell: _FLAGS.get(str(cell).strip().lower(), cell))


def _check(
    found: NDArray[np.float64], table: RawTable, where: str, header: str, kind: str,
    what: str = "correct",
) -> None:  # fmt: skip
    wrong = (found < 0.0) | ((found > 1.0) & (kind == "accuracy"))
    if wrong.any():
        k = int(np.argmax(wrong))
        range_ = f"{what}, from 0 to 1" if kind == "accuracy" else "an error, which is 0 or more"
        raise GeospotError(
            f"{_cell(table, where, header)(k)} {found[k]:g} is not {range_}: mend it, or set "
            "scores.kind"
        )


def _check_size(found: NDArray[np.float64], cell: Callable[[int], str]) -> None:
    large = np.abs(found) > _LARGEST
    if large.any():
        k = int(np.argmax(large))
        raise GeospotError(f"{cell(k)} {found[k]:g} is too large: mend it or leave it out")


def _known(sides: list[pd.Series[Any]], where: str) -> list[pd.Series[Any]]:
    """Columns as text, with NA for ``NA``, ``none`` and the like.

    What all hold is taken for a class, aloud, but for ``nan``, which is never one.
    """
    texts = [keys(labels(side)).reset_index(drop=True) for side in sides]
    words = [set(side.dropna().str.lower()) & MISSING for side in texts]
    classes = set.intersection(*words) - {"nan"} if len(sides) > 1 else set()
    if classes:
        log.warning(
            "%s: %s is taken for a class, for it is a prediction and a label",
            *(where, ", ".join(map(repr, sorted(classes)))),
        )
    gone = MISSING - classes
    return [side.mask(side.str.lower().isin(gone)) for side in texts]


def same(classes: pd.Series[Any]) -> pd.Series[Any]:
    """Classes as text that is equal where they are the same number, truth or text; NA stays, [n].

    >>> same(pd.Series(["1.0", "TRUE", "1", "cat"], dtype="string")).tolist()
    ['1', '1', '1', 'cat']
    """
    codes, distinct = pd.factorize(classes)
    text = pd.Series(np.asarray(distinct, object), dtype="string")
    parsed = pd.to_numeric(text.str.lower().replace(_TRUTHS), errors="coerce")
    number = parsed.to_numpy(float, na_value=np.nan)
    written = [
        name_of(float(x), "class") if np.isfinite(x) else t
        for t, x in zip(text.tolist(), number, strict=True)
    ]
    found = pd.array(written, dtype="string").take(codes, allow_fill=True)
    return pd.Series(found, index=classes.index)
