"""The outline of the land that a report draws is that of the mask."""

from __future__ import annotations

import numpy as np
import pytest
import shapely  # type: ignore[import-untyped]

from geospot_gpu.land import land
from geospot_gpu.report.page import land as outline
from tests.helpers.unpacked import unpacked


@pytest.mark.slow
def test_land_lies_within_its_outline() -> None:
    steps, corners = (unpacked(outline(), name) for name in ("land_steps", "land_corners"))
    ends = np.cumsum(corners)
    rings = [np.cumsum(one, axis=0) / 100 for one in np.split(steps.reshape(-1, 2), ends[:-1])]
    generator = np.random.default_rng(0)
    lon = generator.uniform(-180, 180, 4000)
    lat = np.degrees(np.arcsin(generator.uniform(-1, 1, 4000)))
    inside = sum(shapely.contains_xy(shapely.Polygon(ring), lon, lat) for ring in rings) % 2 == 1
    assert np.mean(inside == land(lon, lat)) > 0.98
