"""What the vectors of known places say of the order and the units that a model reads.

A sphere has no seam: longitudes -180 and 180 are one place, and so are all longitudes at a pole.
A model that knows this gives such places one vector, if it is given them in the order and the units
that it reads, and hardly in any other. One that does not know it says nothing of its order; for it
only vectors that are known to be right do (``encoder.reference``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError
from geospot_gpu.sphere import unit_vectors

ORDERS = ("lonlat", "latlon")
UNITS = ("degrees", "radians", "unit", "xyz")
CITIES = np.array(
    [
        [48.8566, 2.3522],  # Paris
        [-12.0464, -77.0428],  # Lima
        [35.6762, 139.6503],  # Tokyo
        [-33.8688, 151.2093],  # Sydney
        [40.7128, -74.0060],  # New York
        [-1.2921, 36.8219],  # Nairobi
        [64.1466, -21.9426],  # Reykjavik
        [28.6139, 77.2090],  # Delhi
    ]
)
"""Latitudes and longitudes in degrees, [8, 2]."""
_SEAM = np.array([[lat, lon] for lat in (-52.3, -7.1, 31.9) for lon in (-180.0, 180.0)])
_POLES = np.array([[lat, lon] for lat in (90.0, -90.0) for lon in (0.0, 101.0, -33.0)])
_SAME = 1e-3
"""Vectors of one place differ by less than this part of what those of cities differ by."""

Run = Callable[[NDArray[np.float64]], NDArray[np.float64]]


class Reading(NamedTuple):
    """How a model reads coordinates."""

    order: str
    units: str

    def inputs(self, lat_lon: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the model is given for places [n, 2], latitudes first: [n, 2], or [n, 3] as xyz.

        >>> Reading("lonlat", "unit").inputs(np.array([[45.0, -90.0]])).tolist()
        [[-0.5, 0.5]]
        """
        if self.units == "xyz":
            return unit_vectors(lon=lat_lon[:, 1], lat=lat_lon[:, 0])
        scale = {
            "degrees": np.ones(2),
            "radians": np.full(2, np.pi / 180.0),
            "unit": np.array([1 / 90.0, 1 / 180.0]),
        }[self.units]
        scaled: NDArray[np.float64] = lat_lon * scale
        return scaled[:, ::-1] if self.order == "lonlat" else scaled

    def __str__(self) -> str:
        return f"encoder.order={self.order} encoder.units={self.units}"


class Seams(NamedTuple):
    """Whether vectors of one place agree."""

    antimeridian: bool
    poles: bool


def check_reading(run: Run, declared: Reading, name: str) -> bool:
    """Run a model on known places.

    Args:
        run: the model on its inputs [n, k], which gives vectors [n, d].
        declared: how it is said to read them.
        name: of the model, for messages.

    Returns:
        Whether its order is proved: poles are one place each.

    Raises:
        GeospotError: vectors of cities are not finite, or all the same; a vector depends on the
            others of its batch; or places that are one have one vector in another order or other
            units, and not in those declared.
    """
    vectors = run(declared.inputs(CITIES))
    if not np.isfinite(vectors).all():
        raise GeospotError(
            f"{name}: gives vectors that are not finite, for example at (lat, lon) "
            f"{tuple(CITIES[np.argmin(np.isfinite(vectors).all(axis=1))].tolist())}: see "
            "encoder.order and encoder.units"
        )
    if _spread(vectors) == 0:
        raise GeospotError(
            f"{name}: gives one vector for {len(CITIES)} cities of the Earth: see encoder.order, "
            "encoder.units and encoder.precision"
        )
    turned = run(declared.inputs(CITIES[::-1].repeat(3, axis=0)))[::3][::-1]
    if np.abs(turned - vectors).max() > _SAME * _spread(vectors):
        raise GeospotError(
            f"{name}: the vector of a place depends on the others of its batch: switch off batch "
            "normalisation and dropout before the model is saved (model.eval())"
        )
    if declared.units == "xyz":
        return True
    own = _seams(run, declared)
    others = [
        Reading(order, units)
        for order in (declared.order, *(order for order in ORDERS if order != declared.order))
        for units in UNITS[:3]
        if (order, units) != declared
    ]
    for enough in (Seams(True, True), Seams(True, False)):
        if own >= enough:
            return own.poles
        fits = [
            str(other)
            for other in others
            # A seam alone does not tell orders apart.
            if (enough.poles or other.order == declared.order) and _seams(run, other) >= enough
        ]
        if fits:
            at = "at the poles" if enough.poles else "at the antimeridian"
            raise GeospotError(
                f"{name}: places that are one {at} have one vector with {' or '.join(fits)}, and "
                f"not with {declared}: set these, or prove yours with encoder.reference"
            )
    return False


def _seams(run: Run, reading: Reading) -> Seams:
    try:
        spread, seam, poles = (
            vectors
            for vectors in (run(reading.inputs(places)) for places in (CITIES, _SEAM, _POLES))
        )
    except GeospotError:  # it cannot be run on such inputs
        return Seams(False, False)
    most = _SAME * _spread(spread)
    gaps = np.abs(seam[::2] - seam[1::2]).max(), np.ptp(poles.reshape(2, 3, -1), axis=1).max()
    return Seams(*(bool(np.isfinite(most) and gap < most) for gap in gaps))


def _spread(vectors: NDArray[np.float64]) -> float:
    """By how much vectors of cities differ, in the feature that differs most."""
    return float(np.ptp(vectors, axis=0).max())
