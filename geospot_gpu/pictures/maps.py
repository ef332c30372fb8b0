"""What all pictures share: axes with a map of the Earth, labels, and how they are saved."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.errors.say import printable
from geospot_gpu.land import land
from geospot_gpu.pictures.projection import Azimuthal, EqualEarth, projection_of
from geospot_gpu.regions import Regions
from geospot_gpu.regions.countries import country_places

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger("geospot_gpu")
Array = NDArray[np.float64]

_PIXELS = 1600
"""Across a map of the land."""
_BENDS = 6
"""Corners of a side of a cell, which may be bent."""
_NET = 30.0
"""Degrees between the lines of a map of the Earth."""
_STEPS = 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0
_LEAST = 0.01
"""The least width of a map, in Earth radii."""
_LONGEST = 40

drawing = out_of_memory("drawing a picture", "free memory, or take fewer regions or points")
"""Decorates what draws."""


def mapped(regions: Regions) -> Regions | None:
    """The regions where a map shows them: None, aloud, where they have no places.

    Regions whose points have no coordinates lie where the countries of their names do, if all of
    their names are of countries.
    """
    if regions.located:
        return regions
    try:
        places = country_places(regions.names)
    except GeospotError as error:
        log.warning("points have no coordinates: no map is drawn (%s)", error)
        return None
    if places is None:
        log.warning("points have no coordinates, and regions are no countries: no map is drawn")
        return None
    log.warning("points have no coordinates: regions are drawn at the countries of their names")
    lon, lat = np.repeat(places, regions.sizes, axis=0).T
    return replace(regions, lon=lon, lat=lat)


class Map:
    """Axes with a map of equal areas: the land in grey below what is drawn, and a net of degrees.

    Args:
        axes: of Matplotlib.
        lon, lat: places that are shown, degrees, [n]: those of a part of the Earth lie around the
            middle of the map.
        cover: draw the sea in white above what is drawn, and no land.
    """

    def __init__(self, axes: Any, lon: Array, lat: Array, *, cover: bool = False) -> None:
        self.axes = axes
        self._projection = projection_of(lon, lat)
        self._left, self._right, self._low, self._high = self._window(lon, lat)
        axes.set_xlim(self._left, self._right)
        axes.set_ylim(self._low, self._high)
        axes.set_aspect("equal")
        axes.set_xticks([])
        axes.set_yticks([])
        for side in axes.spines.values():
            side.set_visible(isinstance(self._projection, Azimuthal))
            side.set_color("0.7")
        self._draw_land(cover)
        self._draw_degrees(cover)

    def scatter(self, lon: Array, lat: Array, *arguments: Any, **options: Any) -> Any:
        """Draw places given in degrees as the axes' ``scatter`` does."""
        return self.axes.scatter(*self._projection.forward(lon, lat), *arguments, **options)

    def place(self, lon: float, lat: float) -> tuple[float, float]:
        """Where a place lies on the axes."""
        x, y = self._projection.forward(np.array([lon]), np.array([lat]))
        return float(x[0]), float(y[0])

    def cells(self, lon: Array, lat: Array, degrees: float) -> Array:
        """Outlines [n, k, 2] on the axes of cells of a grid, from their south-western corners."""
        side = np.linspace(0.0, degrees, _BENDS, endpoint=False)
        still = np.zeros_like(side)
        east = np.concatenate([side, still + degrees, degrees - side, still])
        north = np.concatenate([still, side, still + degrees, degrees - side])
        return np.stack(
            self._projection.forward(lon[:, None] + east, lat[:, None] + north), axis=-1
        )

    def borders(self, polygons: Any | None, names: Iterable[str], color: str = "0.25") -> None:
        """Draw those polygons, of a GeoDataFrame with column ``name``, that have these names."""
        if polygons is None:
            return
        from matplotlib.collections import LineCollection
        from shapely import (  # type: ignore[import-untyped]
            get_coordinates,
            get_parts,
            get_rings,
            segmentize,
        )

        shapes = polygons.geometry[polygons["name"].isin(list(names)).to_numpy()].to_numpy()
        rings = get_rings(get_parts(segmentize(shapes, 1.0)))  # straight in degrees, bent here
        lines = [np.stack(self._projection.forward(*get_coordinates(ring).T), -1) for ring in rings]
        self.axes.add_collection(LineCollection(lines, colors=color, linewidths=0.6, zorder=2.5))

    def _window(self, lon: Array, lat: Array) -> tuple[float, float, float, float]:
        """What is shown, in the plane: the whole Earth, or what is around the places."""
        if isinstance(self._projection, EqualEarth):
            right, top = self._projection.outline().max(0)
            return -1.01 * right, 1.01 * right, -1.02 * top, 1.02 * top
        x, y = self._projection.forward(lon, lat)
        width, height = max(float(np.ptp(x)), _LEAST), max(float(np.ptp(y)), _LEAST)
        width, height = max(width, 0.6 * height), max(height, 0.4 * width)
        half = 0.5 * width + 0.08 * max(width, height), 0.5 * height + 0.08 * max(width, height)
        middle = 0.5 * (x.min() + x.max()), 0.5 * (y.min() + y.max())
        return middle[0] - half[0], middle[0] + half[0], middle[1] - half[1], middle[1] + half[1]

    def _draw_land(self, cover: bool) -> None:
        wide, high = self._right - self._left, self._high - self._low
        columns = _PIXELS
        rows = round(columns * high / wide)
        x = self._left + (np.arange(columns) + 0.5) * wide / columns
        y = self._low + (np.arange(rows) + 0.5) * high / rows
        lon, lat = self._projection.inverse(x[None, :], y[:, None])
        there = np.isfinite(lon)
        grid = np.zeros(lon.shape)
        grid[there] = land(lon[there], lat[there])
        self.axes.imshow(
            np.ma.masked_equal(grid, 1.0 if cover else 0.0),
            extent=(self._left, self._right, self._low, self._high), origin="lower",
            cmap="Greys", vmin=0, vmax=5, zorder=3 if cover else 0, aspect="equal",
            interpolation="nearest",
        )  # fmt: skip

    def _draw_degrees(self, cover: bool) -> None:
        """Meridians and parallels, with their degrees where they leave the map."""
        over = 3.0 if cover else 0.0
        look: dict[str, Any] = {"color": "0.8", "linewidth": 0.4, "zorder": over + 0.1}
        text: dict[str, Any] = {"fontsize": 6, "color": "0.45", "clip_on": False}
        whole = isinstance(self._projection, EqualEarth)
        step = _NET if whole else self._step()
        fine = np.linspace(0.0, 1.0, 361)
        for lon in np.arange(-180.0, 180.0 + whole, step):
            x, y = self._seen(np.full(361, lon), 180.0 * fine - 90.0)
            self.axes.plot(x, y, **look)
            if np.isfinite(y).any() and not whole:
                at = int(np.nanargmin(y))
                if y[at] < self._low + 0.03 * (self._high - self._low):
                    self.axes.text(x[at], self._low, _degrees(lon, "EW"), ha="center", va="top",
                                   **text)  # fmt: skip
        for lat in np.arange(-90.0 + step, 90.0, step):
            x, y = self._seen(360.0 * fine - 180.0, np.full(361, lat))
            order = np.argsort(x) if not whole else slice(None)
            self.axes.plot(x, y, **look)
            x, y = x[order], y[order]
            if np.isfinite(x).any():
                at = int(np.nanargmin(x))
                if whole or x[at] < self._left + 0.03 * (self._right - self._left):
                    self.axes.text(x[at] if whole else self._left, y[at], _degrees(lat, "NS"),
                                   ha="right", va="center", **text)  # fmt: skip
        if isinstance(self._projection, EqualEarth):
            self.axes.plot(
                *self._projection.outline().T, color="0.6", linewidth=0.6, zorder=over + 0.2
            )

    def _seen(self, lon: Array, lat: Array) -> tuple[Array, Array]:
        """A line in the plane, NaN where it is not in the window."""
        x, y = self._projection.forward(lon, lat)
        inside = (self._left <= x) & (x <= self._right) & (self._low <= y) & (y <= self._high)
        return np.where(inside, x, np.nan), np.where(inside, y, np.nan)

    @property
    def height_to_width(self) -> float:
        """Of what is shown."""
        return (self._high - self._low) / (self._right - self._left)

    def _step(self) -> float:
        """Degrees between lines, of which a handful cross the window."""
        span = np.rad2deg(max(self._right - self._left, self._high - self._low))
        return next((step for step in _STEPS if span / step <= 7.0), _NET)


