from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from pyproj import Geod

import geospot_gpu as gs
from geospot_gpu.kernels.clouds import CloudBatch
from geospot_gpu.kernels.tiles import CostTiles, blocks, great_circle_km
from geospot_gpu.sphere import EARTH_RADIUS_KM, HALF_CIRCUMFERENCE_KM, unit_vectors
from tests.helpers.clouds import cloud, cost_matrix, random_regions

SPHERE = Geod(a=EARTH_RADIUS_KM * 1000, b=EARTH_RADIUS_KM * 1000)
LON = st.floats(-180, 180, width=32)
LAT = st.floats(-90, 90, width=32)


def kilometres(lon: list[float], lat: list[float], dtype: torch.dtype) -> float:
    xyz = torch.from_numpy(unit_vectors(lon=lon, lat=lat)).to(dtype)[None]
    return float(great_circle_km(xyz[:, :1], xyz[:, 1:]).item())


@example(157.95077514648438, 0.0, 0.0, 0.0)  # where asin is steep, though short of the antipode
@given(LON, LAT, LON, LAT)
def test_great_circle_agrees_with_proj(lon1: float, lat1: float, lon2: float, lat2: float) -> None:
    metres = SPHERE.inv(lon1, lat1, lon2, lat2)[2]
    assert kilometres([lon1, lon2], [lat1, lat2], torch.float64) == pytest.approx(
        metres / 1000, abs=1e-6
    )
    # 16 roundings of an angle in float32: the bound that intervals are widened by
    assert kilometres([lon1, lon2], [lat1, lat2], torch.float32) == pytest.approx(
        metres / 1000, abs=16 * 2**-24 * EARTH_RADIUS_KM
    )


@pytest.mark.parametrize(
    ("lon", "lat", "expected"),
    [
        ([179.9, -179.9], [0, 0], 0.2 / 180 * HALF_CIRCUMFERENCE_KM),  # across the antimeridian
        ([0, 180], [89.9, 89.9], 0.2 / 180 * HALF_CIRCUMFERENCE_KM),  # across the pole
        ([12, -168], [34, -34], HALF_CIRCUMFERENCE_KM),  # antipodes
        ([12, 77], [90, 90], 0.0),  # the pole has every longitude
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_great_circle_at_awkward_places(
    lon: list[float], lat: list[float], expected: float, dtype: torch.dtype
) -> None:
    assert kilometres(lon, lat, dtype) == pytest.approx(expected, abs=3e-3)


@pytest.mark.parametrize("feature", ["cosine", "sqeuclidean", "euclidean"])
@pytest.mark.parametrize("geo_weight", [0.0, 0.3, 1.0])
def test_tiles_evaluate_the_declared_formula(feature: str, geo_weight: float) -> None:
    regions = random_regions([31, 17], seed=3)
    cost = gs.GroundCost(feature=feature, geo_weight=geo_weight, feature_scale=0.7, geo_scale=9e3)
    source, target = cloud(regions, 0), cloud(regions, 1)
    tile = CostTiles(cost, source, target, 10**6).tile(source.part(), target.part())[0]
    np.testing.assert_allclose(tile, cost_matrix(regions, 0, 1, cost), atol=1e-12)


@pytest.mark.parametrize("geo_weight", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("tile_entries", [50, 10**6])
def test_pair_max_scales_each_part_and_then_the_mixture(
    geo_weight: float, tile_entries: int
) -> None:
    regions = random_regions([40, 23], seed=1)
    cost = gs.GroundCost(geo_weight=geo_weight, scaling="pair_max")
    source, target = cloud(regions, 0), cloud(regions, 1)
    tile = CostTiles(cost, source, target, tile_entries).tile(source.part(), target.part())[0]
    feature = cost_matrix(regions, 0, 1, gs.GroundCost(geo_weight=0.0))
    km = cost_matrix(regions, 0, 1, gs.GroundCost(geo_weight=1.0, geo_scale=1.0))
    mixed = (1 - geo_weight) * feature / feature.max() + geo_weight * km / km.max()
    np.testing.assert_allclose(tile, mixed / mixed.max(), atol=1e-12)


def test_pair_max_of_coinciding_points_is_zero_cost() -> None:
    xyz = torch.tensor([[[1.0, 0.0, 0.0]]], dtype=torch.float64)
    here = CloudBatch.padded(None, xyz, torch.ones(1, 1, dtype=torch.float64))
    cost = gs.GroundCost(geo_weight=1.0, scaling="pair_max")
    assert CostTiles(cost, here, here, 10).tile(here.part(), here.part()).item() == 0.0


@given(st.integers(1, 40), st.integers(1, 5000), st.integers(1, 3), st.integers(1, 4000))
def test_blocks_cover_every_entry_once(n: int, m: int, batch: int, tile_entries: int) -> None:
    def of(count: int) -> CloudBatch:
        return CloudBatch.padded(None, torch.zeros(batch, count, 3), torch.zeros(batch, count))

    seen = np.zeros((n, m), dtype=int)
    for rows, columns in blocks(of(n), of(m), tile_entries):
        seen[rows, columns] += 1
        entries = batch * (rows.stop - rows.start) * (columns.stop - columns.start)
        assert entries <= max(tile_entries, batch * 1024)
    assert (seen == 1).all()


def test_epsilon_in_kilometres() -> None:
    assert gs.GroundCost(geo_weight=1.0).epsilon_km(0.01) == pytest.approx(200.15, abs=0.01)
    assert gs.GroundCost(geo_weight=0.5).epsilon_km(0.01) == pytest.approx(400.3, abs=0.01)
    assert gs.GroundCost(geo_weight=0.0).epsilon_km(0.01) is None
    assert math.pi * EARTH_RADIUS_KM == pytest.approx(20015.1, abs=0.05)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"feature": "manhattan"}, r"cost.feature='manhattan' is unknown: use one of cosine"),
        ({"scaling": "pair"}, r"cost.scaling='pair' is unknown"),
        ({"geo_weight": 1.5}, r"cost.geo_weight=1.5 must lie in \[0, 1\]"),
        ({"geo_weight": float("nan")}, r"cost.geo_weight=nan must lie"),
        ({"feature_scale": 0.0}, r"cost.feature_scale=0.0 must be positive"),
        ({"geo_scale": -1.0}, r"cost.geo_scale=-1.0 must be positive"),
    ],
)
def test_values_out_of_range_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(gs.GeospotError, match=message):
        gs.GroundCost(**settings)  # type: ignore[arg-type]
