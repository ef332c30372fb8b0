"""Where there is land."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError


def land(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether there is land at each place, from a mask of 1/120 degree."""
    try:
        from global_land_mask import globe
    except ModuleNotFoundError as error:
        raise GeospotError(
            "land is known by global-land-mask: install it with pip install 'geospot_gpu[geo]'"
        ) from error
    found: NDArray[np.bool_] = globe.is_land(
        np.clip(lat, -89.99, 89.99), np.clip(lon, -180, 179.99)
    )
    return found
