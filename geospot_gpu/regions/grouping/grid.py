"""Regions that are cells of a grid of longitude and latitude."""

from __future__ import annotations

import numpy as np
import pandas as pd

from geospot_gpu.points.table import Points, grid_cells
from geospot_gpu.regions.grouping.base import (
    Groups,
    check_places,
    grouping,
    groups_of,
    place_name,
)


@grouping
def by_grid(points: Points, degrees: float) -> Groups:
    """One region per lon/lat cell of ``degrees``, named by its south-west corner: ``40N 010W``.

    Raises:
        GeospotError: there is no grid of this size, or the points have no coordinates.
    """
    check_places(points, "grid")
    cells = grid_cells(lon=points.lon, lat=points.lat, degrees=degrees, key="regions.degrees")
    corners, cell = np.unique(cells, axis=0, return_inverse=True)
    names = [
        place_name(-180.0 + column * degrees, -90.0 + row * degrees) for column, row in corners
    ]
    return groups_of(pd.Series(np.asarray(names)[cell.ravel()], dtype="string"))
