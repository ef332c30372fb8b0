"""Tables of pairs as labelled arrays."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.distances.column import DataType
from geospot_gpu.distances.columns import measured

if TYPE_CHECKING:
    import xarray


def to_dataset(
    pairs: pd.DataFrame,
    outputs: Collection[str],
    sources: pd.DataFrame,
    targets: pd.DataFrame | None = None,
) -> xarray.Dataset:
    """Pairs as an xarray.Dataset over ``source`` and ``target``.

    Args:
        pairs: columns ``source``, ``target`` and any that are stored of those that
            :func:`~geospot_gpu.distances.columns.measured` names; each unordered pair once where
            ``targets`` is None. What is missing becomes NaN, and not converged.
        outputs: names of the columns that were asked for.
        sources: one row per source region: ``name``, the self terms ``self_ot``, ``self_lower``,
            ``self_upper`` and ``self_converged``, and columns that become coordinates.
        targets: the same of the target regions; the sources again if not given, and the dataset
            is then symmetric with the self terms on its diagonal.

    A directed variable at (A, B) says how well A covers B, or how far the points of B are from the
    nearest of A, in the mean. Variables have ``long_name``, and ``units`` where they have any.
    """
    import xarray

    square = targets is None
    others = sources if targets is None else targets
    row_of, column_of = pd.Index(sources["name"]), pd.Index(others["name"])
    i, j = row_of.get_indexer(pairs["source"]), column_of.get_indexer(pairs["target"])
    variables = {}
    for column in measured(outputs):
        for name, own in zip(column.variables, column.of_self or (None,) * 3, strict=False):
            values = _unknown(column.dtype, len(row_of), len(column_of))
            sides = zip(column.sides(name), ((i, j), (j, i)), strict=True)
            for stored, at in [*sides][: 1 + square]:
                if stored in pairs:
                    values[at] = _known(pairs[stored], column.dtype)
            if square and own is not None and not pd.isna(values).all():
                np.fill_diagonal(values, sources[own] if isinstance(own, str) else own)
            variables[name] = (("source", "target"), values, column.attributes(name))
    return xarray.Dataset(variables, coords=coordinates_of(sources, targets))


def coordinates_of(sources: pd.DataFrame, targets: pd.DataFrame | None) -> dict[str, object]:
    """The regions of both sides, by name, and what is known of each; see :func:`to_dataset`."""
    found: dict[str, object] = {}
    for side, table in (("source", sources), ("target", sources if targets is None else targets)):
        found[side] = table["name"].to_numpy(object)
        for name in table.columns.difference(["name", "key"]):
            found[f"{side}_{name}"] = (side, table[name].to_numpy())
    return found


def _unknown(dtype: DataType, rows: int, columns: int) -> NDArray[Any]:
    """Values of which none is known: missing numbers are NaN, missing marks are not set."""
    return np.full((rows, columns), False if dtype == "bool" else np.nan)


def _known(values: pd.Series[Any], dtype: DataType) -> pd.Series[Any]:
    return values.eq(True) if dtype == "bool" else values.astype(float)
