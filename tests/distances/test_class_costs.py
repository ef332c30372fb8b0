"""Label-aware costs between regions: against POT, and what must hold for every table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import geospot_gpu as gs
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.points.labels import BINS
from tests.helpers.clouds import cost_matrix, exact_transport, random_regions, weights

PLAIN = gs.GroundCost(geo_weight=0.5)
SIZES = [23, 31, 17]


def labelled(sizes: list[int] = SIZES, kinds: str = "uvw", seed: int = 0) -> gs.Regions:
    """Random regions with random labels."""
    plain = random_regions(sizes, seed=seed)
    labels = np.random.default_rng(seed).choice(list(kinds), sum(sizes)).astype(object)
    return replace(plain, label=labels)


def with_table(table: np.ndarray, classes: str, weight: float = 1.0) -> gs.GroundCost:
    rows = tuple(map(tuple, table.tolist()))
    return replace(PLAIN, label_weight=weight, class_costs=rows, classes=tuple(classes))


def symmetric(values: list[float], count: int) -> np.ndarray:
    table = np.zeros((count, count))
    table[np.triu_indices(count, k=1)] = values
    return table + table.T


@pytest.mark.parametrize("backend", ["compiled", "torch"])
def test_values_are_those_of_pot(backend: str) -> None:
    regions = labelled()
    cost = gs.with_class_costs(replace(PLAIN, label_weight=0.7), regions)
    assert cost.class_table is not None
    assert cost.classes is not None
    solver = gs.Sinkhorn(epsilon=0.05, tolerance=1e-5)
    found = gs.pairwise(regions, cost=cost, solver=solver, engine=gs.Engine(backend=backend))
    codes = np.searchsorted(cost.classes, regions.label.astype(str))  # type: ignore[union-attr]

    def value(i: int, j: int) -> float:
        x, y = (codes[slice(*regions.offsets[k : k + 2])] for k in (i, j))
        costs = cost_matrix(regions, i, j, PLAIN) + np.array(cost.class_table)[x[:, None], y]
        return float(exact_transport(weights(regions, i), weights(regions, j), costs, 0.05)[0])

    for i, j in ((0, 1), (0, 2), (1, 2)):
        ot = value(i, j)
        assert found.ot_value.values[i, j] == pytest.approx(ot, rel=1e-3)
        assert found.ot_lower.values[i, j] - 1e-6 <= ot <= found.ot_upper.values[i, j] + 1e-6


@settings(max_examples=10, deadline=None)
@given(st.lists(st.floats(0.0, 5.0), min_size=6, max_size=6), st.floats(0.01, 3.0))
def test_a_region_is_zero_from_itself_whatever_the_table(
    values: list[float], weight: float
) -> None:
    """Also from its copy by another name, and it does not matter what is called source."""
    one = labelled([19], "uvwx")
    other = labelled([14], "wx", seed=1)
    together = one.concatenated(one).concatenated(other)
    regions = replace(together, names=("a", "b", "c"))
    cost = with_table(symmetric(values, 4), "uvwx", weight)
    found = gs.pairwise(regions, cost=cost, outputs=["divergence", "ot_value"])
    assert found.lower.values[0, 1] <= 0.0 <= found.upper.values[0, 1]
    assert abs(found.divergence.values[0, 1]) < 1e-4
    assert found.divergence.values[0, 2] == pytest.approx(found.divergence.values[1, 2], abs=1e-4)
    back = gs.pairwise(regions.take([2, 0]), cost=cost, outputs=["ot_value"])
    assert back.ot_value.values[0, 1] == pytest.approx(found.ot_value.values[0, 2], abs=1e-4)


def test_names_of_classes_do_not_matter() -> None:
    regions, table = labelled(), symmetric([0.3, 1.0, 0.6], 3)
    order = np.array([2, 0, 1])
    assert regions.label is not None
    labels = np.array(list("wuv"), object)[np.searchsorted(list("uvw"), regions.label.astype(str))]
    renamed = replace(regions, label=labels)
    there = gs.pairwise(regions, cost=with_table(table, "uvw"), outputs=["divergence"])
    moved = with_table(table[np.ix_(order, order)], "".join("wuv"[k] for k in order))
    np.testing.assert_allclose(
        gs.pairwise(renamed, cost=moved, outputs=["divergence"]).divergence,
        there.divergence, atol=1e-5,
    )  # fmt: skip


def test_disjoint_labels_cost_what_lies_between_them() -> None:
    """At one place, with two labels: the table alone."""
    regions = gs.Regions.from_points(lon=[0, 0], lat=[0, 0], region=["a", "b"], label=["u", "v"])
    cost = gs.with_class_costs(gs.GroundCost(geo_weight=1.0, label_weight=0.25), regions)
    assert cost.class_costs == ((0.0, 1.0), (1.0, 0.0))
    found = gs.pairwise(regions, cost=cost, outputs=["divergence"])
    assert found.divergence.values[0, 1] == pytest.approx(0.25, abs=1e-6)


def test_numbers_are_binned_by_tenths() -> None:
    values = np.linspace(0.05, 10.0, 200)
    regions = gs.Regions.from_points(
        lon=np.linspace(-60, 60, 200), lat=np.zeros(200), region=["a", "b"] * 100, label=values
    )
    cost = gs.with_class_costs(gs.GroundCost(geo_weight=1.0, label_weight=1.0), regions)
    assert len(cost.classes or ()) == BINS
    table = np.array(cost.class_costs)
    step = np.abs(np.subtract.outer(range(BINS), range(BINS)))
    np.testing.assert_allclose(table, step / step[~np.eye(BINS, dtype=bool)].mean(), rtol=1e-4)
    assert gs.pairwise(regions, cost=cost).divergence.values[0, 1] < 0.05


def test_classes_are_as_far_apart_as_their_features() -> None:
    """Two of three classes have the same features; weights of regions count alike."""
    x = np.array([[1.0, 0.0], [1.0, 0.01], [0.0, 1.0]] * 4)
    regions = gs.Regions.from_points(
        region=["a", "a", "a", "b", "b", "b"] * 2, features=x, label=["u", "v", "w"] * 4
    )
    cost = gs.with_class_costs(gs.GroundCost(geo_weight=0.0, label_weight=1.0), regions)
    table = np.array(cost.class_costs)
    assert table[0, 1] < 0.01
    assert table[0, 2] == pytest.approx(1.5, abs=0.02)
    assert table[~np.eye(3, dtype=bool)].mean() == pytest.approx(1.0, abs=1e-5)


def test_a_run_keeps_its_table(tmp_path: Path) -> None:
    regions = labelled([12, 15, 9, 11])
    cost = replace(PLAIN, label_weight=0.5)
    few = regions.take([0, 1, 2])
    first = gs.sweep(tmp_path, few, cost=cost, outputs=["divergence"])
    assert first.cost == gs.with_class_costs(cost, few)
    again = gs.sweep(tmp_path, few, cost=cost, outputs=["divergence"])
    assert again.keys == first.keys
    more = gs.sweep(tmp_path, regions, cost=cost, outputs=["divergence"])
    assert more.cost == first.cost
    assert more.keys[:3] == first.keys
    with pytest.raises(gs.GeospotError, match=r"label_weight=0\.5 there"):
        gs.sweep(tmp_path, few, cost=replace(cost, label_weight=0.7), outputs=["divergence"])
    plain = gs.sweep(tmp_path / "plain", few, cost=PLAIN, outputs=["divergence"])
    assert plain.cost == replace(cost, label_weight=0.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label_weight": -1.0}, "label_weight=-1 must not be negative"),
        ({"label_weight": 1.0, "scaling": "pair_max"}, "cost.label_weight need one scale"),
        ({"class_costs": ((0.0,),), "classes": ("u", "v")}, "cost.classes has 2 classes"),
    ],
)
def test_costs_that_are_none_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(gs.GeospotError, match=message):
        gs.GroundCost(**settings)  # type: ignore[arg-type]


def test_points_that_do_not_suit_the_table_are_refused() -> None:
    regions, cost = labelled(), with_table(symmetric([1.0], 2), "uv")
    plain = replace(regions, label=None)
    some = regions.label.copy()  # type: ignore[union-attr]
    some[0] = None
    numbers = replace(regions, label=np.arange(sum(SIZES)) / 3)
    for these, how, message in (
        (regions, cost, "label 'w' is none of the 2"),
        (plain, cost, "cost.class_costs needs labels of points, and regions have none"),
        (plain, replace(PLAIN, label_weight=1.0), "cost.label_weight needs labels of points, and"),
        (replace(regions, label=some), cost, "1 of 71 have none: leave these out with regions.lab"),
        (replace(regions, label=some), replace(PLAIN, label_weight=1.0), "1 of 71 have none"),
        (numbers, cost, "labels are numbers, and cost.classes are classes"),
        (regions, replace(cost, classes=None), "cost.class_costs needs cost.classes"),
    ):
        with pytest.raises(gs.GeospotError, match=message):
            gs.pairwise(these, cost=how)
    many = replace(regions, label=np.array([f"c{k}" for k in range(sum(SIZES))], object))
    assert len(gs.with_class_costs(replace(PLAIN, label_weight=1.0), many).classes or ()) == 71
    with pytest.raises(gs.GeospotError, match="has no table of distances between classes yet"):
        PairEngine(regions, Method(replace(PLAIN, label_weight=1.0), gs.Sinkhorn()), gs.Engine())


def test_what_knows_no_labels_says_so() -> None:
    cost = gs.with_class_costs(replace(PLAIN, label_weight=1.0), labelled())
    with pytest.raises(gs.GeospotError, match="search for the nearest knows no costs between lab"):
        gs.nearest_regions(labelled(), "r00", 1, cost=cost)
    with pytest.raises(gs.GeospotError, match="selection of points knows no costs between labels"):
        gs.select_points(labelled(), "r00", 5, cost=cost)
