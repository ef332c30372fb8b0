"""Files of polygons that have levels, one within the other: which columns name each of them."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.names import keys, labels

log = logging.getLogger("geospot_gpu")

_MOST = 6
"""Levels that a file may have, from 0."""
_SHOWN = 100

Rows = NDArray[np.bool_]
Spelled = Mapping[str, str]
"""Columns of a table by their names in lower case, in which databases have them."""


class Level(NamedTuple):
    """One level of a hierarchy."""

    columns: tuple[str, ...]
    """That name it, the outermost first."""
    id: str | None = None
    """Column that tells places of one name apart."""
    rows: Rows | None = None
    """Which rows are of this level, where rows are of several, [m]."""


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
      Where a country has no such level it is in its finest one, as in the global composites.
    - Natural Earth: ``ADMIN``; ``admin`` and ``name`` of states; ``ADMIN``, ``REGION``, ``NAME`` of
      counties.
    - Eurostat's NUTS: ``NAME_LATN`` within ``CNTR_CODE``, levels by ``LEVL_CODE``, ids ``NUTS_ID``.
    - RESOLVE's ecoregions, levels ``REALM``, ``BIOME_NAME``, ``ECO_NAME``; WWF's, with ``BIOME``.
    - any other with names or codes of levels that differ in their number alone, as ``ADM0_EN``,
      ``ADM1_EN``, ... or ``admin0Name``, ``admin1Name``, ...
    """
    spelled = {str(label).lower(): str(label) for label in reversed(table.columns)}
    for layout in (_gadm, _geoboundaries, _natural_earth, _nuts, _ecoregions, _numbered):
        found = layout(table, spelled)
        if found is not None and found.levels:
            return found
    return None


def of_columns(columns: Collection[str]) -> Hierarchy:
    """The levels of columns that somebody names, the outermost first."""
    names = tuple(columns)
    return Hierarchy("regions.columns", {k: Level(names[: k + 1]) for k in range(len(names))})


def level_names(table: pd.DataFrame, level: Level, origin: str) -> pd.Series[Any]:
    """Names of the rows at a level, unique across parents: ``Germany / Bayern``.

    A place that has no name at this level keeps that of the finest level that it has one at, which
    is said; places of one name and different ids carry their id, which is said, too. Rows of other
    levels have no name.

    Args:
        table: of polygons, [m].
        level: of its hierarchy.
        origin: the file, for messages.
    """
    parts = [keys(labels(table[name])) for name in level.columns]
    own: pd.Series[Any] = parts[0]
    unnamed = np.zeros(len(table), bool)
    for part in parts[1:]:
        unnamed = part.isna().to_numpy(bool)
        own = own.where(unnamed, own.fillna("") + " / " + part.fillna("")).str.removeprefix(" / ")
    if level.rows is not None:
        own = own.where(level.rows)
    unnamed = unnamed & own.notna().to_numpy(bool)
    if unnamed.any():
        log.warning(
            "%s: %d polygons have no %s and are regions by the name of their parent: %s",
            *(origin, unnamed.sum(), level.columns[-1], _short(own[unnamed])),
        )
    if level.id is None:
        return own
    ids = labels(table[level.id])
    kinds = pd.DataFrame({"name": own, "id": ids})[~unnamed].drop_duplicates().dropna()
    shared = kinds["name"][kinds["name"].duplicated()].drop_duplicates()
    if len(shared):
        log.warning(
            "%s: %d names are of several places, which carry their %s: %s",
            *(origin, len(shared), level.id, _short(shared)),
        )
        with_id = own + " [" + ids.fillna("") + "]"
        own = own.where(~own.isin(shared), with_id)
    return own


def _short(names: pd.Series[Any]) -> str:
    text = ", ".join(dict.fromkeys(map(str, names)))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _gadm(table: pd.DataFrame, spelled: Spelled) -> Hierarchy | None:
    outer = [name for name in ("country", "name_0", "gid_0") if name in spelled]
    if "gid_0" not in spelled:
        return None
    names = [spelled[outer[0]]]
    while (name := f"name_{len(names)}") in spelled:
        names.append(spelled[name])
    levels = {k: Level(tuple(names[: k + 1]), spelled.get(f"gid_{k}")) for k in range(len(names))}
    return Hierarchy("GADM", levels)


