"""Precomputed features: columns of the table, or a file aligned by an id column."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.encoders.base import Encoder, Features, check_finite, unit_rows
from geospot_gpu.errors import GeospotError
from geospot_gpu.names import labels
from geospot_gpu.points.readers import column
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

            return _checked(features, self.unit_length, place)
        return self._mapped(self.path, self.id, points, rows)[np.arange(len(rows))]

    def open(self, points: Points, rows: NDArray[np.int64], device: str) -> Features:
        if self.path is None or self.id is None:
            return self.encode(points, rows, device)
        return self._mapped(self.path, self.id, points, rows)

    def _mapped(
        self, path: Path, id: str, points: Points, rows: NDArray[np.int64]
    ) -> MappedFeatures:
        wanted = labels(column(points.attributes, id, "encoder.id", points.origin).iloc[rows])
        ids, features = self._read(path, id)
        position = _positions(ids, wanted, path, points.origin)

        def place(k: int) -> str:
            return f"{path}: {id} {wanted.iloc[k]!r}"

        return MappedFeatures(features, position, self.unit_length, place)

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


class MappedFeatures:
    """Features that may stay on disk until they are asked for.

    Args:
        features: all vectors of a file, [n, d].
        position: which of them each point has, [m].
        unit: scale vectors to length one.
        place: says where the vector of a point comes from, for messages.
    """

    def __init__(
        self,
        features: NDArray[np.floating],
        position: NDArray[np.int64],
        unit: bool,
        place: Callable[[int], str],
    ) -> None:
        self._features, self._position, self._unit = features, position, unit
        self._place = place

    def __getitem__(self, index: NDArray[np.int64]) -> NDArray[np.float32]:
        """Vectors [k, d] of the points at ``index`` [k], checked and scaled."""
        found = self._features[self._position[index]]
        return _checked(found, self._unit, lambda k: self._place(int(index[k])))


def _checked(
    features: NDArray[np.floating], unit: bool, place: Callable[[int], str]
) -> NDArray[np.float32]:
    """Features [n, d] without an entry that is not finite, in float32 and scaled if asked for."""
    if unit:
        return unit_rows(features, place)
    check_finite(features, place)
    return features.astype(np.float32)


def _positions(
    ids: pd.Series[Any], wanted: pd.Series[Any], path: Path, origin: str
) -> NDArray[np.int64]:
    """Where the wanted ids [m] are among the ids [n]."""
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
    found: NDArray[np.int64] = known[position]
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
