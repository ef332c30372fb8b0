"""The matrix of a sweep, as a table and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geospot_gpu.distances.columns import find
from geospot_gpu.files.outputs import write_csv
from geospot_gpu.ordering import profile_order
from geospot_gpu.pictures.maps import drawing, label, pyplot

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

LARGEST_MATRIX = 2000
"""Regions up to which the matrix and the heatmap are written."""
_MOST_LABELS = 300
_INCHES = 0.16
"""Of a row, as long as there is room."""


def write_matrix(dataset: xarray.Dataset, path: Path) -> None:
    """The value of every pair as CSV: sources in rows, targets in columns."""
    write_csv(dataset[dataset.attrs["value"]].to_pandas(), path, float_format="%.7g")


@drawing
def heatmap(dataset: xarray.Dataset, *, square: bool, axes: Any | None = None) -> Figure:
    """A picture of the matrix, its regions ordered so that similar ones are neighbours.

    Args:
        dataset: what :func:`~geospot_gpu.open_run` returned.
        square: whether the targets are the sources again.
        axes: to draw it on; a figure of its own size if not given.
    """
    plt = pyplot()
    name = dataset.attrs["value"]
    values = dataset[name].to_numpy()
    rows = profile_order(values)
    columns = rows if square else profile_order(values.T)
    height, width = (float(np.clip(_INCHES * len(side), 4, 26)) for side in (rows, columns))
    if axes is None:
        _, axes = plt.subplots(figsize=(width + 2.2, height + 1.2), layout="constrained")
    figure: Figure = axes.figure
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
            size = min(7.0, 0.62 * 72 * 26 / len(order))  # points, that lines do not touch
            axis.set_ticks(range(len(order)), labels=[*map(label, labels[order])], fontsize=size)
        else:
            axis.set_ticks([])
    axes.tick_params(axis="x", labelrotation=90, length=2)
    axes.tick_params(axis="y", length=2)
    size = 10.0 * max(1.0, width / 12.0)
    axes.set_xlabel("target", fontsize=size)
    axes.set_ylabel("source", fontsize=size)
    shows = find(name)
    axes.set_title(f"{shows.title} between {len(rows)} x {len(columns)} regions", fontsize=size)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label(f"{shows.title} ({shows.unit})", fontsize=size)
    bar.ax.tick_params(labelsize=size)
    return figure
