"""Regions that are one level of a hierarchy of polygons: states, districts, biomes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.points.readers import column
from geospot_gpu.points.table import Points
from geospot_gpu.regions.grouping.base import Groups, check_places, grouping
from geospot_gpu.regions.grouping.hierarchies import find_hierarchy, of_columns
from geospot_gpu.regions.grouping.polygons import grouped_by_polygons, read_polygons
from geospot_gpu.regions.grouping.usual_names import PolygonNames, names_at


@grouping
def by_levels(
    points: Points, path: str | Path, level: int, columns: Sequence[str] | None = None
) -> Groups:
    """One region per unit of an administrative or other level, named with its parents.

    Layouts that are known: GADM, geoBoundaries, Natural Earth, NUTS, ecoregions of RESOLVE (0
    realm, 1 biome of a realm, 2 ecoregion) and of WWF, and columns numbered by level, as
    ``ADM1_EN``.

    Args:
        points: the points.
        path: a file with polygons; of a GeoPackage with a layer for each level, as GADM has them,
            that layer is read.
        level: 0 is the outermost; 1 are states of countries.
        columns: names of the levels, the outermost first, for files of another layout.

    Raises:
        GeospotError: the layout is not known, the file has no such level, or as
            :func:`by_polygons`.
    """
    points = check_places(points, "levels")
    return grouped_by_polygons(points, *polygons_at(path, level, columns))


def polygons_at(
    path: str | Path, level: int, columns: Sequence[str] | None = None
) -> tuple[Any, PolygonNames, str]:
    """The table of polygons, their names, and the file, as :func:`by_levels` has them."""
    level = checks.whole(level, "regions.level", least=0)
    frame, origin = read_polygons(path, level)
    table: Any = frame.drop(columns=frame.geometry.name)
    if columns is not None:
        named = checks.listed(columns, "regions.columns")
        hierarchy = of_columns(
            [str(column(table, name, "regions.columns", origin).name) for name in named]
        )
    else:
        found = find_hierarchy(table)
        if found is None:
            raise GeospotError(
                f"{origin}: is of no layout with levels that is known: name the columns of its "
                f"levels with regions.columns=[outermost,...]; there are: "
                f"{', '.join(map(str, table.columns[:20]))}"
            )
        hierarchy = found
    if level not in hierarchy.levels:
        raise GeospotError(
            f"{origin}: has no level {level} ({hierarchy.title}): it has regions.level="
            f"{', '.join(map(str, hierarchy.levels))}"
        )
    return frame, names_at(table, hierarchy, level, origin), origin
