"""The pairs of a run as a page holds them: all of them, or the nearest of each region."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.arrays import Indices
from geospot_gpu.distances.column import Column
from geospot_gpu.distances.columns import find, measured, outputs_by_default, stored_in
from geospot_gpu.errors import GeospotError
from geospot_gpu.report.packing import Packed, difference, packed, rounded
from geospot_gpu.runs.baselines import kept_baselines
from geospot_gpu.runs.run import Run

log = logging.getLogger("geospot_gpu")

LARGEST = 1000
"""Regions of a side up to which a page holds all pairs."""
NEAREST = 30
"""Of each region, where there are more."""

Matrix = NDArray[np.float32]


@dataclass
class Pairs:
    """Which pairs there are, and what is known of them.

    Attributes:
        kind: ``all``, or ``listed`` where the page holds some of them alone.
        square: whether the targets are the sources again, and each pair is held once.
        left, right: positions of the regions of each pair, [K].
        columns: what the page has to know of each column, in the order of the register.
        arrays: values, [K] each, by name.
        missing: how many pairs are not computed yet.
        unconverged: how many others have not converged.
        total: how many pairs the sweep has.
        values: the distance of all pairs, [N, M]; None where the run has the nearest alone.
        nearest: of each region, how many neighbours are held where not all pairs are.
    """

    kind: str
    square: bool
    left: Indices
    right: Indices
    missing: int
    unconverged: int
    total: int
    values: Matrix | None
    nearest: int | None
    columns: list[dict[str, object]] = field(default_factory=list)
    arrays: dict[str, Packed] = field(default_factory=dict)


def pairs_of(run: Run) -> Pairs:
    """All pairs of a run, or of each region the nearest ones."""
    if run.nearest is not None:
        return _listed(run)
    n = len(run.names)
    square = run.manifest["targets"] is None
    m = n if square else len(run.manifest["targets"])
    dense = max(n, m) <= LARGEST
    read = _reader(run, keep=dense)
    values = read(run.value)
    there = ~np.isnan(values)
    if dense:
        sides = np.triu_indices(n, k=1) if square else np.divmod(np.arange(n * m), m)
        kind = "all"
    else:
        sides = _nearest_of(values, square)
        kind = "listed"
    left, right = _whole(sides[0]), _whole(sides[1])
    total = n * (n - 1) // 2 if square else n * m
    known = int(np.triu(there, k=1).sum()) if square else int(there.sum())
    unconverged = there & (read("converged") == 0)
    if square:
        unconverged = np.triu(unconverged, k=1)
    lost, bad = total - known, int(unconverged.sum())
    near = NEAREST if kind == "listed" else None
    found = Pairs(kind, square, left, right, lost, bad, total, values, near)
    for column in _columns(run):
        ways = []
        for name in column.variables:
            matrix = values if name == run.value else read(name)
            ways.append([matrix[left, right]])
            if column.directed and square:
                ways[-1].append(matrix[right, left])
        _add(found, column, ways, exact=column.name == run.value)
    _add_baselines(found, run)
    if kind == "listed":
        found.arrays["left"], found.arrays["right"] = _positions(left, right)
    return found


def _add_baselines(found: Pairs, run: Run) -> None:
    """Add the baselines that are stored beside a run, if there are any."""
    if not found.square or not run.place.child("baselines").names(suffix=".parquet"):
        return
    try:
        regions = run.regions
    except GeospotError as error:
        log.warning("the report has no baselines, for regions cannot be drawn again: %s", error)
        return
    known = kept_baselines(run.place, run.keys, regions, found.left, found.right)
    for column in stored_in("baselines"):
        if np.isfinite(known.get(column.stored[0], [])).any():
            sides = [[known[name].astype(np.float32) for name in column.stored]]
            _add(found, column, sides, exact=False)


def _listed(run: Run) -> Pairs:
    """Of a run that has the nearest alone."""
    columns = _columns(run)
    stored = [name for column in columns for name in column.stored]
    table = run.distances(["source", "target", *stored]).to_pandas()
    names = {name: k for k, name in enumerate(run.names)}
    square = run.manifest["targets"] is None
    others = names
    if not square:
        others = {entry["name"]: k for k, entry in enumerate(run.manifest["targets"])}
    left = _whole(table["source"].map(names).to_numpy())
    right = _whole(table["target"].map(others).to_numpy())
    assert not square or (left < right).all()  # each pair once, the earlier region first
    order = np.lexsort((right, left))
    table, left, right = table.iloc[order], left[order], right[order]
    total = len(names) * (len(names) - 1) // 2 if square else len(names) * len(others)
    unconverged = int((~table["converged"].eq(True)).sum())
    found = Pairs("listed", square, left, right, 0, unconverged, total, None, run.nearest)
    for column in columns:
        sides = [
            [table[name].to_numpy(np.float32) for name in dict.fromkeys(column.sides(variable))]
            for variable in column.variables
        ]
        _add(found, column, sides, exact=column.name == run.value)
    found.arrays["left"], found.arrays["right"] = _positions(left, right)
    return found


def _columns(run: Run) -> list[Column]:
    """What is stored of the pairs of a run."""
    outputs = run.manifest.get("outputs") or outputs_by_default()
    return [find(column.name) for column in measured(outputs)]


def _reader(run: Run, *, keep: bool) -> Callable[[str], Matrix]:
    """What reads a column as a matrix; a dataset keeps in memory all that was looked at."""
    dataset = run.dataset()

    def read(name: str) -> Matrix:
        of = dataset if keep else dataset.copy()
        found: Matrix = of[name].to_numpy().astype(np.float32)
        return found

    return read


def _nearest_of(values: Matrix, square: bool) -> tuple[Indices, Indices]:
    """Positions of the pairs of every source with its nearest targets, each pair once."""
    n, m = values.shape
    known = np.where(np.isnan(values), np.inf, values)
    if square:
        np.fill_diagonal(known, np.inf)
    k = min(NEAREST, m - 1)
    near = np.argpartition(known, k - 1, axis=1)[:, :k]
    left, right = np.repeat(np.arange(n), k), near.ravel()
    kept = np.isfinite(known[left, right])
    left, right = left[kept], right[kept]
    if square:
        left, right = np.minimum(left, right), np.maximum(left, right)
    codes = np.unique(left * m + right)
    return np.divmod(codes, m)


def _whole(positions: NDArray[Any]) -> Indices:
    return positions.astype(np.int64)


def _positions(left: Indices, right: Indices) -> Iterator[Packed]:
    return (packed(side.astype(np.int32)) for side in (left, right))


def _add(
    found: Pairs, column: Column, sides: list[list[NDArray[np.float32]]], *, exact: bool
) -> None:
    """Pack the values of a column, and its bounds, and tell of it.

    Args:
        found: where to.
        column: the column.
        sides: of itself and its bounds, from source to target and, if directed, back, [K] each.
        exact: whether to keep all digits.
    """
    found.columns.append(
        {
            "name": column.name,
            "title": column.title,
            "meaning": column.meaning,
            "unit": column.unit,
            "group": column.group,
            "directed": column.directed and found.square,
            "bounds": bool(column.bounds),
            "stored": [list(dict.fromkeys(column.sides(name))) for name in column.variables],
        }
    )
    for end, ways in zip(("", "_back"), zip(*sides, strict=True), strict=False):
        name = f"{column.name}{end}"
        if column.dtype == "bool":
            found.arrays[name] = packed(ways[0].astype(np.uint8))
            continue
        value = np.ascontiguousarray(ways[0]) if exact else rounded(ways[0])
        found.arrays[name] = packed(value)
        for bound, values, way in zip(("lower", "upper"), ways[1:], ("down", "up"), strict=False):
            outer = np.ascontiguousarray(values) if exact else rounded(values, way)
            found.arrays[f"{name}_{bound}"] = packed(difference(outer, value), base=name)
