"""Feature costs of a person's own: certified as far as what they say of themselves is true."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import geospot_gpu as gs
from geospot_gpu import feature_costs
from geospot_gpu.kernels import choose_kernel
from geospot_gpu.kernels.costs import costs_between, mean_costs
from geospot_gpu.kernels.spec import Workload
from tests.helpers.clouds import (
    STORAGES,
    Array,
    cloud,
    cost_matrix,
    exact_transport,
    random_regions,
    weights,
)
from tests.helpers.folders import ROOT

EPSILON = 0.05
MANHATTAN = gs.FeatureCost(
    "manhattan",
    lambda x, y: torch.cdist(x, y, p=1.0),
    lambda x, y, dimension: dimension**0.5 * (x + y),
    lambda dimension: dimension + 2.0,
)
# Not conditionally negative definite, and not zero from a point to itself.
ODD = gs.FeatureCost(
    "odd",
    lambda x, y: torch.cdist(x, y).pow(4).add(0.25),
    lambda x, y, dimension: (x + y).pow(4) + 0.25,
    lambda dimension: 4.0 * dimension + 10.0,
)


@pytest.fixture(autouse=True)
def register(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two more, which are not there any more after each test."""
    monkeypatch.setattr(feature_costs, "REGISTER", (*feature_costs.BUILT_IN, MANHATTAN, ODD))


def matrix(regions: gs.Regions, i: int, j: int, cost: gs.GroundCost) -> Array:
    """The cost in float64, written anew."""
    assert regions.features is not None
    x, y = (
        regions.features[slice(*regions.offsets[k : k + 2].tolist())].double().numpy()
        for k in (i, j)
    )
    difference = np.abs(x[:, None] - y[None])
    feature = difference.sum(-1)
    if cost.feature == "odd":
        feature = (difference**2).sum(-1) ** 2 + 0.25
    total = (1.0 - cost.geo_weight) / cost.feature_scale * feature
    if cost.uses_geography:
        geography = gs.GroundCost(geo_weight=1.0, geo_scale=cost.geo_scale)
        total = total + cost.geo_weight * cost_matrix(regions, i, j, geography)
    return np.asarray(total)


@pytest.mark.parametrize("feature", ["manhattan", "odd"])
@pytest.mark.parametrize("geo_weight", [0.0, 0.4])
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("precision", ["single", "high"])
def test_the_value_of_pot_is_certified(
    feature: str, geo_weight: float, storage: str, precision: Any
) -> None:
    regions = random_regions([30, 23], seed=2)
    cost = gs.GroundCost(feature=feature, geo_weight=geo_weight, feature_scale=2.0)
    solver = gs.Sinkhorn(epsilon=EPSILON, precision=precision)
    engine = gs.Engine(device="cpu", storage=storage)
    found = gs.pairwise(regions, cost=cost, solver=solver, engine=engine, outputs=["ot_value"])
    pair = found.sel(source="r00", target="r01")
    masses = weights(regions, 0), weights(regions, 1)
    value, _ = exact_transport(*masses, matrix(regions, 0, 1, cost), EPSILON)
    slack = 1e-8  # of POT's value
    assert float(pair.ot_lower) - slack <= value <= float(pair.ot_upper) + slack
    assert float(pair.ot_upper - pair.ot_lower) < 1e-3
    assert bool(pair.converged)


@pytest.mark.parametrize("feature", ["manhattan", "odd"])
def test_the_nearest_are_those_of_the_whole_row(feature: str) -> None:
    regions = random_regions([9, 14, 7, 12, 8, 11, 10], seed=4, spread=0.3)
    method: dict[str, Any] = {
        "cost": gs.GroundCost(feature=feature, geo_weight=0.2, feature_scale=2.0),
        "solver": gs.Sinkhorn(epsilon=EPSILON),
    }
    row = gs.pairwise(regions, outputs=["divergence"], **method).divergence.sel(source="r00")
    wanted = row.drop_sel(target="r00").to_series().nsmallest(3)
    found = gs.nearest_regions(regions, "r00", 3, **method)
    assert found.table.region.tolist() == wanted.index.tolist()
    np.testing.assert_allclose(found.table.divergence, wanted, atol=1e-4)


