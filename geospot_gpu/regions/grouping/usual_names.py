"""Which column of a file of polygons names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError
from geospot_gpu.names import labels
from geospot_gpu.points.readers import column
from geospot_gpu.regions.grouping.hierarchies import Hierarchy, find_hierarchy, level_names

CODES = (
    *("adm0_a3", "gid_0", "shapegroup", "iso_a3", "iso3", "iso_3", "iso3_code", "iso_a2_eh"),
    *("iso_a2", "iso2", "iso_2", "cntr_id", "cntr_code", "country_code"),
)
"""Columns of codes of countries, those first that are whole: ISO_A3 of Natural Earth is not."""

_USUAL = (
    *("name", "name_en", "region_name", "region", "district", "shapename", "label", "title"),
    *("name_latn", "namelsad", "country", "admin", "state", "province", "county", "eco_name"),
    *("zone", "area", "id", "code", "gid", "fid", "objectid"),
)
"""Columns that name polygons, in lower case, the likeliest first."""


_NO_CODE = "-99"
"""What Natural Earth writes where a country has no code."""


class PolygonNames(NamedTuple):
    """What the polygons of a file are called."""

    values: pd.Series[Any]
    """Of each row, as text; NA where it has none."""
    title: str
    """Where they are from, for messages."""
    rows: NDArray[np.bool_] | None = None
    """Which rows define regions, where others are of another level, [m]."""
    chosen: str | None = None
    """What was chosen where nobody said it."""


def chosen_names(
    frame: pd.DataFrame, name: str | None, origin: str, first: Sequence[str] = ()
) -> PolygonNames:
    """Names from the column that is asked for, or from the likeliest; which one is said then.

    Args:
        frame: the table of polygons.
        name: of the column; None where it is to be found: among ``first``, then as the finest
            level of a hierarchy that is known, then among columns of usual names.
        origin: the file, for messages.
        first: columns to look for before all others, in lower case.

    Raises:
        GeospotError: there is no such column, or none that may be meant.
    """
    if name is not None:
        return PolygonNames(_names(column(frame, name, "regions.name", origin)), repr(name))
    table = pd.DataFrame(frame.drop(columns=frame.geometry.name))
    spelled = {str(label).lower(): label for label in reversed(table.columns)}
    found = next((spelled[usual] for usual in first if usual in spelled), None)
    hierarchy = None if found is not None else find_hierarchy(table)
    if hierarchy is not None:
        level = max(hierarchy.levels)
        said = f"{hierarchy.describe(level)}, as in {hierarchy.title}"
        return names_at(table, hierarchy, level, origin)._replace(chosen=said)
    if found is None:
        texts = [label for label in table.columns if pd.api.types.is_string_dtype(table[label])]
        usual = next((spelled[usual] for usual in _USUAL if usual in spelled), None)
        found = texts[0] if usual is None and len(texts) == 1 else usual
    if found is None:
        there = ", ".join(map(str, table.columns[:20])) or "no column but the geometry"
        raise GeospotError(
            f"{origin}: say which column names the regions, with regions.name=...; there are: "
            f"{there}"
        )
    return PolygonNames(_names(table[found]), repr(str(found)), chosen=repr(str(found)))


def names_at(table: pd.DataFrame, hierarchy: Hierarchy, level: int, origin: str) -> PolygonNames:
    """The names of one level of a hierarchy."""
    own = hierarchy.levels[level]
    return PolygonNames(level_names(table, own, origin), hierarchy.describe(level), own.rows)


def _names(values: pd.Series[Any]) -> pd.Series[Any]:
    """Names as text; NA where there is none, or Natural Earth has no code, as for France."""
    found = labels(values)
    return found.mask(found == _NO_CODE)
