"""Pictures of neighbours and of selections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.pictures.maps import Map, drawing, label, map_axes, pyplot
from geospot_gpu.regions import Regions
from geospot_gpu.selection.points import PointSelection
from geospot_gpu.selection.regions import Selection

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TARGET = "C3"
_MOST_LABELS = 30


@drawing
def neighbour_map(
    table: pd.DataFrame,
    regions: Regions,
    against: Regions,
    target: str,
    borders: Any | None = None,
) -> Figure:
    """The points of the nearest regions, coloured by divergence, and those of the target.

    Args:
        table: columns ``rank``, ``region`` and ``divergence``.
        regions: where the neighbours are.
        against: where the target is.
        target: its name.
        borders: polygons of regions with their ``name``, where regions are such.
    """
    places = [_points(regions, name) for name in table["region"]]
    colour = np.repeat(table["divergence"].to_numpy(float), [len(x) for x in places])
    lon, lat = np.concatenate(places).T
    figure, shown = map_axes(*np.concatenate([*places, _points(against, target)]).T)
    axes = shown.axes
    drawn = shown.scatter(lon, lat, c=colour, cmap="viridis", s=10, zorder=3)
    shown.borders(borders, table["region"])
    _targets(shown, [target], against, borders)
    if len(table) <= _MOST_LABELS:
        for rank, place in zip(table["rank"], places, strict=True):
            _label(shown, str(rank), np.median(place, axis=0))
    axes.set_title(f"The {len(table)} regions nearest to {label(target)}", fontsize=10)
    figure.colorbar(drawn, ax=axes, label="divergence", shrink=0.7)
    return figure


@drawing
def selection_picture(
    selection: Selection,
    regions: Regions | None,
    against: Regions | None,
    borders: Any | None = None,
) -> Figure:
    """The chosen regions on a map, and the distance after each step with its interval.

    Args:
        selection: what was chosen.
        regions: where the chosen regions are; None where nobody knows.
        against: where the targets are, likewise; then there is no map.
        borders: polygons of regions with their ``name``, where regions are such.
    """
    plt = pyplot()
    figure: Figure
    if regions is None or against is None:
        figure, steps = plt.subplots(figsize=(6, 4.6), layout="constrained")
    else:
        figure, (axes, steps) = plt.subplots(
            1, 2, figsize=(13.5, 4.6), width_ratios=[2.2, 1], layout="constrained"
        )
        _draw_chosen(axes, selection, regions, against, borders)
    draw_selection(steps, selection)
    return figure


def draw_selection(axes: Any, selection: Selection) -> None:
    """What each step improves; the quotas, where samples are scattered."""
    (_draw_quotas if selection.scattered else _draw_steps)(axes, selection)


def _draw_chosen(
    axes: Any, selection: Selection, regions: Regions, against: Regions, borders: Any | None
) -> None:
    """The chosen regions on a map, by their order."""
    table = selection.table
    places = [_points(regions, name) for name in table["region"]]
    of_targets = [_points(against, name) for name in selection.targets]
    shown = Map(axes, *np.concatenate([*places, *of_targets]).T)
    order = np.repeat(table["order"].to_numpy(float), [len(x) for x in places])
    lon, lat = np.concatenate(places).T
    shown.scatter(lon, lat, c=order, cmap="viridis_r", s=8, zorder=3)
    shown.borders(borders, table["region"])
    _targets(shown, selection.targets, against, borders)
    if len(table) <= _MOST_LABELS:
        for number, place in zip(table["order"], places, strict=True):
            _label(shown, str(number), np.median(place, axis=0))


def _draw_steps(steps: Any, selection: Selection) -> None:
    """The distance after each step with its interval, and what is scattered beside it."""
    table, beside = selection.table, selection.scatter
    half = [table["distance"] - table["lower"], table["upper"] - table["distance"]]
    steps.errorbar(
        table["order"], table["distance"], yerr=np.maximum(half, 0.0), fmt="o-", capsize=3
    )
    if 0 < selection.improves_until < len(table):
        steps.axvline(selection.improves_until + 0.5, color="0.6", linestyle="--", linewidth=1)
        steps.set_title("nothing improves beyond the error bars after the line", fontsize=9)
    if len(table) <= _MOST_LABELS:
        steps.set_xticks(table["order"], labels=table["region"].map(label), rotation=90, fontsize=8)
    steps.set_xlabel("regions, in order")
    steps.set_ylabel(f"{selection.distance} after each (95 % interval)")
    value, low, high = beside.scattered
    text = f"scattered over {beside.regions} region{'s' if beside.regions > 1 else ''}"
    if selection.distance != "coverage":  # on no axis of this picture
        steps.plot([], [], " ", label=f"coverage {beside.chosen.value:.4f}, {text} {value:.4f}")
    else:
        steps.axhspan(low, high, color="C1", alpha=0.2, linewidth=0)
        steps.axhline(value, color="C1", linewidth=1.2, label=f"{beside.samples} samples {text}")
    steps.legend(fontsize=8)


def _draw_quotas(steps: Any, selection: Selection) -> None:
    """How many samples of each region, where there are no steps."""
    table, reached = selection.table, selection.scatter.scattered
    steps.bar(table["order"], table["quota"])
    steps.yaxis.get_major_locator().set_params(integer=True)
    if len(table) <= _MOST_LABELS:
        steps.set_xticks(table["order"], labels=table["region"].map(label), rotation=90, fontsize=8)
    steps.set_xlabel("regions, the largest share first")
    steps.set_ylabel("samples")
    steps.set_title(
        f"coverage {reached.value:.4f} [{reached.lower:.4f}, {reached.upper:.4f}]", fontsize=9
    )


@drawing
def point_map(
    selection: PointSelection,
    regions: Regions,
    against: Regions,
    borders: Any | None = None,
) -> Figure:
    """The chosen points, the heavier the larger, and those of the targets.

    Args:
        selection: what was chosen.
        regions: where points lie that have no coordinates of their own.
        against: where the targets are.
        borders: polygons of regions with their ``name``, where regions are such.
    """
    table = selection.table
    if "lon" not in table:
        place = dict(zip(regions.names, zip(*_firsts(regions), strict=True), strict=True))
        by_region = table.groupby("region").agg({"order": "min", "weight": "sum"}).reset_index()
        lon, lat = np.array([place[name] for name in by_region["region"]]).T
        table = by_region.assign(lon=lon, lat=lat)
    lon, lat = (table[axis].to_numpy(float) for axis in ("lon", "lat"))
    of_targets = np.concatenate([_points(against, name) for name in selection.targets])
    figure, shown = map_axes(*np.concatenate([np.stack([lon, lat], -1), of_targets]).T)
    axes = shown.axes
    _targets(shown, selection.targets, against, borders, alpha=0.35)
    weight = table["weight"].to_numpy(float)
    size = 4.0 + 60.0 * weight / max(weight.max(initial=0.0), 1e-12)
    drawn = shown.scatter(
        lon, lat, c=table["order"], cmap="viridis_r", s=size, zorder=4,
        edgecolor="0.2", linewidth=0.2,
    )  # fmt: skip
    axes.set_title(f"{len(selection.table)} points for {_listed(selection.targets)}", fontsize=10)
    figure.colorbar(drawn, ax=axes, label="order", shrink=0.7)
    return figure


def _targets(
    shown: Map, names: list[str], against: Regions, borders: Any | None, alpha: float = 1.0
) -> None:
    """The points of the targets, with a legend."""
    own = np.concatenate([_points(against, name) for name in names])
    look: dict[str, Any] = {"color": _TARGET, "s": 10, "marker": "^", "alpha": alpha, "zorder": 3}
    shown.scatter(*own.T, label=_listed(names), **look)
    shown.borders(borders, names, color=_TARGET)
    shown.axes.legend(fontsize=8, loc="lower left").set_zorder(5)


def _listed(names: list[str]) -> str:
    """The first of some names."""
    shown = ", ".join(map(label, names[:3]))
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _points(regions: Regions, name: str) -> NDArray[np.float64]:
    """Longitude and latitude [n, 2] of the points of a region."""
    k = regions.names.index(name)
    rows = slice(*regions.offsets[k : k + 2])
    return np.stack([regions.lon[rows], regions.lat[rows]], axis=1)


def _firsts(regions: Regions) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitude and latitude [R] of the first point of each region."""
    first = regions.offsets[:-1]
    return regions.lon[first], regions.lat[first]


def _label(shown: Map, text: str, place: NDArray[np.float64]) -> None:
    shown.axes.annotate(
        text, shown.place(*place), fontsize=8, ha="center", va="center", zorder=5, parse_math=False,
        bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.8, "linewidth": 0.4},
    )  # fmt: skip
