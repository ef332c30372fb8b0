"""Potentials of classes alone, from which costs that know labels start."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import geospot_gpu as gs
from geospot_gpu.engine.class_starts import ClassStarts
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.kernels.reference.dense import DenseKernel

TABLE = ((0.0, 1.0, 0.5), (1.0, 0.0, 0.8), (0.5, 0.8, 0.0))
COST = gs.GroundCost(geo_weight=1.0, class_costs=TABLE, classes=("u", "v", "w"))
ENDS = np.array([0]), np.array([1])
TORCH = gs.Engine("cpu", backend="torch", storage="kept")


@pytest.fixture(autouse=True)
def _without_sums_by_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of the kernels that start there."""
    monkeypatch.setattr(DenseKernel, "has_class_sums", False)


def regions_of(spread: float) -> gs.Regions:
    """Two regions of other shares, at one place or spread over degrees."""
    generator = np.random.default_rng(0)
    labels = [*generator.choice(list("uvw"), 40, p=[0.7, 0.2, 0.1])]
    labels += [*generator.choice(list("uvw"), 60, p=[0.1, 0.3, 0.6])]
    return gs.Regions.from_points(
        lon=spread * generator.normal(size=100),
        lat=np.zeros(100),
        region=["a"] * 40 + ["b"] * 60,
        label=labels,
    )


def test_where_classes_are_all_the_start_is_the_solution() -> None:
    engine = PairEngine(regions_of(0.0), Method(COST, gs.Sinkhorn(epsilon=0.1)), TORCH)
    found = engine.pairs(*ENDS)
    assert found["iterations"][0] <= 2
    assert found["converged"][0]


def test_fewer_iterations_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    regions = regions_of(20.0)
    method = Method(COST, gs.Sinkhorn(tolerance=1e-6, precision="high"))
    ours = PairEngine(regions, method, TORCH).pairs(*ENDS)
    monkeypatch.setattr(ClassStarts, "of", lambda *given: None)
    anew = PairEngine(regions, method, TORCH).pairs(*ENDS)
    assert ours["iterations"][0] < anew["iterations"][0]
    assert ours["ot_value"][0] == pytest.approx(anew["ot_value"][0], rel=1e-5)


def test_large_costs_over_epsilon_and_absent_classes_are_numbers() -> None:
    regions = gs.Regions.from_points(
        lon=[0.0, 1.0, 2.0], lat=[0.0] * 3, region=list("aab"), label=["u", "u", "v"]
    )
    engine = PairEngine(regions, Method(COST, gs.Sinkhorn(epsilon=1e-4)), TORCH)
    starts = ClassStarts(regions, np.array([0, 0, 1]), COST, 1e-4)
    found = starts.of(*ENDS, engine.clouds(ENDS[1]))
    assert found.shape == (1, 1)
    assert torch.isfinite(found).all()