def map_axes(
    lon: Array, lat: Array, *, cover: bool = False, axes: Any | None = None
) -> tuple[Figure, Map]:
    """A figure and its map of these places.

    Args:
        lon, lat, cover: as for :class:`Map`.
        axes: to draw it on; those of a figure in the shape of the places if not given.
    """
    if axes is not None:
        return axes.figure, Map(axes, lon, lat, cover=cover)
    figure, own = pyplot().subplots(figsize=(11, 5.4), layout="constrained")
    drawn = Map(own, lon, lat, cover=cover)
    figure.set_size_inches(11, float(np.clip(9.4 * drawn.height_to_width + 0.6, 4.6, 9.0)))
    return figure, drawn


def _degrees(value: float, sides: str) -> str:
    """Degrees as a map has them.

    >>> _degrees(-30.0, "EW"), _degrees(0.0, "NS"), _degrees(-180.0, "EW")
    ('30°W', '0°', '180°')
    """
    side = "" if value in (0.0, 180.0, -180.0) else sides[int(value < 0.0)]
    return f"{abs(value):g}°{side}"


def pyplot() -> Any:
    """Matplotlib's pyplot, which draws names as they are."""
    from matplotlib import pyplot as plt

    plt.rcParams["text.parse_math"] = False  # names may hold dollars
    return plt


def label(name: str) -> str:
    r"""A name to be drawn: short, and without what cannot be seen.

    >>> print(label("a\u202eb" + "c" * 99))
    a\u202ebccccccccccccccccccccccccccccc...
    """
    text = printable(name)
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    return f" {text}" if text.startswith("_") else text  # Matplotlib leaves such out of legends


@drawing
def save(figure: Figure, path: Path) -> None:
    """Write a picture as PNG, and close it."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from")  # a box is drawn instead
            warnings.filterwarnings("ignore", "constrained_layout not applied")  # long names
            figure.savefig(path, dpi=150, format="png")
    finally:
        pyplot().close(figure)