def _geoboundaries(table: pd.DataFrame, spelled: Spelled) -> Hierarchy | None:
    if not {"shapename", "shapegroup", "shapetype"} <= spelled.keys():
        return None
    name, group, id = spelled["shapename"], spelled["shapegroup"], spelled.get("shapeid")
    known = labels(table[spelled["shapetype"]]).str.extract(r"^ADM(\d)$", expand=False)
    depth = pd.to_numeric(known).astype("float64")
    levels = {}
    for k in sorted(int(level) for level in depth.dropna().unique()):
        # A country without this level is there at the finest that it has.
        deepest = depth.where(depth <= k).groupby(table[group]).transform("max")
        rows = (depth == deepest).to_numpy(bool)
        levels[k] = Level((group, name) if k else (name,), id, rows)
    return Hierarchy("geoBoundaries", levels)


def _nuts(table: pd.DataFrame, spelled: Spelled) -> Hierarchy | None:
    if not {"levl_code", "nuts_id", "cntr_code"} <= spelled.keys():
        return None
    written = [name for name in ("name_latn", "nuts_name", "nuts_id") if name in spelled]
    name, country, id = (spelled[key] for key in (written[0], "cntr_code", "nuts_id"))
    depth = table[spelled["levl_code"]]
    return Hierarchy(
        "NUTS",
        {
            int(k): Level((country, name) if k else (name,), id, (depth == k).to_numpy(bool))
            for k in sorted(depth.dropna().unique())
        },
    )


def _natural_earth(table: pd.DataFrame, spelled: Spelled) -> Hierarchy | None:
    if not {"admin", "adm0_a3", "name"} <= spelled.keys():
        return None
    country, name = spelled["admin"], spelled["name"]
    levels = {0: Level((country,))}
    if {"adm2_code", "region"} <= spelled.keys():
        state = spelled["region"]
        levels[1] = Level((country, state))
        levels[2] = Level((country, state, name), spelled["adm2_code"])
    elif "adm1_code" in spelled:
        levels[1] = Level((country, name), spelled["adm1_code"])
    return Hierarchy("Natural Earth", levels)


def _ecoregions(table: pd.DataFrame, spelled: Spelled) -> Hierarchy | None:
    biomes = [name for name in ("biome_name", "biome") if name in spelled]
    if not biomes or not {"eco_name", "realm"} <= spelled.keys():
        return None
    realm, biome, own = (spelled[name] for name in ("realm", biomes[0], "eco_name"))
    title = "RESOLVE's ecoregions" if biomes[0] == "biome_name" else "WWF's ecoregions"
    # Names of ecoregions are unique as they are.
    return Hierarchy(title, {0: Level((realm,)), 1: Level((realm, biome)), 2: Level((own,))})


def _numbered(table: pd.DataFrame, spelled: Spelled) -> Hierarchy | None:
    """Levels of columns that differ in one digit, names before codes; two levels at least."""
    series: dict[str, dict[int, str]] = {}
    for name in spelled:
        for match in re.finditer(r"\d", name):
            pattern = f"{name[: match.start()]}#{name[match.end() :]}"
            series.setdefault(pattern, {})[int(match[0])] = spelled[name]
    for kind in ("name", r"^adm\w*#\w*_(en|fr|es|pt)$", r"^adm\w*#|code|iso|gid"):
        for pattern, found in series.items():
            first = min(found)
            if re.search(kind, pattern) and first <= 1 and first + 1 in found:
                numbers = [k for k in range(first, _MOST) if {*range(first, k + 1)} <= {*found}]
                columns = tuple(found[k] for k in numbers)
                levels = {k: Level(columns[: i + 1]) for i, k in enumerate(numbers)}
                return Hierarchy(", ".join(columns), levels)
    return None
