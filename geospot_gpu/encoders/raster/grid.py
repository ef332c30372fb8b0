"""Where the pixels of a raster lie on the Earth."""

from __future__ import annotations

import importlib
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError, checks

_MARGIN = 0.01
"""By what part of its size bounds are widened, as their sides are curves."""


class Bounds(NamedTuple):
    """Degrees; a raster that crosses the antimeridian has its west east of its east."""

    west: float
    south: float
    east: float
    north: float


class Grid:
    """The pixels of a raster: a reference system and an affine map from pixels into it.

    Args:
        crs: anything that pyproj knows as a reference system.
        transform: (a, b, c, d, e, f), where x = a column + b row + c and y = d column + e row + f
            of the corners of pixels. Rows may go north or south.
        height, width: how many rows and columns.
    """

    def __init__(self, crs: Any, transform: tuple[float, ...], height: int, width: int) -> None:
        pyproj = require("pyproj")
        try:
            self.crs = pyproj.CRS.from_user_input(crs)
        except pyproj.exceptions.CRSError as error:
            raise GeospotError(
                f"encoder.crs={checks.shown(crs)} is no coordinate reference system: use EPSG:..."
            ) from error
        self.transform, self.height, self.width = transform, height, width

    @property
    def key(self) -> tuple[object, ...]:
        """What two rasters of the same pixels have in common."""
        return self.crs.to_wkt(), self.transform, self.height, self.width

    def locate(
        self, lon: NDArray[np.float64], lat: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Rows and columns of places [n], and whether these are in the raster.

        A place on the border of two pixels is in the one that begins there; one on the last border
        of the raster is in its last pixel.
        """
        x, y = self._transformer.transform(lon, lat)
        a, b, c, d, e, f = self.transform
        if self.crs.is_geographic:  # longitudes may be counted from anywhere
            first = min(c, c + a * self.width, c + b * self.height)
            x = first + np.mod(np.asarray(x) - first, 360.0)
        x, y = np.asarray(x) - c, np.asarray(y) - f
        determinant = a * e - b * d
        with np.errstate(invalid="ignore"):  # places that the reference system does not know
            columns, rows = (e * x - b * y) / determinant, (a * y - d * x) / determinant
        inside = np.isfinite(rows) & np.isfinite(columns)
        inside &= (rows >= 0) & (rows <= self.height) & (columns >= 0) & (columns <= self.width)
        found = [
            np.minimum(np.floor(np.where(inside, values, 0)), last - 1).astype(np.int64)
            for values, last in ((rows, self.height), (columns, self.width))
        ]
        return found[0], found[1], inside

    @cached_property
    def bounds(self) -> Bounds:
        """Somewhat more than where the raster lies."""
        a, b, c, d, e, f = self.transform
        corners = np.array([[0, 0], [self.width, 0], [0, self.height], [self.width, self.height]])
        x = corners @ np.array([a, b]) + c
        y = corners @ np.array([d, e]) + f
        west, south, east, north = x.min(), y.min(), x.max(), y.max()
        if not self.crs.is_geographic:
            west, south, east, north = self._transformer.transform_bounds(
                west, south, east, north, direction="INVERSE"
            )
        if not np.isfinite([west, south, east, north]).all():
            return Bounds(-180.0, -90.0, 180.0, 90.0)
        north_pole, south_pole = self.locate(np.zeros(2), np.array([90.0, -90.0]))[2]
        if not self.crs.is_geographic and (north_pole or south_pole):
            return Bounds(
                -180.0, -90.0 if south_pole else south - 1, 180.0, 90.0 if north_pole else north + 1
            )
        around = east - west if self.crs.is_geographic else (east - west) % 360.0
        margin = _MARGIN * max(around, north - south) + 1e-6
        if around + 2 * margin >= 360.0:
            west, east = -180.0, 180.0
        else:
            west, east = west - margin, west + around + margin
        return Bounds(west, south - margin, east, north + margin)

    def reaches(self, lon: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which longitudes [n] are within the bounds."""
        west, _, east, _ = self.bounds
        reached: NDArray[np.bool_] = np.mod(lon - west, 360.0) <= east - west
        return reached

    @cached_property
    def _transformer(self) -> Any:
        return require("pyproj").Transformer.from_crs("EPSG:4326", self.crs, always_xy=True)


def require(package: str) -> Any:
    """A package that rasters need, or a clear error where it is missing or broken."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == package
        raise GeospotError(
            f"encoder=raster needs {package}, which {'is missing' if missing else 'is broken'} "
            f"({error}): install it with pip install 'geospot_gpu[raster]'"
        ) from error
