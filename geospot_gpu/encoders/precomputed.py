"""Precomputed features: columns of the table, or a file aligned by an id column."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.encoders.base import Encoder, check_finite, unit_rows
from geospot_gpu.errors import GeospotError
from geospot_gpu.points.readers import column, labels
from geospot_gpu.points.table import Points


class Precomputed(Encoder):
    """Feature vectors that the user brings.

    Either ``columns`` of the table of points, or a file ``path`` whose rows carry the ids found
    in column ``id`` of the table. Rows are never aligned by position alone. Files:

    - ``.parquet``: a column named as ``id``; features are ``columns`` of the file, or all its
      other columns that hold numbers;
    - ``.npz``: arrays ``id`` [n] and ``features`` [n, d];
    - ``.npy``: features [n, d], with the ids in ``<name>.ids.npy`` beside it.

    A single column may hold equally long lists of numbers in place of many columns of numbers.

    Args:
        columns: feature columns; ``prefix*`` stands for all columns that begin so.
        path: file of features.
        id: column of the table that holds the ids.
        normalize: scale vectors to length one, as the cosine cost needs.

    Raises:
        GeospotError: neither columns nor path is given, path comes without id, or columns come
            with a file that has none.
    """

    reads_coordinates = False

    def __init__(
        self,
        *,
        columns: Sequence[str] | None = None,
        path: str | Path | None = None,
        id: str | None = None,
        normalize: bool = True,
    ) -> None:
        if not columns and path is None:
            raise GeospotError(
                "encoder=precomputed needs encoder.columns=[...] or encoder.path=..."
            )
        if path is not None and id is None:
            raise GeospotError(
                "encoder.path needs encoder.id=...: the column that aligns the file with the points"
            )
        if columns and path is not None and Path(path).suffix != ".parquet":
            raise GeospotError(
                f"{path}: only a .parquet file has columns: leave out encoder.columns"
            )
        self.columns = list(columns) if columns else None
        self.path = None if path is None else Path(path)
        self.id = id
        self.unit_length = normalize

    @property
    def version(self) -> str:
        return "precomputed" if self.unit_length else "precomputed-raw"

    def encode(self, points: Points, rows: NDArray[np.int64], device: str) -> NDArray[np.float32]:
        if self.path is None or self.id is None:
            table = points.attributes.iloc[rows]
            features = _matrix(table, self.columns, points.origin)

            def place(k: int) -> str:
                return f"{points.origin}: row {table.index[k]}"

        else:
            ids = labels(column(points.attributes, self.id, "encoder.id", points.origin).iloc[rows])
            features = _aligned(*self._read(self.path, self.id), ids, self.path, points.origin)

            def place(k: int) -> str:
                return f"{self.path}: {self.id} {ids.iloc[k]!r}"

        if self.unit_length:
            return unit_rows(features, place)
        check_finite(features, place)
        return features.astype(np.float32)

    def _read(self, path: Path, id: str) -> tuple[pd.Series[Any], NDArray[np.floating]]:
        """Ids [n] as text, and features [n, d]."""
        ids_path = path.with_suffix(".ids.npy")
        if not path.exists():
            raise GeospotError(f"{path}: no such file")
        if path.suffix not in (".parquet", ".npz", ".npy"):
            raise GeospotError(f"{path}: use a .parquet, .npz or .npy file of features")
        if path.suffix == ".npy" and not ids_path.exists():
            raise GeospotError(f"{path}: its ids are expected in {ids_path}")
        try:
            if path.suffix == ".parquet":
                table = pd.read_parquet(path)
            elif path.suffix == ".npz":
                with np.load(path, allow_pickle=False) as arrays:
                    ids, features = arrays["id"], arrays["features"]
            else:
                features = np.load(path, allow_pickle=False, mmap_mode="r")
                ids = np.load(ids_path, allow_pickle=False)
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
            reason = str(error).strip().split("\n")[0]
            raise GeospotError(f"{path}: cannot be read ({reason})") from error
        if path.suffix == ".parquet":
            ids = column(table, id, "encoder.id", str(path)).to_numpy()
            features = _matrix(table.drop(columns=id), self.columns, str(path))
        if features.dtype.kind not in "fiub":
            raise GeospotError(f"{path}: features must be numbers, not of type {features.dtype}")
        if features.ndim != 2 or ids.shape != features.shape[:1]:
            raise GeospotError(
                f"{path}: features {features.shape} must be a matrix with one row per id "
                f"{ids.shape}"
            )
        return labels(pd.Series(ids)), features


def _aligned(
    ids: pd.Series[Any],
    features: NDArray[np.floating],
    wanted: pd.Series[Any],
    path: Path,
    origin: str,
) -> NDArray[np.floating]:
    """The features [m, d] of the wanted ids [m]."""
    twice = ids[ids.duplicated() & ids.notna()]
    if len(twice):
        raise GeospotError(
            f"{path}: id {twice.iloc[0]!r} occurs more than once: keep one row for each"
        )
    known = np.flatnonzero(ids.notna())
    position = pd.Index(ids.iloc[known]).get_indexer(pd.Index(wanted))
    lost = wanted[position < 0]
    if len(lost):
        example = lost.iloc[0]
        shown = f"row {lost.index[0]}, which has no id" if pd.isna(example) else f"id {example!r}"
        raise GeospotError(
            f"{path}: no features for {len(lost)} of {len(wanted)} points, for example {shown}: "
            f"ids must match column {wanted.name!r} of {origin}"
        )
    found: NDArray[np.floating] = features[known[position]]
    return found


def _matrix(
    table: pd.DataFrame, columns: Sequence[str] | None, origin: str
) -> NDArray[np.floating]:
    """The named columns, or all numeric ones, as a matrix [n, d]; no number is NaN."""
    names: list[Any] = [
        name
        for name, values in table.items()
        if pd.api.types.is_numeric_dtype(values) or _holds_lists(values)
    ]
    if columns is not None:
        names = _expand(table, columns, origin)
    if not names:
        raise GeospotError(f"{origin}: there are no feature columns beside the ids: add some")
    lists = [name for name in names if _holds_lists(table[name])]
    if lists:
        try:
            (name,) = names
            return np.stack([np.asarray(vector, np.float32) for vector in table[name]])
        except (TypeError, ValueError) as error:
            raise GeospotError(
                f"{origin}: column {lists[0]!r} must hold equally long lists of numbers and be "
                f"the only one: set encoder.columns=[{lists[0]}]"
            ) from error
    numbers = table[names].apply(pd.to_numeric, errors="coerce")
    matrix: NDArray[np.float32] = numbers.to_numpy(np.float32, na_value=np.nan)
    return matrix


def _holds_lists(values: pd.Series[Any]) -> bool:
    known = values.dropna()
    return len(known) > 0 and isinstance(known.iloc[0], np.ndarray | list | tuple)


def _expand(table: pd.DataFrame, columns: Sequence[str], origin: str) -> list[str]:
    names: list[str] = []
    for name in columns:
        if name.endswith("*"):
            matching = [str(c) for c in table.columns if str(c).startswith(name[:-1])]
            if not matching:
                raise GeospotError(
                    f"{origin}: encoder.columns={name!r} matches no column; there are: "
                    f"{', '.join(map(str, table.columns[:20]))}"
                )
            names += matching
        else:
            column(table, name, "encoder.columns", origin)
            names.append(name)
    return list(dict.fromkeys(names))
