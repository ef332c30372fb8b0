"""Equal-area maps: the whole Earth in one shape, and a part of it around its middle."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.sphere import centre, unit_vectors

Array = NDArray[np.float64]

_PART = 70.0
"""Degrees from their middle within which places are drawn as a part of the Earth."""


class Projection(ABC):
    """From degrees to the plane, in Earth radii, and back."""

    @abstractmethod
    def forward(self, lon: Array, lat: Array) -> tuple[Array, Array]:
        """Places in the plane, in the shape of what is given."""

    @abstractmethod
    def inverse(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Longitude and latitude of places in the plane; NaN where the map has none.

        Args:
            x, y: of one shape, or of shapes that broadcast to that of the result.
        """


class EqualEarth(Projection):
    """The Equal Earth projection (Savric, Patterson & Jenny 2019), the whole Earth around 0 E.

    >>> x, y = EqualEarth().forward(np.array([-180.0, 0.0]), np.array([0.0, 90.0]))
    >>> [f"{value:.3f}" for value in (*x, *y)]
    ['-2.707', '0.000', '0.000', '1.317']
    """

    _A = 1.340264, -0.081106, 0.000893, 0.003796
    _M = np.sqrt(3.0) / 2.0

    def forward(self, lon: Array, lat: Array) -> tuple[Array, Array]:
        theta = np.arcsin(self._M * np.sin(np.deg2rad(lat)))
        height, slope = self._height(theta)
        return np.deg2rad(lon) * np.cos(theta) / (self._M * slope), height

    def inverse(self, x: Array, y: Array) -> tuple[Array, Array]:
        theta = np.asarray(y, float).copy()
        for _ in range(12):  # of Newton: no more is needed anywhere on the map
            height, slope = self._height(theta)
            theta -= (height - y) / slope
        _, slope = self._height(theta)
        with np.errstate(invalid="ignore"):
            lat = np.rad2deg(np.arcsin(np.sin(theta) / self._M))
            lon = np.rad2deg(self._M * x * slope / np.cos(theta))
        outside = ~(np.abs(lon) <= 180.0) | np.isnan(lat)
        return np.where(outside, np.nan, lon), np.where(outside, np.nan, lat)

    def outline(self) -> Array:
        """The edge of the map, from its south-eastern corner round to it again, [K, 2]."""
        up = np.linspace(-90.0, 90.0, 361)
        side = np.repeat([180.0, -180.0, 180.0], [361, 361, 1])
        return np.stack(self.forward(side, np.concatenate([up, up[::-1], up[:1]])), axis=-1)

    def _height(self, theta: Array) -> tuple[Array, Array]:
        """The polynomial of the height, and its derivative."""
        a, b, c, d = self._A
        square = theta**2
        sixth = square**3
        height = theta * (a + b * square + sixth * (c + d * square))
        slope = a + 3.0 * b * square + sixth * (7.0 * c + 9.0 * d * square)
        return height, slope


class Azimuthal(Projection):
    """Lambert's azimuthal equal-area projection (Snyder 1987, Map projections, eq. 24-2 to 24-4).

    Neither poles nor the antimeridian are special there.

    Args:
        lon, lat: the middle of the map, degrees.

    >>> x, y = Azimuthal(180.0, 0.0).forward(np.array([-179.0]), np.array([0.0]))
    >>> f"{x[0]:.4f}"
    '0.0175'
    """

    def __init__(self, lon: float, lat: float) -> None:
        self._lon, self._lat = np.deg2rad(lon), np.deg2rad(lat)

    def forward(self, lon: Array, lat: Array) -> tuple[Array, Array]:
        east, north = np.deg2rad(lon) - self._lon, np.deg2rad(lat)
        sin, cos = np.sin(self._lat), np.cos(self._lat)
        near = 1.0 + sin * np.sin(north) + cos * np.cos(north) * np.cos(east)
        k = np.sqrt(2.0 / np.maximum(near, 1e-12))
        up = cos * np.sin(north) - sin * np.cos(north) * np.cos(east)
        return k * np.cos(north) * np.sin(east), k * up

    def inverse(self, x: Array, y: Array) -> tuple[Array, Array]:
        far = np.hypot(x, y)
        with np.errstate(invalid="ignore"):
            angle = 2.0 * np.arcsin(far / 2.0)
        sin, cos = np.sin(self._lat), np.cos(self._lat)
        ratio = np.divide(np.sin(angle), far, out=np.ones_like(far), where=far > 0.0)
        lat = np.arcsin(np.clip(np.cos(angle) * sin + y * ratio * cos, -1.0, 1.0))
        east = np.arctan2(x * ratio, cos * np.cos(angle) - y * ratio * sin)
        lon = (np.rad2deg(self._lon + east) + 180.0) % 360.0 - 180.0
        outside = np.isnan(angle)
        return np.where(outside, np.nan, lon), np.where(outside, np.nan, np.rad2deg(lat))


def projection_of(lon: Array, lat: Array) -> Projection:
    """The map that shows places best.

    Args:
        lon, lat: of the places, degrees, [n].

    >>> type(projection_of(np.array([170.0, -170.0]), np.array([-40.0, -80.0]))).__name__
    'Azimuthal'
    >>> type(projection_of(np.array([170.0, -170.0, 10.0]), np.array([0.0, 60.0, 0.0]))).__name__
    'EqualEarth'
    """
    places = unit_vectors(lon=lon, lat=lat)
    middle = places.sum(0)
    length = float(np.linalg.norm(middle))
    if length < 1e-6 * len(places) or not len(places):  # all around the Earth
        return EqualEarth()
    if (places @ middle).min() < length * np.cos(np.deg2rad(_PART)):
        return EqualEarth()
    return Azimuthal(*centre(places, np.ones(len(places))))
