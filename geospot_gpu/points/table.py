"""Points: validated coordinates and weights, with the attributes they came with."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.points.labels import Labels, as_labels

log = logging.getLogger("geospot_gpu")

Invalid = Literal["error", "drop"]

_SMALLEST_CELL = 1e-6
_LARGEST_WEIGHT = 1e150  # sums of many stay finite


@dataclass(frozen=True)
class Points:
    """A table of valid points.

    Attributes:
        lon: longitude in degrees, in [-180, 180), float64 [n]; NaN where points have no places.
        lat: latitude in degrees, in [-90, 90], float64 [n], likewise.
        weight: positive mass, float64 [n].
        attributes: the other columns of the table, [n] rows, indexed by their row number in the
            source, counted from 1 for the first row of data.
        origin: where the points came from, for messages.
        dropped: how many invalid rows were dropped.
        invalid: whether points that turn out to be invalid are refused or dropped, too.
        label: what each point is labelled with (:mod:`geospot_gpu.points.labels`), [n]; None where
            points have no labels.
    """

    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    weight: NDArray[np.float64]
    attributes: pd.DataFrame
    origin: str
    dropped: int = 0
    invalid: Invalid = "error"
    label: Labels | None = None

    def __len__(self) -> int:
        return len(self.lon)

    @property
    def located(self) -> bool:
        """Whether the points have coordinates: all of them do, or none."""
        return not np.isnan(self.lon[:1]).any()

    def check_located(self, what: str, remedy: str = "give them lon and lat") -> None:
        """Raise where the points have no coordinates, which something needs.

        Args:
            what: needs them, for the message.
            remedy: what to do.
        """
        if not self.located:
            raise GeospotError(
                f"{self.origin}: its points have no coordinates, which {what} needs: {remedy}"
            )

    @classmethod
    def build(
        cls,
        *,
        lon: ArrayLike | None = None,
        lat: ArrayLike | None = None,
        weight: ArrayLike | None = None,
        attributes: pd.DataFrame | None = None,
        origin: str = "points",
        invalid: Invalid = "error",
        label: ArrayLike | pd.Series | None = None,
    ) -> Points:
        """Check and normalise coordinates and weights.

        Args:
            lon: longitudes in degrees; [0, 360] is wrapped. Points without coordinates, which
                differ in their features alone, are given neither.
            lat: latitudes in degrees.
            weight: positive masses; equal ones if not given.
            attributes: columns to keep beside the points.
            origin: name of the source for messages.
            invalid: ``error`` refuses invalid rows, ``drop`` leaves them out and counts them.
            label: labels, of which some may be missing: classes or numbers.

        Raises:
            GeospotError: a coordinate or weight is missing, infinite or out of range, or the
                arguments are not equally long vectors of numbers.

        >>> Points.build(lon=[359.0], lat=[10.0]).lon.tolist()
        [-1.0]
        >>> Points.build(attributes=pd.DataFrame({"country": ["Mali", "Peru"]})).located
        False
        """
        check_invalid(invalid)
        if attributes is not None:
            checks.instance(attributes, pd.DataFrame, "attributes")
        checks.text(origin, "origin")
        if (lon is None) != (lat is None):
            given, absent = ("lat", "lon") if lon is None else ("lon", "lat")
            raise GeospotError(f"{origin}: there is {given} without {absent}: give both or neither")
        located = lon is not None
        if lon is None or lat is None:
            if attributes is None:
                raise GeospotError(f"{origin}: there are no coordinates: give lon and lat")
            lon = lat = np.full(len(attributes), np.nan)
        lon, lat = _vector(lon, "lon", origin), _vector(lat, "lat", origin)
        mass = np.ones_like(lon) if weight is None else _vector(weight, "weight", origin)
        rows = pd.RangeIndex(1, len(lon) + 1)
        table = pd.DataFrame(index=rows) if attributes is None else attributes
        lengths = {"lat": len(lat), "weight": len(mass), "attributes": len(table)}
        labels = (
            None
            if label is None
            else as_labels(label, getattr(label, "name", None) or "label", origin)
        )
        if labels is not None:
            lengths["label"] = len(labels)
        for name, length in lengths.items():
            if length != len(lon):
                raise GeospotError(
                    f"{origin}: {name} has {length} rows and {'lon' if located else 'attributes'} "
                    f"{len(lon)}: give every point one"
                )
        table = table.set_axis(rows, axis=0)
        problems = {
            "longitude or latitude missing or not a finite number": located
            & ~(np.isfinite(lon) & np.isfinite(lat)),
            "latitude outside [-90, 90]": np.abs(lat) > 90.0,
            "longitude outside [-180, 360]": (lon < -180.0) | (lon > 360.0),
            "weight not a positive finite number": ~((mass > 0) & (mass < _LARGEST_WEIGHT)),
        }
        bad = np.zeros(len(lon), dtype=bool)
        for problem, found in problems.items():
            if found.any() and invalid == "error":
                raise GeospotError(
                    f"{origin}: {problem} in {_row_list(found)}: mend the rows, or drop them with "
                    "points.invalid=drop"
                )
            bad |= found
        if bad.any():
            log.warning("%s: dropped %d invalid: %s", origin, bad.sum(), _row_list(bad))
        keep = ~bad
        if not keep.any():
            raise GeospotError(f"{origin}: no valid points: give at least one")
        lon, lat = lon[keep], lat[keep]
        # Subtracting is exact, so that equal places stay equal. Adding zero turns -0.0 into 0.0,
        # which has other bytes.
        lon = np.where(lon >= 180.0, lon - 360.0, lon) + 0.0
        labels = None if labels is None else labels[keep]
        dropped = int(bad.sum())
        return cls(lon, lat + 0.0, mass[keep], table[keep], origin, dropped, invalid, labels)

    def warn_of_zeros(self) -> None:
        """Say how many points lie at exactly 0, 0, where many tables put missing coordinates."""
        zero = np.flatnonzero((self.lon == 0.0) & (self.lat == 0.0))
        if len(zero):
            rows = np.zeros(len(self) + self.dropped, dtype=bool)
            rows[self.attributes.index[zero] - 1] = True
            log.warning(
                "%s: %d points lie at exactly 0, 0, where tables put missing coordinates: %s",
                *(self.origin, len(zero), _row_list(rows)),
            )

    def described(self, row: int) -> str:
        """What a point is called in messages: its row in the source, and where it lies.

        >>> Points.build(lon=[2.35], lat=[48.85], origin="towns.csv").described(0)
        'towns.csv: row 1 (lon 2.35, lat 48.85)'
        """
        at = self.attributes.index[row]
        return f"{self.origin}: row {at} (lon {self.lon[row]:g}, lat {self.lat[row]:g})"

    def take(self, rows: NDArray[np.int64]) -> Points:
        """The given rows."""
        rows = checks.positions(rows, len(self), "rows")
        return replace(
            self,
            lon=self.lon[rows],
            lat=self.lat[rows],
            weight=self.weight[rows],
            attributes=self.attributes.iloc[rows],
            label=None if self.label is None else self.label[rows],
        )

    def balanced(self, degrees: float) -> Points:
        """The same points with equal mass in every lon/lat cell of ``degrees``.

        Undoes uneven sampling: within a cell, mass stays in proportion to the weights.

        Raises:
            GeospotError: there is no grid of this size, or the points have no coordinates.

        >>> points = Points.build(lon=[0.1, 0.2, 5.5], lat=[0.1, 0.2, 5.5])
        >>> points.balanced(1.0).weight.tolist()
        [0.5, 0.5, 1.0]
        """
        self.check_located("regions.cell_degrees")
        cells = grid_cells(lon=self.lon, lat=self.lat, degrees=degrees, key="regions.cell_degrees")
        _, cell = np.unique(cells, axis=0, return_inverse=True)
        cell = cell.ravel()
        return replace(self, weight=self.weight / np.bincount(cell, self.weight)[cell])


def check_invalid(value: str) -> Invalid:
    """The value, or an error where it is not one of :data:`Invalid`."""
    known: dict[str, Invalid] = {"error": "error", "drop": "drop"}
    if isinstance(value, str) and value in known:
        return known[value]
    raise GeospotError(f"points.invalid={checks.shown(value)} is unknown: use error or drop")


def grid_cells(
    *, lon: NDArray[np.float64], lat: NDArray[np.float64], degrees: float, key: str
) -> NDArray[np.int64]:
    """Column and row [n, 2] of the lon/lat grid cell of each point, counted from (-180, -90).

    The north pole belongs to the last row of cells.

    Args:
        lon: longitudes in degrees, in [-180, 180), [n].
        lat: latitudes in degrees, [n].
        degrees: size of a cell.
        key: the setting that gave the size, for the message.

    Raises:
        GeospotError: there is no grid of this size.
    """
    degrees = checks.real(degrees, key)
    if not _SMALLEST_CELL <= degrees <= 180.0:
        raise GeospotError(
            f"{key}={degrees:g} is not a size of grid cells: use degrees from {_SMALLEST_CELL:f} "
            "to 180"
        )
    # Rounding keeps a point on a border in the cell that begins there: 0.3 is the third 0.1.
    cells = np.floor(np.stack([lon + 180.0, lat + 90.0], axis=1) / degrees + 1e-9)
    last = np.ceil(np.array([360.0, 180.0]) / degrees - 1e-9) - 1
    inside: NDArray[np.int64] = np.minimum(cells, last).astype(np.int64)
    return inside


def _vector(values: ArrayLike, name: str, origin: str) -> NDArray[np.float64]:
    try:
        vector = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise GeospotError(f"{origin}: {name} must hold numbers only ({error})") from error
    if vector.ndim != 1:
        raise GeospotError(f"{origin}: {name} {vector.shape} must be a vector: one entry per point")
    return vector


def _row_list(rows: NDArray[np.bool_]) -> str:
    """The first few row numbers, counted from 1 for the first row of data."""
    numbers = np.flatnonzero(rows) + 1
    shown = ", ".join(map(str, numbers[:5]))
    more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
    return f"row{'s' if len(numbers) > 1 else ''} {shown}{more}"
