"""Cells of a grid over the land, as regions that scores are predicted for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.encoders import Encoder
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.land import land
from geospot_gpu.points.table import Points
from geospot_gpu.regions import Regions, grouping

_LEAST = 10
"""Points on land that a cell has at least, or it is left out."""


class LandCells(NamedTuple):
    """Cells with land."""

    regions: Regions
    corners: pd.DataFrame
    """Columns ``target`` (the name of a cell), and ``lon`` and ``lat`` of its south-western corner,
    in degrees."""
    degrees: float
    """Size of a cell."""

    def groups(self, places: Points) -> dict[str, NDArray[np.int64]]:
        """Places by the names of the cells that they lie in."""
        west, south = (
            np.floor((side + half) / self.degrees) * self.degrees - half
            for side, half in ((places.lon, 180.0), (places.lat, 90.0))
        )
        names = pd.Series([_name(*corner) for corner in zip(west, south, strict=True)])
        known = set(self.regions.names)
        found = names.groupby(names).indices.items()
        return {str(name): np.asarray(rows) for name, rows in found if name in known}


def _name(west: float, south: float) -> str:
    return f"{west:g},{south:g}"


def land_cells(degrees: float, points: int, seed: int, encoder: Encoder, device: str) -> LandCells:
    """Points on the land of each cell of a grid, equally dense on the sphere.

    Args:
        degrees: size of a cell.
        points: how many are drawn on the land of each.
        seed: of the points.
        encoder: where features come from; it reads nothing but coordinates.
        device: where the regions will live.

    Raises:
        GeospotError: the encoder needs more than coordinates, or there is no such grid.
    """
    degrees, count = checks.real(degrees, "targets.degrees"), checks.whole(points, "targets.points")
    if not encoder.reads_coordinates:
        raise GeospotError(
            "a grid over the land has no features but those of its coordinates: give targets=FILE, "
            "or make the sweep with encoder=geoclip or none"
        )
    if not 1.0 <= degrees <= 90.0 or count < 1:
        raise GeospotError(
            f"targets.degrees={degrees:g}, targets.points={count}: give cells of 1 to 90 degrees "
            "and at least one point"
        )
    generator = np.random.default_rng(seed)
    lon, lat, cell, corners = [], [], [], []
    for south in np.arange(-90.0, 90.0, degrees):
        heights = np.sin(np.radians([south, min(90.0, south + degrees)]))
        for west in np.arange(-180.0, 180.0, degrees):
            x = generator.uniform(west, min(180.0, west + degrees), 8 * count)
            y = np.degrees(np.arcsin(generator.uniform(heights[0], heights[1], 8 * count)))
            dry = np.flatnonzero(land(x, y))[:count]
            if len(dry) < min(count, _LEAST):
                continue
            name = _name(west, south)
            corners.append((name, west, south))
            lon.append(x[dry])
            lat.append(y[dry])
            cell += [name] * len(dry)
    table = pd.DataFrame({"cell": cell})
    drawn = Points.build(lon=np.concatenate(lon), lat=np.concatenate(lat), attributes=table)
    groups = grouping.by_column(drawn, "cell")
    regions = Regions.from_groups(drawn, dict(groups), encoder=encoder, device=device)
    return LandCells(regions, pd.DataFrame(corners, columns=["target", "lon", "lat"]), degrees)
