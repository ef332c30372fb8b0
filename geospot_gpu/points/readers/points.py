"""From a table to points: which of its columns say where they are, and what they weigh."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.points.readers.columns import (
    PICTURES,
    column,
    coordinates,
    names_coordinates,
    usual_pair,
)
from geospot_gpu.points.readers.degrees import degrees
from geospot_gpu.points.readers.frames import frame_of_object
from geospot_gpu.points.readers.geometry import shapes_of
from geospot_gpu.points.readers.labels import label_of, labels_of_file
from geospot_gpu.points.readers.shapes import (
    AREA,
    Places,
    areas_km2,
    has_geometry,
    places,
    require_geopandas,
)
from geospot_gpu.points.readers.systems import check_swapped, degrees_of, projected, to_wgs84
from geospot_gpu.points.readers.tables import ADVICE, read_table
from geospot_gpu.points.table import Invalid, Points

if TYPE_CHECKING:
    import geopandas

log = logging.getLogger("geospot_gpu")

_Named = tuple[str | None, Any]
"""A column of labels, and a file of them."""


def read_points(
    source: str | Path | pd.DataFrame | geopandas.GeoDataFrame | Any,
    *,
    lon: str | None = None,
    lat: str | None = None,
    weight: str | None = None,
    crs: str | None = None,
    located: bool | None = True,
    label: str | None = None,
    labels: str | Path | pd.DataFrame | Any | None = None,
    text: Iterable[str | None] = (),
    invalid: Invalid = "error",
) -> Points:
    """Points from a table.

    Polygons become a point inside each, with the column ``area_km2`` where ``weight`` asks for it;
    the parts of a MultiPoint share its weight.

    Args:
        source: a file: CSV of any delimiter and encoding, Parquet, GeoParquet, GeoPackage,
            shapefile, FlatGeobuf, GeoJSON or JSON, also in gzip or zip; a folder of Parquet files;
            a data frame of pandas, geopandas or polars, a table of Arrow, a ``Dataset`` of Hugging
            Face or a ``GeoDataset`` of torchgeo.
        lon: longitude column; the usual spellings are found if not given, and so are columns of
            geometries.
        lat: latitude column, likewise.
        weight: column of positive masses; equal masses if not given.
        crs: reference system of coordinates that are no degrees and do not say it themselves, as
            ``EPSG:32632``.
        located: whether points have coordinates. False takes none: regions then differ by their
            features alone; with None it is as the table has them.
        label: column of labels, classes or numbers; empty cells are unknown ones.
        labels: instead, a file of labels with a row for each that is known: the column of ids that
            the points have, too, and ``label``, or what ``label`` names.
        text: columns of a CSV file that hold names, where ``007`` is not the number 7.
        invalid: ``error`` refuses invalid rows, ``drop`` leaves them out and counts them.

    Raises:
        GeospotError: the file is missing or unreadable, a column is missing, a row is invalid.
    """
    frame = frame_of_object(source, "table")
    origin = "table" if frame is not None else str(checks.path(source, "points.path"))
    with out_of_memory(f"reading points of {origin}", ADVICE):
        if frame is None:
            frame = read_table(Path(origin), checks.listed(text, "text"))
        log.debug("%s: %d rows of %s", origin, len(frame), ", ".join(map(str, frame.columns)))
        if not _is_located(frame, origin, (lon, lat, crs), located):
            return _without_places(frame, origin, weight, invalid, (label, labels))
        return _points(frame, origin, lon, lat, weight, crs, invalid, (label, labels))


def _points(
    frame: pd.DataFrame,
    origin: str,
    lon: str | None,
    lat: str | None,
    weight: str | None,
    crs: str | None,
    invalid: Invalid,
    label: _Named,
) -> Points:
    """Points of a data frame; see :func:`read_points`."""
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise GeospotError(f"{origin}: column {twice[0]!r} occurs more than once: rename one")
    if lon is None and lat is None:
        frame = with_geometry(frame, origin, crs)
    if lon is None and lat is None and has_geometry(frame):
        frame, found = _of_shapes(frame, origin, crs, weight)
    else:
        found = _of_columns(frame, origin, lon, lat, crs)
    check_swapped(found.lon, found.lat, origin)
    mass = None if weight is None else _numbers(column(frame, weight, "points.weight", origin))
    if (found.share != 1.0).any():
        mass = found.share if mass is None else mass[found.row] * found.share
        frame = frame.iloc[found.row]
    points = Points.build(
        lon=found.lon,
        lat=found.lat,
        weight=mass,
        attributes=pd.DataFrame(frame),
        origin=origin,
        invalid=invalid,
        label=_labels(frame, label, origin),
    )
    points.warn_of_zeros()
    return points


def _is_located(
    frame: pd.DataFrame, origin: str, given: Iterable[str | None], located: bool | None
) -> bool:
    """Whether the points of a table have coordinates, or are to be without."""
    named = any(one is not None for one in given)
    if located is False and named:
        raise GeospotError(
            "points.located=false takes no coordinates: leave out points.lon, lat and crs"
        )
    if located is not None:
        return checks.flag(located, "points.located")
    if named or has_geometry(frame) or names_coordinates(frame):
        return True
    if has_geometry(with_geometry(frame, origin)):
        return True
    log.warning("%s: has no coordinates: regions differ by their features alone", origin)
    return False


def _without_places(
    frame: Any, origin: str, weight: str | None, invalid: Invalid, label: _Named
) -> Points:
    """Points of a table that differ by their features alone."""
    mass = None if weight is None else _numbers(column(frame, weight, "points.weight", origin))
    if has_geometry(frame):
        frame = frame.drop(columns=frame.geometry.name)
    table = pd.DataFrame(frame)
    labels = _labels(table, label, origin)
    return Points.build(weight=mass, attributes=table, origin=origin, invalid=invalid, label=labels)


def _labels(frame: pd.DataFrame, named: _Named, origin: str) -> pd.Series[Any] | None:
    """Labels of a column or of a file, where one is named."""
    label, file = named
    if file is None:
        return label_of(frame, label, origin)
    return labels_of_file(frame, file, label, origin)


def with_geometry(frame: pd.DataFrame, origin: str, crs: str | None = None) -> pd.DataFrame:
    """The table as a GeoDataFrame, where one column of it holds geometries.

    It is left as it is where longitude and latitude stand in two columns. Geometries are in the
    reference system that they say, in ``crs``, or in WGS84 where their numbers may be degrees.

    Raises:
        GeospotError: one cell of the column holds something else.
    """
    if has_geometry(frame) or usual_pair(frame) not in (None, PICTURES):
        return frame
    shapes = shapes_of(frame, origin)
    if shapes is None:
        return frame
    plain = frame.drop(columns=[shapes.label])
    found: Any = require_geopandas().GeoDataFrame(plain, geometry=shapes.geometry, crs=shapes.crs)
    if shapes.crs is None and crs is None and not projected(found):
        found = found.set_crs("OGC:CRS84")
    return cast(pd.DataFrame, found)


def _of_columns(
    frame: pd.DataFrame, origin: str, lon: str | None, lat: str | None, crs: str | None
) -> Places:
    east, north = coordinates(frame, lon, lat, origin)
    x, y = degrees(east, "EW"), degrees(north, "NS")
    n = len(frame)
    named = lon is not None or lat is not None
    if n > 1 and not named and usual_pair(frame) == PICTURES and _within(x) and _within(y):
        log.warning(
            "%s: %s and %s lie in 0 to 1, as boxes in pictures do: name columns with "
            "points.lon=... points.lat=... if they are some",
            *(origin, east.name, north.name),
        )
    longitudes, latitudes = degrees_of(x, y, crs, origin)
    return Places(longitudes, latitudes, np.arange(n), np.ones(n))


def _of_shapes(
    frame: Any, origin: str, crs: str | None, weight: str | None
) -> tuple[pd.DataFrame, Places]:
    frame = to_wgs84(frame, origin, crs)
    found = places(frame.geometry, origin)
    plain = pd.DataFrame(frame.drop(columns=frame.geometry.name))
    if weight == AREA and AREA not in plain.columns:
        plain[AREA] = areas_km2(frame.geometry)
    return plain, found


def _within(values: np.ndarray) -> bool:
    """Whether all lie in 0 to 1."""
    return bool(((values >= 0.0) & (values <= 1.0)).all())


def _numbers(values: pd.Series[Any]) -> np.ndarray:
    return pd.to_numeric(values, errors="coerce").to_numpy(float, na_value=np.nan)
