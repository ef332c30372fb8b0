"""Costs from samples that are not drawn yet, beside all samples there are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import geospot_gpu as gs
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.engine.settings import Engine
from geospot_gpu.selection.quota import expected_minimum, quota_costs
from tests.helpers.clouds import cost_matrix, random_regions


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 8))
def test_expected_minimum_is_the_mean_over_all_samples(seed: int, count: int, quota: int) -> None:
    costs = np.random.default_rng(seed).normal(size=(3, count))
    samples = list(itertools.combinations(range(count), min(quota, count)))
    mean = np.mean([costs[:, list(sample)].min(axis=1) for sample in samples], axis=0)
    found = expected_minimum(torch.from_numpy(costs), torch.ones(3, count), count, quota)
    np.testing.assert_allclose(found.numpy(), mean, atol=1e-7)


@given(st.integers(0, 10_000), st.integers(1, 9))
def test_repeated_points_count_as_often_as_they_are_there(seed: int, quota: int) -> None:
    generator = np.random.default_rng(seed)
    costs, times = generator.normal(size=(2, 4)), generator.integers(1, 4, 4)
    repeated = torch.from_numpy(np.repeat(costs, times, axis=1))
    total = int(times.sum())
    whole = expected_minimum(repeated, torch.ones(2, total), total, quota)
    weight = torch.from_numpy(times / total).expand(2, 4)
    merged = expected_minimum(torch.from_numpy(costs), weight, total, quota)
    np.testing.assert_allclose(merged.numpy(), whole.numpy(), atol=1e-7)


def test_larger_samples_are_nearer_and_whole_regions_nearest() -> None:
    regions = random_regions([15, 20, 12])
    engine = PairEngine(regions, Method(gs.GroundCost(), gs.Sinkhorn()), Engine(device="cpu"))
    sources = np.array([1, 2])
    columns = [quota_costs(engine, np.array([0]), sources, [q, q]) for q in (1, 3, 10, 50)]
    for smaller, larger in itertools.pairwise(columns):
        assert (larger <= smaller + 1e-6).all()
    for k, r in enumerate(sources):
        nearest = cost_matrix(regions, 0, int(r), gs.GroundCost()).min(axis=1)
        np.testing.assert_allclose(columns[-1][:, k], nearest, atol=1e-5)


def test_a_point_never_stands_for_itself() -> None:
    regions = random_regions([9, 5])
    cost = gs.GroundCost()
    engine = PairEngine(regions, Method(cost, gs.Sinkhorn()), Engine(device="cpu"))
    own = quota_costs(engine, np.array([0]), np.array([0]), [9])[:, 0]
    others = cost_matrix(regions, 0, 0, cost) + np.diag(np.full(9, np.inf))
    np.testing.assert_allclose(own, others.min(axis=1), atol=1e-5)


def test_rows_follow_the_targets() -> None:
    regions = random_regions([4, 6, 5])
    engine = PairEngine(regions, Method(gs.GroundCost(), gs.Sinkhorn()), Engine(device="cpu"))
    both = quota_costs(engine, np.array([2, 0]), np.array([1]), [3])
    parts = [quota_costs(engine, np.array([t]), np.array([1]), [3]) for t in (2, 0)]
    np.testing.assert_array_equal(both, np.concatenate(parts))
    assert both.shape == (9, 1)


def test_an_empty_sample_is_infinitely_far() -> None:
    assert expected_minimum(torch.ones(1, 2), torch.ones(1, 2), 2, 0).tolist() == [np.inf]


@pytest.mark.parametrize("rows", [1, 7])
def test_pieces_do_not_change_costs(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    regions = random_regions([11, 6])
    engine = PairEngine(regions, Method(gs.GroundCost(), gs.Sinkhorn()), Engine(device="cpu"))
    whole = quota_costs(engine, np.array([0]), np.array([1, 0]), [2, 2])
    monkeypatch.setattr("geospot_gpu.selection.quota._TILE_ENTRIES", 6 * rows)
    np.testing.assert_allclose(
        quota_costs(engine, np.array([0]), np.array([1, 0]), [2, 2]), whole, atol=1e-6
    )
