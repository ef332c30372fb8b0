"""A picture of nearest neighbour distances: whether folds are as hard as deployment."""

from __future__ import annotations

from pathlib import Path

from geospot_gpu.errors import checks
from geospot_gpu.pictures.maps import drawing, pyplot, save
from geospot_gpu.validation.distances import ACROSS, BETWEEN, BEYOND, NearestDistances

_STYLES = {
    BETWEEN: {"color": "0.55", "linestyle": ":"},
    ACROSS: {"color": "C0", "linestyle": "-"},
    BEYOND: {"color": "C3", "linestyle": "--"},
}
_LOWEST = 1e-4
"""Distances below this share of the largest are drawn at the edge."""


@drawing
def draw_nearest_distances(distances: NearestDistances, path: str | Path) -> None:
    """The share of samples or places whose nearest neighbour is within each distance.

    Where the lines of folds and of deployment agree, cross-validation asks what deployment does.

    Args:
        distances: from :func:`geospot_gpu.nearest_distances`.
        path: the PNG file.
    """
    checks.instance(distances, NearestDistances, "distances", "as nearest_distances makes them")
    path = checks.path(path, "path")
    figure, axes = pyplot().subplots(figsize=(7.5, 4.4), layout="constrained")
    table = distances.table
    largest = float(table["distance"].max()) or 1.0
    lowest = max(_LOWEST * largest, float(table["distance"].quantile(0.001)))
    for kind in distances.summary.index:
        values = table.loc[table["kind"] == kind, "distance"]
        wasserstein = distances.summary["wasserstein"][kind]
        far = "" if kind == BEYOND else f", W = {wasserstein:,.3g} {distances.unit}"
        axes.ecdf(values.clip(lower=lowest), label=f"{kind}{far}", linewidth=2, **_STYLES[kind])
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,g}")  # powers would need parsed text
    axes.set_xlim(lowest, largest * 1.1)
    axes.set_ylim(0.0, 1.0)
    axes.grid(alpha=0.3)
    axes.set_xlabel(f"distance to the nearest ({distances.unit})")
    axes.set_ylabel("share within this distance")
    axes.legend(fontsize=9, loc="upper left")
    save(figure, path)
