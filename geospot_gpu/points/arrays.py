"""Arrays that people give for the points they have in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geospot_gpu.errors import GeospotError


def one_each(values: object, key: str) -> list[Any]:
    """One entry of each point, whatever holds them."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise GeospotError(f"{key} is of type {type(values).__name__}: give a list, one per point")
    entries = list(values)
    if any(isinstance(entry, list | dict | set | np.ndarray) for entry in entries):
        raise GeospotError(f"{key} holds lists: give one name per point")
    return entries


def feature_vectors(features: ArrayLike, count: int) -> NDArray[np.floating]:
    """Feature vectors [n, d] as numbers."""
    try:
        found = np.asarray(features)
        if found.dtype.kind not in "fiub":  # as columns of pandas that may have missing entries
            found = found.astype(object).astype(np.float64)
        found = found.astype(np.result_type(np.float32, found.dtype), copy=False)
    except (TypeError, ValueError) as error:
        raise GeospotError(f"features must hold numbers only ({error})") from error
    if found.ndim != 2 or len(found) != count:
        raise GeospotError(
            f"features {found.shape} must be a matrix with one row per point, {count} in all"
        )
    return found
