"""Where samples lie: on the sphere, by coordinates that are named, or among features."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.points.readers import read_points
from geospot_gpu.points.table import Points
from geospot_gpu.regions import Regions
from geospot_gpu.sphere import EARTH_RADIUS_KM, angles, unit_vectors

Vectors = NDArray[np.float64]
"""A row for each place, [n, D]."""
By = Literal["geography", "features"]
"""What distances are of: kilometres on the sphere, or scaled features."""


class Located(NamedTuple):
    """Samples and deployment as vectors, nearest to each other where they are nearest in truth."""

    samples: Vectors
    """[n, D]."""
    deployment: Vectors
    """[m, D]."""
    by: str

    @property
    def unit(self) -> str:
        """Of distances: km, or standard deviations of the samples' features."""
        return "km" if self.by == "geography" else "standard deviations"

    def measured(self, straight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distances in :attr:`unit` from Euclidean ones between vectors."""
        if self.by == "features":
            return straight
        return EARTH_RADIUS_KM * angles(straight)


def check_by(value: object) -> By:
    """The value, or an error where it is none of :data:`By`."""
    return (
        "geography"
        if checks.one_of(value, ("geography", "features"), "by") == "geography"
        else "features"
    )


def located(samples: Any, deployment: Any, by: By, lon: str | None, lat: str | None) -> Located:
    """Both sides as vectors.

    Args:
        samples: a table with coordinates; for ``features`` a table or matrix of numbers.
        deployment: the same of the places where the model will be used, or a ``Regions``.
        by: what distances are of.
        lon, lat: names of the columns of coordinates; the usual ones are found if not given.

    Raises:
        GeospotError: one of them has no coordinates, or features that are missing or do not
            compare.
    """
    if by == "geography":
        return Located(
            coordinates(samples, "samples", lon, lat),
            coordinates(deployment, "deployment", lon, lat),
            by,
        )
    if isinstance(samples, pd.DataFrame) and isinstance(deployment, pd.DataFrame):
        absent = [str(name) for name in samples.columns if name not in deployment.columns]
        if absent:
            raise GeospotError(
                f"deployment has no column {absent[0]!r}, which the samples have: give both the "
                "same features"
            )
        deployment = deployment[list(samples.columns)]
    own, others = _features(samples, "samples"), _features(deployment, "deployment")
    if own.shape[1] != others.shape[1]:
        raise GeospotError(
            f"deployment has {others.shape[1]} features and the samples {own.shape[1]}: give both "
            "the same features"
        )
    mean, scale = own.mean(0), own.std(0)
    scale[scale <= 1e-12 * np.abs(mean)] = 1.0  # constant but for rounding
    return Located((own - mean) / scale, (others - mean) / scale, by)


def coordinates(table: Any, what: str, lon: str | None, lat: str | None) -> Vectors:
    """Unit vectors [n, 3] of the rows of a table, or of the points of a ``Regions``."""
    if isinstance(table, Regions | Points):
        if not table.located:
            raise GeospotError(f"{what}: its points have no coordinates: use by='features'")
        return unit_vectors(lon=table.lon, lat=table.lat)
    if not hasattr(table, "columns"):
        raise GeospotError(
            f"{what} of type {type(table).__name__} have no named coordinates: give a table with "
            "columns lon and lat, of samples as groups=table[['lon', 'lat']] where X has none"
        )
    try:
        points = read_points(table, lon=lon, lat=lat)
    except GeospotError as error:
        raise GeospotError(f"{what}: {error}") from error
    if len(points) != len(table):
        raise GeospotError(
            f"{what}: {len(table)} rows have {len(points)} places: give each row one point"
        )
    return unit_vectors(lon=points.lon, lat=points.lat)


def _features(table: Any, what: str) -> Vectors:
    """A matrix of finite numbers [n, D]."""
    if isinstance(table, Regions):
        if table.features is None:
            raise GeospotError(f"{what}: its regions have no features: use by='geography'")
        return table.features.double().cpu().numpy()
    try:
        found = np.asarray(table, np.float64)
    except (TypeError, ValueError) as error:
        raise GeospotError(f"{what}: features must be numbers ({error})") from error
    if found.ndim != 2 or found.shape[1] == 0:
        raise GeospotError(f"{what}: features {found.shape} must be a matrix: one row per sample")
    bad = ~np.isfinite(found).all(axis=1)
    if bad.any():
        raise GeospotError(
            f"{what}: {int(bad.sum())} of {len(found)} rows have features that are missing or no "
            f"finite number, as row {int(bad.argmax()) + 1}: fill them in first"
        )
    return found
