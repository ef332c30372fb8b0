"""Files of polygons that have levels, one within the other: which columns name each of them."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from geospot_gpu.names import keys, labels

log = logging.getLogger("geospot_gpu")

_MOST = 6
"""Levels that a file may have, from 0."""


class Level(NamedTuple):
    """One level of a hierarchy."""

    columns: tuple[str, ...]
    """That name it, the outermost first."""
    id: str | None = None
    """Column that tells places of one name apart."""
    only: tuple[str, object] | None = None
    """A column and the value that it has in rows of this level, where rows are of several."""


class Hierarchy(NamedTuple):
    """The levels of a file."""

    title: str
    levels: Mapping[int, Level]

    def describe(self, level: int) -> str:
        """Which columns name a level: ``COUNTRY / NAME_1``."""
        return " / ".join(self.levels[level].columns)


def find_hierarchy(table: pd.DataFrame) -> Hierarchy | None:
    """The layout of a table that is known by its columns, or None.

    - GADM: ``COUNTRY`` or ``NAME_0``, ``NAME_1``, ..., with ids ``GID_0``, ``GID_1``, ...
    - geoBoundaries: ``shapeName`` within ``shapeGroup``, levels by ``shapeType``, ids ``shapeID``.
    - Natural Earth: ``ADMIN``; ``admin`` and ``name`` of states; ``ADMIN``, ``REGION``, ``NAME`` of
      counties.
    - Eurostat's NUTS: ``NAME_LATN`` within ``CNTR_CODE``, levels by ``LEVL_CODE``, ids ``NUTS_ID``.
    - RESOLVE's ecoregions, levels ``REALM``, ``BIOME_NAME``, ``ECO_NAME``; WWF's, with ``BIOME``.
    - any other with names or codes of levels that differ in their number alone, as ``ADM0_EN``,
      ``ADM1_EN``, ... or ``admin0Name``, ``admin1Name``, ...
    """
    there = [str(label) for label in table.columns]
    for layout in (_gadm, _geoboundaries, _natural_earth, _nuts, _ecoregions, _numbered):
        found = layout(table, there)
        if found is not None and found.levels:
            return found
    return None


def of_columns(columns: Collection[str]) -> Hierarchy:
    """The levels of columns that somebody names, the outermost first."""
    names = tuple(columns)
    return Hierarchy("regions.columns", {k: Level(names[: k + 1]) for k in range(len(names))})


def level_names(
    table: pd.DataFrame, hierarchy: Hierarchy, level: int, origin: str
) -> pd.Series[Any]:
    """Names of the rows at a level, unique across parents: ``Germany / Bayern``.

    A place that has no name at this level keeps that of the finest level that it has one at, which
    is said; places of one name and different ids carry their id, which is said, too. Rows of other
    levels have no name.

    Args:
        table: of polygons, [m].
        hierarchy: its levels.
        level: one of them.
        origin: the file, for messages.
    """
    columns, id, only = hierarchy.levels[level]
    parts = [keys(labels(table[name])) for name in columns]
    own: pd.Series[Any] = parts[0]
    unnamed = np.zeros(len(table), bool)
    for part in parts[1:]:
        unnamed = part.isna().to_numpy(bool)
        own = own.where(unnamed, own.fillna("") + " / " + part.fillna("")).str.removeprefix(" / ")
    of_level = np.ones(len(table), bool) if only is None else _rows(table[only[0]], only[1])
    own = own.where(of_level)
    unnamed &= own.notna().to_numpy(bool) & of_level
    if unnamed.any():
        examples = ", ".join(dict.fromkeys(own[unnamed].astype(str)))
        log.warning(
            "%s: %d polygons have no %s and are regions by their parent's name: %s",
            *(origin, unnamed.sum(), columns[-1], _short(examples)),
        )
    if id is None:
        return own
    ids = labels(table[id])
    kinds = pd.DataFrame({"name": own, "id": ids})[of_level & ~unnamed].drop_duplicates().dropna()
    shared = kinds["name"][kinds["name"].duplicated()].unique()
    if len(shared):
        log.warning(
            "%s: %d names are of several places, which carry their %s: %s",
            *(origin, len(shared), id, _short(", ".join(shared))),
        )
        own = own.where(~own.isin(shared), own + " [" + ids.fillna("") + "]")
    return own


def _rows(values: pd.Series[Any], value: object) -> Any:
    return (values == value).to_numpy(bool)


def _short(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:97]}..."


def _gadm(table: pd.DataFrame, there: list[str]) -> Hierarchy | None:
    outer = next((name for name in ("COUNTRY", "NAME_0", "GID_0") if name in there), None)
    if outer is None or "GID_0" not in there:
        return None
    names = [str(outer)]
    for k in range(1, _MOST):
        if f"NAME_{k}" not in there:
            break
        names.append(f"NAME_{k}")
    return Hierarchy(
        "GADM",
        {
            k: Level(tuple(names[: k + 1]), f"GID_{k}" if f"GID_{k}" in there else None)
            for k in range(len(names))
        },
    )


def _geoboundaries(table: pd.DataFrame, there: list[str]) -> Hierarchy | None:
    if not {"shapeName", "shapeGroup", "shapeType"} <= {*there}:
        return None
    id = "shapeID" if "shapeID" in there else None
    return _by_type(
        "geoBoundaries", table, "shapeType", "ADM{}".format,
        Level(("shapeName",)), Level(("shapeGroup", "shapeName"), id),
    )  # fmt: skip


def _nuts(table: pd.DataFrame, there: list[str]) -> Hierarchy | None:
    if not {"LEVL_CODE", "NUTS_ID", "CNTR_CODE"} <= {*there}:
        return None
    name = next((name for name in ("NAME_LATN", "NUTS_NAME") if name in there), "NUTS_ID")
    return _by_type(
        "NUTS", table, "LEVL_CODE", int, Level((name,)), Level(("CNTR_CODE", name), "NUTS_ID")
    )


def _by_type(
    title: str,
    table: pd.DataFrame,
    column: str,
    value: Callable[[int], object],
    outer: Level,
    inner: Level,
) -> Hierarchy:
    """Levels whose rows a column tells apart."""
    return Hierarchy(
        title,
        {
            k: (inner if k else outer)._replace(only=(column, value(k)))
            for k in range(_MOST)
            if _rows(table[column], value(k)).any()
        },
    )


def _natural_earth(table: pd.DataFrame, there: list[str]) -> Hierarchy | None:
    spelled = {name.lower(): name for name in there}
    if not {"admin", "adm0_a3", "name"} <= spelled.keys():
        return None
    country, name = spelled["admin"], spelled["name"]
    levels = {0: Level((country,))}
    if "adm2_code" in spelled and "region" in spelled:
        state = spelled["region"]
        levels[1] = Level((country, state))
        levels[2] = Level((country, state, name), spelled["adm2_code"])
    elif "adm1_code" in spelled:
        levels[1] = Level((country, name), spelled["adm1_code"])
    return Hierarchy("Natural Earth", levels)


def _ecoregions(table: pd.DataFrame, there: list[str]) -> Hierarchy | None:
    biome = next((name for name in ("BIOME_NAME", "BIOME") if name in there), None)
    if biome is None or not {"ECO_NAME", "REALM"} <= {*there}:
        return None
    title = "RESOLVE's ecoregions" if biome == "BIOME_NAME" else "WWF's ecoregions"
    # Names of ecoregions are unique as they are.
    return Hierarchy(
        title, {0: Level(("REALM",)), 1: Level(("REALM", biome)), 2: Level(("ECO_NAME",))}
    )


def _numbered(table: pd.DataFrame, there: list[str]) -> Hierarchy | None:
    """Levels of columns that differ in one digit, names before codes; two levels at least."""
    series: dict[str, dict[int, str]] = {}
    for name in there:
        for match in re.finditer(r"\d", name):
            pattern = f"{name[: match.start()]}#{name[match.end() :]}"
            series.setdefault(pattern, {})[int(match[0])] = name
    kinds = (r"name", r"adm\w*_(en|fr|es|pt)$", r"(code|iso|gid|adm\w*#)")
    for kind in kinds:
        for pattern, found in series.items():
            first = min(found)
            if len(found) < 2 or first > 1 or not re.search(kind, pattern, re.IGNORECASE):
                continue
            run = [k for k in range(first, first + len(found)) if k in found]
            columns = tuple(found[k] for k in run)
            return Hierarchy(
                ", ".join(columns), {k: Level(columns[: i + 1]) for i, k in enumerate(run)}
            )
    return None
