"""What people look at: the matrix, the heatmap and the summary of a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from geospot_gpu.cost import GroundCost
from geospot_gpu.engine import Solver
from geospot_gpu.files import atomic_path
from geospot_gpu.sweep.run import SweepResult

if TYPE_CHECKING:
    import xarray

LARGEST_MATRIX = 2000
"""Regions up to which the matrix and the heatmap are written."""
_MOST_LABELS = 120
_TITLES = {"divergence": "Sinkhorn divergence", "transport_cost": "Transport cost"}


def write_matrix(dataset: xarray.Dataset, path: Path) -> None:
    """The value of every pair as CSV: sources in rows, targets in columns."""
    with atomic_path(path) as temporary:
        dataset[dataset.attrs["value"]].to_pandas().to_csv(temporary)


def write_heatmap(dataset: xarray.Dataset, path: Path) -> None:
    """A picture of the matrix, its regions ordered so that similar ones are neighbours."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    name = dataset.attrs["value"]
    values = dataset[name].to_numpy()
    square = dataset.source.equals(dataset.target.rename(target="source"))
    rows = _cluster_order(values)
    columns = rows if square else _cluster_order(values.T)
    height = float(np.clip(0.16 * len(rows), 4, 24))
    width = float(np.clip(0.16 * len(columns), 4, 24))
    figure, axes = plt.subplots(figsize=(width + 2.2, height + 1.2), layout="constrained")
    shown = np.ma.masked_invalid(values[np.ix_(rows, columns)])
    if square:  # zeros on the diagonal would take half of the colours
        shown[np.diag_indices(len(rows))] = np.ma.masked
    image = axes.imshow(shown, cmap="viridis", interpolation="nearest", aspect="auto")
    image.cmap.set_bad("0.85")
    for axis, labels, order in (
        (axes.yaxis, dataset.source.to_numpy(), rows),
        (axes.xaxis, dataset.target.to_numpy(), columns),
    ):
        if len(order) <= _MOST_LABELS:
            axis.set_ticks(range(len(order)), labels=labels[order], fontsize=7)
        else:
            axis.set_ticks([])
    axes.tick_params(axis="x", labelrotation=90, length=2)
    axes.tick_params(axis="y", length=2)
    axes.set_xlabel("target")
    axes.set_ylabel("source")
    axes.set_title(f"{_TITLES[name]} between {len(rows)} x {len(columns)} regions", fontsize=10)
    figure.colorbar(image, ax=axes, label=f"{_TITLES[name]} (scaled ground cost)", shrink=0.8)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150, format="png")
    plt.close(figure)


def _cluster_order(values: np.ndarray) -> np.ndarray:
    """Rows in the order of an average-linkage clustering of their profiles."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import pdist

    if len(values) < 3 or np.isnan(values).all():
        return np.arange(len(values))
    known = np.where(np.isnan(values), np.nanmean(values), values)
    tree = linkage(pdist(known), "average", optimal_ordering=len(values) <= 500)
    ordered: np.ndarray = leaves_list(tree)
    return ordered


def summary(
    result: SweepResult,
    value: str,
    cost: GroundCost,
    solver: Solver,
    *,
    regions: int,
    preparing_seconds: float,
) -> str:
    """A short text: nearest and farthest pairs, convergence, time and the meaning of epsilon."""
    ranked = result.pairs.dropna(subset=[value]).sort_values([value, "source", "target"])
    lines = [f"{regions} regions, {result.total} pairs, by {_TITLES[value].lower()}:"]
    count = min(5, (len(ranked) + 1) // 2)
    for title, rows in (("nearest", ranked.head(count)), ("farthest", ranked.tail(count)[::-1])):
        for position, (_, row) in enumerate(rows.iterrows()):
            label = title if position == 0 else ""
            lines.append(f"  {label:9s}{row['source']:>12} - {row['target']:<12} {_value(row, value)}")
    km = cost.epsilon_km(solver.epsilon)
    if km is not None:
        lines.append(
            f"epsilon {solver.epsilon:g} blurs like {km:,.0f} km of great circle "
            f"(geo_weight {cost.geo_weight:g})"
        )
    kernels = result.pairs["kernel"].value_counts()
    used = ", ".join(f"{name} {number}" for name, number in kernels.items())
    lines += [
        f"not converged: {result.unconverged} of {result.total}; kernels: {used}",
        f"time: {preparing_seconds:.1f} s reading and encoding, {result.seconds:.1f} s solving",
    ]
    return "\n".join(lines)


def _value(row: pd.Series, value: str) -> str:
    if value == "divergence":
        return f"{row[value]:.4f}  in [{row['lower']:.5f}, {row['upper']:.5f}]"
    return f"{row[value]:.4f}"
