"""Precomputed features: columns of the table, or a file aligned by an id column."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

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
from geospot_gpu.encoders.scaling import Scaling, warn_of_scales
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
        standardize: before that, take every feature less its mean over its standard deviation, so
            that units of columns do not matter. They are those of the points that the encoder meets
            first, as many as have features, each counted once; a run keeps them for all that
            is compared with it. A feature that is the same for all of these is left out.

    Raises:
        GeospotError: neither columns nor path is given, path comes without id, or columns come
            with a file that has none.
    """

    reads_coordinates = False

    in_own_units = True
    """Whether columns may be in units of their own, so that it is said where one decides."""

    def __init__(
        self,
        *,
        columns: Iterable[Name] | None = None,
        path: str | Path | None = None,
        id: Name | None = None,
        normalize: bool = True,
        standardize: bool = False,
    ) -> None:
        names = [] if columns is None else checks.listed(columns, "encoder.columns")
        self.columns = [name_of(name, "encoder.columns") for name in names] or None
        self.path = None if path is None else checks.path(path, "encoder.path")
        self.id = None if id is None else name_of(id, "encoder.id")
        self.unit_length = checks.flag(normalize, "encoder.normalize")
        self.standardize = checks.flag(standardize, "encoder.standardize")
        self.scaling: Scaling | None = None
        self._scales_are_seen = False
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
        parts = ["precomputed"] if self.unit_length else ["precomputed", "raw"]
        if self.standardize:
            parts += (
                ["standardized"] if self.scaling is None else ["standardized", self.scaling.digest]
            )
        return "-".join(parts if model is None else [*parts, model])

    @property
    def learns(self) -> bool:
        return self.standardize and self.scaling is None

    @property
    def learned(self) -> object:
        return None if self.scaling is None else self.scaling.kept

    def relearn(self, learned: object) -> None:
        if self.learns:
            self.scaling = Scaling.of_kept(learned)

    def fit(self, points: Points, rows: NDArray[np.int64]) -> None:
        if self.learns:
            found = self._found(points, checked_rows(points, rows))
            known = MappedFeatures(found.features, found.position[found.position >= 0])
            self.scaling = Scaling.of(known.pieces(), found.columns, found.origin)

    def open(self, points: Points, rows: NDArray[np.int64], device: str) -> Features:
        rows = checked_rows(points, rows)
        self.fit(points, rows)
        found = self._found(points, rows)
        lost = np.flatnonzero(found.position < 0)
        if len(lost):
            raise GeospotError(
                f"{self.path}: no features for {len(lost)} of {len(rows)} points, for example "
                f"{found.absent(int(lost[0]))}: ids must match column {self.id!r} of "
                f"{points.origin}, or drop such points with points.invalid=drop"
            )
        return self._mapped(found, found.position)

    def usable(self, points: Points, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which rows have an id in the file, and a vector that can be used, [len(rows)]."""
        rows = checked_rows(points, rows)
        self.fit(points, rows)
        found = self._found(points, rows)
        usable = found.position >= 0
        usable[usable] = self._mapped(found, found.position[usable]).usable()
        return usable

    def _mapped(self, found: _Found, position: NDArray[np.int64]) -> MappedFeatures:
        dimension = found.features.shape[1]
        several = self.in_own_units and found.columns is not None and len(found.columns) > 1
        if self.scaling is not None:
            self.scaling.check(found.columns, dimension, found.origin)
        elif several and not self.standardize and not self._scales_are_seen:
            self._scales_are_seen = True
            warn_of_scales(MappedFeatures(found.features, position).pieces())
        return MappedFeatures(
            found.features, position, self.unit_length, found.place, scaling=self.scaling
        )

    def _found(self, points: Points, rows: NDArray[np.int64]) -> _Found:
        """Where the vectors of rows are, of which a file may lack some."""
        if self.path is None or self.id is None:
            table = points.attributes.iloc[rows]
            names = feature_columns(table, self.columns, (), points.origin)
            return _Found(
                feature_matrix(table, names, points.origin),
                np.arange(len(rows)),
                tuple(map(str, names)),
                points.origin,
                lambda k: f"{points.origin}: row {table.index[k]}",
                str,
            )
        ids, file = self._file(self.path, self.id, points)
        wanted = ids.iloc[rows]

        def absent(k: int) -> str:
            id = wanted.iloc[k]
            return f"row {wanted.index[k]}, which has no id" if pd.isna(id) else f"id {id!r}"

        return _Found(
            file.features,
            match_names(wanted, file.ids),
            file.columns,
            str(self.path),
            lambda k: f"{self.path}: {self.id} {wanted.iloc[k]!r}",
            absent,
        )

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
        if not file.named and file.columns is not None and file.columns != self.taken:
            self.taken = file.columns
            left = f", not {in_a_row(file.left)}" if file.left else ""
            log.warning(
                "%s: no encoder.columns given: features are its %d columns %s%s",
                *(path, len(file.columns), in_a_row(file.columns), left),
            )
        return id_labels(wanted, points.origin), file


class _Found(NamedTuple):
    """Where the vectors of points are."""

    features: NDArray[np.floating]
    """All of a table or file, [n, d]."""
    position: NDArray[np.int64]
    """Which of them each point has, -1 where it has none, [m]."""
    columns: tuple[str, ...] | None
    """Names of the features, or of the one column that holds all."""
    origin: str
    """For messages."""
    place: Callable[[int], str]
    """Where the vector of a point comes from, for messages."""
    absent: Callable[[int], str]
    """Which point that is that has none, for messages."""


class MappedFeatures:
    """Features that may stay on disk until they are asked for.

    Args:
        features: all vectors of a table or file, [n, d].
        position: which of them each point has, [m].
        unit: scale vectors to length one.
        place: says where the vector of a point comes from, for messages.
        scaling: what to do with features before that.
    """

    def __init__(
        self,
        features: NDArray[np.floating],
        position: NDArray[np.int64],
        unit: bool = True,
        place: Callable[[int], str] = str,
        scaling: Scaling | None = None,
    ) -> None:
        self._features, self._position, self._unit = features, position, unit
        self._place, self._scaling = place, scaling

    def __getitem__(self, index: NDArray[np.int64]) -> NDArray[np.float32]:
        """Vectors [k, d] of the points at ``index`` [k], checked and scaled."""
        checked = unit_rows if self._unit else single_rows
        return checked(self._of(self._position[index]), lambda k: self._place(int(index[k])))

    def usable(self) -> NDArray[np.bool_]:
        """Which points have a vector that can be used, [m]."""
        parts = [is_usable(part, self._unit) for part in self.pieces()]
        return np.concatenate([np.zeros(0, bool), *parts])

    def pieces(self) -> Iterator[NDArray[np.floating]]:
        """The vectors before they are scaled to length one, a few rows at a time."""
        for low in range(0, len(self._position), _PIECE):
            yield self._of(self._position[low : low + _PIECE])

    def _of(self, position: NDArray[np.int64]) -> NDArray[np.floating]:
        found = self._features[position]
        return found if self._scaling is None else self._scaling(found)
