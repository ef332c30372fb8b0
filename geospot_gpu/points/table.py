"""Points: validated coordinates and weights, with the attributes they came with."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from geospot_gpu.errors import GeospotError

log = logging.getLogger("geospot_gpu")

Invalid = Literal["error", "drop"]


@dataclass(frozen=True)
class Points:
    """A table of valid points.

    Attributes:
        lon: longitude in degrees, in [-180, 180), float64 [n].
        lat: latitude in degrees, in [-90, 90], float64 [n].
        weight: positive mass, float64 [n].
        attributes: the other columns of the table, [n] rows.
        origin: where the points came from, for messages.
        dropped: how many invalid rows were dropped.
    """

    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    weight: NDArray[np.float64]
    attributes: pd.DataFrame
    origin: str
    dropped: int = 0

    def __len__(self) -> int:
        return len(self.lon)

    @classmethod
    def build(
        cls,
        *,
        lon: ArrayLike,
        lat: ArrayLike,
        weight: ArrayLike | None = None,
        attributes: pd.DataFrame | None = None,
        origin: str = "points",
        invalid: Invalid = "error",
    ) -> Points:
        """Check and normalise coordinates and weights.

        Args:
            lon: longitudes in degrees; [0, 360] is wrapped.
            lat: latitudes in degrees.
            weight: positive masses; equal ones if not given.
            attributes: columns to keep beside the points.
            origin: name of the source for messages.
            invalid: ``error`` refuses invalid rows, ``drop`` leaves them out and counts them.

        Raises:
            GeospotError: a coordinate or weight is missing, infinite or out of range.

        >>> Points.build(lon=[359.0], lat=[10.0]).lon.tolist()
        [-1.0]
        """
        lon, lat = np.asarray(lon, float), np.asarray(lat, float)
        if lon.shape != lat.shape or lon.ndim != 1:
            raise GeospotError(f"{origin}: lon {lon.shape} and lat {lat.shape} must be equally long vectors")
        mass = np.ones_like(lon) if weight is None else np.asarray(weight, float)
        if mass.shape != lon.shape:
            raise GeospotError(f"{origin}: weight {mass.shape} must be as long as lon {lon.shape}")
        table = pd.DataFrame(index=range(len(lon))) if attributes is None else attributes
        table = table.reset_index(drop=True)
        problems = {
            "longitude or latitude missing or not a finite number": ~(
                np.isfinite(lon) & np.isfinite(lat)
            ),
            "latitude outside [-90, 90]": np.abs(lat) > 90.0,
            "longitude outside [-180, 360]": (lon < -180.0) | (lon > 360.0),
            "weight not a positive finite number": ~(np.isfinite(mass) & (mass > 0)),
        }
        bad = np.zeros(len(lon), dtype=bool)
        for problem, rows in problems.items():
            if rows.any() and invalid == "error":
                raise GeospotError(
                    f"{origin}: {problem} in {_row_list(rows)}: mend the rows, or drop them with "
                    "points.invalid=drop"
                )
            bad |= rows
        if bad.any():
            log.warning("%s: dropped %d invalid rows: %s", origin, bad.sum(), _row_list(bad))
        keep = ~bad
        if not keep.any():
            raise GeospotError(f"{origin}: no valid points")
        wrapped = (lon[keep] + 180.0) % 360.0 - 180.0
        return cls(
            wrapped, lat[keep], mass[keep], table[keep].reset_index(drop=True), origin, int(bad.sum())
        )

    def take(self, rows: NDArray[np.int64]) -> Points:
        """The given rows."""
        return replace(
            self,
            lon=self.lon[rows],
            lat=self.lat[rows],
            weight=self.weight[rows],
            attributes=self.attributes.iloc[rows],
        )

    def balanced(self, degrees: float) -> Points:
        """The same points with equal mass in every lon/lat cell of ``degrees``.

        Undoes uneven sampling: within a cell, mass stays in proportion to the weights.

        >>> points = Points.build(lon=[0.1, 0.2, 5.5], lat=[0.1, 0.2, 5.5])
        >>> points.balanced(1.0).weight.tolist()
        [0.5, 0.5, 1.0]
        """
        cells = grid_cells(lon=self.lon, lat=self.lat, degrees=degrees)
        _, cell = np.unique(cells, axis=0, return_inverse=True)
        cell = cell.ravel()
        return replace(self, weight=self.weight / np.bincount(cell, self.weight)[cell])


def grid_cells(
    *, lon: NDArray[np.float64], lat: NDArray[np.float64], degrees: float
) -> NDArray[np.int64]:
    """Column and row [n, 2] of the lon/lat grid cell of each point, counted from (-180, -90).

    The north pole belongs to the last row of cells.
    """
    if not 0.0 < degrees <= 180.0:
        raise GeospotError(f"a grid of {degrees} degrees is not possible: use a size in (0, 180]")
    column = np.floor((lon + 180.0) / degrees)
    row = np.minimum(np.floor((lat + 90.0) / degrees), np.ceil(180.0 / degrees) - 1)
    return np.stack([column, row], axis=1).astype(np.int64)


def _row_list(rows: NDArray[np.bool_]) -> str:
    """The first few row numbers, counted from 1 for the first row of data."""
    numbers = np.flatnonzero(rows) + 1
    shown = ", ".join(map(str, numbers[:5]))
    more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
    return f"row{'s' if len(numbers) > 1 else ''} {shown}{more}"
