"""Regions that are cells of S2: quadrilaterals, four to each of the level before."""

from __future__ import annotations

import numpy as np
import pandas as pd

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.points.table import Points
from geospot_gpu.regions.grouping.base import (
    Groups,
    check_places,
    distinct_places,
    grouping,
    groups_of,
)

_FINEST = 30


@grouping
def by_s2(points: Points, level: int) -> Groups:
    """One region per S2 cell, named by its token: ``47a84d``.

    Args:
        points: the points.
        level: 0 (six cells of 85 million km²) to 30 (0.7 cm²); each is a quarter of the one before:
            http://s2geometry.io/resources/s2cell_statistics.

    Raises:
        GeospotError: there is no such level, s2cell is not installed, or the points have no
            coordinates.

    >>> by_s2(Points.build(lon=[13.4], lat=[52.5]), 8)
    {'47a85': array([0])}
    """
    check_places(points, "s2")
    level = checks.whole(level, "regions.level")
    if not 0 <= level <= _FINEST:
        raise GeospotError(f"regions.level={level}: S2 has levels 0 to {_FINEST}")
    try:
        import s2cell
    except ImportError as error:
        raise GeospotError(
            "cells of S2 need s2cell: install it with pip install 'geospot_gpu[cells]'"
        ) from error
    places, at = distinct_places(points)
    names = [s2cell.lat_lon_to_token(lat, lon, level) for lon, lat in places.tolist()]
    return groups_of(pd.Series(np.asarray(names)[at], dtype="string"))
