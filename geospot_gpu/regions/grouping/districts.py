"""Regions that are made of where points lie alone, and named by it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.points.table import Points
from geospot_gpu.regions.grouping.base import Groups, place_name
from geospot_gpu.sphere import centre, unit_vectors

_MOST_DECIMALS = 6


def check_count(count: object, places: int, origin: str) -> int:
    """How many regions to make.

    Raises:
        GeospotError: it is no number of regions, or there are fewer places than that.
    """
    found = checks.whole(count, "regions.count", least=1)
    if found > places:
        raise GeospotError(
            f"{origin}: has {places} places, fewer than regions.count={found}: ask for fewer "
            "regions"
        )
    return found


def districts(labels: NDArray[np.integer], at: NDArray[np.int64], points: Points) -> Groups:
    """Regions of points, named by their mean direction, with as many decimals as tell them apart.

    Args:
        labels: the district of each place, counted from 0, [k].
        at: the place of each point, [n].
        points: the points.
    """
    of_point = labels[at]
    rows = [np.flatnonzero(of_point == k) for k in np.unique(of_point)]
    xyz = unit_vectors(lon=points.lon, lat=points.lat)
    centres = [centre(xyz[some], points.weight[some]) for some in rows]
    for decimals in range(_MOST_DECIMALS + 1):
        names = [place_name(round(lon, decimals), round(lat, decimals)) for lon, lat in centres]
        if len({*names}) == len(names):
            break
    else:
        names = [f"{name} {k}" for k, name in enumerate(names)]
    return dict(sorted(zip(names, rows, strict=True)))
