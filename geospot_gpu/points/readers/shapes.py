"""Geometries become points: one of each kind in its own way."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.packages import imported

log = logging.getLogger("geospot_gpu")

AREA = "area_km2"
"""The column of areas that polygons have."""

_NONE, _POINT, _POLYGON, _MULTI_POINT, _MULTI_POLYGON = -1, 0, 3, 4, 6
"""Numbers of shapes in GEOS."""
_COLLECTION = 7
_TAKEN = ("Point", "MultiPoint", "Polygon", "MultiPolygon")


class Places(NamedTuple):
    """Where geometries are."""

    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    """Degrees [n], NaN where there is no geometry."""
    row: NDArray[np.int64]
    """The row of the table that each is from [n]."""
    share: NDArray[np.float64]
    """Of the weight of this row [n]."""


def require_geopandas() -> Any:
    """The geopandas module, or a clear error where it is not installed."""
    return imported("geopandas", "geometries need geopandas", "geo")


def has_geometry(frame: pd.DataFrame) -> bool:
    """Whether this is a GeoDataFrame with geometries, and not a table with such a column name."""
    return (
        hasattr(type(frame), "to_crs") and getattr(frame, "active_geometry_name", None) is not None
    )


def places(geometry: Any, origin: str) -> Places:
    """Where geometries are, one place for each part of a MultiPoint and for any other shape.

    A polygon is at a point inside it; its parts are one.

    Args:
        geometry: a GeoSeries in WGS84.
        origin: what the table is called, for messages.

    Raises:
        GeospotError: some are lines, or collections of different shapes.
    """
    import shapely  # type: ignore[import-untyped]

    shapes = geometry.to_numpy(copy=True)
    for at in np.flatnonzero(shapely.get_type_id(shapes) == _COLLECTION):
        shapes[at] = _alone(shapes[at])
    shapes[shapely.is_empty(shapes)] = None
    kinds = shapely.get_type_id(shapes)
    if not np.isin(kinds, (_NONE, _POINT, _POLYGON, _MULTI_POINT, _MULTI_POLYGON)).all():
        found = sorted({shape.geom_type for shape in shapes if shape is not None} - {*_TAKEN})
        raise GeospotError(
            f"{origin}: geometries must be points or polygons, found {', '.join(found)}: leave "
            "the others out"
        )
    areas = np.isin(kinds, (_POLYGON, _MULTI_POLYGON))
    if areas.any():
        shapes[areas] = shapely.point_on_surface(_whole(shapes[areas]))
        log.warning(
            "%s: %d polygons are each a point inside; where polygons are the regions, use "
            "regions=polygons regions.path=...",
            *(origin, areas.sum()),
        )
    several = kinds == _MULTI_POINT
    counts = np.where(several, shapely.get_num_geometries(shapes), 1)
    row = np.repeat(np.arange(len(shapes)), counts)
    parts = shapes[row]
    parts[several[row]] = shapely.get_parts(shapes[several])
    if (counts > 1).any():
        log.warning(
            "%s: %d MultiPoints are %d points, which share the weights of their rows",
            *(origin, several.sum(), counts[several].sum()),
        )
    return Places(shapely.get_x(parts), shapely.get_y(parts), row, 1.0 / counts[row])


def areas_km2(geometry: Any) -> NDArray[np.float64]:
    """Areas of polygons [n] in km², of a GeoSeries in WGS84, in an equal-area projection."""
    area: NDArray[np.float64] = geometry.to_crs(6933).area.to_numpy(float) / 1e6
    return area


def _alone(shape: Any) -> Any:
    """The one shape, or the points, that a collection holds; itself otherwise."""
    from shapely import MultiPoint

    while shape is not None and shape.geom_type == "GeometryCollection" and not shape.is_empty:
        parts = shape.geoms
        if len(parts) > 1:
            points = all(part.geom_type == "Point" for part in parts)
            return MultiPoint(list(parts)) if points else shape
        shape = parts[0]
    return shape if shape is None or shape.geom_type != "GeometryCollection" else None


def _whole(shapes: NDArray[Any]) -> NDArray[Any]:
    """Polygons over the antimeridian, whose parts lie at both ends of the map, in one piece."""
    import shapely

    west, _, east, _ = shapely.bounds(shapes).T
    moved = shapely.transform(shapes, lambda xy: np.column_stack([xy[:, 0] % 360.0, xy[:, 1]]))
    left, _, right, _ = shapely.bounds(moved).T
    better = (east - west > 180.0) & (right - left < east - west) & shapely.is_valid(moved)
    return np.where(better, moved, shapes)
