"""Points on the sphere: unit vectors, great circles, and the mean Earth radius."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

EARTH_RADIUS_KM = 6371.0088
"""Mean Earth radius R1 in km (IUGG; Moritz 2000, Geodetic Reference System 1980)."""

HALF_CIRCUMFERENCE_KM = math.pi * EARTH_RADIUS_KM
"""The largest great-circle distance there is, 20,015.1 km: the default scale of geography."""


def unit_vectors(*, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.float64]:
    """Unit 3-vectors [n, 3] of points given in degrees.

    Distances taken between these vectors know neither poles nor an antimeridian.

    >>> unit_vectors(lon=[0.0, 180.0], lat=[0.0, 0.0]).round(12).tolist()
    [[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]
    """
    lon_rad, lat_rad = np.radians(np.asarray(lon, float)), np.radians(np.asarray(lat, float))
    cos_lat = np.cos(lat_rad)
    return np.stack(
        [cos_lat * np.cos(lon_rad), cos_lat * np.sin(lon_rad), np.sin(lat_rad)], axis=-1
    )


def angles(chord: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles in radians between unit vectors, from the straight distances between them.

    >>> angles(np.array([0.0, 2.0])).tolist() == [0.0, math.pi]
    True
    """
    found: NDArray[np.float64] = 2.0 * np.arcsin(np.minimum(chord / 2.0, 1.0))
    return found


def centre(xyz: NDArray[np.float64], weight: NDArray[np.float64]) -> tuple[float, float]:
    """Longitude and latitude, in degrees, of the weighted mean direction of unit vectors [n, 3]."""
    x, y, z = weight @ xyz
    return math.degrees(math.atan2(y, x)), math.degrees(math.atan2(z, math.hypot(x, y)))
