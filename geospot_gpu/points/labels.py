"""Labels of points: classes or numbers, known of some points or of all."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError

Labels = NDArray[Any]
"""One for each point [n]: of classes text, None where it is unknown; of numbers float64, NaN there.
"""

log = logging.getLogger("geospot_gpu")

MISSING = frozenset(["", "na", "n/a", "nan", "none", "null", "-", "--", "–", "—"])
"""What tables write where there is nothing, in lower case."""
MOST_WHOLE = 20
"""So many different whole numbers are classes; more of them are numbers."""
BINS = 10
"""Of labels that are numbers: about equally many points in each."""


def as_labels(values: Any, name: str, origin: str) -> Labels:
    """Labels as classes or as numbers.

    Text, truth values, categories, and whole numbers of at most :data:`MOST_WHOLE` kinds are
    classes; other numbers are numbers. What is missing or blank is unknown, and so is what tables
    write there, as ``NA`` or ``-`` (:data:`MISSING`): how many are is said.

    Args:
        values: one for each point [n].
        name: of the column, for messages.
        origin: of the table, for messages.

    Raises:
        GeospotError: no label is known, or they are neither.

    >>> as_labels([1.0, None, 3.0], "grade", "t.csv").tolist()
    ['1', None, '3']
    >>> as_labels([0.5, float("nan")], "yield", "t.csv").tolist()
    [0.5, nan]
    """
    series = pd.Series(values).infer_objects()
    if series.dtype == object and _truths(series):
        series = series.astype("boolean")
    if pd.api.types.is_numeric_dtype(series) and not pd.api.types.is_bool_dtype(series):
        return _of_numbers(series, name, origin)
    if pd.api.types.is_datetime64_any_dtype(series):
        raise GeospotError(f"{origin}: labels of {name} are dates: give classes or numbers")
    text = [None if unknown else str(one).strip() or None
            for one, unknown in zip(series.tolist(), series.isna(), strict=True)]  # fmt: skip
    found = np.empty(len(text), object)
    found[:] = text
    words = np.array([one is not None and one.lower() in MISSING for one in text], bool)
    if words.any():
        said = ", ".join(map(repr, dict.fromkeys(found[words])))
        log.warning("%s: %d labels of %s are %s: taken as missing", origin, words.sum(), name, said)
        found[words] = None
        rest = pd.to_numeric(pd.Series(found), errors="coerce")
        if known(found).any() and (rest.notna() == known(found)).all():
            return _of_numbers(rest, name, origin)
    if not known(found).any():
        raise GeospotError(f"{origin}: {name} has no label: give some points one")
    return found


def _truths(series: pd.Series[Any]) -> bool:
    return all(isinstance(one, bool | np.bool_) for one in series.dropna())


def _of_numbers(series: pd.Series[Any], name: str, origin: str) -> Labels:
    numbers = series.to_numpy(np.float64, na_value=np.nan)
    there = numbers[~np.isnan(numbers)]
    if not len(there):
        raise GeospotError(f"{origin}: {name} has no label: give some points one")
    if np.isinf(there).any():
        raise GeospotError(f"{origin}: a label of {name} is infinite: give finite numbers")
    if (there == np.floor(there)).all() and len(np.unique(there)) <= MOST_WHOLE:
        found = np.full(len(numbers), None, object)
        found[~np.isnan(numbers)] = [str(int(one)) for one in there]
        return found
    return numbers


def are_numbers(labels: Labels) -> bool:
    """Whether labels are numbers, and no classes."""
    return labels.dtype != object


def known(labels: Labels) -> NDArray[np.bool_]:
    """Whether the label of each point is known, [n]."""
    there: NDArray[np.bool_] = ~pd.isna(labels)
    return there


def unknown(like: Labels, count: int) -> Labels:
    """So many unknown labels of the kind of others."""
    return np.full(count, np.nan) if are_numbers(like) else np.full(count, None, object)


def together(parts: Sequence[tuple[Labels | None, int]]) -> Labels | None:
    """Labels of several collections of points, end to end; None where none has any.

    Args:
        parts: the labels, or None where points have none, and how many points there are.

    Raises:
        GeospotError: those of one are classes and of another numbers.
    """
    given = [labels for labels, _ in parts if labels is not None]
    if not given:
        return None
    numbers = next((one for one in given if are_numbers(one)), None)
    like = given[0] if numbers is None else numbers
    return np.concatenate(
        [unknown(like, n) if own is None else _of_kind(own, like) for own, n in parts]
    )


def _of_kind(labels: Labels, like: Labels) -> Labels:
    """Labels as others are: few whole numbers may be numbers after all."""
    if labels.dtype == like.dtype:
        return labels
    try:
        return labels.astype(np.float64)  # None becomes NaN
    except ValueError:
        raise GeospotError(
            "labels do not compare: those of one table are classes and of the other numbers: give "
            "both columns of one kind"
        ) from None


def bins(values: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lowest number of each bin, ascending, of :data:`BINS` of about equal mass; fewer of ties.

    Args:
        values: numbers [n].
        weight: mass of each, [n].

    >>> bins(np.arange(20.0), np.ones(20)).tolist()
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0]
    """
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weight[order]) - weight[order]
    tenths = np.arange(BINS) / BINS * weight.sum()
    at = np.minimum(np.searchsorted(share, tenths - 1e-12 * weight.sum()), len(values) - 1)
    return np.unique(values[order][at])


def in_order(labels: Labels) -> NDArray[np.int64]:
    """The place [n] of each label among the different ones in their order; equal for equal ones."""
    if are_numbers(labels):
        return np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return np.asarray(pd.factorize(labels, sort=True)[0], np.int64)
