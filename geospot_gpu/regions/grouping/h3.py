"""Regions that are cells of H3: hexagons of nearly equal size."""

from __future__ import annotations

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.packages import imported
from geospot_gpu.points.table import Points
from geospot_gpu.regions.grouping.base import Groups, check_places, grouping, groups_of_cells

_FINEST = 15


@grouping
def by_h3(points: Points, resolution: int) -> Groups:
    """One region per H3 cell, named by its index in hexadecimal digits: ``831fb4fffffffff``.

    Args:
        points: the points.
        resolution: 0 (cells of 4.4 million km² on average) to 15 (0.9 m²); each is a seventh of the
            one before: https://h3geo.org/docs/core-library/restable.

    Raises:
        GeospotError: there is no such resolution, h3 is not installed, or the points have no
            coordinates.

    >>> by_h3(Points.build(lon=[13.4], lat=[52.5]), 3)
    {'831f18fffffffff': array([0])}
    """
    check_places(points, "h3")
    resolution = checks.whole(resolution, "regions.resolution")
    if not 0 <= resolution <= _FINEST:
        raise GeospotError(f"regions.resolution={resolution}: H3 has resolutions 0 to {_FINEST}")
    h3 = imported("h3", "cells of H3 need h3", "cells")
    return groups_of_cells(points, lambda lat, lon: h3.latlng_to_cell(lat, lon, resolution))
