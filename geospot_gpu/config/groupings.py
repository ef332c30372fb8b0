"""The grouping that settings of group ``regions`` stand for."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

from geospot_gpu.config.settings import RegionsConfig
from geospot_gpu.config.signatures import arguments
from geospot_gpu.errors import GeospotError
from geospot_gpu.points import Points
from geospot_gpu.regions import Regions
from geospot_gpu.regions.grouping import GROUPINGS, Groups
from geospot_gpu.regions.grouping.levels import polygons_at
from geospot_gpu.regions.grouping.polygons import named_polygons, polygons_of

_MEANINGS = {
    "path": "the file of polygons",
    "level": "0 is the coarsest",
    "degrees": "the size of a cell",
    "resolution": "0 is the coarsest",
    "count": "how many regions",
}
"""Of settings that a grouping may lack."""

_TAKES = {
    by: {
        name: argument.default is argument.empty
        for name, argument in signature(function).parameters.items()
        if name not in ("points", *signature(Regions.from_groups).parameters)
    }
    for by, function in GROUPINGS.items()
} | {"auto": {}, "column": {}}  # whose column is points.region
"""Settings of each grouping, and whether it needs them."""


def unused_by_grouping(regions: RegionsConfig) -> dict[str, str]:
    """Settings of groupings that the chosen one does not take, and what each of them would need.

    Raises:
        GeospotError: there is no such grouping, or it lacks a setting.
    """
    if regions.by not in _TAKES:
        known = ", ".join(["auto", *GROUPINGS])
        raise GeospotError(f"regions.by={regions.by!r} is unknown: use one of {known}")
    for name, needed in _TAKES[regions.by].items():
        if needed and getattr(regions, name) is None:
            raise GeospotError(f"regions={regions.by} needs regions.{name}=...: {_MEANINGS[name]}")
    users: dict[str, list[str]] = {}
    for by, taken in _TAKES.items():
        for name in taken:
            users.setdefault(name, []).append(by)
    return {
        f"regions.{name}": f"regions={' or '.join(some)}"
        for name, some in users.items()
        if regions.by not in some
    }


def grouped(regions: RegionsConfig, points: Points, region: str | None) -> Groups:
    """Rows of the points of each region.

    Args:
        regions: the settings.
        points: the table.
        region: its column of region names.

    Raises:
        GeospotError: regions are to be named by a column that is not named itself.
    """
    by = regions.by
    if by == "auto":
        by = "country" if region is None else "column"
    given = arguments(regions, GROUPINGS[by])
    if by == "column":
        if region is None:
            raise GeospotError("regions=column needs points.region=...: the column of region names")
        given["name"] = region
    return GROUPINGS[by](points, **given)


def borders(regions: RegionsConfig) -> Any | None:
    """The polygons that regions are, a GeoDataFrame with column ``name``; None where they are none.

    Raises:
        GeospotError: the file is not there any more, or is another one.
    """
    readers: dict[str, Callable[..., Any]] = {"polygons": polygons_of, "levels": polygons_at}
    read = readers.get(regions.by)
    return None if read is None else named_polygons(*read(**arguments(regions, read)))


def within(regions: RegionsConfig) -> str:
    """What a point without a region lies in none of, as ``Regions.account`` has it."""
    return "polygons" if regions.path is not None else regions.by
