"""A map of where one model may be trusted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.pictures.maps import drawing, pyplot, save, world_axes

_UNKNOWN = "0.25"
_PALE = 0.3
"""Opacity of what is outside."""


@drawing
def applicability_map(places: pd.DataFrame, kind: str, path: Path) -> None:
    """Places coloured by expected score, pale where outside, dark grey where nothing is known.

    Args:
        places: columns ``lon``, ``lat``, ``expected`` and ``inside``.
        kind: ``accuracy`` or ``error``.
        path: the PNG file.
    """
    plt = pyplot()
    from matplotlib.lines import Line2D

    figure, axes = world_axes(plt)
    lon, lat = (places[axis].to_numpy(float) for axis in ("lon", "lat"))
    expected, inside = places["expected"].to_numpy(float), places["inside"].to_numpy(bool)
    known = np.isfinite(expected)
    look = {"s": float(np.clip(90_000.0 / len(places), 3.0, 40.0)), "marker": "s", "linewidth": 0}
    opacity = np.where(inside, 1.0, _PALE)[known]
    drawn = axes.scatter(
        lon[known], lat[known], c=expected[known], alpha=opacity,
        cmap="viridis_r" if kind == "error" else "viridis", **look,
    )  # fmt: skip
    axes.scatter(lon[~known], lat[~known], color=_UNKNOWN, zorder=3, **look)
    axes.set_xlim(*_span(lon, 180.0))
    axes.set_ylim(*_span(lat, 90.0))
    green = drawn.cmap(0.5)
    keys = [
        Line2D([], [], linestyle="", marker="s", color=colour, alpha=alpha, label=text)
        for colour, alpha, text, shown in (
            (green, 1.0, "inside the area of applicability", inside.any()),
            (green, _PALE, "outside", (known & ~inside).any()),
            (_UNKNOWN, 1.0, "unknown: farther than any test sample", (~known).any()),
        )
        if shown
    ]
    axes.legend(handles=keys, loc="lower left", fontsize=8).set_zorder(4)
    bar = figure.colorbar(drawn, ax=axes, label=f"expected {kind}", shrink=0.7)
    bar.solids.set_alpha(1.0)
    save(figure, path)


def _span(values: NDArray[np.float64], most: float) -> tuple[float, float]:
    """Ends of an axis around places."""
    pad = max(2.0, 0.05 * float(np.ptp(values)))
    return max(-most, float(values.min()) - pad), min(most, float(values.max()) + pad)
