"""Precomputed features: columns of the table, or a file aligned by an id column."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.encoders.base import (
    Features,
    LazyEncoder,
    checked_rows,
    is_usable,
    single_rows,
    unit_rows,
)
from geospot_gpu.encoders.columns import feature_columns, feature_matrix, in_a_row
from geospot_gpu.encoders.files import FeatureFile, id_labels, is_table, read_features
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.files import expanded
from geospot_gpu.files.features import maker
from geospot_gpu.names import Name, keys, match_names, name_of
from geospot_gpu.points.readers import column
from geospot_gpu.points.table import Points

log = logging.getLogger("geospot_gpu")

_PIECE = 1 << 16


class Precomputed(LazyEncoder):
    """Feature vectors that the user brings.

    Either ``columns`` of the table of points, or a file ``path`` whose rows carry the ids found
    in column ``id`` of the table. Rows are never aligned by position alone; ids are compared as
    names are (:mod:`geospot_gpu.names`). Files:

    - ``.parquet`` and ``.csv`` (also ``.csv.gz``): a column named as ``id``; features are
      ``columns`` of the file. Where none are named, the only column of vectors is taken, or else
      all columns of numbers, but none that the points have too and none that says where, when or
      what a point is (:func:`~geospot_gpu.encoders.columns.describes`); which ones is said, and
      kept in ``taken``;
    - ``.npz``: ids [n] and features [n, d], called ``id`` and ``features``, or the only arrays of
      such shapes;
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
        columns: Iterable[Name] | None = None,
        path: str | Path | None = None,
        id: Name | None = None,
        normalize: bool = True,
    ) -> None:
        names = [] if columns is None else checks.listed(columns, "encoder.columns")
        self.columns = [name_of(name, "encoder.columns") for name in names] or None
        self.path = None if path is None else checks.path(path, "encoder.path")
        self.id = None if id is None else name_of(id, "encoder.id")
        self.unit_length = checks.flag(normalize, "encoder.normalize")
        if self.columns is None and path is None:
            raise GeospotError(
                "encoder=precomputed needs encoder.columns=[...] or encoder.path=..."
            )
        if path is not None and id is None:
            raise GeospotError(
                "encoder.path needs encoder.id=...: the column that aligns the file with the points"
            )
        if self.columns and self.path is not None and not is_table(self.path):
            raise GeospotError(
                f"{path}: only .parquet and .csv files have columns: leave out encoder.columns"
            )

    @property
    def version(self) -> str:
        model = None if self.path is None else maker(expanded(self.path))
        raw = "" if self.unit_length else "-raw"
        return f"precomputed{raw}" if model is None else f"precomputed{raw}-{model}"

    def open(self, points: Points, rows: NDArray[np.int64], device: str) -> Features:
        rows = checked_rows(points, rows)
        if self.path is None or self.id is None:
            return self._of_columns(points, rows)
        ids, file = self._file(self.path, self.id, points)
        wanted = ids.iloc[rows]
        position = match_names(wanted, file.ids)
        lost = wanted[position < 0]
        if len(lost):
            example = lost.iloc[0]
            absent = f"row {lost.index[0]}, which has no id" if pd.isna(example) else ""
            raise GeospotError(
                f"{self.path}: no features for {len(lost)} of {len(wanted)} points, for example "
                f"{absent or f'id {example!r}'}: ids must match column {self.id!r} of "
                f"{points.origin}, or drop such points with points.invalid=drop"
            )

        def place(k: int) -> str:
            return f"{self.path}: {self.id} {wanted.iloc[k]!r}"

        return MappedFeatures(file.features, position, self.unit_length, place)

    def usable(self, points: Points, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which rows have an id in the file, and a vector that can be used, [len(rows)]."""
        rows = checked_rows(points, rows)
        if self.path is None or self.id is None:
            return self._of_columns(points, rows).usable()
        ids, file = self._file(self.path, self.id, points)
        position = match_names(ids.iloc[rows], file.ids)
        found = position >= 0
        features = MappedFeatures(file.features, position[found], self.unit_length, str)
        found[found] = features.usable()
        return found

    def _of_columns(self, points: Points, rows: NDArray[np.int64]) -> MappedFeatures:
        table = points.attributes.iloc[rows]
        names = feature_columns(table, self.columns, (), points.origin)

        def place(k: int) -> str:
            return f"{points.origin}: row {table.index[k]}"

        features = feature_matrix(table, names, points.origin)
        return MappedFeatures(features, np.arange(len(rows)), self.unit_length, place)

    def _file(self, path: Path, id: str, points: Points) -> tuple[pd.Series[Any], FeatureFile]:
        """Ids of all points, and the features with their ids."""
        wanted = column(points.attributes, id, "encoder.id", points.origin)
        file = read_features(path, id, self.columns, points.attributes.columns)
        compared = keys(file.ids)
        twice = file.ids[compared.duplicated() & compared.notna()]
        if len(twice):
            raise GeospotError(
                f"{path}: id {twice.iloc[0]!r} occurs more than once: keep one row for each"
            )
        if file.taken is not None and file.taken != self.taken:
            self.taken = file.taken
            left = f", not {in_a_row(file.left)}" if file.left else ""
            log.warning(
                "%s: no encoder.columns given: features are its %d columns %s%s",
                *(path, len(file.taken), in_a_row(file.taken), left),
            )
        return id_labels(wanted, points.origin), file


class MappedFeatures:
    """Features that may stay on disk until they are asked for.

    Args:
        features: all vectors of a table or file, [n, d].
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
        checked = unit_rows if self._unit else single_rows
        return checked(found, lambda k: self._place(int(index[k])))

    def usable(self) -> NDArray[np.bool_]:
        """Which points have a vector that can be used, [m]."""
        parts = [is_usable(part, self._unit) for part in self._pieces()]
        return np.concatenate([np.zeros(0, bool), *parts])

    def _pieces(self) -> Iterator[NDArray[np.floating]]:
        for low in range(0, len(self._position), _PIECE):
            yield self._features[self._position[low : low + _PIECE]]
