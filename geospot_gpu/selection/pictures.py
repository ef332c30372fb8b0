"""Pictures of neighbours and of selections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.maps import pyplot, save, world_axes
from geospot_gpu.regions import Regions

_TARGET = "C3"
_MOST_LABELS = 30


def neighbour_map(
    table: pd.DataFrame, regions: Regions, against: Regions, target: str, path: Path
) -> None:
    """The points of the nearest regions, coloured by divergence, and those of the target.

    Args:
        table: columns ``rank``, ``region`` and ``divergence``.
        regions: where the neighbours are.
        against: where the target is.
        target: its name.
        path: the PNG file.
    """
    plt = pyplot()
    figure, axes = world_axes(plt)
    places = [_points(regions, name) for name in table["region"]]
    colour = np.repeat(table["divergence"].to_numpy(float), [len(x) for x in places])
    lon, lat = np.concatenate(places).T
    drawn = axes.scatter(lon, lat, c=colour, cmap="viridis", s=10, zorder=3)
    own = _points(against, target)
    axes.scatter(*own.T, color=_TARGET, s=10, marker="^", label=target, zorder=4)
    if len(table) <= _MOST_LABELS:
        for rank, place in zip(table["rank"], places, strict=True):
            _label(axes, str(rank), np.median(place, axis=0))
    axes.legend(fontsize=8, loc="lower left").set_zorder(5)
    axes.set_title(f"The {len(table)} regions nearest to {target}", fontsize=10)
    figure.colorbar(drawn, ax=axes, label="divergence", shrink=0.7)
    save(figure, path)


def _points(regions: Regions, name: str) -> NDArray[np.float64]:
    """Longitude and latitude [n, 2] of the points of a region."""
    k = regions.names.index(name)
    rows = slice(*regions.offsets[k : k + 2])
    return np.stack([regions.lon[rows], regions.lat[rows]], axis=1)


def _label(axes: Any, text: str, place: NDArray[np.float64]) -> None:
    axes.annotate(
        text, place, fontsize=8, ha="center", va="center", zorder=5, parse_math=False,
        bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.8, "linewidth": 0.4},
    )  # fmt: skip
