"""Files of feature vectors with their ids."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.encoders.columns import feature_columns, feature_matrix
from geospot_gpu.errors import GeospotError
from geospot_gpu.files import regular
from geospot_gpu.files.inputs import check_zip, why
from geospot_gpu.names import labels
from geospot_gpu.points.readers import column, read_table

TABLES = (".csv", ".csv.gz", ".parquet", ".geoparquet")
ARRAYS = (".npz", ".npy")
_LARGEST_EXACT = 2**53


class FeatureFile(NamedTuple):
    """What a file holds."""

    ids: pd.Series[Any]
    """As text, [n]."""
    features: NDArray[np.floating]
    """One row for each id, [n, d]; they may stay on disk until they are asked for."""
    columns: tuple[str, ...] | None = None
    """Columns of a table that the features are from."""
    named: bool = True
    """Whether they were named."""
    left: tuple[str, ...] = ()
    """Its other columns, without that of the ids."""


def is_table(path: Path) -> bool:
    """Whether a file of features has columns."""
    return path.name.lower().endswith(TABLES)


def read_features(
    path: Path, id: str, columns: Sequence[str] | None, own: Collection[object]
) -> FeatureFile:
    """Features and ids of a file; see :class:`~geospot_gpu.encoders.Precomputed`.

    Args:
        path: the file.
        id: name of the ids, where they have one.
        columns: feature columns of a table; chosen by
            :func:`~geospot_gpu.encoders.columns.feature_columns`.
        own: columns of the table of points.

    Raises:
        GeospotError: the file is missing or cannot be read, or holds no ids or no features.
    """
    if is_table(path):
        return _from_table(path, id, columns, own)
    name, path = path.name.lower(), regular(path)
    if not name.endswith(ARRAYS):
        raise GeospotError(
            f"{path}: use a .parquet, .npz or .npy file of features, or a .csv (also .gz)"
        )
    ids, features = _from_npz(path, id) if name.endswith(".npz") else _from_npy(path)
    if features.dtype.kind not in "fiub":
        raise GeospotError(f"{path}: features must be numbers, not of type {features.dtype}")
    if features.ndim != 2 or ids.shape != features.shape[:1]:
        raise GeospotError(
            f"{path}: features {features.shape} must be a matrix with one row per id {ids.shape}"
        )
    return FeatureFile(id_labels(pd.Series(ids, name=id), str(path)), features)


def id_labels(values: pd.Series[Any], origin: str) -> pd.Series[Any]:
    """Ids as text.

    Raises:
        GeospotError: they are floating-point numbers too large to be told from their neighbours.
    """
    if pd.api.types.is_float_dtype(values) and (values.abs() >= _LARGEST_EXACT).any():
        raise GeospotError(
            f"{origin}: ids in {values.name!r} were read as floating-point numbers, which rounds "
            "such large ones: write ids as text"
        )
    return labels(values)


def _from_table(
    path: Path, id: str, columns: Sequence[str] | None, own: Collection[object]
) -> FeatureFile:
    table = pd.DataFrame(read_table(path, (id,)))
    values = column(table, id, "encoder.id", str(path))
    ids, rest = id_labels(values, str(path)), table.drop(columns=values.name)
    names = feature_columns(rest, columns, own, str(path))
    features = feature_matrix(rest, names, str(path))
    taken = tuple(map(str, names))
    if columns is not None:
        return FeatureFile(ids, features, taken)
    left = [str(name) for name in rest.columns if name not in names]
    return FeatureFile(ids, features, taken, named=False, left=tuple(left))


def _from_npz(path: Path, id: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Ids and features: the arrays of these names, or the only ones of such shapes."""
    try:
        check_zip(path)
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.ndarray):
            raise GeospotError(f"{path}: holds one array without names: call it .npy")
        with file:
            arrays = {key: _unpickled(file, key) for key in file.files}
    except GeospotError:
        raise
    except Exception as error:  # headers are Python, and can be broken in as many ways
        raise _unreadable(path, error) from error
    found = {key: array for key, array in arrays.items() if array is not None}
    pairs = [
        (one, other)
        for one, ids in found.items()
        for other, features in found.items()
        if ids.ndim == 1 and features.ndim == 2 and ids.shape == features.shape[:1]
        if ids.dtype.kind in "iufSU" and features.dtype.kind in "fiub"
    ]
    named = [name for name in ("id", id) if name in found]
    if named and "features" in found:
        pairs = [(named[-1], "features")]
    elif named:
        pairs = [pair for pair in pairs if pair[0] == named[-1]]
    elif "features" in found:
        pairs = [pair for pair in pairs if pair[1] == "features"]
    if len(pairs) != 1:
        held = ", ".join(
            f"{key} {'(pickled objects, not read)' if array is None else array.shape}"
            for key, array in arrays.items()
        )
        raise GeospotError(
            f"{path}: which array holds ids [n] and which features [n, d] is not clear; there are: "
            f"{held or 'none'}: write them with np.savez({path.name!r}, id=ids, features=matrix)"
        )
    ((one, other),) = pairs
    return found[one], found[other]


def _unpickled(file: Any, key: str) -> NDArray[Any] | None:
    """An array of an ``.npz`` file, or None where it holds objects, which only pickle can read."""
    try:
        array: NDArray[Any] = file[key]
    except ValueError as error:
        if _is_pickled(error):
            return None
        raise
    return array


def _from_npy(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    ids_path = path.with_suffix(".ids.npy")
    if not ids_path.exists():
        raise GeospotError(f"{path}: its ids are expected in {ids_path}")
    return _array(regular(ids_path), "ids.astype(str)"), _array(
        path, "features.astype('float32')", "r"
    )


def _array(path: Path, plain: str, mmap_mode: Any = None) -> NDArray[Any]:
    try:
        with np.errstate(over="ignore"):  # headers may claim any size
            array: NDArray[Any] = np.load(path, allow_pickle=False, mmap_mode=mmap_mode)
    except Exception as error:
        if _is_pickled(error):
            raise GeospotError(
                f"{path}: holds pickled objects, which are not read: write it anew with "
                f"np.save({path.name!r}, {plain})"
            ) from error
        raise _unreadable(path, error) from error
    return array


def _is_pickled(error: Exception) -> bool:
    return str(error).startswith(("Object arrays", "Array can't be memory-mapped: Python objects"))


def _unreadable(path: Path, error: Exception) -> GeospotError:
    reason = why(error)
    if "allow_pickle" in str(error):  # what NumPy says of all that it does not know
        reason = "it is no file of arrays"
    return GeospotError(f"{path}: cannot be read ({reason})")
