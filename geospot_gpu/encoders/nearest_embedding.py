"""The encoder that takes the vector of the nearest row of a file of embeddings."""

from __future__ import annotations

import logging
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.encoders.base import (
    Features,
    LazyEncoder,
    checked_places,
    is_usable,
    single_rows,
    unit_rows,
)
from geospot_gpu.encoders.embedding_files import EmbeddingFile, embedding_files
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.points.table import Points
from geospot_gpu.progress import Progress
from geospot_gpu.sphere import EARTH_RADIUS_KM, angles, unit_vectors

log = logging.getLogger("geospot_gpu")

_PIECE = 1 << 14


class Nearest(NamedTuple):
    """The nearest rows of points [n]."""

    file: NDArray[np.int64]
    """Which of the files; -1 where none is near enough."""
    row: NDArray[np.int64]
    """Which of its rows."""
    km: NDArray[np.float64]
    """Great-circle distance; infinite where none is near enough."""


class NearestEmbedding(LazyEncoder):
    """Vectors of the nearest places of a file of embeddings, as Major TOM and Clay publish them.

    Files are Parquet or GeoParquet with a column of vectors, and either columns of coordinates
    (``centre_lon`` and ``centre_lat``, ``lon`` and ``lat``, ...) or geometries, whose centres are
    taken. Distances are great circles. Of rows at one place, as of several dates, the first is
    taken, aloud. Places are read in batches, and vectors of those row groups alone that have some
    that are needed.

    Args:
        path: a file, a folder of them, or a pattern such as ``embeddings/*.parquet``.
        max_km: largest distance to the centre of an embedding. Cells of Major TOM have some 10 km:
            their centres lie within 8 km of all that they cover.
        column: its column of vectors; found if not given.
        lon, lat: its columns of coordinates in degrees; found if not given.
        normalize: scale vectors to length one, as the cosine cost needs.

    Raises:
        GeospotError: no path is given, or a setting is none.
    """

    reads_coordinates = False

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        max_km: float = 10.0,
        column: str | None = None,
        lon: str | None = None,
        lat: str | None = None,
        normalize: bool = True,
    ) -> None:
        if path is None:
            raise GeospotError(
                "encoder=nearest_embedding needs encoder.path=...: a Parquet file of embeddings"
            )
        self.path = checks.path(path, "encoder.path")
        self.max_km = checks.number(max_km, "encoder.max_km")
        if not self.max_km > 0:
            raise GeospotError(f"encoder.max_km={max_km:g}: give a distance in km")
        self.column = checks.optional(checks.text)(column, "encoder.column")
        self.lon = checks.optional(checks.text)(lon, "encoder.lon")
        self.lat = checks.optional(checks.text)(lat, "encoder.lat")
        self.unit_length = checks.flag(normalize, "encoder.normalize")
        self._found: tuple[Points, Nearest] | None = None

    @property
    def version(self) -> str:
        return "nearest-embedding" if self.unit_length else "nearest-embedding-raw"

    def open(self, points: Points, rows: NDArray[np.int64], device: str) -> Features:
        """The same vectors.

        Raises:
            GeospotError: a point has no embedding within ``max_km``.
        """
        rows = checked_places(self, points, rows)
        nearest = self.nearest(points)
        far = nearest.file[rows] < 0
        if far.any():
            raise GeospotError(
                f"{points.described(rows[np.argmax(far)])} has no embedding within "
                f"encoder.max_km={self.max_km:g} in {self.path}, one of {far.sum():,} among "
                f"{len(rows):,} points: raise it, or drop such points with points.invalid=drop"
            )
        return NearestFeatures(self, nearest, rows)

    def usable(self, points: Points, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which rows have an embedding within ``max_km`` that can be used, [len(rows)]."""
        rows = checked_places(self, points, rows)
        nearest = self.nearest(points)
        usable: NDArray[np.bool_] = nearest.file[rows] >= 0
        if (far := int((~usable).sum())) > 0:
            log.warning(
                "%s: %d of %d points have no embedding within encoder.max_km=%g",
                *(self.path, far, len(rows), self.max_km),
            )
        near = rows[usable]
        for low in range(0, len(near), _PIECE):
            few = near[low : low + _PIECE]
            at = np.flatnonzero(usable)[low : low + _PIECE]
            usable[at] = is_usable(self._vectors(nearest, few), self.unit_length)
        return usable

    def nearest(self, points: Points) -> Nearest:
        """The nearest row of each point of a table, the first of those at one place."""
        if self._found is None or self._found[0] is not points:
            self._found = points, self._search(unit_vectors(lon=points.lon, lat=points.lat))
        return self._found[1]

    def _vectors(self, nearest: Nearest, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Vectors [k, d] of points at ``rows`` [k], as they are stored."""
        parts: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = []
        for k in np.unique(nearest.file[rows]).tolist():
            at = np.flatnonzero(nearest.file[rows] == k)
            wanted, back = np.unique(nearest.row[rows[at]], return_inverse=True)
            parts.append((at, self._files[k].vectors(wanted)[back]))
        widths = {part.shape[1] for _, part in parts if part.shape[1]}
        if len(widths) > 1:
            raise GeospotError(
                f"{self.path}: its files have vectors of different lengths: "
                f"{', '.join(map(str, sorted(widths)))}"
            )
        width = next(iter(widths), 0) or max(1, self._width)
        found = np.full((len(rows), width), np.nan, np.float32)
        for at, part in parts:
            if part.shape[1]:  # else all of them are missing
                found[at] = part
        return found

    @cached_property
    def _files(self) -> list[EmbeddingFile]:
        files = embedding_files(self.path)
        return [EmbeddingFile(one, self.column, self.lon, self.lat) for one in files]

    @property
    def _width(self) -> int:
        width: int = self._files[0].vectors(np.zeros(1, np.int64)).shape[1]
        return width

    def _search(self, xyz: NDArray[np.float64]) -> Nearest:
        """The nearest rows of unit vectors [n, 3]."""
        from scipy.spatial import KDTree

        limit = 2 * np.sin(min(np.pi, self.max_km / EARTH_RADIUS_KM) / 2)
        chord = np.full(len(xyz), np.nextafter(limit, np.inf))
        found = Nearest(np.full(len(xyz), -1), np.full(len(xyz), -1), np.full(len(xyz), np.inf))
        again = np.zeros(len(xyz), bool)
        together = placeless = 0
        total = sum(file.rows for file in self._files)
        with Progress("searching", "embeddings", total=total) as progress:
            for k, file in enumerate(self._files):
                for first, lon, lat in file.places():
                    there = np.flatnonzero(np.isfinite(lon + lat))
                    _, once = np.unique(np.stack([lon, lat])[:, there], axis=1, return_index=True)
                    at = there[np.sort(once)]
                    placeless += len(lon) - len(there)
                    together += len(there) - len(at)
                    progress.update(len(lon))
                    places = unit_vectors(lon=lon[at], lat=lat[at])
                    near = _within(xyz, places, chord)
                    if len(near) == 0:
                        continue
                    most = np.nextafter(max(float(chord[near].max()), 1e-12), np.inf)
                    answer = KDTree(places).query(xyz[near], distance_upper_bound=most)
                    distance, which = map(np.asarray, answer)
                    better = distance < chord[near]
                    again[near] = (again[near] & ~better) | (distance == chord[near])
                    near, which = near[better], which[better]
                    chord[near] = distance[better]
                    found.file[near], found.row[near] = k, first + at[which]
                    found.km[near] = EARTH_RADIUS_KM * angles(chord[near])
        if together:
            log.warning(
                "%s: %d embeddings are at the place of another, as of another date: the first of "
                "each place is taken",
                *(self.path, together),
            )
        if again.any():
            log.warning(
                "%s: %d points have their nearest embedding twice, as of another date in another "
                "file: that of the first file by name is taken",
                *(self.path, again.sum()),
            )
        if placeless:
            log.warning("%s: %d embeddings without a place are left out", self.path, placeless)
        return found


class NearestFeatures:
    """Vectors of points that are read when they are asked for.

    Args:
        encoder: what reads them.
        nearest: the nearest rows of all points.
        rows: which of the points.
    """

    def __init__(
        self, encoder: NearestEmbedding, nearest: Nearest, rows: NDArray[np.int64]
    ) -> None:
        self._encoder, self._nearest, self._rows = encoder, nearest, rows

    def __getitem__(self, index: NDArray[np.int64]) -> NDArray[np.float32]:
        """Vectors [k, d] of the points at ``index`` [k], checked and scaled."""
        rows, nearest = self._rows[index], self._nearest
        checked = unit_rows if self._encoder.unit_length else single_rows
        vectors = self._encoder._vectors(nearest, rows)
        path = self._encoder.path
        return checked(vectors, lambda k: f"{path}: row {nearest.row[rows[k]] + 1}")


def _within(
    xyz: NDArray[np.float64], places: NDArray[np.float64], chord: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Which of the points [n, 3] may have one of the places nearer than ``chord`` [n]."""
    if len(places) == 0:
        return np.zeros(0, np.int64)
    middle = places.mean(axis=0)
    radius = np.linalg.norm(places - middle, axis=1).max()
    near: NDArray[np.int64] = np.flatnonzero(np.linalg.norm(xyz - middle, axis=1) <= radius + chord)
    return near
