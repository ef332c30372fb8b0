"""Regions that polygons of a file are."""

from __future__ import annotations

import logging
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.files import regular
from geospot_gpu.names import unified
from geospot_gpu.points.readers import has_geometry, read_table, require_geopandas, to_wgs84
from geospot_gpu.points.readers.files import LAYER
from geospot_gpu.points.readers.points import with_geometry
from geospot_gpu.points.table import Points
from geospot_gpu.regions.grouping.base import Groups, check_places, grouping
from geospot_gpu.regions.grouping.usual_names import PolygonNames, chosen_names
from geospot_gpu.regions.plane import cut_at_antimeridian, places_within

log = logging.getLogger("geospot_gpu")


@grouping
def by_polygons(points: Points, path: str | Path, name: str | None = None) -> Groups:
    """One region per name in a polygon file; a point may lie in several, or in none.

    Borders belong to the polygons on both sides. Polygons may cross the antimeridian, cut there
    or not: a side longer than 180 degrees is meant the short way round. Points in no polygon are
    in no region, and ``Regions.account("polygons")`` says how many they are.

    Args:
        points: the points.
        path: a file with polygons, in any reference system.
        name: column with the region names; several polygons of one name make one region. If not
            given, the finest level of a layout that is known
            (:func:`~geospot_gpu.by_levels`), or a column of a usual name; which one is said.

    Raises:
        GeospotError: the file is missing, has no polygons or one that cannot be placed on the
            Earth, or the name column is missing; or the points have no coordinates.
    """
    points = check_places(points, "polygons")
    return grouped_by_polygons(points, *polygons_of(path, name))


def polygons_of(path: str | Path, name: str | None = None) -> tuple[Any, PolygonNames, str]:
    """The table of polygons, their names, and the file, as :func:`by_polygons` has them."""
    frame, origin = read_polygons(path)
    return frame, chosen_names(frame, name, origin), origin


def read_polygons(path: str | Path, level: int | None = None) -> tuple[Any, str]:
    """The table of a file of polygons, a GeoDataFrame in WGS84, and the path as messages have it.

    Args:
        path: the file.
        level: of a GeoPackage that has a layer for each level, which one is read.

    Raises:
        GeospotError: the file is missing, cannot be read, or has no geometries.
    """
    file = Path(checks.path(path, "regions.path"))
    layer = None if level is None else _layer(file, level)
    named = file if layer is None else Path(f"{file}{LAYER}{layer}")
    frame: Any = with_geometry(read_table(named, shape="Polygon"), str(file))
    if not has_geometry(frame):
        raise GeospotError(
            f"{file}: has no geometries: give a file of polygons, as a GeoPackage, a shapefile or "
            "GeoJSON, or a table with a column of WKT"
        )
    return to_wgs84(frame, str(file)), str(file)


def _layer(path: Path, level: int) -> str | None:
    """The layer of a level of a GeoPackage, as ``ADM_ADM_1``; None where it has no such layers."""
    if path.suffix.lower() != ".gpkg":
        return None
    require_geopandas()
    import pyogrio

    try:
        with warnings.catch_warnings(action="ignore"):
            layers = [str(name) for name, _ in pyogrio.list_layers(regular(path))]
    except pyogrio.errors.DataSourceError:  # what is wrong, its reader says
        return None
    of_level = [name for name in layers if re.search(rf"\D0*{level}$", name)]
    return of_level[0] if len(layers) > 1 and of_level else None


def grouped_by_polygons(points: Points, frame: Any, names: PolygonNames, origin: str) -> Groups:
    """The points in each polygon.

    Args:
        points: with coordinates.
        frame: polygons in WGS84, a GeoDataFrame [m].
        names: of the rows of the frame.
        origin: the file, for messages.

    Raises:
        GeospotError: no polygon has a name, or one cannot be placed on the Earth.
    """
    if names.chosen is not None:
        log.warning("%s: no regions.name given: regions are named by %s", origin, names.chosen)
    polygons = named_polygons(frame, names, origin)
    joined = places_within(points, polygons.total_bounds).sjoin(polygons, predicate="intersects")
    # Several polygons of one name, or several positions of one point, may match.
    pairs = pd.DataFrame({"row": joined.index, "name": joined["name"]}).drop_duplicates()
    return {
        str(region): np.sort(rows.to_numpy(np.int64))
        for region, rows in pairs.groupby("name")["row"]
    }


def named_polygons(frame: Any, names: PolygonNames, origin: str) -> Any:
    """The polygons that have names, cut where they cross the antimeridian.

    Args:
        frame, names, origin: as :func:`grouped_by_polygons` takes them.

    Returns:
        A GeoDataFrame with a column ``name``, in which a name may stand several times.

    Raises:
        GeospotError: no polygon has a name, or one cannot be placed on the Earth.
    """
    named = unified(names.values, f"{origin}: {names.title}")
    shapes = _polygonal(frame.geometry)
    kept = (shapes.notna() & named.notna()).to_numpy(bool)
    if not kept.any():
        raise GeospotError(
            f"{origin}: has no polygons with a name in {names.title}: use polygons to define "
            "regions"
        )
    wanted = np.ones(len(frame), bool) if names.rows is None else names.rows
    if not kept[wanted].all():
        log.warning("%s: %s", origin, _left_out(frame.geometry.geom_type, named, shapes, wanted))
    return cut_at_antimeridian(shapes[kept].set_axis(named[kept].to_numpy(object)), origin)


def _polygonal(shapes: Any) -> Any:
    """The polygons of each shape of a GeoSeries, those inside collections too; None without."""
    from shapely import MultiPolygon  # type: ignore[import-untyped]

    whole = shapes.geom_type.isin(["Polygon", "MultiPolygon"]) & ~shapes.is_empty
    found = shapes.where(whole)
    for at in np.flatnonzero(shapes.geom_type == "GeometryCollection"):
        parts = [part for part in _parts(shapes.iloc[at]) if not part.is_empty]
        if parts:
            found.iloc[at] = MultiPolygon(parts)
    return found


def _parts(shape: Any) -> list[Any]:
    """All polygons inside a shape."""
    if shape.geom_type == "Polygon":
        return [shape]
    return [part for inner in getattr(shape, "geoms", ()) for part in _parts(inner)]


def _left_out(kinds: Any, named: pd.Series[Any], shapes: Any, wanted: NDArray[np.bool_]) -> str:
    """What is said of those features that define no region, and should."""
    nameless = wanted & (shapes.notna() & named.isna()).to_numpy(bool)
    empty = wanted & shapes.isna().to_numpy(bool)
    said = []
    if empty.any():
        features = zip(named[empty], kinds[empty], np.flatnonzero(empty) + 1, strict=True)
        shown = [
            f"{f'feature {row}' if pd.isna(name) else name} "
            f"({'no geometry' if pd.isna(kind) else kind})"
            for name, kind, row in features
        ]
        more = ", ..." if len(shown) > 5 else ""
        said.append(
            f"left out {len(shown)} features without a polygon: {', '.join(shown[:5])}{more}"
        )
    if nameless.any():
        rows = ", ".join(map(str, (np.flatnonzero(nameless) + 1)[:5]))
        said.append(f"left out {nameless.sum()} polygons without a name: features {rows}")
    return "; ".join(said)
