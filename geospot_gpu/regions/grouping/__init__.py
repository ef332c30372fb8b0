"""Groupings: which points belong to which region."""

from __future__ import annotations

from collections.abc import Callable

from geospot_gpu.regions.grouping.base import Groups
from geospot_gpu.regions.grouping.column import by_column
from geospot_gpu.regions.grouping.country import by_country
from geospot_gpu.regions.grouping.grid import by_grid
from geospot_gpu.regions.grouping.h3 import by_h3
from geospot_gpu.regions.grouping.kd import by_kd
from geospot_gpu.regions.grouping.kmeans import by_kmeans
from geospot_gpu.regions.grouping.levels import by_levels
from geospot_gpu.regions.grouping.polygons import by_polygons
from geospot_gpu.regions.grouping.s2 import by_s2

__all__ = [
    "GROUPINGS",
    "Groups",
    "by_column",
    "by_country",
    "by_grid",
    "by_h3",
    "by_kd",
    "by_kmeans",
    "by_levels",
    "by_polygons",
    "by_s2",
]

GROUPINGS: dict[str, Callable[..., Groups]] = {
    "column": by_column,
    "country": by_country,
    "polygons": by_polygons,
    "levels": by_levels,
    "grid": by_grid,
    "h3": by_h3,
    "s2": by_s2,
    "kmeans": by_kmeans,
    "kd": by_kd,
}
"""All there are, by the name that settings have for them; their arguments are settings of group
``regions``."""
