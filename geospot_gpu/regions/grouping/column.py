"""Regions that a column of the table names."""

from __future__ import annotations

from geospot_gpu.names import labels, unified
from geospot_gpu.points.readers import column
from geospot_gpu.points.table import Points
from geospot_gpu.regions.grouping.base import Groups, check_points, grouping, groups_of


@grouping
def by_column(points: Points, name: str) -> Groups:
    """One region per name in a column; points without one belong to no region.

    Spellings that differ in surrounding blanks or Unicode form alone are one name, as first
    written. The points need no coordinates.

    Raises:
        GeospotError: there is no such column.
    """
    check_points(points)
    values = column(points.attributes, name, "points.region", points.origin)
    return groups_of(unified(labels(values), f"{points.origin}: column {name!r}"))
