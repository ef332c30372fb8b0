"""Maps keep areas, come back to where they started, and know neither poles nor an antimeridian."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geospot_gpu.pictures.projection import Azimuthal, EqualEarth, Projection, projection_of
from geospot_gpu.sphere import unit_vectors

LON, LAT = st.floats(-179.9, 179.9), st.floats(-89.0, 89.0)
MAPS = [EqualEarth(), Azimuthal(12.0, 47.0), Azimuthal(180.0, -17.0), Azimuthal(0.0, 90.0)]
IDS = ["equal earth", "Europe", "Fiji", "pole"]


def near(projection: Projection, lon: float, lat: float) -> bool:
    """Not where the other end of the Earth is torn apart."""
    if isinstance(projection, EqualEarth):
        return True
    x, y = projection.forward(np.array([lon]), np.array([lat]))
    return float(np.hypot(x, y)[0]) < 1.95


@pytest.mark.parametrize("projection", MAPS, ids=IDS)
@given(lon=LON, lat=LAT)
def test_the_inverse_gives_the_place_again(projection: Projection, lon: float, lat: float) -> None:
    x, y = projection.forward(np.array([lon]), np.array([lat]))
    if near(projection, lon, lat):
        again = projection.inverse(x, y)
        expected = unit_vectors(lon=[lon], lat=[lat])
        np.testing.assert_allclose(unit_vectors(lon=again[0], lat=again[1]), expected, atol=1e-7)


@pytest.mark.parametrize("projection", MAPS, ids=IDS)
@given(lon=LON, lat=LAT)
def test_areas_are_kept(projection: Projection, lon: float, lat: float) -> None:
    """The determinant of the derivatives, by differences, is that of the sphere."""
    if not near(projection, lon, lat):
        return
    step = np.rad2deg(1e-5)
    at = np.array([[lon + step, lat], [lon - step, lat], [lon, lat + step], [lon, lat - step]]).T
    x, y = projection.forward(*at)
    derivatives = np.array([[x[0] - x[1], y[0] - y[1]], [x[2] - x[3], y[2] - y[3]]]) / 2e-5
    # Equal Earth is so up to the three digits of its coefficients' unit.
    assert np.linalg.det(derivatives) == pytest.approx(np.cos(np.deg2rad(lat)), rel=2e-3, abs=1e-5)


def test_there_is_nothing_beyond_the_edge() -> None:
    for projection in (EqualEarth(), Azimuthal(0.0, 0.0)):
        lon, lat = projection.inverse(np.array([2.8, 0.0]), np.array([0.0, 2.1]))
        assert np.isnan(lon).all()
        assert np.isnan(lat).all()


def test_a_part_of_the_earth_is_drawn_around_its_middle() -> None:
    fiji = projection_of(np.array([177.0, -179.0]), np.array([-17.0, -18.0]))
    assert isinstance(fiji, Azimuthal)
    x, _ = fiji.forward(np.array([177.0, 179.0, -179.0]), np.array([-17.5, -17.5, -17.5]))
    assert (np.diff(x) > 0.0).all()
    assert np.abs(x).max() < 0.05
    everywhere = projection_of(np.array([0.0, 180.0]), np.array([0.0, 0.0]))
    assert isinstance(everywhere, EqualEarth)
