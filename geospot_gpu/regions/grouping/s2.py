"""Regions that are cells of S2: quadrilaterals, four to each of the level before."""

from __future__ import annotations

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.packages import imported
from geospot_gpu.points.table import Points
from geospot_gpu.regions.grouping.base import Groups, check_places, grouping, groups_of_cells

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
    s2cell = imported("s2cell", "cells of S2 need s2cell", "cells")
    return groups_of_cells(points, lambda lat, lon: s2cell.lat_lon_to_token(lat, lon, level))
