"""Rows of a table of points, by region, in whatever form Python's tables hold them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Set
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError
from geospot_gpu.names import Names, name_of
from geospot_gpu.points.table import Points

log = logging.getLogger("geospot_gpu")

_INDICES = "give positions, as df.groupby(...).indices"


def rows_of(groups: object, points: Points) -> dict[str, NDArray[np.int64]]:
    """Positions of the points of each region, ascending and each once, by name.

    Args:
        groups: positions among the points, counted from 0, or a mask of all of them, by whatever
            names a region (:func:`~geospot_gpu.names.name_of`); names that are one are united.
            Labels of an index are no positions and are refused: what they count from is not known.
        points: the table.

    Raises:
        GeospotError: this is no mapping, a key is no name, or a value is neither positions nor a
            mask of the points.

    >>> points = Points.build(lon=[1, 2, 3], lat=[0, 0, 0])
    >>> found = rows_of({"a": [2, 0], 7: [False, True, False]}, points)
    >>> {name: rows.tolist() for name, rows in found.items()}
    {'a': [0, 2], '7': [1]}
    """
    if not isinstance(groups, Mapping):
        raise GeospotError(
            f"groups is of type {type(groups).__name__}: give a mapping from names of regions to "
            "rows, as df.groupby(...).indices"
        )
    names = [name_of(key, "groups") for key in groups]
    known = Names(names)
    found: dict[str, NDArray[np.int64]] = {}
    repeated = 0
    for written, values in zip(names, groups.values(), strict=True):
        name = names[known[written]]
        rows = _rows(values, f"groups[{written!r}]", points)
        distinct = np.unique(rows)
        repeated += len(rows) - len(distinct)
        found[name] = np.union1d(found[name], distinct) if name in found else distinct
    if len(found) < len(names):
        log.warning("groups: %d names for %d regions: those that are one are united",
                    len(names), len(found))  # fmt: skip
    if repeated:
        log.warning("groups: %d rows are given more than once: each counts once", repeated)
    return found


def _rows(values: Any, where: str, points: Points) -> NDArray[np.int64]:
    """Positions of one region."""
    if isinstance(values, pd.Index):
        raise GeospotError(f"{where} holds labels of an index: {_INDICES}")
    if values is None or isinstance(values, str | bytes | Mapping | Set | pd.DataFrame):
        raise GeospotError(f"{where} is of type {type(values).__name__}: {_INDICES}")
    count = len(points)
    try:
        array = np.asarray(values)
        if array.dtype == object:  # as columns of pandas that may have missing entries
            array = pd.Series(array).infer_objects().to_numpy()
    except (TypeError, ValueError) as error:
        raise GeospotError(f"{where} is no list of whole numbers: {_INDICES}") from error
    if array.ndim != 1:
        raise GeospotError(f"{where} {array.shape} must be a vector of rows: {_INDICES}")
    if array.size == 0:
        return np.zeros(0, np.int64)
    dropped = f" ({points.dropped} rows of its table were dropped)" if points.dropped else ""
    if array.dtype.kind == "b":
        if len(array) != count:
            raise GeospotError(
                f"{where} is a mask of {len(array)} rows, and there are {count} points{dropped}: "
                "give a mask of the points, or positions among them"
            )
        if isinstance(values, pd.Series) and not _in_order(values.index, points):
            raise GeospotError(
                f"{where} is a mask with labels in another order than the points: {_INDICES}, or "
                "mask.to_numpy() if it is in the order of the points"
            )
        return np.flatnonzero(array)
    if array.dtype.kind not in "iu":
        raise GeospotError(f"{where} holds {array.dtype}, not whole numbers: {_INDICES}")
    wrong = (array < 0) | (array >= count)
    if wrong.any():
        raise GeospotError(
            f"{where} holds row {array[wrong][0]}, and the {count} points{dropped} have rows 0 to "
            f"{count - 1}: {_INDICES}"
        )
    return array.astype(np.int64)


def _in_order(index: pd.Index[Any], points: Points) -> bool:
    """Whether labels are those of the points, or count from 0."""
    return index.equals(points.attributes.index) or index.equals(pd.RangeIndex(len(points)))
