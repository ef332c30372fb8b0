"""A map of where one model may be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from geospot_gpu.pictures.maps import drawing, map_axes
from geospot_gpu.pictures.sides import side_colours
from geospot_gpu.transfer.threshold import SIDE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_UNKNOWN = "0.25"
_PALE = 0.3
"""Opacity of what is outside."""
_SMALL = 0.25
"""Its share of the area of others, where colours are of classes."""


@drawing
def applicability_map(
    places: pd.DataFrame,
    kind: str,
    threshold: float | None = None,
    axes: Any | None = None,
) -> Figure:
    """Places coloured by expected score, pale where outside, dark grey where nothing is known.

    With a threshold colours say instead on which side of it scores lie, as far as intervals say;
    what is outside is small then, for pale colours are hard to tell apart.

    Args:
        places: columns ``lon``, ``lat``, ``expected`` and ``inside``; with a threshold
            ``threshold_side``.
        kind: ``accuracy`` or ``error``.
        threshold: a score that matters.
        axes: to draw on; those of a new figure if not given.
    """
    from matplotlib.lines import Line2D

    lon, lat = (places[axis].to_numpy(float) for axis in ("lon", "lat"))
    figure, shown_map = map_axes(lon, lat, axes=axes)
    axes = shown_map.axes
    expected, inside = places["expected"].to_numpy(float), places["inside"].to_numpy(bool)
    known = np.isfinite(expected)
    look: dict[str, Any] = {"marker": "s", "linewidth": 0}
    size = float(np.clip(90_000.0 / len(places), 3.0, 40.0))
    outside = "outside the area of applicability"
    if threshold is None:
        drawn = shown_map.scatter(
            lon[known], lat[known], size, expected[known],
            alpha=np.where(inside, 1.0, _PALE)[known],
            cmap="viridis_r" if kind == "error" else "viridis", **look,
        )  # fmt: skip
        bar = figure.colorbar(drawn, ax=axes, label=f"expected {kind}", shrink=0.7)
        assert bar.solids is not None
        bar.solids.set_alpha(1.0)
        green = drawn.cmap(0.5)
        keys = [
            ("inside the area of applicability", green, 1.0, 1.0, inside.any()),
            (outside, green, _PALE, 1.0, (known & ~inside).any()),
        ]
    else:
        side, sizes = places[SIDE].to_numpy(object), np.where(inside, size, _SMALL * size)
        keys = []
        for name, (colour, text) in side_colours(threshold, kind).items():
            some = known & (side == name)
            shown_map.scatter(lon[some], lat[some], sizes[some], color=colour, **look)
            keys.append((f"{text}: {some.sum()}", colour, 1.0, 1.0, True))
        beyond = known & ~inside
        keys.append((f"{outside}: {beyond.sum()}", "0.5", 1.0, _SMALL, beyond.any()))
    shown_map.scatter(lon[~known], lat[~known], size, color=_UNKNOWN, zorder=3, **look)
    farther = "unknown: farther than any test sample"
    handles = [
        Line2D([], [], linestyle="", marker="s", markersize=6 * share**0.5, color=colour,
               alpha=alpha, label=text)
        for text, colour, alpha, share, shown in
        [*keys, (farther, _UNKNOWN, 1.0, 1.0, (~known).any())]
        if shown
    ]  # fmt: skip
    axes.legend(handles=handles, loc="lower left", fontsize=8).set_zorder(4)
    return figure
