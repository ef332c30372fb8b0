"""Whether a file of pairs holds what it says of itself."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from geospot_gpu.distances.column import Table
from geospot_gpu.distances.columns import schema, stored_in
from geospot_gpu.runs.block import Contents, places_in


def wrong_in(contents: Contents, table: pa.Table, name: Table) -> str | None:
    """What is wrong with a block, in a few words; None if nothing is.

    Args:
        contents: what it says of itself.
        table: all its columns.
        name: which columns it may have.
    """
    return _wrong_sides(contents) or _wrong_pairs(contents, table) or _wrong_values(
        contents, table, name
    )  # fmt: skip


def _wrong_sides(contents: Contents) -> str | None:
    for side in (contents.sources, contents.targets):
        if not len(side.names) == len(side.keys) == len(side.n_points):
            return "its lists of regions do not fit each other"
        if len(set(side.names)) < len(side.names) or len(set(side.keys)) < len(side.keys):
            return "a region is on one side twice"
        if min(side.n_points, default=1) < 1:
            return "a region has no points"
    return None


def _wrong_pairs(contents: Contents, table: pa.Table) -> str | None:
    n, m = len(contents.sources.keys), len(contents.targets.keys)
    expected = {"all": n * m, "triangle": n * (n - 1) // 2}.get(contents.shape, contents.rows)
    if contents.rows != expected:
        return f"it has {contents.rows} rows, and {expected} pairs"
    try:
        left, right = places_in(contents, table)
    except KeyError as error:
        return f"there is no column or region {error}"
    planned = contents.places()
    if planned is not None and not all(map(np.array_equal, planned, (left, right))):
        return "its rows are not of the pairs that it says"
    if len(np.unique(left * m + right)) < contents.rows:
        return "it has a pair twice"
    return None


def _wrong_values(contents: Contents, table: pa.Table, name: Table) -> str | None:
    there = set(table.column_names)
    for field in schema(name):
        if field.name in there and (kind := table.schema.field(field.name).type) != field.type:
            return f"{field.name} is {kind}, and not {field.type}"
    for column in stored_in(name):
        lacking = set(column.sides(column.name)) - there
        if column.name in contents.outputs and lacking:
            return f"it has no {min(lacking)}"
        sides = [column.sides(variable) for variable in column.variables]
        for value, *bounds in zip(*sides, strict=True):
            if not bounds or not {value, *bounds} <= there:
                continue
            middle, lower, upper = (np.asarray(table[one]) for one in (value, *bounds))
            outside = int(((lower > middle) | (middle > upper)).sum())
            if outside:
                return f"{outside} values of {value} are outside their bounds"
    return None
