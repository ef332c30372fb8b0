"""What people look at: the matrix, the heatmap and the summary of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from geospot_gpu.cost import GroundCost
from geospot_gpu.distances.columns import find
from geospot_gpu.engine import Solver
from geospot_gpu.maps import drawing, label, pyplot, save
from geospot_gpu.outputs import write_csv
from geospot_gpu.sinkhorn.geomloss import GeomLoss
from geospot_gpu.sinkhorn.solver import Sinkhorn
from geospot_gpu.sweep.run import SweepResult

if TYPE_CHECKING:
    import xarray

LARGEST_MATRIX = 2000
"""Regions up to which the matrix and the heatmap are written."""
_MOST_LABELS = 120


def write_matrix(dataset: xarray.Dataset, path: Path) -> None:
    """The value of every pair as CSV: sources in rows, targets in columns."""
    write_csv(dataset[dataset.attrs["value"]].to_pandas(), path, float_format="%.7g")


@drawing
def write_heatmap(dataset: xarray.Dataset, path: Path, *, square: bool) -> None:
    """A picture of the matrix, its regions ordered so that similar ones are neighbours.

    Args:
        dataset: what :func:`~geospot_gpu.open_run` returned.
        path: the PNG file.
        square: whether the targets are the sources again.
    """
    plt = pyplot()
    name = dataset.attrs["value"]
    values = dataset[name].to_numpy()
    rows = _cluster_order(values)
    columns = rows if square else _cluster_order(values.T)
    height = float(np.clip(0.16 * len(rows), 4, 24))
    width = float(np.clip(0.16 * len(columns), 4, 24))
    figure, axes = plt.subplots(figsize=(width + 2.2, height + 1.2), layout="constrained")
    shown = np.ma.masked_invalid(values[np.ix_(rows, columns)])
    if square:  # zeros on the diagonal would take half of the colours
        shown[np.diag_indices(len(rows))] = np.ma.masked
    colours = plt.colormaps["viridis"].with_extremes(bad="0.85")
    image = axes.imshow(shown, cmap=colours, interpolation="nearest", aspect="auto")
    for axis, labels, order in (
        (axes.yaxis, dataset.source.to_numpy(), rows),
        (axes.xaxis, dataset.target.to_numpy(), columns),
    ):
        if len(order) <= _MOST_LABELS:
            axis.set_ticks(range(len(order)), labels=[*map(label, labels[order])], fontsize=7)
        else:
            axis.set_ticks([])
    axes.tick_params(axis="x", labelrotation=90, length=2)
    axes.tick_params(axis="y", length=2)
    axes.set_xlabel("target")
    axes.set_ylabel("source")
    shows = find(name)
    axes.set_title(f"{shows.title} between {len(rows)} x {len(columns)} regions", fontsize=10)
    figure.colorbar(image, ax=axes, label=f"{shows.title} ({shows.unit})", shrink=0.8)
    save(figure, path)


def _cluster_order(values: np.ndarray) -> np.ndarray:
    """Rows in the order of an average-linkage clustering of their profiles."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    if len(values) < 3 or np.isnan(values).all():
        return np.arange(len(values))
    known = np.where(np.isnan(values), np.nanmean(values), values)
    # Through a matrix product: scipy's pdist takes ten seconds for 2,000 rows.
    lengths = (known**2).sum(1)
    squared = lengths[:, None] + lengths - 2 * known @ known.T
    condensed = np.sqrt(np.maximum(squared, 0.0)[np.triu_indices(len(known), k=1)])
    tree = linkage(condensed, "average", optimal_ordering=len(values) <= 500)
    ordered: np.ndarray = leaves_list(tree)
    return ordered


def summary(
    result: SweepResult, cost: GroundCost, solver: Solver, accounts: Sequence[str] = ()
) -> list[str]:
    """Lines of a short text: nearest and farthest pairs, what epsilon means, and convergence.

    Args:
        result: what the sweep did.
        cost, solver: with what.
        accounts: a line for each table of points, on where they went.
    """
    value = result.value
    ranked = result.pairs.dropna(subset=[value]).sort_values([value, "source", "target"])
    nearest = ranked.head(min(5, (len(ranked) + 1) // 2))
    farthest = ranked.tail(min(5, len(ranked) // 2))[::-1]
    width = max([len(name) for side in (nearest, farthest) for name in side["source"]], default=0)
    wide = max([len(name) for side in (nearest, farthest) for name in side["target"]], default=0)
    lines = []
    for title, rows in (("nearest", nearest), ("farthest", farthest)):
        for position, (_, row) in enumerate(rows.iterrows()):
            label = title if position == 0 else ""
            names = f"{row['source']:>{width}} - {row['target']:<{wide}}"
            lines.append(f"  {label:10s}{names}  {_value(row, value)}")
    lines += accounts
    if cost.scaling == "pair_max":
        lines.append(
            "every pair has a scale of its own (cost.scaling=pair_max): do not compare pairs"
        )
    km = cost.epsilon_km(solver.epsilon)
    if km is not None:
        lines.append(
            f"epsilon {solver.epsilon:g} blurs like {km:,.0f} km of great circle "
            f"(geo_weight {cost.geo_weight:g})"
        )
    if isinstance(solver, Sinkhorn) and solver.target_error is not None:
        lines.append(f"target error {solver.target_error:g}: {_samples(result)}")
    kernels = result.pairs["kernel"].value_counts()
    used = ", ".join(f"{name} {number}" for name, number in kernels.items())
    lines.append(f"not converged: {_unconverged(result, solver)}; kernels: {used}")
    return lines


def _samples(result: SweepResult) -> str:
    """How large the samples became."""
    most = result.pairs[["n_source", "n_target"]].max(axis=1)
    sizes = most.value_counts().sort_index()
    return "pairs by their larger sample: " + ", ".join(
        f"{number} of {size} points" for size, number in sizes.items()
    )


def _unconverged(result: SweepResult, solver: Solver) -> str:
    worst = f"largest marginal error {result.pairs['marginal_error'].max():.1e}"
    if isinstance(solver, GeomLoss):
        return f"unknown, solver=geomloss does not check; {worst}"
    count = f"{result.unconverged} of {result.total}"
    if result.unconverged == 0:
        return count
    return f"{count}, {worst}; raise solver.max_iterations, solver.tolerance or solver.epsilon"


def _value(row: pd.Series, value: str) -> str:
    shown = f"{row[value]:z.4f}"
    bounds = [row[bound] for bound in find(value).bounds]
    if np.isnan(bounds).any():
        return shown
    lower, upper = bounds
    return f"{shown}  in [{lower:z.5f}, {upper:z.5f}]"
