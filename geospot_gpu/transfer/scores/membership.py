"""Which regions of a run test samples lie in."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.config import settings
from geospot_gpu.config.groupings import grouped
from geospot_gpu.errors import GeospotError
from geospot_gpu.names import Names, as_ids_of, labels, match_names, name_key
from geospot_gpu.points.readers.columns import column
from geospot_gpu.points.table import Points
from geospot_gpu.regions import Regions
from geospot_gpu.runs.origin import configured
from geospot_gpu.runs.run import Run
from geospot_gpu.runs.store import MANIFEST
from geospot_gpu.sphere import unit_vectors
from geospot_gpu.transfer.scores.samples import Samples

log = logging.getLogger("geospot_gpu")

_SPATIAL = frozenset({"country", "polygons", "levels", "grid", "h3", "s2"})
"""Groupings that say of any place which region it lies in."""
_LISTED = 5


class Membership(NamedTuple):
    """Samples and the regions that they lie in, one entry for each of both, [m]."""

    sample: NDArray[np.int64]
    region: NDArray[np.int64]
    """Position among the names of the regions."""


class Among(NamedTuple):
    """Regions that samples may lie in."""

    regions: Regions
    groups: Callable[[Points], Mapping[str, NDArray[np.int64]] | None]
    """Places by the names of the regions that they lie in; None where places alone do not say."""
    whose: str
    """Whose regions they are, for messages."""


def regions_of(samples: Samples, names: Sequence[str], run: Run | None) -> Membership:
    """Which regions samples lie in; a sample may lie in several, as in a country and a union.

    The first of these that is there says it:

    1. the column ``target`` or ``region``, whose names are compared with those of the regions;
    2. the column ``id``, whose ids are those of the run's own points, in the column of that name,
       if they have it;
    3. coordinates. Countries, polygons, levels, cells of a grid, of H3 and of S2 are found anew as
       the run's manifest says. For other groupings a sample lies in the region of the nearest point
       of the run, if it is no farther away than points of that region lie from each other: the
       largest distance of one of them to its nearest.

    Samples of no region are counted aloud.

    Args:
        samples: what to place.
        names: of the regions.
        run: whose regions they are; None where only names are known.

    Raises:
        GeospotError: nothing says where samples lie, or they lie in no region at all.
    """
    among = None
    if run is not None:
        among = Among(run.regions, partial(_spatial, run=run), "the sweep")
    return members_of(samples, names, among)


def members_of(samples: Samples, names: Sequence[str], among: Among | None) -> Membership:
    """The same in any regions.

    Args:
        samples: what to place.
        names: of the regions.
        among: the regions; None where only names are known.

    Raises:
        GeospotError: as :func:`regions_of`.
    """
    whose = "the sweep" if among is None else among.whose
    if "target" in samples.names:
        found = _by_name(samples, names)
    elif among is None:
        raise GeospotError(
            f"{samples.where}: has a row per sample and no column region: give it one, or the run "
            "instead of its names, read_scores(..., regions=run), to find regions by coordinates "
            "or ids"
        )
    elif (rows := own_rows(samples, among.regions)) is not None:
        known = np.flatnonzero(rows >= 0)
        found = _of_rows(known, rows[known], among.regions)
    elif samples.points is not None:
        _say_of_ids(samples, among.regions)
        found = _by_place(samples, among)
    elif "id" in samples.names:
        raise GeospotError(
            f"{samples.where}: {among.regions.sources[0].points.origin} has no column "
            f"{samples.headers['id']} to find its samples by: name another with scores.id=..., or "
            "give the column region"
        )
    else:
        raise GeospotError(
            f"{samples.where}: nothing says in which regions its samples lie: give the column "
            "region, id, or lon and lat"
        )
    inside = len(np.unique(found.sample))
    if inside == 0:
        raise GeospotError(
            f"{samples.where}: none of its {len(samples):,} samples lies in a region of {whose}; "
            f"{_hint(samples, names)}"
        )
    if inside < len(samples):
        log.warning(
            "%s: %d of %d samples lie in no region of %s, left out%s",
            *(samples.where, len(samples) - inside, len(samples), whose, _which(samples, found)),
        )
    return found


def own_rows(samples: Samples, regions: Regions) -> NDArray[np.int64] | None:
    """Rows of the run's table of points that samples are, by their ids; -1 for unknown ids, [n].

    None where samples have no ids, or the run's points have no column of that name.

    Raises:
        GeospotError: a known id occurs more than once among the points.
    """
    if "id" not in samples.names:
        return None
    points, header = regions.sources[0].points, samples.headers["id"]
    if Names([str(one) for one in points.attributes.columns]).find(header) is None:
        return None
    own = column(points.attributes, header, "scores.id", points.origin)
    ids = labels(own)
    found = match_names(as_ids_of(samples.names["id"], own), ids)
    known = ids.map(lambda one: name_key(str(one)))
    twice = known.duplicated(keep=False).to_numpy(bool)
    again = found[(found >= 0) & twice[np.maximum(found, 0)]]
    if len(again):
        raise GeospotError(
            f"{points.origin}: {header} {ids.iloc[again[0]]} occurs more than once: ids of samples "
            "must say which point is meant"
        )
    return found


def _by_name(samples: Samples, names: Sequence[str]) -> Membership:
    at = match_names(samples.names["target"], pd.Series(list(names), dtype="string"))
    inside = np.flatnonzero(at >= 0)
    return Membership(inside, at[inside])


def _say_of_ids(samples: Samples, regions: Regions) -> None:
    """Say that ids are of no use, where there are some."""
    if "id" in samples.names:
        log.warning(
            "%s: samples are found by coordinates, for %s has no column %s to find them by",
            *(samples.where, regions.sources[0].points.origin, samples.headers["id"]),
        )


def _of_rows(sample: NDArray[np.int64], row: NDArray[np.int64], regions: Regions) -> Membership:
    """The regions that have the points in ``row`` [m], of which one may be in several."""
    parts = []
    for k, source in enumerate(regions.sources):
        own = sample[np.isin(row, source.rows)]
        parts.append((own, np.full(len(own), k)))
    return Membership(*(np.concatenate(side) for side in zip(*parts, strict=True)))


def _by_place(samples: Samples, among: Among) -> Membership:
    assert samples.points is not None
    here = np.flatnonzero(samples.place >= 0)
    if not len(here):
        return Membership(here, here)
    places = samples.points.take(samples.place[here])
    groups = among.groups(places)
    if groups is None:
        row = _nearest(places, among.regions)
        inside = np.flatnonzero(row >= 0)
        return _of_rows(here[inside], row[inside], among.regions)
    known, parts = Names(list(groups)), []
    for k, name in enumerate(among.regions.names):
        members = [name] if name in known else name.split("+")
        own = [groups[list(groups)[known[one]]] for one in members if one in known]
        rows = np.unique(np.concatenate(own)) if own else np.zeros(0, np.int64)
        parts.append((here[rows], np.full(len(rows), k)))
    return Membership(*(np.concatenate(side) for side in zip(*parts, strict=True)))


def _spatial(places: Points, run: Run) -> dict[str, NDArray[np.int64]] | None:
    """Places by the region that the run's own grouping says; None where it is none of places."""
    if not configured(run.manifest):
        return None
    config = settings.of_manifest(run.manifest["config"], run.place.file(MANIFEST))
    by = config.regions.by
    if by == "auto":
        by = "country" if config.points.region is None else "column"
    if by not in _SPATIAL or config.against.path is not None:
        return None
    if config.points.source not in ("table", "gallery") and config.points.region is None:
        return None  # regions are those of the data set
    return grouped(config.regions, places, None)


