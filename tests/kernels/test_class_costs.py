"""A part of the ground cost by classes, which kernels add to the others, or leave to others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import geospot_gpu as gs
from geospot_gpu.cost import check_self_terms
from geospot_gpu.distances.column import DIRECTIONS
from geospot_gpu.engine.arriving import Found
from geospot_gpu.engine.solved import Solved, coverage
from geospot_gpu.kernels import REGISTRY, choose_kernel, make_kernel
from geospot_gpu.kernels.clouds import CloudBatch, PointArrays, required
from geospot_gpu.kernels.contract import IterationSettings, Kernel
from geospot_gpu.kernels.costs import costs_between, mean_costs
from geospot_gpu.kernels.iterate import iterate
from geospot_gpu.kernels.spec import KernelSpec, Storage, Workload, formula_alone
from geospot_gpu.sinkhorn.bounds import certify
from tests.helpers.clouds import (
    STORAGES,
    Array,
    cost_matrix,
    exact_transport,
    random_regions,
    weights,
)

TABLE = ((0.0, 0.3, 1.0), (0.2, 0.0, 0.7))
PLAIN = gs.GroundCost(geo_weight=0.5)
COST = replace(PLAIN, class_costs=TABLE)
SIZES = [20, 31, 37, 25]
EPSILON = 0.05


def problems(
    dtype: torch.dtype, device: str = "cpu"
) -> tuple[CloudBatch, CloudBatch, list[tuple[Array, Array, Array]]]:
    """Two problems in a batch, and what they are in float64: costs and masses."""
    regions = random_regions(SIZES)
    generator = np.random.default_rng(0)
    rows, columns = generator.integers(0, 2, sum(SIZES)), generator.integers(0, 3, sum(SIZES))
    features, *plain = regions.features, regions.xyz.to(dtype), regions.weight.to(dtype)
    points = PointArrays(required(features).to(device), *(x.to(device) for x in plain))
    sides = [
        CloudBatch(
            replace(points, classes=torch.from_numpy(classes).to(device)),
            regions.offsets[index],
            regions.sizes[index],
        )
        for classes, index in ((rows, [0, 2]), (columns, [1, 3]))
    ]
    exact = []
    for i, j in ((0, 1), (2, 3)):
        x, y = (slice(*regions.offsets[k : k + 2].tolist()) for k in (i, j))
        by_class = np.array(TABLE)[rows[x][:, None], columns[y]]
        costs = cost_matrix(regions, i, j, PLAIN) + by_class
        exact.append((costs, weights(regions, i), weights(regions, j)))
    return sides[0], sides[1], exact


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("storage", STORAGES)
def test_values_are_certified_and_those_of_pot(storage: str, dtype: torch.dtype) -> None:
    source, target, exact = problems(dtype)
    kernel = make_kernel(COST, source, target, EPSILON, 2**20, storage=storage)
    found = certify(kernel, COST, iterate(kernel, IterationSettings(1e-4, 500)), 1e-4)
    for k, (costs, a, b) in enumerate(exact):
        value, _ = exact_transport(a, b, costs, EPSILON)
        slack = 1e-8  # of POT's value
        assert found.ot_lower[k].item() - slack <= value <= found.ot_upper[k].item() + slack
        assert found.ot_value[k].item() == pytest.approx(value, abs=2e-5)
    chosen = kernel.select(torch.tensor([1]))
    alone = iterate(chosen, IterationSettings(1e-4, 500))
    assert certify(chosen, COST, alone, 1e-4).ot_value[0].item() == pytest.approx(value, abs=2e-5)


def test_auto_takes_the_fastest_for_them_too() -> None:
    workload = Workload(COST, 8, torch.float32, "cpu", 2**30)
    assert choose_kernel(workload, 100).name == "compiled kept"
    assert choose_kernel(workload, 10**9).name == "compiled streamed"
    assert formula_alone(COST) == "it knows no costs between classes"


def test_costs_at_hand_have_them() -> None:
    source, target, exact = problems(torch.float32)
    one, other = (replace(c, start=c.start[:1], size=c.size[:1]) for c in (source, target))
    np.testing.assert_allclose(costs_between(COST, one, other), exact[0][0], atol=1e-6)
    for side in (one, other):
        rows = slice(int(side.start[0]), int(side.start[0]) + int(side.size[0]))
        arrays = side.points
        few = PointArrays(
            required(arrays.features)[rows],
            arrays.xyz[rows],
            arrays.mass[rows],
            required(arrays.classes)[rows],
        )
        alone = CloudBatch(few, np.zeros(1, np.int64), side.size)
        one, other = (alone, other) if side is one else (one, alone)
    np.testing.assert_allclose(mean_costs(COST, one, other), exact[0][0] @ exact[0][2], atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"class_costs": [[0.0, 1.0], [1.0]]}, "must be a table"),
        ({"class_costs": []}, "must be a table"),
        ({"class_costs": [[-1.0]]}, "not negative"),
        ({"class_costs": [[float("nan")]]}, "not negative"),
        ({"class_costs": [[1.0]], "scaling": "pair_max"}, "need one scale"),
    ],
)
def test_tables_that_are_none_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(gs.GeospotError, match=message):
        gs.GroundCost(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("plain", [PLAIN, gs.GroundCost(geo_weight=1.0)], ids=["mixed", "places"])
def test_triton_has_the_same(plain: gs.GroundCost) -> None:
    """On a GPU where there is one, else interpreted; from both sides."""
    pytest.importorskip("triton")
    source, target, _ = problems(torch.float32, "cuda" if torch.cuda.is_available() else "cpu")
    cost = replace(plain, class_costs=TABLE)
    spec = next(s for s in REGISTRY if (s.backend, s.storage) == ("triton", "streamed"))
    assert spec.problem(Workload.of(cost, source, 2**20), 100) is None
    ours = spec.build(cost, source, target, EPSILON, 2**20)
    torch_s = make_kernel(cost, source, target, EPSILON, 2**20, backend="torch")
    for side, here, there in (("source", source, target), ("target", target, source)):
        g = torch.zeros_like(there.weight)
        found, wanted = (k.softmin(g, side).cpu() for k in (ours, torch_s))  # type: ignore[arg-type]
        inside = here.weight.cpu() > 0
        np.testing.assert_allclose(found[inside], wanted[inside], atol=5e-6)


def test_triton_knows_tables_up_to_a_size() -> None:
    cost = replace(PLAIN, class_costs=((0.0,) * 257,))
    spec = next(s for s in REGISTRY if s.backend == "triton")
    problem = spec.problem(Workload(cost, 8, torch.float32, "cuda", 2**30), 100)
    assert problem == "it knows costs between up to 256 classes"


@pytest.mark.parametrize("storage", STORAGES)
def test_coverage_goes_both_ways(storage: Storage) -> None:
    """Kernels are built anew for the way back, with the table the other way round."""
    source, target, _ = problems(torch.float32)
    spec = choose_kernel(Workload.of(COST, source, 2**20), 10**3, storage=storage)
    there = coverage_of(spec, COST, source, target)
    back = coverage_of(spec, COST.exchanged, target, source)
    for ours, theirs in (DIRECTIONS, DIRECTIONS[::-1]):
        for end in ("", "_lower", "_upper"):
            found, wanted = there[f"coverage_{ours}{end}"], back[f"coverage_{theirs}{end}"]
            np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert there["converged"].all()


def coverage_of(
    spec: KernelSpec, cost: gs.GroundCost, source: CloudBatch, target: CloudBatch
) -> Found:
    def build(cost: gs.GroundCost, source: CloudBatch, target: CloudBatch) -> Kernel:
        return spec.build(cost, source, target, EPSILON, 2**20)

    settings, pair = IterationSettings(1e-4, 500), (np.array([0, 2]), np.array([1, 3]))
    kernel = build(cost, source, target)
    solver = gs.Sinkhorn(epsilon=EPSILON, tolerance=1e-4)
    how = cost, solver, iterate, settings
    batch = Solved(pair, kernel, build, *how, iterate(kernel, settings))
    return coverage(batch, torch.ones(2, dtype=torch.bool))


@pytest.mark.parametrize("table", [((0.0, 1.0), (0.5, 0.0)), ((0.0, 1.0, 1.0), (1.0, 0.0, 1.0))])
def test_self_terms_need_the_same_table_both_ways(table: tuple[tuple[float, ...], ...]) -> None:
    with pytest.raises(gs.GeospotError, match="give a square, symmetric table"):
        check_self_terms(replace(COST, class_costs=table))
    check_self_terms(replace(COST, class_costs=((0.0, 1.0), (1.0, 0.0))))
