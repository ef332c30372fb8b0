"""Pictures of correlations, predictions and contributions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.pictures.maps import drawing, label, map_axes, pyplot
from geospot_gpu.pictures.sides import side_colours
from geospot_gpu.transfer.correlation.statistics import rank_rows
from geospot_gpu.transfer.correlation.verdict import LEVEL, Verdict
from geospot_gpu.transfer.scores.scores import Scores
from geospot_gpu.transfer.threshold import SIDE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@drawing
def correlation_picture(
    table: pd.DataFrame,
    distances: Mapping[str, NDArray[np.float64]],
    scores: Scores,
    verdict: Verdict,
) -> Figure:
    """Every distance's correlation with its interval, and the best distance against the loss."""
    plt = pyplot()
    figure: Figure
    ordered = rank_rows(table).dropna(subset=["value"]).sort_values("value")
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(11, max(4.0, 0.26 * len(ordered) + 1.4)), layout="constrained"
    )
    draw_correlations(left, table)
    if len(ordered):
        figure.legend(
            title="family-wise", fontsize=8, title_fontsize=8, loc="outside lower left", ncols=3
        )
    draw_loss(right, distances, scores, verdict)
    figure.suptitle(verdict.text, fontsize=9, wrap=True)
    return figure


def draw_correlations(axes: Any, table: pd.DataFrame) -> None:
    """Every distance's correlation with its interval, the largest above.

    Args:
        axes: to draw on.
        table: of :func:`~geospot_gpu.correlate`.
    """
    ordered = rank_rows(table).dropna(subset=["value"]).sort_values("value")
    low, high = ordered["value"] - ordered["lower"], ordered["upper"] - ordered["value"]
    at = np.arange(len(ordered))
    axes.errorbar(ordered["value"], at, xerr=np.maximum([low, high], 0.0), fmt="none", ecolor="0.6")
    certain = ordered["p_family"].to_numpy(float) <= LEVEL
    covariate = (ordered["group"] == "covariate").to_numpy()
    for chosen, colour, key in (
        (certain, "C0", "p ≤ 0.05"),
        (~certain & ~covariate, "0.6", "p > 0.05"),
        (covariate, "0.85", "covariate"),
    ):
        if chosen.any():
            axes.scatter(ordered["value"][chosen], at[chosen], color=colour, label=key, zorder=3)
    axes.axvline(0.0, color="0.8", linewidth=0.8)
    axes.set_yticks(at, labels=ordered["distance"], fontsize=8)
    axes.set_xlabel("Spearman's rho with the loss (95 % interval)")


def draw_loss(
    axes: Any, distances: Mapping[str, NDArray[np.float64]], scores: Scores, verdict: Verdict
) -> None:
    """The loss of every pair over the distance that a verdict names."""
    if verdict.distance is None:
        axes.set_axis_off()
        return
    loss = scores.loss.to_numpy()
    known = np.isfinite(loss)
    axes.scatter(distances[verdict.distance][known], loss[known], s=6, alpha=0.4)
    axes.set_xlabel(verdict.distance)
    axes.set_ylabel("loss in transfer (more is worse)")


@drawing
def prediction_map(
    predictions: pd.DataFrame,
    degrees: float,
    kind: str,
    threshold: float | None = None,
    axes: Any | None = None,
) -> Figure:
    """Cells of a grid, coloured by predicted score, hatched where a prediction extrapolates.

    With a threshold colours say instead on which side of it scores lie, as far as intervals say.

    Args:
        predictions: columns ``lon`` and ``lat`` of the south-western corner of each cell,
            ``predicted`` and ``extrapolates``; with a threshold ``threshold_side``.
        degrees: size of a cell.
        kind: ``accuracy``, ``error`` or ``skill``.
        threshold: a score that matters.
        axes: to draw on; those of a new figure if not given.
    """
    from matplotlib.collections import PolyCollection
    from matplotlib.patches import Patch

    lon, lat = (predictions[axis].to_numpy(float) for axis in ("lon", "lat"))
    figure, drawn_map = map_axes(lon + degrees / 2, lat + degrees / 2, cover=True, axes=axes)
    axes, cells = drawn_map.axes, drawn_map.cells(lon, lat, degrees)
    keys = []
    if threshold is None:
        colours = "viridis_r" if kind == "error" else "viridis"
        drawn = PolyCollection(list(cells), cmap=colours, edgecolor="face", linewidth=0.1)
        drawn.set_array(predictions["predicted"].to_numpy(float))
        axes.add_collection(drawn)
        figure.colorbar(drawn, ax=axes, label=f"predicted {kind}", shrink=0.7)
    else:
        side = predictions[SIDE].to_numpy(object)
        for name, (colour, text) in side_colours(threshold, kind).items():
            some = cells[side == name]
            axes.add_collection(PolyCollection(list(some), facecolor=colour, edgecolor="none"))
            keys.append(Patch(facecolor=colour, label=f"{text}: {len(some)}"))
    beyond = predictions["extrapolates"].to_numpy(bool)
    if beyond.any():
        hatched = cells[beyond]
        axes.add_collection(
            PolyCollection(
                list(hatched), facecolor="none", edgecolor="0.25", hatch="////", linewidth=0
            )
        )
        unlike = f"unlike all that was seen: {len(hatched)}"
        keys.append(Patch(facecolor="none", edgecolor="0.25", hatch="////", label=unlike))
    if keys:
        axes.legend(handles=keys, loc="lower left", fontsize=8).set_zorder(4)
    return figure


@drawing
def contribution_map(
    points: pd.DataFrame, title: str, borders: Any | None = None, axes: Any | None = None
) -> Figure:
    """Points of two regions, coloured by what a unit of their mass contributes to the divergence.

    Args:
        points: columns ``lon``, ``lat``, ``region``, ``weight`` and ``contribution``.
        title: what is shown.
        borders: polygons of regions with their ``name``, where regions are such.
        axes: to draw on; those of a new figure if not given.
    """
    figure, shown = map_axes(*(points[axis].to_numpy(float) for axis in ("lon", "lat")), axes=axes)
    axes = shown.axes
    points = points.assign(share=points["contribution"] / points["weight"])
    low, high = np.quantile(points["share"], [0.01, 0.99])
    colours = "viridis"
    if low < 0.0:  # white is where a place contributes nothing
        colours, high = "RdBu_r", max(-low, high)
        low = -high
    for marker, (name, some) in zip("o^", points.groupby("region", sort=False), strict=False):
        drawn = shown.scatter(
            *(some[axis].to_numpy(float) for axis in ("lon", "lat")),
            c=some["share"], cmap=colours, marker=marker,
            vmin=low, vmax=high, s=14, edgecolor="0.3", linewidth=0.2, label=label(str(name)),
        )  # fmt: skip
    shown.borders(borders, points["region"].unique())
    axes.legend(fontsize=8)
    axes.set_title(title, fontsize=10)
    figure.colorbar(drawn, ax=axes, label="contribution to the divergence, per mass", shrink=0.7)
    return figure
