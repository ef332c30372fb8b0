"""What all pictures share: axes with a map of the Earth, labels, and how they are saved."""

from __future__ import annotations

import logging
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.errors.say import printable
from geospot_gpu.land import land
from geospot_gpu.regions import Regions
from geospot_gpu.regions.countries import country_places

log = logging.getLogger("geospot_gpu")

_LAND_STEP = 0.25
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


def world_axes(plt: Any, *, cover: bool = False) -> tuple[Any, Any]:
    """A figure of one map; see :func:`draw_land`."""
    figure, axes = plt.subplots(figsize=(11, 5.4), layout="constrained")
    draw_land(axes, cover=cover)
    return figure, axes


def draw_land(axes: Any, *, cover: bool = False) -> None:
    """A map in degrees: the land in grey below what is drawn, or the sea in white above it."""
    lon = np.arange(-180 + _LAND_STEP / 2, 180, _LAND_STEP)
    lat = np.arange(-90 + _LAND_STEP / 2, 90, _LAND_STEP)
    grid = land(*np.meshgrid(lon, lat)).astype(float)
    axes.imshow(
        np.ma.masked_equal(grid, 1.0 if cover else 0.0),
        extent=(-180, 180, -90, 90), origin="lower", cmap="Greys", vmin=0, vmax=5,
        zorder=3 if cover else 0, aspect="auto",
    )  # fmt: skip
    axes.set_xlabel("longitude")
    axes.set_ylabel("latitude")


def pyplot() -> Any:
    """Matplotlib's pyplot, without a screen."""
    import matplotlib

    matplotlib.use("Agg")
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


def save(figure: Any, path: Path) -> None:
    """Write a picture as PNG, and close it."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from")  # a box is drawn instead
            warnings.filterwarnings("ignore", "constrained_layout not applied")  # long names
            figure.savefig(path, dpi=150, format="png")
    finally:
        pyplot().close(figure)
