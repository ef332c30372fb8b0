"""Pictures of objects, on axes that may be given."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np

from geospot_gpu.errors import GeospotError
from geospot_gpu.pictures.applicability import applicability_map
from geospot_gpu.pictures.maps import label, map_axes, mapped, pyplot
from geospot_gpu.pictures.selection import draw_selection
from geospot_gpu.pictures.sweep import LARGEST_MATRIX, heatmap
from geospot_gpu.pictures.transfer import contribution_map, draw_correlations, prediction_map
from geospot_gpu.regions import Regions
from geospot_gpu.runs.run import Run
from geospot_gpu.selection.regions import Selection
from geospot_gpu.transfer.applicability.applicability import Applicability
from geospot_gpu.transfer.assessment import Assessment
from geospot_gpu.transfer.explanation import Explanation
from geospot_gpu.transfer.prediction import Predictions

_NAMED = 12
"""Regions that a legend lists."""


@singledispatch
def plot(thing: object, axes: Any | None) -> Any:
    """Draw an object on axes; on those of a new figure if they are None."""
    raise NotImplementedError(f"{type(thing).__name__} has no picture")


@plot.register
def _(thing: Regions, axes: Any | None) -> Any:
    """The points on a map, in the colours of their regions."""
    shown = mapped(thing)
    if shown is None:
        raise GeospotError("points of these regions have no coordinates: no map can be drawn")
    _, drawn = map_axes(shown.lon, shown.lat, axes=axes)
    colours = pyplot().colormaps["tab20"]
    rows = np.repeat(np.arange(len(shown)), shown.sizes)
    size = float(np.clip(20_000.0 / max(len(rows), 1), 1.0, 16.0))
    if len(shown) > _NAMED:
        drawn.scatter(shown.lon, shown.lat, c=rows % 20, cmap="tab20", s=size, vmin=0, vmax=19)
    for k, name in enumerate(shown.names if len(shown) <= _NAMED else ()):
        own = rows == k
        drawn.scatter(shown.lon[own], shown.lat[own], color=colours(k), s=size, label=label(name))
    if 0 < len(shown) <= _NAMED:
        drawn.axes.legend(fontsize=8, loc="lower left")
    points = f"{len(rows):,} points of {len(shown):,} regions"
    drawn.axes.set_title(points, fontsize=10)
    return drawn.axes


@plot.register
def _(thing: Run, axes: Any | None) -> Any:
    """The matrix of its distances, similar regions beside each other."""
    sides = [thing.names, thing.manifest["targets"] or ()]
    if max(map(len, sides)) > LARGEST_MATRIX:
        raise GeospotError(
            f"{thing.folder}: a matrix of more than {LARGEST_MATRIX:,} regions cannot be seen: "
            "take those of interest with run.distances(source=[...])"
        )
    square = thing.manifest["targets"] is None
    return _first(heatmap(thing.dataset(), square=square, axes=axes), axes)


@plot.register
def _(thing: Explanation, axes: Any | None) -> Any:
    """The places of both regions, by what they contribute."""
    if "lon" not in thing.points:
        raise GeospotError("points of these regions have no coordinates: no map can be drawn")
    title = f"{label(thing.source)} - {label(thing.target)}: divergence {thing.divergence:.4f}"
    return _first(contribution_map(thing.points, title, axes=axes), axes)


@plot.register
def _(thing: Predictions, axes: Any | None) -> Any:
    """The map of expected scores, where targets are cells of a grid."""
    if thing.degrees is None:
        raise GeospotError(
            "targets are no cells of a grid: plot their regions, and take scores from .best"
        )
    drawn = prediction_map(thing.best, thing.degrees, thing.kind, thing.threshold, axes=axes)
    return _first(drawn, axes)


@plot.register
def _(thing: Applicability, axes: Any | None) -> Any:
    """The map of places where the model may be trusted."""
    if "lon" not in thing.places:
        raise GeospotError("points have no coordinates: no map can be drawn")
    drawn = applicability_map(thing.places, thing.kind, thing.score_threshold, axes=axes)
    return _first(drawn, axes)


@plot.register
def _(thing: Assessment, axes: Any | None) -> Any:
    """The correlation of every distance with the loss."""
    axes = pyplot().subplots(layout="constrained")[1] if axes is None else axes
    draw_correlations(axes, thing.table)
    return axes


@plot.register
def _(thing: Selection, axes: Any | None) -> Any:
    """What each step improves, or the quotas where samples are scattered."""
    axes = pyplot().subplots(layout="constrained")[1] if axes is None else axes
    draw_selection(axes, thing)
    return axes


def _first(figure: Any, axes: Any | None) -> Any:
    """The axes that were drawn on."""
    return figure.axes[0] if axes is None else axes
