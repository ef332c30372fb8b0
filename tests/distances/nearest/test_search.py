"""Nearest regions: bounds hold, and what is found is what the whole row says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import geospot_gpu as gs
from geospot_gpu.arrays import Indices
from geospot_gpu.distances.nearest import rounded as rounded_features
from geospot_gpu.distances.nearest.lower_bounds import (
    HalfSteps,
    self_value_bounds,
    whole_step_values,
)
from geospot_gpu.distances.nearest.moments import MomentBounds
from geospot_gpu.distances.nearest.search import NeighbourSearch
from geospot_gpu.distances.solve import PairSolver
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.engine.settings import Engine
from geospot_gpu.kernels.clouds import required
from tests.helpers.clouds import random_regions
from tests.helpers.nearest import COSTS

OUTPUTS = ("divergence", "ot_value")


def solver_of(regions: gs.Regions, cost: gs.GroundCost, **solver: Any) -> PairSolver:
    method = Method(cost, gs.Sinkhorn(**({"epsilon": 0.05} | solver)))
    return PairSolver(regions, method, Engine(device="cpu"))


def engine_of(regions: gs.Regions, cost: gs.GroundCost, **solver: Any) -> PairEngine:
    return solver_of(regions, cost, **solver).engine


def moments(engine: PairEngine, others: Indices) -> NDArray[np.float64]:
    """Bounds between the first region and others."""
    (found,) = MomentBounds(engine.regions, engine.cost)(np.array([0]), others)
    return np.asarray(found)


@settings(max_examples=25)
@given(
    st.integers(0, 10_000),
    st.sampled_from(COSTS),
    st.lists(st.integers(1, 9), min_size=3, max_size=6),
    st.sampled_from([0.01, 0.2, 3.0]),
)
def test_bounds_hold(seed: int, cost: gs.GroundCost, sizes: list[int], epsilon: float) -> None:
    regions = random_regions(sizes, seed=seed, spread=0.5)
    solver = solver_of(regions, cost, epsilon=epsilon, precision="high", tolerance=1e-7)
    engine, others = solver.engine, np.arange(1, len(regions))
    exact = solver.solve(np.zeros_like(others), others, OUTPUTS)
    assert (moments(engine, others) <= exact["upper"] + 1e-9).all()
    assert (self_value_bounds(engine) >= solver.selves.lower - 1e-9).all()
    single = engine_of(regions, cost, epsilon=epsilon)
    assert (HalfSteps(single)(0, others) <= exact["ot_upper"]).all()
    values = whole_step_values(single, others, np.zeros_like(others))
    assert (values <= exact["ot_upper"]).all()
    assert (values >= HalfSteps(single)(0, others) - 1e-4).all()  # an iteration raises the dual


@given(st.integers(0, 1000))
@settings(max_examples=10)
def test_half_steps_of_rounded_features_allow_for_it(seed: int) -> None:
    regions = random_regions([7, 5, 8, 6], dimension=64, seed=seed)
    engine = engine_of(regions, gs.GroundCost(geo_weight=0.0))
    index = np.array([1, 2, 3])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounded_features, "multiplies_bfloat16", lambda device: False)
        exact = HalfSteps(engine)
        patch.setattr(rounded_features, "multiplies_bfloat16", lambda device: True)
        rounded = HalfSteps(engine)
    assert required(rounded._points.features).dtype == torch.bfloat16
    assert 0.0 < rounded._loss < 0.02
    assert (rounded(0, index) <= exact(0, index)).all()
    assert (rounded(0, index) >= exact(0, index) - 0.04).all()


def test_far_regions_are_told_apart_by_moments_alone() -> None:
    regions = gs.Regions.from_points(
        lon=[0, 1, 90, 91], lat=[0] * 4, region=["a", "a", "b", "b"], normalize=False
    )
    cost = gs.GroundCost(geo_weight=1.0)
    bound = moments(engine_of(regions, cost), np.array([1]))[0]
    divergence = float(gs.pairwise(regions, cost=cost).divergence[0, 1])
    assert 0.95 * divergence < bound <= divergence + 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("cost", COSTS, ids=str)
@pytest.mark.parametrize("k", [1, 4, 50])
def test_the_nearest_are_those_of_the_whole_row(cost: gs.GroundCost, k: int) -> None:
    sizes = np.random.default_rng(1).integers(1, 30, 40).tolist()
    regions = random_regions(sizes, seed=5, spread=0.6)
    ds = gs.pairwise(regions, cost=cost)
    for target in ("r00", "r17"):
        found = gs.nearest_regions(regions, target, k, cost=cost)
        row = ds.divergence.sel(target=target).drop_sel(source=target).to_pandas()
        expected = row.sort_values(kind="stable")[:k]
        assert found.table["region"].tolist() == expected.index.tolist()
        np.testing.assert_allclose(found.table["divergence"], expected, atol=1e-4)
        assert found.table["rank"].tolist() == list(range(1, min(k, 39) + 1))
        assert found.candidates == 39
        assert found.solved <= 39
        assert (found.table["lower"] <= found.table["upper"]).all()


def test_most_pairs_are_left_out() -> None:
    regions = random_regions([12] * 60, dimension=16, spread=0.2)
    found = gs.nearest_regions(regions, "r00", 3, cost=gs.GroundCost(geo_weight=0.0))
    assert found.solved < 15
    assert found.half_steps < 60


def test_what_lies_between_regions_does_not_change_their_half_steps() -> None:
    regions = random_regions([30] * 60)
    engine = engine_of(regions, gs.GroundCost())
    half, everything = HalfSteps(engine), np.arange(1, 60)
    some = np.array([2, 3, 40, 59])
    np.testing.assert_allclose(half(0, some), half(0, everything)[some - 1], atol=1e-5)
    assert half(0, np.empty(0, np.int64)).shape == (0,)


def test_equal_regions_are_ordered_by_name() -> None:
    regions = gs.Regions.from_points(
        lon=[0, 1, 5, 6, 5, 6, 40, 41], lat=[0] * 8, region=list("ttccbbdd")
    )
    found = gs.nearest_regions(regions, "t", 2)
    assert found.table["region"].tolist() == ["b", "c"]


def test_a_search_is_used_for_many_targets() -> None:
    regions = random_regions([10] * 20)
    once = NeighbourSearch(solver_of(regions, gs.GroundCost()))
    solver = solver_of(regions, gs.GroundCost())
    solver.know(np.arange(20), OUTPUTS)
    known = NeighbourSearch(solver)
    for target in range(5):
        others = np.delete(np.arange(20), target)
        tables = [search.nearest(target, others, 3).table for search in (once, known)]
        assert tables[0]["region"].tolist() == tables[1]["region"].tolist()


def test_neighbours_in_another_table() -> None:
    regions = random_regions([10] * 8, seed=1)
    other = random_regions([9, 9], seed=2)
    found = gs.nearest_regions(regions, "r01", 3, against=other)
    ds = gs.pairwise(regions, other)
    expected = ds.divergence.sel(target="r01").to_pandas().sort_values()[:3]
    assert found.table["region"].tolist() == expected.index.tolist()
    assert found.candidates == 8


def test_samples_have_their_errors() -> None:
    generator = np.random.default_rng(0)
    regions = gs.Regions.from_points(
        lon=generator.uniform(0, 60, 300), lat=generator.uniform(0, 40, 300),
        region=np.repeat(["a", "b", "c"], 100).tolist(), max_points=40,
    )  # fmt: skip
    table = gs.nearest_regions(regions, "a", 2).table
    ds = gs.pairwise(regions)
    for _, row in table.iterrows():
        stored = ds.sel(source="a", target=row["region"])
        np.testing.assert_allclose(row["std_error"], float(stored.std_error), rtol=1e-2)


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"target": "x"}, "target=x is no region here; there are: r00, r01, r02"),
        ({"target": "r0"}, "did you mean 'r02'?|did you mean 'r00'?|did you mean 'r01'?"),
        ({"k": 0}, "k=0: give how many regions to find"),
        ({"cost": gs.GroundCost(scaling="pair_max")}, "cost.scaling=pair_max gives every pair"),
    ],
)
def test_mistakes_are_said(settings_: dict[str, Any], message: str) -> None:
    with pytest.raises(gs.GeospotError) as error:
        gs.nearest_regions(random_regions([3, 4, 5]), **({"target": "r00"} | settings_))
    assert any(part in str(error.value) for part in message.split("|"))


def test_the_only_region_has_no_neighbours() -> None:
    with pytest.raises(gs.GeospotError, match="r00 is the only region"):
        gs.nearest_regions(random_regions([4]), "r00")


def test_moments_know_rounded_means() -> None:
    """Bounds stay below divergences that are nearly zero, whatever rounding does to the means."""
    regions = random_regions([400, 400], dimension=32, spread=0.0)
    same = replace(regions, xyz=regions.xyz)
    engine = engine_of(same, gs.GroundCost(geo_weight=0.0))
    centres = moments(engine, np.array([0]))
    assert centres[0] <= 0.0
