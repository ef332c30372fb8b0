"""Precomputed features: columns of the table, or a file aligned by an id column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.encoders.base import Encoder, check_finite, unit_rows
from geospot_gpu.errors import GeospotError
from geospot_gpu.points.table import Points
from geospot_gpu.points.readers import column


class Precomputed(Encoder):
    """Feature vectors that the user brings.

    Either ``columns`` of the table of points, or a file ``path`` whose rows carry the ids found
    in column ``id`` of the table. Rows are never aligned by position alone. Files:

    - ``.parquet``: a column named as ``id``; features are ``columns``, or all other numeric
      columns, or a single column of equally long lists;
    - ``.npz``: arrays ``id`` [n] and ``features`` [n, d];
    - ``.npy``: features [n, d], with the ids in ``<name>.ids.npy`` beside it.

    Args:
        columns: feature columns; ``prefix*`` stands for all columns that begin so.
        path: file of features.
        id: column of the table that holds the ids.
        normalize: scale vectors to length one, as the cosine cost needs.

    Raises:
        GeospotError: neither or both of columns and path are given, or path comes without id.
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
            raise GeospotError("encoder=precomputed needs encoder.columns=[...] or encoder.path=...")
        if path is not None and id is None:
            raise GeospotError(
                "encoder.path needs encoder.id=...: the column that aligns the file with the points"
            )
        self.columns = list(columns) if columns else None
        self.path = None if path is None else Path(path)
        self.id = id
        self.unit_length = normalize

    @property
    def version(self) -> str:
        return "precomputed" if self.unit_length else "precomputed-raw"

    def encode(
        self, points: Points, rows: NDArray[np.int64], device: str
    ) -> NDArray[np.float32]:
        if self.path is None:
            assert self.columns is not None
            table = points.attributes.iloc[rows]
            features = _matrix(table, _expand(table, self.columns, points.origin))
            what = points.origin
        else:
            features = self._from_file(points, rows)
            what = str(self.path)
        if self.unit_length:
            return unit_rows(features, what)
        check_finite(features, what)
        return features.astype(np.float32)

    def _from_file(self, points: Points, rows: NDArray[np.int64]) -> NDArray[np.floating]:
        assert self.path is not None and self.id is not None
        ids, features = self._read()
        if ids.duplicated().any():
            raise GeospotError(
                f"{self.path}: id {ids[ids.duplicated()].iloc[0]!r} occurs more than once"
            )
        wanted = column(points.attributes, self.id, "encoder.id", points.origin).iloc[rows]
        position = pd.Index(ids.astype(str)).get_indexer(wanted.astype(str))
        if (position < 0).any():
            lost = wanted[position < 0]
            raise GeospotError(
                f"{self.path}: no features for {len(lost)} of {len(wanted)} points, for example "
                f"{self.id}={lost.iloc[0]!r}: ids must match column {self.id!r} of {points.origin}"
            )
        return features[position]

    def _read(self) -> tuple[pd.Series, NDArray[np.floating]]:  # type: ignore[type-arg]
        assert self.path is not None and self.id is not None
        if not self.path.exists():
            raise GeospotError(f"{self.path}: no such file")
        try:
            if self.path.suffix == ".npz":
                with np.load(self.path, allow_pickle=False) as arrays:
                    ids, features = arrays["id"], arrays["features"]
            elif self.path.suffix == ".npy":
                ids_path = self.path.with_suffix(".ids.npy")
                if not ids_path.exists():
                    raise GeospotError(f"{self.path}: its ids are expected in {ids_path}")
                features = np.load(self.path, allow_pickle=False, mmap_mode="r")
                ids = np.load(ids_path, allow_pickle=False)
            elif self.path.suffix == ".parquet":
                table = pd.read_parquet(self.path)
                ids = column(table, self.id, "encoder.id", str(self.path)).to_numpy()
                features = self._features_of(table)
            else:
                raise GeospotError(f"{self.path}: use a .parquet, .npz or .npy file of features")
        except (OSError, ValueError, KeyError) as error:
            if isinstance(error, GeospotError):
                raise
            raise GeospotError(f"{self.path}: cannot be read ({error})") from error
        if features.ndim != 2 or len(features) != len(ids):
            raise GeospotError(
                f"{self.path}: features {features.shape} must be a matrix with one row per id ({len(ids)})"
            )
        return pd.Series(ids), features

    def _features_of(self, table: pd.DataFrame) -> NDArray[np.floating]:
        if self.columns:
            return _matrix(table, _expand(table, self.columns, str(self.path)))
        rest = table.drop(columns=self.id)
        if rest.shape[1] == 1 and rest.dtypes.iloc[0] == object:
            return np.stack(rest.iloc[:, 0].to_numpy()).astype(np.float32)
        return _matrix(rest, list(rest.select_dtypes("number").columns))


def _expand(table: pd.DataFrame, columns: Sequence[str], origin: str) -> list[str]:
    names: list[str] = []
    for name in columns:
        if name.endswith("*"):
            matching = [str(c) for c in table.columns if str(c).startswith(name[:-1])]
            if not matching:
                raise GeospotError(f"{origin}: encoder.columns={name!r} matches no column")
            names += matching
        else:
            column(table, name, "encoder.columns", origin)
            names.append(name)
    return names


def _matrix(table: pd.DataFrame, names: Sequence[str]) -> NDArray[np.floating]:
    if not names:
        raise GeospotError("encoder.columns: there are no numeric feature columns")
    numbers = table[list(names)].apply(pd.to_numeric, errors="coerce")
    return numbers.to_numpy(np.float32, na_value=np.nan)
