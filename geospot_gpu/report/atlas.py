"""The part of a page that shows regions and their distances: map, matrix, plane and tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from geospot_gpu.distances.columns import find
from geospot_gpu.errors import GeospotError
from geospot_gpu.ordering import profile_order
from geospot_gpu.regions.countries import country_places
from geospot_gpu.report.arrangement import arrangement, block_means
from geospot_gpu.report.folders import picture as picture_of
from geospot_gpu.report.html import Section, listed, number, picture, table
from geospot_gpu.report.packing import Packed, packed, rounded
from geospot_gpu.report.page import land
from geospot_gpu.report.pairs import Pairs
from geospot_gpu.runs.reading import stored_regions
from geospot_gpu.runs.run import Run
from geospot_gpu.runs.store import Store

_NEAR = 3
"""Of each region, in the table that needs no script."""
_KNOWN = ("n_points", "n_available", "n_distinct")
_LEAST = 3
"""Regions, of fewer of which there is no tree."""


def atlas(run: Run, pairs: Pairs) -> Section:
    """Regions of a run and their distances."""
    regions, notes = _regions(run)
    arrays = {f"pairs_{name}": array for name, array in pairs.arrays.items()}
    data: dict[str, Any] = {
        "value": run.value,
        "kind": pairs.kind,
        "square": pairs.square,
        "columns": pairs.columns,
        "scaling": run.cost.scaling,
        "regions": regions,
        "located": any(lon is not None for lon in regions["lon"]),
    }
    notes += _said_of_pairs(run, pairs)
    if data["located"]:
        arrays |= land()
    if pairs.values is not None:
        notes += _arranged(pairs, data, arrays)
    shown = find(run.value)
    text = (
        '<div data-part="atlas"></div>\n'
        + listed(notes)
        + picture(picture_of(run.place, "heatmap.png"), f"matrix of the {shown.title}")
        + "<noscript><h3>The nearest of each region</h3>\n"
        + table("nearest", _near(run, pairs))
        + "</noscript>\n"
    )
    return Section("atlas", "Regions and distances", text, data, arrays)


def _regions(run: Run) -> tuple[dict[str, Any], list[str]]:
    """What is known of each region, sources first, and notes on what is not."""
    frame = stored_regions(Store(run.folder), run.manifest)
    notes: list[str] = []
    places = frame.reindex(columns=["lon", "lat"]).to_numpy(float)
    if np.isnan(places).all():
        try:
            found = country_places(list(frame["name"]))
        except GeospotError as error:
            found, reason = None, str(error)
        else:
            reason = "regions are no countries"
        if found is None:
            notes.append(f"points have no coordinates: there is no map ({reason})")
        else:
            places = found
            notes.append("points have no coordinates: regions lie at the countries of their names")
    elif lost := int(np.isnan(places).any(axis=1).sum()):
        notes.append(f"{lost} regions have no coordinates, and are not on the map")
    sides = {
        "name": list(frame["name"]),
        "sources": len(run.names),
        "lon": [None if np.isnan(x) else round(x, 3) for x in places[:, 0].tolist()],
        "lat": [None if np.isnan(x) else round(x, 3) for x in places[:, 1].tolist()],
    }
    return sides | {key: frame[key].tolist() for key in _KNOWN if key in frame}, notes


def places_of(regions: Mapping[str, Any], names: Iterable[str]) -> dict[str, list[float | None]]:
    """Where regions lie, ``lon`` and ``lat``, None of those that are not on the page's map.

    Args:
        regions: what the page knows of the regions of the run.
        names: of some, which may be none of these.
    """
    at = {name: k for k, name in enumerate(regions["name"])}
    known = [at.get(name) for name in names]
    return {
        axis: [None if k is None else regions[axis][k] for k in known] for axis in ("lon", "lat")
    }


def _said_of_pairs(run: Run, pairs: Pairs) -> list[str]:
    notes = []
    if pairs.missing:
        notes.append(
            f"{pairs.missing:,} of {pairs.total:,} pairs are not computed yet: run the same "
            "geospot sweep again, and the report after it"
        )
    if pairs.kind == "listed":
        held = f"this page holds {len(pairs.left):,} of {pairs.total:,} pairs"
        notes.append(f"{held}: the {pairs.nearest} nearest of each region; other regions stay grey")
    if pairs.values is None:
        notes.append("the run has the nearest of each region alone: no matrix, tree and plane")
    if run.cost.scaling == "pair_max":
        notes.append(
            "every pair has a scale of its own (cost.scaling=pair_max): do not compare pairs"
        )
    notes.append(
        "the distance and its bounds are held exactly; other columns in four digits, bounds "
        "rounded outwards"
    )
    return notes


def _arranged(pairs: Pairs, data: dict[str, Any], arrays: dict[str, Packed]) -> list[str]:
    """Put order, tree and plane to what a page holds; returns what has to be said of them."""
    values = pairs.values
    assert values is not None
    notes = []
    if pairs.square and len(values) >= _LEAST and not np.isnan(values).all():
        found = arrangement(values)
        rows = columns = found.order
        arrays["merges"] = packed(found.merges.astype(np.int32))
        arrays["heights"] = packed(rounded(found.heights))
        arrays["plane"] = packed(rounded(found.plane))
        data["fidelity"] = round(found.fidelity, 4)
    else:
        rows, columns = profile_order(values), profile_order(values.T)
    arrays["rows"], arrays["columns"] = (
        packed(rows.astype(np.int32)),
        packed(columns.astype(np.int32)),
    )
    if pairs.kind == "listed":
        means, of_rows, of_columns = block_means(values, rows, columns)
        arrays["blocks"] = packed(rounded(means))
        arrays["block_rows"] = packed(of_rows.astype(np.int32))
        arrays["block_columns"] = packed(of_columns.astype(np.int32))
        per = len(rows) / len(of_rows)
        notes.append(
            f"the matrix shows means over blocks of about {per:.0f} regions that are neighbours in "
            "the clustering"
        )
    return notes


def _near(run: Run, pairs: Pairs) -> pd.DataFrame:
    """Every source with its nearest targets, in words."""
    names = np.array(run.names, object)
    others = names
    if not pairs.square:
        others = np.array([entry["name"] for entry in run.manifest["targets"]], object)
    if pairs.values is None:
        table = run.distances(["source", "target", run.value]).to_pandas()
        mirrored = table.rename(columns={"source": "target", "target": "source"})
        every = pd.concat([table, mirrored]) if pairs.square else table
        first = every.sort_values(run.value, kind="stable").groupby("source", sort=False)
        rows = {
            str(name): list(zip(some["target"], some[run.value], strict=True))
            for name, some in first.head(_NEAR).groupby("source")
        }
        found = [(name, rows.get(name, [])) for name in names]
    else:
        values = np.where(np.isnan(pairs.values), np.inf, pairs.values)
        if pairs.square:
            np.fill_diagonal(values, np.inf)
        near = np.argsort(values, axis=1, kind="stable")[:, :_NEAR]
        found = [
            (name, [(others[j], values[i, j]) for j in near[i] if np.isfinite(values[i, j])])
            for i, name in enumerate(names)
        ]
    said = [", ".join(f"{other} {number(float(x))}" for other, x in row) for _, row in found]
    return pd.DataFrame({"region": [name for name, _ in found], "nearest": said})
