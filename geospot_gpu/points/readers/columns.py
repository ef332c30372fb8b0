"""Columns of a table: by name, and those that hold longitude and latitude by the usual names."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Hashable, Sequence
from typing import Any

import pandas as pd

from geospot_gpu.errors import GeospotError
from geospot_gpu.names import Names

log = logging.getLogger("geospot_gpu")

PLANE = (
    ("pointx", "pointy"),  # ArcGIS
    ("xcoord", "ycoord"),
    ("coordx", "coordy"),
    ("easting", "northing"),
    ("rechtswert", "hochwert"),
    ("ostwert", "nordwert"),
)
"""Names that are of a projection more often than of degrees."""

PAIRS = (
    ("lon", "lat"),
    ("longitude", "latitude"),
    ("lng", "lat"),
    ("long", "lat"),
    ("decimallongitude", "decimallatitude"),  # Darwin Core
    ("locationlong", "locationlat"),  # Movebank
    ("longitudedeg", "latitudedeg"),  # OurAirports
    ("longitudeindegrees", "latitudeindegrees"),
    ("longitudedegreeseast", "latitudedegreesnorth"),  # SeaDataNet
    ("longitudee", "latituden"),
    ("londeg", "latdeg"),
    ("longnum", "latnum"),  # DHS
    ("centrelon", "centrelat"),  # Major TOM
    ("centerlon", "centerlat"),
    ("centroidlon", "centroidlat"),
    ("gpslongitude", "gpslatitude"),
    ("gpslon", "gpslat"),
    ("geolongitude", "geolatitude"),
    ("geolon", "geolat"),
    ("geolng", "geolat"),
    ("wgs84lon", "wgs84lat"),
    ("lonwgs84", "latwgs84"),
    ("laenge", "breite"),
    ("lange", "breite"),
    ("laengengrad", "breitengrad"),
    ("langengrad", "breitengrad"),
    ("geogrlaenge", "geogrbreite"),
    ("geogrlange", "geogrbreite"),
    ("geolaenge", "geobreite"),
    ("geolange", "geobreite"),
    ("longitud", "latitud"),  # Spanish
    ("longitudine", "latitudine"),  # Italian
    ("intptlong", "intptlat"),  # the census of the United States
    ("intptlon", "intptlat"),
    ("longitudewgs84", "latitudewgs84"),
    ("longdd", "latdd"),
    *PLANE,
    ("x", "y"),
)
"""Names of longitude and latitude, as :func:`spelling` makes them, the likeliest first."""

PICTURES = ("x", "y")
"""The pair that boxes in pictures have, too."""


def spelling(label: object) -> str:
    """What is compared of the name of a column: its letters and digits.

    >>> spelling(" Decimal_Longitude"), spelling("L\u00e4ngengrad")
    ('decimallongitude', 'langengrad')
    """
    plain = unicodedata.normalize("NFKD", str(label)).casefold()
    return "".join(letter for letter in plain if letter.isalnum())


def column(frame: pd.DataFrame, name: object, key: str, origin: str) -> pd.Series[Any]:
    """The named column, or an error that names the key and the columns there are."""
    if isinstance(name, Hashable) and name in frame.columns:
        return frame[name]
    at = Names([str(label) for label in frame.columns]).find(name, key)
    if at is None:
        raise GeospotError(f"{origin}: {key}={name!r} is not a column; {columns_there(frame)}")
    return frame.iloc[:, at]


def columns_there(frame: pd.DataFrame) -> str:
    """What is said of the columns there are."""
    there = ", ".join(map(str, frame.columns[:20]))
    return f"there are: {there}{', ...' if len(frame.columns) > 20 else ''}"


def usual_pair(
    frame: pd.DataFrame, lon: str | None = None, lat: str | None = None
) -> tuple[str, str] | None:
    """The likeliest spellings of both coordinates that the table has; None where it has none.

    Where one of them is named, the pair that it belongs to is likeliest.
    """
    there = {spelling(label) for label in frame.columns}
    given = [None if name is None else spelling(name) for name in (lon, lat)]
    found = [pair for pair in PAIRS if there.issuperset(pair)]
    of_given = [pair for pair in found if pair[0] == given[0] or pair[1] == given[1]]
    return next(iter(of_given + found), None)


def names_coordinates(frame: pd.DataFrame) -> bool:
    """Whether a column has the usual name of a coordinate; ``x`` or ``y`` alone is none."""
    there = {spelling(label) for label in frame.columns}
    plain = {name for pair in PAIRS if pair != PICTURES for name in pair}
    return usual_pair(frame) is not None or not there.isdisjoint(plain)


def coordinates(
    frame: pd.DataFrame, lon: str | None, lat: str | None, origin: str
) -> tuple[pd.Series[Any], pd.Series[Any]]:
    """The columns of longitude and latitude: those that are named, or of the usual names.

    Raises:
        GeospotError: one of them is not there.
    """
    pair = usual_pair(frame, lon, lat)
    return (
        _coordinate(frame, lon, pair[0] if pair else None, 0, origin),
        _coordinate(frame, lat, pair[1] if pair else None, 1, origin),
    )


def _coordinate(
    frame: pd.DataFrame, given: str | None, usual: str | None, axis: int, origin: str
) -> pd.Series[Any]:
    """The column of an axis: the one that is named, that of the pair, or of any usual name."""
    name = ("lon", "lat")[axis]
    if given is not None:
        return column(frame, given, f"points.{name}", origin)
    labels = [str(label) for label in frame.columns]
    spelled = [spelling(label) for label in labels]
    known = list(dict.fromkeys(pair[axis] for pair in PAIRS))
    found = [spelled.index(one) for one in _first(usual, known) if one in spelled]
    if not found:
        raise GeospotError(
            f"{origin}: no {name} column found (looked for {', '.join(known[:6])} and other usual "
            f"names); name it with points.{name}=..., or set cost.geo_weight=0 where points have "
            f"none; {columns_there(frame)}"
        )
    first = found[0]
    whole = ("longitude", "latitude")[axis]
    alike = [
        label
        for at, label in enumerate(labels)
        if at != first and (at in found or whole in spelled[at] or _again(label, labels[first]))
        if spelled[at] not in {pair[axis] for pair in PLANE}
    ]
    if alike:
        log.warning(
            "%s: took column %r for %s, not %s: name the right one with points.%s=...",
            *(origin, labels[first], name, " or ".join(map(repr, alike[:3])), name),
        )
    return frame.iloc[:, first]


def _again(label: str, first: str) -> bool:
    """Whether it is what pandas calls a further column of the same name."""
    return re.fullmatch(rf"{re.escape(first)}\.\d+", label) is not None


def _first(usual: str | None, known: Sequence[str]) -> list[str]:
    return [*([] if usual is None else [usual]), *(one for one in known if one != usual)]
