"""Which columns of a table are features: the ones named, or those that describe nothing else."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError
from geospot_gpu.points.readers import column

_WORDS = {
    "coordinates": "lon long lng longitude lat latitude easting northing coord coords coordinate "
    "coordinates geometry bbox utm",
    "ids": "id ids fid gid uid uuid guid objectid geoid unnamed fips",
    "labels": "label labels class classes target targets category split fold train test",
    "regions": "region regions country countries continent iso admin adm state province county "
    "district group cluster",
    "dates and weights": "year month week day doy hour date datetime time timestamp weight weights",
}
_ALONE = {"x", "y", "z", "n", "index", "idx", "key", "row", "level_0", "__index_level_0__"}
_DESCRIPTIVE = {word for words in _WORDS.values() for word in words.split()}
_BOUNDARY = re.compile(r"[\W_]+|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SHOWN = 12


def describes(name: object) -> bool:
    """Whether a column of that name says where, when or what a point is, and is no feature.

    One of its words is that of a coordinate, an id, a label, a region, a date or a weight, numbers
    behind it aside; or it is x, y, z, n, index, key or row alone.

    >>> [describes(name) for name in ("decimalLongitude", "image_id", "admin1", "Y", "year")]
    [True, True, True, True, True]
    >>> [describes(name) for name in ("A00", "x_0", "y1", "humidity", "embedding", 7)]
    [False, False, False, False, False, False]
    """
    text = str(name).strip()
    words = {word.lower().rstrip("0123456789") for word in _BOUNDARY.split(text)}
    return text.lower() in _ALONE or bool(words & _DESCRIPTIVE)


def feature_columns(
    table: pd.DataFrame, columns: Sequence[str] | None, own: Collection[object], origin: str
) -> list[Any]:
    """Names of the columns that are features.

    Those in ``columns``; else the only column of vectors; else all columns of numbers. A column
    that is not named is none where the points have one of its name, or where it
    :func:`describes` a point.

    Args:
        table: the columns to choose from.
        columns: names, where ``prefix*`` stands for all that begin so; None where none are given.
        own: columns of the table of points.
        origin: of the table, for messages.

    Raises:
        GeospotError: a name is unknown, or no column or several columns of vectors are left.
    """
    if columns is not None:
        names = _expand(table, columns, origin)
        vectors = [name for name in names if _holds_vectors(table[name])]
        if vectors and len(names) > 1:
            raise GeospotError(
                f"{origin}: column {vectors[0]!r} must hold equally long lists of numbers and be "
                f"the only one: set encoder.columns=[{vectors[0]}]"
            )
        return names
    known = {str(name).strip().lower() for name in own}
    free = [
        name
        for name in table.columns
        if not describes(name) and str(name).strip().lower() not in known
    ]
    vectors = [name for name in free if _holds_vectors(table[name])]
    if len(vectors) > 1:
        raise GeospotError(
            f"{origin}: columns {', '.join(map(repr, vectors))} all hold vectors: choose one with "
            f"encoder.columns=[{vectors[0]}]"
        )
    taken = vectors or [name for name in free if _holds_numbers(table[name])]
    if not taken:
        left = f" (not taken for such: {in_a_row(table.columns)})" if len(table.columns) else ""
        raise GeospotError(
            f"{origin}: there are no feature columns beside the ids{left}: add some, or name them "
            "in encoder.columns"
        )
    return taken


def feature_matrix(table: pd.DataFrame, names: Sequence[Any], origin: str) -> NDArray[np.floating]:
    """Columns as a matrix [n, d]; what is no number is NaN.

    Raises:
        GeospotError: a column of vectors holds something else, too.
    """
    if len(names) == 1 and _holds_vectors(table[names[0]]):
        return _stacked(table[names[0]], origin)
    parts = [_numbers(table[name]) for name in names]
    kind = np.result_type(np.float32, *(part.dtype for part in parts))
    return np.stack([part.astype(kind, copy=False) for part in parts], axis=1)


def in_a_row(names: Sequence[Any] | pd.Index[Any]) -> str:
    """Names in a row; the first few and the last where they are many.

    >>> in_a_row([f"A{k:02}" for k in range(64)]), in_a_row(["a", "b"])
    ('A00, A01, A02, ..., A63', 'a, b')
    """
    texts = [str(name) for name in names]
    if len(texts) > _SHOWN:
        texts = [*texts[:3], "...", texts[-1]]
    return ", ".join(texts)


def _numbers(values: pd.Series[Any]) -> NDArray[Any]:
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "fiub":
        return values.to_numpy()
    numbers = pd.to_numeric(values, errors="coerce")
    return numbers.to_numpy(np.float64, na_value=np.nan)


def _holds_numbers(values: pd.Series[Any]) -> bool:
    """Whether this is a column of numbers, or of text that is mostly numbers, as around ``NA``."""
    if pd.api.types.is_numeric_dtype(values):
        return True
    known = values.dropna()
    if pd.api.types.is_datetime64_any_dtype(known) or pd.api.types.is_timedelta64_dtype(known):
        return False
    try:
        numbers = pd.to_numeric(known, errors="coerce")
    except TypeError:  # neither numbers nor text
        return False
    return 2 * int(numbers.notna().sum()) > len(known)


def _holds_vectors(values: pd.Series[Any]) -> bool:
    first = values.iloc[int(values.notna().to_numpy().argmax())] if len(values) else None
    if not isinstance(first, np.ndarray | list | tuple):
        return False
    try:
        return np.asarray(first).dtype.kind in "fiub"
    except ValueError:  # lists within of different lengths
        return False


def _stacked(values: pd.Series[Any], origin: str) -> NDArray[np.floating]:
    """Vectors [n, d] of a column of lists; NaN where there is none."""
    missing = values.isna().to_numpy(bool)
    problem = (
        f"{origin}: column {values.name!r} must hold equally long lists of numbers and nothing else"
    )
    try:
        known = np.stack([np.asarray(vector) for vector in values[~missing]])
    except (TypeError, ValueError) as error:
        raise GeospotError(problem) from error
    if known.dtype == object:  # a list with None in it
        known = pd.DataFrame(known).apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    if known.ndim != 2 or known.dtype.kind not in "fiub":
        raise GeospotError(problem)
    kind = np.result_type(np.float32, known.dtype)
    if not missing.any():
        return known.astype(kind, copy=False)
    found = np.full((len(values), known.shape[1]), np.nan, kind)
    found[~missing] = known
    return found


def _expand(table: pd.DataFrame, columns: Sequence[str], origin: str) -> list[Any]:
    names: list[Any] = []
    for name in columns:
        if name.endswith("*"):
            matching = [c for c in table.columns if str(c).startswith(name[:-1])]
            if not matching:
                raise GeospotError(
                    f"{origin}: encoder.columns={name!r} matches no column; there are: "
                    f"{', '.join(map(str, table.columns[:20]))}"
                )
            names += matching
        else:
            names.append(column(table, name, "encoder.columns", origin).name)
    return list(dict.fromkeys(names))
