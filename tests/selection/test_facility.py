"""Greedy facility location, beside all choices there are."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geospot_gpu.selection.facility import ChoiceLimits, cover_greedily, covered, gain_of
from tests.helpers.clouds import Array


def problem(seed: int, points: int = 12, count: int = 7) -> tuple[Array, Array, Array]:
    """Costs, masses and what points cost before, in clusters: some candidates overlap."""
    generator = np.random.default_rng(seed)
    where, centres = generator.normal(size=(points, 2)), generator.normal(size=(count, 2))
    costs = np.linalg.norm(where[:, None] - centres, axis=2)
    mass = generator.dirichlet(np.ones(points))
    return costs, mass, np.full(points, costs.max())


def best_gain(costs: Array, mass: Array, start: Array, limits: ChoiceLimits) -> float:
    """The largest gain of all choices within the limits."""
    return max(
        gain_of(list(chosen), costs, mass, start)
        for size in range(1, limits.most + 1)
        for chosen in itertools.combinations(range(costs.shape[1]), size)
        if limits.price[list(chosen)].sum() <= limits.budget + 1e-12
    )


@given(st.integers(0, 10_000), st.integers(1, 4))
def test_greedy_keeps_its_promise(seed: int, most: int) -> None:
    costs, mass, start = problem(seed)
    limits = ChoiceLimits(np.ones(7), float(most), most)
    found = cover_greedily(costs, mass, start, limits)
    best = best_gain(costs, mass, start, limits)
    assert len(found.order) == len(set(found.order.tolist())) == most
    assert found.gain >= (1 - 1 / math.e) * best - 1e-12
    assert found.gain >= found.guarantee * best - 1e-12  # the bound known afterwards holds
    assert found.guarantee <= 1.0
    assert found.gain == pytest.approx(mass @ (start - covered(found.order.tolist(), costs, start)))


@given(st.integers(0, 10_000), st.floats(0.5, 4.0))
def test_greedy_under_prices_keeps_its_promise(seed: int, budget: float) -> None:
    costs, mass, start = problem(seed)
    price = np.random.default_rng(seed).uniform(0.2, 2.0, 7)
    limits = ChoiceLimits(price, max(budget, price.min()), 7)
    found = cover_greedily(costs, mass, start, limits)
    best = best_gain(costs, mass, start, limits)
    assert price[found.order].sum() <= limits.budget * (1 + 1e-9)
    assert found.gain >= (1 - 1 / math.e) / 2 * best - 1e-12
    assert found.gain >= found.guarantee * best - 1e-12


def test_one_large_candidate_beats_many_cheap_ones() -> None:
    costs = np.array([[0.0, 0.9, 1.0], [0.0, 1.0, 1.0]])
    limits = ChoiceLimits(np.array([10.0, 0.01, 0.01]), 10.0, 3)
    found = cover_greedily(costs, np.full(2, 0.5), np.ones(2), limits)
    assert found.order.tolist() == [0]  # by gain per price the second would come first
    free = ChoiceLimits(np.array([1.0, 0.0, 1.0]), 1.0, 3)
    assert cover_greedily(costs, np.full(2, 0.5), np.ones(2), free).order.tolist() == [1, 0]


def test_nothing_to_gain_still_takes_the_nearest() -> None:
    costs = np.array([[0.5, 0.9, 0.7]])
    found = cover_greedily(costs, np.ones(1), np.array([0.1]), ChoiceLimits(np.ones(3), 3.0, 3))
    assert found.order.tolist() == [0, 2, 1]
    assert found.gain == 0.0
    assert found.guarantee == 1.0


def test_a_better_start_leaves_less_to_gain() -> None:
    costs, mass, start = problem(3)
    limits = ChoiceLimits(np.ones(7), 2.0, 2)
    full = cover_greedily(costs, mass, start, limits)
    half = cover_greedily(costs, mass, covered(full.order.tolist(), costs, start), limits)
    assert half.gain < full.gain
    assert not set(half.order.tolist()) & set(full.order.tolist())
