"""Columns of a plain table that hold geometries: WKT, WKB, GeoJSON, or both coordinates."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError
from geospot_gpu.points.readers.columns import spelling
from geospot_gpu.points.readers.degrees import degrees_of_text
from geospot_gpu.points.readers.shapes import require_geopandas

log = logging.getLogger("geospot_gpu")

_NAMES = (
    *("geometry", "geom", "thegeom", "wkt", "wkb", "geometrywkt", "geometrywkb", "wktgeom"),
    *("wkbgeometry", "wktgeometry", "footprintwkt", "geo", "geojson", "shape", "footprint"),
    *(
        "geopoint",
        "geopoint2d",
        "geoshape",
        "coordinates",
        "coordinate",
        "coords",
        "coord",
        "location",
        "position",
    ),
    *("point", "lonlat", "lnglat", "longitudelatitude", "latlon", "latlng", "latlong"),
    *("latitudelongitude", "koordinaten", "coordonnees", "coordenadas", "gps", "centroid"),
)
"""Names of such columns, as :func:`~geospot_gpu.points.readers.columns.spelling` makes them."""
_LATITUDE_FIRST = ("lat", "geopoint")
"""How the names of columns begin that hold the latitude first; portals of OpenDataSoft do."""
_OF_RECORDS = (("lon", "lat"), ("lng", "lat"), ("longitude", "latitude"))
"""What records call longitude and latitude."""
_WKT = re.compile(
    r"\s*(SRID=\d+;)?\s*"
    r"((MULTI)?(POINT|POLYGON|LINESTRING)\s*(Z|M|ZM)?\s*(\(|EMPTY)|GEOMETRYCOLLECTION)",
    re.IGNORECASE,
)
_SRID = re.compile(r"\s*SRID=(\d+);", re.IGNORECASE)
"""As PostGIS writes it."""
_HEX = re.compile(r"0[01](?:[0-9a-fA-F]{2}){8,}")
_BRACKETS = "()[]{}<>"


class Shapes(NamedTuple):
    """A column of geometries."""

    label: Any
    geometry: NDArray[Any]
    """Shapes of shapely [n], None where there is none."""
    crs: str | None
    """What it says itself."""


def shapes_of(frame: pd.DataFrame, origin: str) -> Shapes | None:
    """The first column that holds geometries by its name and content; None where none does.

    Raises:
        GeospotError: one of its cells holds something else.
    """
    spelled = [spelling(label) for label in frame.columns]
    for at in sorted(range(len(spelled)), key=lambda at: _rank(spelled[at])):
        values = frame.iloc[:, at]
        named = spelled[at] in _NAMES
        if not named and values.dtype != object:
            continue
        known = values.dropna()
        first = known.iloc[0] if len(known) else None
        read = _reader(first) if named or _names_both(first) else None
        if read is not None:
            return _shapes(values, frame.columns[at], read, origin)
    return None


def _rank(name: str) -> int:
    return _NAMES.index(name) if name in _NAMES else len(_NAMES)


Read = Callable[["pd.Series[Any]"], NDArray[Any]]


def _reader(value: object) -> Read | None:
    """What reads a column that holds such values."""
    if isinstance(value, bytes | bytearray | memoryview):
        return _of_wkb
    if hasattr(value, "geom_type"):  # of shapely
        return _objects
    if isinstance(value, str):
        if _WKT.match(value):
            return _of_wkt
        if _HEX.fullmatch(value.strip()):
            return _of_wkb
        if value.lstrip().startswith("{"):
            return _of_geojson
        return _of_pairs if _pair(value) is not None else None
    if isinstance(value, dict) and "type" in value and "coordinates" in value:
        return _of_geojson
    if isinstance(value, dict | list | tuple | np.ndarray) and _pair(value) is not None:
        return _of_pairs
    return None


def _shapes(values: pd.Series[Any], label: Any, read: Read, origin: str) -> Shapes:
    require_geopandas()
    import shapely  # type: ignore[import-untyped]

    try:
        geometry = read(values)
    except (ValueError, TypeError, KeyError, shapely.errors.ShapelyError) as error:
        said = " ".join(str(error).split())[:120]
        raise GeospotError(
            f"{origin}: column {label!r} holds geometries, but not in every row ({said}): mend "
            "it, or name columns with points.lon=... points.lat=..."
        ) from error
    if read is _of_pairs and not isinstance(values.dropna().iloc[0], dict):
        geometry = _in_order(geometry, label, origin)
    own = getattr(values.array, "crs", None)
    if own is not None:
        return Shapes(label, geometry, own.to_string())
    codes = np.unique(shapely.get_srid(geometry[~shapely.is_missing(geometry)]))
    if len(codes) > 1:
        raise GeospotError(
            f"{origin}: column {label!r} holds geometries of different reference systems (SRID "
            f"{', '.join(map(str, codes[:5]))}): reproject them to one"
        )
    return Shapes(label, geometry, f"EPSG:{codes[0]}" if codes.any() else None)


def _of_wkt(values: pd.Series[Any]) -> NDArray[Any]:
    import shapely

    texts = _objects(values)
    said = [None if text is None else _SRID.match(text) for text in texts]
    bare = [None if text is None else _SRID.sub("", text) for text in texts]
    geometry = shapely.from_wkt(np.array(bare, dtype=object))
    return np.asarray(shapely.set_srid(geometry, [int(one[1]) if one else 0 for one in said]))


def _of_wkb(values: pd.Series[Any]) -> NDArray[Any]:
    import shapely

    return np.asarray(
        shapely.from_wkb([one.strip() if isinstance(one, str) else one for one in _objects(values)])
    )


def _of_geojson(values: pd.Series[Any]) -> NDArray[Any]:
    import shapely

    texts = [
        one if one is None or isinstance(one, str) else json.dumps(one, default=_plain)
        for one in _objects(values)
    ]
    return np.asarray(shapely.from_geojson(texts))


def _objects(values: pd.Series[Any]) -> NDArray[Any]:
    """The cells of a column, None where there is none."""
    found = values.to_numpy(object, copy=True)
    found[values.isna().to_numpy(bool)] = None
    return found


def _plain(value: Any) -> Any:
    return value.tolist()


def _of_pairs(values: pd.Series[Any]) -> NDArray[Any]:
    """Points of two numbers each, in the order in which they are written."""
    import shapely

    nowhere = (np.nan, np.nan)
    pairs = [nowhere if one is None else _pair(one) or nowhere for one in _objects(values)]
    return np.asarray(shapely.points(np.array(pairs, dtype=float)))


def _names_both(value: Any) -> bool:
    """Whether it is a record that names its longitude and latitude, and not just x and y."""
    names = {spelling(key) for key in value} if isinstance(value, dict) else set()
    return any(names.issuperset(pair) for pair in _OF_RECORDS)


def _pair(value: Any) -> tuple[float, float] | None:
    """Both numbers of a pair, longitude first where it names them; None where it is none."""
    if isinstance(value, dict):
        names = {spelling(key): part for key, part in value.items()}
        for lon, lat in (*_OF_RECORDS, ("x", "y")):
            if lon in names and lat in names:
                return float(names[lon]), float(names[lat])
        return None
    if isinstance(value, str):
        parts = _cut(value.translate(str.maketrans("", "", _BRACKETS)))
        if len(parts) != 2:
            return None
        for first, second in (("EW", "NS"), ("NS", "EW")):
            one, other = _number(parts[0], first), _number(parts[1], second)
            if not np.isnan(one + other):
                return (one, other) if first == "EW" else (other, one)
        return None
    if len(value) in (2, 3) and all(isinstance(one, int | float | np.number) for one in value):
        return float(value[0]), float(value[1])
    return None


def _number(text: str, letters: str) -> float:
    try:
        return float(text)
    except ValueError:
        return degrees_of_text(text, letters)


def _cut(text: str) -> list[str]:
    """The two parts of a text: cut at a semicolon, a comma and a blank, a comma, or blanks."""
    for mark in (";", ", ", ","):
        if text.count(mark) == 1:
            return text.split(mark)
    return text.split()


def _in_order(geometry: NDArray[Any], label: Any, origin: str) -> NDArray[Any]:
    """Pairs with the longitude first, as GeoJSON has it, unless the name or the numbers say so."""
    import shapely

    first, second = shapely.get_x(geometry), shapely.get_y(geometry)
    latitude_first = spelling(label).startswith(_LATITUDE_FIRST) or (
        np.nanmax(np.abs(second), initial=0) > 90 >= np.nanmax(np.abs(first), initial=0)
    )
    if latitude_first:
        first, second = second, first
    if not spelling(label).startswith((*_LATITUDE_FIRST, "lon", "lng")):
        order = "latitude, longitude" if latitude_first else "longitude, latitude"
        log.warning("%s: took column %r for pairs of %s", origin, label, order)
    return np.asarray(shapely.points(first, second))
