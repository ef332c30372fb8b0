"""Regions of equal mass: points are split in two, and again, across their longest extent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.points.table import Points
from geospot_gpu.regions.grouping.base import Groups, check_places, distinct_places, grouping
from geospot_gpu.regions.grouping.districts import check_count, districts
from geospot_gpu.sphere import unit_vectors


@grouping
def by_kd(points: Points, count: int) -> Groups:
    """Balanced districts: equal masses, which are numbers of points where none are given.

    A district is cut across the direction in which its points spread most (the first principal
    axis of their unit vectors, which knows neither poles nor an antimeridian), so that masses on
    the two sides are as the numbers of districts to come of them. Points at one place stay
    together: districts differ by the mass of a place at most where that is not large. They are
    named as those of :func:`by_kmeans`.

    Args:
        points: the points.
        count: how many districts, any number.

    Raises:
        GeospotError: there are fewer places than districts, or the points have no coordinates.

    >>> points = Points.build(lon=[178, 179, -179, -178], lat=[0, 0, 0, 0])
    >>> {name: rows.tolist() for name, rows in by_kd(points, 2).items()}
    {'00N 179E': [0, 1], '00N 179W': [2, 3]}
    """
    check_places(points, "kd")
    places, at = distinct_places(points)
    count = check_count(count, len(places), points.origin)
    mass = np.bincount(at, points.weight).astype(np.float64)
    xyz = unit_vectors(lon=places[:, 0], lat=places[:, 1])
    labels = np.zeros(len(places), np.int64)
    _split(np.arange(len(places)), count, 0, xyz, mass, labels)
    return districts(labels, at, points)


def _split(
    rows: NDArray[np.int64],
    count: int,
    first: int,
    xyz: NDArray[np.float64],
    mass: NDArray[np.float64],
    labels: NDArray[np.int64],
) -> None:
    """Label the places at ``rows`` with ``count`` districts, from ``first`` on."""
    if count == 1:
        labels[rows] = first
        return
    own = xyz[rows]
    mean = np.average(own, axis=0, weights=mass[rows])
    _, axes = np.linalg.eigh(np.cov(own.T, aweights=mass[rows], bias=True))
    axis = axes[:, -1] * np.sign(axes[np.abs(axes[:, -1]).argmax(), -1])
    ordered = rows[np.argsort((own - mean) @ axis, kind="stable")]
    below = count // 2
    share = np.cumsum(mass[ordered]) / mass[ordered].sum()
    cut = int(np.abs(share - below / count).argmin()) + 1
    # Each side has a place at least for each of its districts.
    cut = min(max(cut, below), len(rows) - (count - below))
    _split(ordered[:cut], below, first, xyz, mass, labels)
    _split(ordered[cut:], count - below, first + below, xyz, mass, labels)
