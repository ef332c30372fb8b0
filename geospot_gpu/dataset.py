"""Tables of pairs as labelled arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import xarray

# Value on the diagonal of a square dataset: a region is at distance zero from itself.
_DIAGONAL = {"divergence": 0.0, "lower": 0.0, "upper": 0.0}
_DIAGONAL_FROM_SELF = {"ot_value": "self_ot", "ot_lower": "self_lower", "ot_upper": "self_upper"}
VARIABLES = (
    "divergence",
    "lower",
    "upper",
    "std_error",
    "bias",
    "ot_value",
    "ot_lower",
    "ot_upper",
    "transport_cost",
    "transport_cost_lower",
    "transport_cost_upper",
    "iterations",
    "marginal_error",
)
# Directed variables, and the columns that hold either direction of a pair.
_DIRECTED = {
    "coverage": ("coverage_source_to_target", "coverage_target_to_source"),
    "coverage_lower": ("coverage_source_to_target_lower", "coverage_target_to_source_lower"),
    "coverage_upper": ("coverage_source_to_target_upper", "coverage_target_to_source_upper"),
    "nearest": ("nearest_source_to_target", "nearest_target_to_source"),
}


def to_dataset(
    pairs: pd.DataFrame, sources: pd.DataFrame, targets: pd.DataFrame | None = None
) -> xarray.Dataset:
    """Pairs as an xarray.Dataset over ``source`` and ``target``.

    Args:
        pairs: columns ``source``, ``target``, ``converged`` and any of :data:`VARIABLES` and of
            those that directed variables are made of; each
            unordered pair once where ``targets`` is None. What is missing becomes NaN, and not
            converged.
        sources: one row per source region: ``name``, the self terms ``self_ot``, ``self_lower``,
            ``self_upper`` and ``self_converged``, and columns that become coordinates.
        targets: the same of the target regions; the sources again if not given, and the dataset
            is then symmetric with the self terms on its diagonal.

    A directed variable at (A, B) says how well A covers B, or how far the points of B are from the
    nearest of A, in the mean.
    """
    import xarray

    square = targets is None
    columns = sources if targets is None else targets
    row_of = pd.Index(sources["name"])
    column_of = pd.Index(columns["name"])
    i, j = row_of.get_indexer(pairs["source"]), column_of.get_indexer(pairs["target"])
    variables = {}
    for name in VARIABLES:
        values = np.full((len(row_of), len(column_of)), np.nan)
        if name in pairs:
            values[i, j] = pairs[name].astype(float)
            if square:
                values[j, i] = values[i, j]
        if square and not np.isnan(values).all():
            if name in _DIAGONAL:
                np.fill_diagonal(values, _DIAGONAL[name])
            elif name in _DIAGONAL_FROM_SELF:
                np.fill_diagonal(values, sources[_DIAGONAL_FROM_SELF[name]])
        variables[name] = (("source", "target"), values)
    for name, (there, back) in _DIRECTED.items():
        values = np.full((len(row_of), len(column_of)), np.nan)
        if there in pairs:
            values[i, j] = pairs[there].astype(float)
            if square:
                values[j, i] = pairs[back].astype(float)
        if square and name == "nearest" and not np.isnan(values).all():
            np.fill_diagonal(values, 0.0)
        variables[name] = (("source", "target"), values)
    solved = np.zeros((len(row_of), len(column_of)), dtype=bool)
    solved[i, j] = pairs["converged"].eq(True)
    if square:
        solved[j, i] = solved[i, j]
        np.fill_diagonal(solved, sources["self_converged"])
    variables["converged"] = (("source", "target"), solved)
    coordinates: dict[str, object] = {"source": row_of.to_numpy(), "target": column_of.to_numpy()}
    for side, table in (("source", sources), ("target", columns)):
        for name in table.columns.difference(["name", "key"]):
            coordinates[f"{side}_{name}"] = (side, table[name].to_numpy())
    return xarray.Dataset(variables, coords=coordinates)