def test_the_example_runs(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setattr(feature_costs, "REGISTER", feature_costs.BUILT_IN)
    made = runpy.run_path(str(ROOT / "examples" / "own_cost.py"))
    assert made["found"].table.region.tolist() == ["Oslo", "Lima"]
    assert "certified to" in capsys.readouterr().out


def test_costs_at_hand_and_their_means_are_the_same() -> None:
    regions = random_regions([20, 20], seed=5)
    cost = gs.GroundCost(feature="manhattan", geo_weight=0.3)
    source, target = cloud(regions, 0), cloud(regions, 1)
    exact = matrix(regions, 0, 1, cost)
    for dtype in (torch.float32, torch.float64):
        sides = (cloud(regions, k, dtype) for k in (0, 1))
        np.testing.assert_allclose(costs_between(cost, *sides), exact, atol=1e-5)
    half = [replace(c, points=part_of(c), start=np.zeros(1, np.int64)) for c in (source, target)]
    np.testing.assert_allclose(mean_costs(cost, *half), exact @ weights(regions, 1), atol=1e-12)


def part_of(side: Any) -> Any:
    """The points of one cloud alone."""
    rows = slice(int(side.start[0]), int(side.start[0] + side.size[0]))
    points = side.points
    return replace(
        points, features=points.features[rows], xyz=points.xyz[rows], mass=points.mass[rows]
    )


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("backend", ["auto", "compiled", "triton", "keops"])
def test_torch_alone_computes_them(device: str, backend: str) -> None:
    cost = gs.GroundCost(feature="manhattan")
    workload = Workload(cost, 8, torch.float32, device, 2**30)
    assert choose_kernel(workload, 100, backend).backend == "torch"
    geography = workload._replace(cost=replace(cost, geo_weight=1.0), device="cpu")
    assert choose_kernel(geography, 100).backend == "compiled"


def test_regions_are_chosen_and_geomloss_solves_by_them() -> None:
    regions = random_regions([20, 15, 18], seed=6, spread=0.3)
    cost = gs.GroundCost(feature="manhattan", geo_weight=0.2, feature_scale=4.0)
    chosen = gs.select_regions(regions, "r00", 30, cost=cost, max_regions=1)
    assert len(chosen.table) == 1
    ours, theirs = (
        gs.pairwise(regions, cost=cost, solver=solver(epsilon=EPSILON)).divergence.values
        for solver in (gs.Sinkhorn, gs.GeomLoss)
    )
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_a_run_is_known_by_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    regions = random_regions([5, 6])
    gs.sweep(tmp_path, regions, cost=gs.GroundCost(feature="manhattan"))
    run = gs.Run.open(tmp_path)
    assert run.method.cost.feature == "manhattan"
    with pytest.raises(gs.GeospotError, match=r"cost.feature=manhattan there, odd here"):
        gs.sweep(tmp_path, regions, cost=gs.GroundCost(feature="odd"))
    monkeypatch.setattr(feature_costs, "REGISTER", feature_costs.BUILT_IN)
    with pytest.raises(gs.GeospotError, match=r"'manhattan' is unknown: .* register"):
        gs.Run.open(tmp_path).method  # noqa: B018


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"function": lambda x, y: x @ y.mT}, "a cost is a number that is not negative"),
        ({"function": lambda x, y: (x @ y.mT) * torch.nan}, "a cost is a number"),
        ({"function": lambda x, y: (x[..., :1] - y.mT[:, :1]).clamp(min=0)}, "not symmetric"),
        ({"function": lambda x, y: torch.cdist(x, y)[0]}, "give torch.float64 of shape"),
        ({"function": lambda x, y: torch.cdist(x, y).float()}, "gave torch.float32 of shape"),
        ({"function": lambda x, y: None}, "gave NoneType of shape"),
        ({"function": lambda x, y: torch.cdist(x[..., :2] @ torch.ones(3, 1), y)}, "it fails for"),
        ({"largest": lambda x, y, dimension: x}, "and largest only .*: raise that"),
        ({"roundings": lambda dimension: 0.01}, "float32 and float64 differ by"),
    ],
)
def test_what_is_no_cost_is_refused(
    changes: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = replace(MANHATTAN, name="mine", **changes)
    gs.register_feature_cost(own)
    with pytest.raises(gs.GeospotError, match=f"feature cost mine: .*{message}"):
        gs.pairwise(random_regions([40, 40], seed=1), cost=gs.GroundCost(feature="mine"))


def test_what_cannot_be_registered() -> None:
    for taken in ("cosine", "manhattan"):
        with pytest.raises(gs.GeospotError, match=f"feature cost {taken}: there is one of this"):
            gs.register_feature_cost(replace(MANHATTAN, name=taken))
    with pytest.raises(gs.GeospotError, match="cost is"):
        gs.register_feature_cost("mine")  # type: ignore[arg-type]
    with pytest.raises(gs.GeospotError, match="a name of letters and _"):
        replace(MANHATTAN, name="my own")
    with pytest.raises(gs.GeospotError, match="feature cost manhattan: largest must be a function"):
        replace(MANHATTAN, largest=3)  # type: ignore[arg-type]
    with pytest.raises(gs.GeospotError, match=r"cost.feature=manhattan needs one scale"):
        gs.GroundCost(feature="manhattan", scaling="pair_max")
