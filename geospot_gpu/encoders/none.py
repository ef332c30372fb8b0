"""No encoder: geography only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.encoders.base import Encoder, checked_rows
from geospot_gpu.points.table import Points


class NoEncoder(Encoder):
    """Gives no features; the ground cost must then have ``geo_weight=1``."""

    reads_coordinates = True

    @property
    def version(self) -> str:
        return "none"

    def encode(self, points: Points, rows: NDArray[np.int64], device: str) -> None:
        checked_rows(points, rows)
        return
