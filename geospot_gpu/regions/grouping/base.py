"""What all groupings share: what they are given, and what they return."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import checks
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.points.table import Points

Groups = dict[str, NDArray[np.int64]]
"""Rows of the points of each region, by name; a point may belong to several regions."""

grouping = out_of_memory("grouping points into regions", "give fewer points")
"""Decorates every grouping."""


def check_points(points: object) -> Points:
    """The points, where they are some, with coordinates or without."""
    table: Points = checks.instance(points, Points, "points", "as read_points gives them")
    return table


def check_places(points: object, by: str) -> Points:
    """The points, where they have coordinates.

    Args:
        points: the argument of a grouping.
        by: what it groups them by, for the message.

    Raises:
        GeospotError: these are no points, or they have no coordinates.
    """
    table = check_points(points)
    table.check_located(f"regions={by}", "name the column of their regions, points.region=...")
    return table


def groups_of(names: pd.Series[Any]) -> Groups:
    """Rows by the name of each point [n]; points without one belong to no region."""
    rows = pd.Series(np.arange(len(names), dtype=np.int64))
    return {str(name): group.to_numpy() for name, group in rows.groupby(names.to_numpy(object))}


def distinct_places(points: Points) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Longitude and latitude [k, 2] of each place once, and which of them every point has, [n]."""
    # As complex numbers, which NumPy sorts several times faster than rows of a matrix.
    distinct, at = np.unique(points.lon + 1j * points.lat, return_inverse=True)
    return np.stack([distinct.real, distinct.imag], axis=1), at


def groups_of_cells(points: Points, cell: Callable[[float, float], str]) -> Groups:
    """Rows by the cell of each point.

    Args:
        points: the points.
        cell: gives the name of the cell of a latitude and a longitude, asked once for each place.
    """
    places, at = distinct_places(points)
    names = [cell(lat, lon) for lon, lat in places.tolist()]
    return groups_of(pd.Series(np.asarray(names)[at], dtype="string"))


def place_name(lon: float, lat: float) -> str:
    """A place as the name of a region: ``40N 010W``.

    >>> place_name(-10.0, 40.0), place_name(2.35, -48.9)
    ('40N 010W', '48.9S 002.35E')
    """
    return f"{_degrees(lat, 'NS', 2)} {_degrees(lon, 'EW', 3)}"


def _degrees(value: float, letters: str, width: int) -> str:
    value = round(value, 6)
    whole, _, fraction = f"{abs(value):.6f}".rstrip("0").rstrip(".").partition(".")
    return whole.zfill(width) + (f".{fraction}" if fraction else "") + letters[int(value < 0)]