def _nearest(places: Points, regions: Regions) -> NDArray[np.int64]:
    """The nearest point of the regions, -1 where it is too far away, [n]."""
    from scipy.spatial import cKDTree

    points = regions.sources[0].points
    points.check_located("finding regions by coordinates", "give the column region or id")
    rows = np.unique(np.concatenate([source.rows for source in regions.sources]))
    xyz = unit_vectors(lon=points.lon, lat=points.lat)
    distance, at = cKDTree(xyz[rows]).query(unit_vectors(lon=places.lon, lat=places.lat))
    reach = np.zeros(len(points))
    for source in regions.sources:
        own = np.unique(xyz[source.rows], axis=0)
        if len(own) > 1:
            away: Any = cKDTree(own).query(own, k=2)[0]
            apart = float(away[:, 1].max())
            reach[source.rows] = np.maximum(reach[source.rows], apart)
    found = rows[at]
    return np.where(distance <= reach[found] + 1e-12, found, -1)


def _hint(samples: Samples, names: Sequence[str]) -> str:
    if "target" not in samples.names:
        return "is it of other places?"
    first = samples.names["target"].dropna()
    return Names(names).hint(first.iloc[0] if len(first) else "")


def _which(samples: Samples, found: Membership) -> str:
    """The names that no region has, in a clause."""
    if "target" not in samples.names:
        return ""
    lost = samples.names["target"].drop(samples.names["target"].index[np.unique(found.sample)])
    names = sorted(set(lost.dropna()))
    more = ", ..." if len(names) > _LISTED else ""
    return f": {', '.join(names[:_LISTED])}{more}" if names else ""
