"""Bounds from moments: of many regions at once, and of groups of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import geospot_gpu as gs
from geospot_gpu import feature_costs
from geospot_gpu.distances.nearest.moments import MomentBounds, leaves
from tests.helpers.clouds import random_regions
from tests.helpers.nearest import COSTS


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.sampled_from(COSTS), st.integers(1, 5))
def test_a_bound_between_groups_holds_for_all_their_members(
    seed: int, cost: gs.GroundCost, size: int
) -> None:
    sizes = np.random.default_rng(seed).integers(1, 5, 11).tolist()
    bounds = MomentBounds(random_regions(sizes, seed=seed, dimension=12, spread=0.3), cost)
    groups = leaves(bounds.embedded(), size)
    every = np.arange(len(groups))
    between = bounds.of_groups(groups)(every, every)
    for i, group in enumerate(groups):
        for j, other in enumerate(groups):
            assert between[i, j] <= bounds(group, other).min() + 1e-9


def test_groups_that_are_far_are_told_apart() -> None:
    """The bound between two groups is not far below the smallest one between their members."""
    lon = np.concatenate([np.linspace(0, 4, 40), np.linspace(60, 64, 40)])
    region = [f"r{k // 4:02d}" for k in range(80)]
    regions = gs.Regions.from_points(lon=lon, lat=np.zeros(80), region=region)
    bounds = MomentBounds(regions, gs.GroundCost(geo_weight=1.0))
    groups = leaves(bounds.embedded(), 10)
    assert [sorted(group.tolist()) for group in groups] == [[*range(10)], [*range(10, 20)]]
    between = bounds.of_groups(groups)(np.array([0]), np.array([1]))[0, 0]
    assert 0.8 * bounds(groups[0], groups[1]).min() < between


@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 100))
def test_leaves_have_every_row_once(count: int, size: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).integers(0, 3, (count, 2)).astype(float)
    found = leaves(vectors, size)
    assert 1 <= min(map(len, found)) <= max(map(len, found)) <= size
    assert sorted(np.concatenate(found).tolist()) == list(range(count))
    again = leaves(vectors, size)
    assert all((a == b).all() for a, b in zip(found, again, strict=True))


def test_of_a_cost_of_ones_own_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    own = gs.FeatureCost("own", torch.cdist, lambda x, y, dimension: x + y, float)
    monkeypatch.setattr(feature_costs, "REGISTER", (*feature_costs.BUILT_IN, own))
    bounds = MomentBounds(random_regions([3] * 5), gs.GroundCost(feature="own"))
    assert np.isneginf(bounds(np.array([0, 1]), np.arange(5))).all()
    assert bounds.embedded().shape[0] == 5
    assert np.isneginf(bounds.of_groups([np.arange(5)])(np.array([0]), np.array([0]))).all()


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_many_targets_have_the_bounds_of_one(cost: gs.GroundCost) -> None:
    bounds = MomentBounds(random_regions([4] * 9, dimension=20), cost)
    rows, columns = np.array([3, 0, 8]), np.arange(9)
    together = bounds(rows, columns)
    for k, row in enumerate(rows):
        np.testing.assert_allclose(together[k], bounds(np.array([row]), columns)[0], atol=1e-7)
