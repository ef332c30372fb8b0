"""Reference systems: what is in another one than WGS84, and what looks as if it were."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.points.cities import degrees_to_city
from geospot_gpu.points.readers.shapes import require_geopandas

log = logging.getLogger("geospot_gpu")

Vector = NDArray[np.float64]

_NO_DEGREES = 1000.0
"""Numbers above this are metres or the like."""
_MANY = 20
"""Points from which on it is asked whether their coordinates are swapped."""


def to_wgs84(frame: Any, origin: str, crs: str | None = None) -> Any:
    """A GeoDataFrame in WGS84, reprojected with a word about it where it was in another system.

    Args:
        frame: a GeoDataFrame.
        origin: what it is called, for messages.
        crs: its reference system, where it says none itself.

    Raises:
        GeospotError: it says another one, or its coordinates cannot be degrees.
    """
    if frame.crs is None and crs is not None:
        frame = frame.set_crs(_system(crs))
    elif frame.crs is None:
        far = _first_far(*_corners(frame))
        if far is not None:
            raise _projected(origin, far)
        log.warning("%s: no coordinate reference system given, taken as WGS84", origin)
        return frame.set_crs(4326)
    elif crs is not None and not frame.crs.equals(_system(crs), ignore_axis_order=True):
        raise GeospotError(
            f"{origin}: is in {frame.crs.to_string()} by its own account, not in "
            f"points.crs={crs}: leave that out"
        )
    if not frame.crs.to_2d().equals("EPSG:4326", ignore_axis_order=True):
        log.warning("%s: reprojected from %s to WGS84", origin, frame.crs.to_string())
        return frame.to_crs(4326)
    return frame


def projected(frame: Any) -> bool:
    """Whether the coordinates of a GeoDataFrame cannot be degrees."""
    return _first_far(*_corners(frame)) is not None


def _corners(frame: Any) -> tuple[Vector, Vector]:
    bounds = frame.geometry.bounds
    return bounds["minx"].to_numpy(float), bounds["miny"].to_numpy(float)


def _first_far(x: Vector, y: Vector) -> tuple[float, float] | None:
    """A place that is none on Earth in degrees, where most are such; a few are mistakes."""
    known = np.isfinite(x) & np.isfinite(y)
    far = known & (np.maximum(np.abs(x), np.abs(y)) > _NO_DEGREES)
    if 2 * far.sum() <= known.sum():
        return None
    first = np.flatnonzero(far)[0]
    return float(x[first]), float(y[first])


def degrees_of(x: Vector, y: Vector, crs: str | None, origin: str) -> tuple[Vector, Vector]:
    """Longitudes and latitudes [n] of coordinates in a reference system.

    Args:
        x, y: eastings and northings [n], or longitudes and latitudes where ``crs`` is None.
        crs: the reference system, as pyproj knows it.
        origin: what the table is called, for messages.

    Raises:
        GeospotError: these are no degrees, or all are, beside a projection; or there is no such
            system.
    """
    if crs is not None:
        require_geopandas()
        from pyproj import Transformer

        system = _system(crs)
        known = np.isfinite(x) & np.isfinite(y)
        degrees = (np.abs(x[known]) <= 360.0) & (np.abs(y[known]) <= 90.0)
        if system.is_projected and known.any() and degrees.all():
            raise GeospotError(
                f"{origin}: coordinates such as {x[known][0]:.10g}, {y[known][0]:.10g} are "
                f"degrees, not those of the projection points.crs={crs}: leave that out"
            )
        lon, lat = Transformer.from_crs(system, 4326, always_xy=True).transform(x, y)
        if not system.to_2d().equals("EPSG:4326", ignore_axis_order=True):
            log.warning("%s: reprojected from %s to WGS84", origin, system.to_string())
        return lon, lat
    far = _first_far(x, y)
    if far is not None:
        raise _projected(origin, far)
    return x, y


def check_swapped(lon: Vector, lat: Vector, origin: str) -> None:
    """Say where longitude and latitude seem to be swapped.

    They do where the points lie ten times nearer to cities if they are.

    Raises:
        GeospotError: most latitudes are none, and all longitudes would do for one.
    """
    known = np.isfinite(lon) & np.isfinite(lat)
    lon, lat = lon[known], lat[known]
    if not len(lon) or np.abs(lon).max() > 90.0 or np.abs(lat).max() > 360.0:
        return
    if 2 * (np.abs(lat) > 90.0).sum() > len(lat):
        raise GeospotError(
            f"{origin}: most latitudes are outside [-90, 90], and no longitude is: they are "
            "swapped: name the columns the other way round with points.lon=... points.lat=..."
        )
    if len(lon) < _MANY or np.abs(lat).max() > 90.0:
        return
    some = np.linspace(0, len(lon) - 1, min(len(lon), 200)).astype(int)
    lon, lat = lon[some], lat[some]
    as_given = np.median(degrees_to_city(lon=lon, lat=lat))
    if as_given > 0.3 and np.median(degrees_to_city(lon=lat, lat=lon)) < as_given / 10.0:
        log.warning(
            "%s: longitude and latitude may be swapped (these places are far from any city, and "
            "near to some the other way round): name them with points.lon=... points.lat=...",
            origin,
        )


def _system(crs: str) -> Any:
    require_geopandas()
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        return CRS.from_user_input(checks.text(crs, "points.crs"))
    except CRSError as error:
        raise GeospotError(
            f"points.crs={checks.shown(crs)} is no coordinate reference system: give one as "
            "EPSG:32632"
        ) from error


def _projected(origin: str, place: tuple[float, float]) -> GeospotError:
    return GeospotError(
        f"{origin}: coordinates such as {place[0]:.10g}, {place[1]:.10g} are no degrees but those "
        "of a projection: name its reference system, as in points.crs=EPSG:32632 for UTM zone 32N "
        "or points.crs=EPSG:3857 for web maps"
    )
