"""The encoder that takes vectors from rasters."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

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
from geospot_gpu.encoders.raster.discovery import open_tiles
from geospot_gpu.encoders.raster.grid import require
from geospot_gpu.encoders.raster.presets import PRESETS, as_stored
from geospot_gpu.encoders.raster.tile import Pixels, Tile
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.names import Name, name_of
from geospot_gpu.points.table import Points
from geospot_gpu.progress import Progress

log = logging.getLogger("geospot_gpu")


class Raster(LazyEncoder):
    """Vectors of the pixels that points lie in: Earth embeddings, or bands of any raster.

    Files are GeoTIFF (COG too) and Zarr; with a preset also the arrays that it is published as. Of
    several, a folder or a pattern, each point takes the first by name in which its pixel is not
    empty. Pixels may be in any reference system, over the antimeridian and the poles as well.
    Blocks that hold points are read once, and nothing else of a file but its header.

    Regions are identified by these vectors, not by the files: so they are the same wherever the
    files lie, and others as soon as a pixel has changed.

    Args:
        path: a file, a Zarr store, a folder of them, or a pattern such as ``tiles/**/*.tif``.
        preset: ``alphaearth`` (64 bands; integers are stored values), ``tessera`` (128 bands) or
            ``copernicus`` (Copernicus-Embed, 768 bands): how values are stored.
        bands: names or numbers, from 1, of the bands to take; all if not given.
        variable: array of a Zarr store, where there are several.
        crs: reference system of files that name none, as in ``EPSG:32631``.
        scale, offset: a value is its stored one times ``scale``, plus ``offset``; what the file
            says if not given.
        nodata: what a band holds where it has no value; what the file says if not given. A pixel
            is empty where any band has none; of 0, which vectors may hold, where all bands are 0.
            NaN is no value in any case.
        normalize: scale vectors to length one, as the cosine cost needs.

    Raises:
        GeospotError: no path is given, a setting is unknown or against the preset, or a package of
            the extra ``raster`` is missing.
    """

    reads_coordinates = False

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        preset: Literal["alphaearth", "tessera", "copernicus"] | None = None,
        bands: Iterable[Name] | None = None,
        variable: str | None = None,
        crs: str | None = None,
        scale: float | None = None,
        offset: float | None = None,
        nodata: float | None = None,
        normalize: bool = True,
    ) -> None:
        if path is None:
            raise GeospotError(
                "encoder=raster needs encoder.path=...: a GeoTIFF, a Zarr store or a folder of such"
            )
        self.path = checks.path(path, "encoder.path")
        self.preset = None if preset is None else checks.one_of(preset, PRESETS, "encoder.preset")
        given = [] if bands is None else checks.listed(bands, "encoder.bands")
        self.bands = [name_of(name, "encoder.bands") for name in given] or None
        self.variable = checks.optional(checks.text)(variable, "encoder.variable")
        self.crs = checks.optional(checks.text)(crs, "encoder.crs")
        stored = {"scale": scale, "offset": offset, "nodata": nodata}
        self.stored = {
            name: checks.number(value, f"encoder.{name}")
            for name, value in stored.items()
            if value is not None
        }
        self.unit_length = checks.flag(normalize, "encoder.normalize")
        if self.preset and self.stored:
            raise GeospotError(
                f"encoder.{next(iter(self.stored))} says how values are stored, and so does "
                f"encoder.preset={self.preset}: give one of them"
            )
        require("rasterio")

    @property
    def version(self) -> str:
        kind = self.preset or "raster"
        return kind if self.unit_length else f"{kind}-raw"

    def open(self, points: Points, rows: NDArray[np.int64], device: str) -> Features:
        return SampledFeatures(self, points, checked_places(self, points, rows))

    def usable(self, points: Points, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which rows lie in a pixel that is not empty, [len(rows)]."""
        rows = checked_places(self, points, rows)
        found = self._sample(points.lon[rows], points.lat[rows])
        if len(rows) and not found.found.all():
            log.warning("%s: %s", self.path, self._lost(found))
        return found.found

    def _sample(self, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> Samples:
        """Vectors of the pixels of places [n], of length one where they are to be.

        Raises:
            GeospotError: a file cannot be read, or has other bands than the preset.
        """
        tiles = self._tiles
        samples = Samples(
            np.full((len(lon), tiles[0].bands), np.nan, np.float32),
            np.zeros(len(lon), bool),
            np.zeros(len(lon), bool),
        )
        order = np.argsort(lat)
        ordered = lat[order]
        with Progress("sampling", "points", total=len(lon)) as progress:
            for tile in tiles:
                bounds = tile.grid.bounds
                low = np.searchsorted(ordered, bounds.south, "left")
                high = np.searchsorted(ordered, bounds.north, "right")
                near = order[low:high]
                near = near[~samples.found[near] & tile.grid.reaches(lon[near])]
                if len(near):
                    progress.update(self._take(tile, near, lon, lat, samples))
        return samples

    def _take(
        self,
        tile: Tile,
        near: NDArray[np.int64],
        lon: NDArray[np.float64],
        lat: NDArray[np.float64],
        samples: Samples,
    ) -> int:
        """Fill in what a raster has of places at ``near``; how many that were."""
        rows, columns, inside = tile.grid.locate(lon[near], lat[near])
        near, rows, columns = near[inside], rows[inside], columns[inside]
        samples.covered[near] = True
        count = 0
        checked = unit_rows if self.unit_length else single_rows
        for pixels in tile.pixels(rows, columns):
            vectors, there = self._decoded(tile, pixels)
            at = near[pixels.at[there]]
            samples.vectors[at] = checked(vectors[there], lambda k: tile.name)
            samples.found[at] = True
            count += len(at)
        return count

    def _decoded(self, tile: Tile, pixels: Pixels) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Vectors [k, d] of stored values, and which are not empty [k]."""
        values, storage = pixels.values, tile.storage
        preset = PRESETS[self.preset] if self.preset else None
        empty = _missing(values, self.stored.get("nodata", storage.nodata))
        if preset:
            empty |= _missing(values, preset.nodata)
            vectors = preset.decode(values)
        else:
            vectors = as_stored(
                values * self.stored.get("scale", storage.scale)
                + self.stored.get("offset", storage.offset)
            )
        if pixels.masked is not None:
            empty |= pixels.masked
        return vectors, ~empty & is_usable(vectors, self.unit_length)

    def _lost(self, samples: Samples) -> str:
        """How many places have no vector, and why, in words."""
        outside = int((~samples.covered).sum())
        empty = int((samples.covered & ~samples.found).sum())
        counts = [
            f"{outside:,} of {len(samples.found):,} points lie outside" * bool(outside),
            f"{empty:,} of {len(samples.found):,} on empty pixels" * bool(empty),
        ]
        return " and ".join(filter(None, counts))

    @cached_property
    def _tiles(self) -> list[Tile]:
        """All rasters."""
        tiles = open_tiles(self.path, self.preset, self.bands, self.variable, self.crs)
        if self.preset and self.bands is None and tiles[0].bands != PRESETS[self.preset].bands:
            raise GeospotError(
                f"{tiles[0].name}: has {tiles[0].bands} bands, and encoder.preset={self.preset} "
                f"{PRESETS[self.preset].bands}: leave the preset out, or give its files"
            )
        return tiles


def _missing(values: NDArray[Any], nodata: float | NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which pixels of stored values [k, d] have none in a band, or 0 in all where 0 is none.

    >>> _missing(np.array([[-1, 2], [3, 2]]), -1.0).tolist()
    [True, False]
    >>> _missing(np.array([[0, 2], [0, 0]]), 0.0).tolist()
    [False, True]
    """
    held = values == nodata
    missing: NDArray[np.bool_] = (held & (np.asarray(nodata) != 0)).any(axis=1) | held.all(axis=1)
    return missing


class Samples(NamedTuple):
    """What rasters have of places [n]."""

    vectors: NDArray[np.float32]
    """[n, d]; NaN where none were found."""
    covered: NDArray[np.bool_]
    """Which lie in a raster."""
    found: NDArray[np.bool_]
    """Which lie in a pixel that is not empty."""


class SampledFeatures:
    """Vectors of points of a table, read from rasters when they are asked for.

    Args:
        encoder: what reads them.
        points: the table.
        rows: which of its rows.
    """

    def __init__(self, encoder: Raster, points: Points, rows: NDArray[np.int64]) -> None:
        self._encoder, self._points, self._rows = encoder, points, rows

    def __getitem__(self, index: NDArray[np.int64]) -> NDArray[np.float32]:
        """Vectors [k, d] of the points at ``index`` [k].

        Raises:
            GeospotError: some lie outside of all rasters or on empty pixels.
        """
        encoder, points, rows = self._encoder, self._points, self._rows[index]
        samples = encoder._sample(points.lon[rows], points.lat[rows])
        if not samples.found.all():
            k = int(np.argmin(samples.found))
            where = "on an empty pixel of" if samples.covered[k] else "outside of"
            raise GeospotError(
                f"{points.described(rows[k])} lies {where} {encoder.path}: "
                f"{encoder._lost(samples)}: "
                "give rasters of these places, or drop such points with points.invalid=drop"
            )
        return samples.vectors
