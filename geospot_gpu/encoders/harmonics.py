"""Real spherical harmonics of places, to high degrees."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

CONVENTIONS = ("analytic", "closed-form")
"""Ways in which SatCLIP's code scales and signs harmonics; see :func:`satclip_harmonics`."""


def legendre(sine: Tensor, cosine: Tensor, count: int) -> dict[tuple[int, int], Tensor]:
    """Associated Legendre functions of degrees below ``count``, normalised for the sphere.

    The standard forward column recursion (Holmes & Featherstone 2002, eq. 11) on functions that
    are normalised from the start: no factorial and no power of ten to the fiftieth occurs, so that
    float64 keeps some thirteen digits at degree 39, where sums of powers of the cosine, as in
    SatCLIP's own code, keep two near the poles. Without the phase of Condon and Shortley.

    Args:
        sine, cosine: of the angle from a pole, float64 [n].
        count: how many degrees.

    Returns:
        Of each degree l and order 0 <= m <= l the values [n]; times cos(m phi), and with the square
        root of 2 where m > 0, they are orthonormal on the sphere.
    """
    found = {}
    diagonal = (sine * 0 + 1) / math.sqrt(4 * math.pi)
    for m in range(count):
        if m:
            diagonal = math.sqrt((2 * m + 1) / (2 * m)) * sine * diagonal
        before, last = diagonal * 0, diagonal
        found[m, m] = last
        for degree in range(m + 1, count):
            a = math.sqrt((4 * degree**2 - 1) / (degree**2 - m**2))
            b = math.sqrt(((degree - 1) ** 2 - m**2) / (4 * (degree - 1) ** 2 - 1))
            before, last = last, a * (cosine * last - b * before)
            found[degree, m] = last
    return found


def satclip_harmonics(lon: Tensor, lat: Tensor, count: int, convention: str) -> Tensor:
    """Spherical harmonics as SatCLIP's weights expect them.

    The angles are longitude + 180 and latitude + 90 degrees: the pole that they are counted from is
    the southern one. SatCLIP's code (Klemmer et al. 2025, ``positional_encoding``) has two ways of
    finding harmonics, and they differ: ``closed-form`` has the phase of Condon and Shortley, the
    sign (-1)^m; ``analytic`` has not, and its harmonics of order 0 are pi times as large, as its
    generator takes the square root of (2l + 1) / 4 * pi. Weights fit the way they were trained.

    Args:
        lon, lat: degrees, float64 [n].
        count: how many degrees: SatCLIP's L.
        convention: one of :data:`CONVENTIONS`.

    Returns:
        Values [n, count ** 2]: degrees in order, and in each the orders from -l to l.
    """
    import torch

    analytic = convention == "analytic"
    phi, theta = torch.deg2rad(lon + 180.0), torch.deg2rad(lat)
    values = legendre(torch.cos(theta), -torch.sin(theta), count)
    turns = torch.outer(phi, torch.arange(count, dtype=phi.dtype, device=phi.device))
    even, odd = torch.cos(turns), torch.sin(turns)
    columns = []
    for degree in range(count):
        for m in range(-degree, degree + 1):
            value = values[degree, abs(m)]
            if m == 0:
                columns.append(value * math.pi if analytic else value)
                continue
            sign = 1.0 if analytic or m % 2 == 0 else -1.0
            around = even[:, m] if m > 0 else odd[:, -m]
            columns.append(sign * math.sqrt(2.0) * value * around)
    return torch.stack(columns, dim=1)
