"""The plane of longitude and latitude, where polygons are drawn, made to agree with the sphere.

On that plane one place has several positions: longitudes repeat every 360 degrees, and a pole has
them all.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError
from geospot_gpu.points.readers import require_geopandas
from geospot_gpu.points.table import Points

log = logging.getLogger("geospot_gpu")


def places_within(points: Points, bounds: NDArray[np.float64]) -> Any:
    """All positions of the points within ``bounds``, a GeoDataFrame indexed by row of the points.

    Args:
        points: the points.
        bounds: least longitude and latitude, greatest longitude and latitude, in degrees [4].
    """
    geopandas = require_geopandas()
    west, _, east, _ = bounds
    lon = np.concatenate([points.lon - 360.0, points.lon, points.lon + 360.0])
    rows, lat = np.tile(np.arange(len(points)), 3), np.tile(points.lat, 3)
    at_pole = np.abs(lat) == 90.0
    within = ((lon >= west) & (lon <= east)) | at_pole
    places = geopandas.GeoSeries.from_xy(lon[within], lat[within], index=rows[within], crs=4326)
    poles = [f"LINESTRING ({west} {y}, {east} {y})" for y in lat[at_pole]]
    places[at_pole[within]] = geopandas.GeoSeries.from_wkt(poles, crs=4326).to_numpy()
    return geopandas.GeoDataFrame(geometry=places)


def cut_at_antimeridian(polygons: Any, origin: str) -> Any:
    """Polygons, cut in two where they jump from one edge of the map to the other.

    A side longer than 180 degrees jumps: it is meant the short way round. One of 360 degrees is
    the edge of a shape that spans the globe, and stays.

    Args:
        polygons: GeoSeries of polygons and multipolygons in degrees, indexed by their names.
        origin: the file, for messages.

    Returns:
        A GeoDataFrame of polygons, several to a name, with a column ``name``.

    Raises:
        GeospotError: coordinates are not degrees, or a polygon cannot be cut.
    """
    west, south, east, north = polygons.total_bounds
    if not (west >= -540.0 and east <= 540.0 and south >= -91.0 and north <= 91.0):
        raise GeospotError(
            f"{origin}: polygons reach from ({west:g}, {south:g}) to ({east:g}, {north:g}), which "
            "are not degrees: set the file's coordinate reference system"
        )
    parts = polygons.explode()
    names, shapes = parts.index.to_numpy(), parts.to_numpy(copy=True)
    jumping = np.flatnonzero([_jumps(shape) for shape in shapes])
    for k in jumping:
        try:
            shapes[k] = _cut(shapes[k])
        except Exception as error:  # the library asserts what it needs
            raise GeospotError(
                f"{origin}: polygon {names[k]!r} crosses the antimeridian in a way that cannot be "
                "followed: cut it there in the file"
            ) from error
    if len(jumping):
        cut = sorted(set(names[jumping]))
        log.warning(
            "%s: cut at the antimeridian, taking sides longer than 180 degrees the short way: %s%s",
            *(origin, ", ".join(cut[:5]), ", ..." if len(cut) > 5 else ""),
        )
    return require_geopandas().GeoDataFrame({"name": names}, geometry=shapes, crs=4326)


def _jumps(polygon: Any) -> bool:
    sides = [np.abs(np.diff(ring.coords.xy[0])) for ring in [polygon.exterior, *polygon.interiors]]
    return any(((side > 180.0) & (side < 360.0)).any() for side in sides)


def _cut(polygon: Any) -> Any:
    import antimeridian

    lon, lat = map(np.asarray, polygon.exterior.coords.xy)
    turned = np.unwrap(lon, period=360.0)
    # A ring around a pole has two insides. Whatever its winding, the pole it is nearer to is meant;
    # the library takes the north pole where longitudes grow.
    if (turned[-1] - turned[0]) * lat.mean() < -1.0:
        polygon = polygon.reverse()
    return antimeridian.fix_polygon(polygon, fix_winding=True, great_circle=False)
