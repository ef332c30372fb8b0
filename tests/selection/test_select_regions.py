"""Regions under a budget: what methods choose, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.selection.shares import share_equally
from tests.helpers.clouds import cost_matrix, random_regions, weights

COST = gs.GroundCost(geo_weight=0.3)


@pytest.fixture(scope="module")
def regions() -> gs.Regions:
    return random_regions([20, 15, 12, 18, 25, 30, 14, 16], spread=0.8, seed=4)


def choose(regions: gs.Regions, target: Any = "r00", budget: float = 24, **settings: Any) -> Any:
    return gs.select_regions(regions, target, budget, cost=COST, **settings)


def test_coverage_at_whole_regions_is_the_nearest_neighbour_cost(regions: gs.Regions) -> None:
    """With all samples of each region taken, steps are nearest costs, written anew."""
    found = choose(regions, budget=10_000, max_regions=3)
    costs = {
        name: cost_matrix(regions, 0, k, COST).min(axis=1) for k, name in enumerate(regions.names)
    }
    names, mass = found.table["region"].tolist(), weights(regions, 0)
    best = min(list(costs)[1:], key=lambda name: float(mass @ costs[name]))
    assert names[0] == best
    for step in range(1, 4):
        nearest = np.min([costs[name] for name in names[:step]], axis=0)
        assert found.table["distance"][step - 1] == pytest.approx(mass @ nearest, abs=1e-5)
    assert found.coverage == pytest.approx(found.table["distance"].iloc[-1], abs=1e-6)
    assert found.distance == "coverage"
    assert 0.6 < found.guarantee <= 1.0


def test_every_method_keeps_the_contract(regions: gs.Regions) -> None:
    for method in ("coverage", "union", "nearest", "random"):
        found = choose(regions, method=method, max_regions=3)
        table = found.table
        assert table["order"].tolist() == [1, 2, 3]
        assert table["region"].is_unique
        assert "r00" not in set(table["region"])
        assert table["quota"].tolist() == [8, 8, 8]
        assert (table["lower"] <= table["distance"]).all()
        assert (table["distance"] <= table["upper"]).all()
        assert 0 <= found.improves_until <= 3
        assert found.shortfall == 0
    everything = choose(regions, method="all").table
    assert sorted(everything["region"]) == list(regions.names[1:])
    assert everything["quota"].sum() == 24


def test_nearest_follows_stored_distances(regions: gs.Regions) -> None:
    ds = gs.pairwise(regions, cost=COST)
    for by, row in {
        "divergence": ds.divergence.sel(target="r00"),
        "coverage": ds.coverage.sel(target="r00"),
        "nearest": ds.nearest.sel(target="r00"),
    }.items():
        expected = row.drop_sel(source="r00").to_pandas().sort_values().index[:4].tolist()
        found = choose(regions, method="nearest", by=by, max_regions=4)
        assert found.table["region"].tolist() == expected, by
    km = choose(regions, method="nearest", by="mean_great_circle_km", max_regions=7)
    means = [
        weights(regions, 0) @ cost_matrix(regions, 0, k, gs.GroundCost(geo_weight=1.0))
        @ weights(regions, k)
        for k in range(1, 8)
    ]  # fmt: skip
    assert km.table["region"].tolist() == [regions.names[1 + k] for k in np.argsort(means)]


def test_random_is_seeded(regions: gs.Regions) -> None:
    draws = [
        tuple(choose(regions, method="random", max_regions=3, seed=seed).table["region"])
        for seed in (0, 0, 1, 2, 3)
    ]
    assert draws[0] == draws[1]
    assert len(set(draws)) > 2


def test_exhaustive_is_no_worse_than_greedy(regions: gs.Regions) -> None:
    greedy = choose(regions, method="union", max_regions=3)
    best = choose(regions, method="union", max_regions=3, exhaustive=True)
    last = best.table["distance"].iloc[-1]
    assert last <= greedy.table["distance"].iloc[-1] + 1e-4
    with pytest.raises(gs.GeospotError, match="exhaustive=true has no effect on method=coverage"):
        choose(regions, exhaustive=True)
    many = random_regions([2] * 40)
    with pytest.raises(gs.GeospotError, match=r"form 575,757 unions, more than 10,000"):
        choose(many, method="union", exhaustive=True)


def test_shorter_choices_begin_longer_ones(regions: gs.Regions) -> None:
    for method in ("coverage", "union"):
        long = choose(regions, method=method, budget=40, max_regions=5).table["region"].tolist()
        short = choose(regions, method=method, budget=16, max_regions=2).table["region"].tolist()
        assert long[:2] == short


def test_what_is_there_already_is_not_covered_again() -> None:
    """Two halves of a target: with samples near one, those near the other are chosen."""
    regions = gs.Regions.from_points(
        lon=[0, 1, 50, 51, 0.1, 1.1, -0.6, 0.4, 54, 55], lat=[0] * 10, region=list("ttttaabbcc")
    )
    alone = gs.select_regions(regions, "t", 4, max_regions=2)
    assert alone.table["region"].tolist() == ["a", "c"]
    more = gs.select_regions(regions, "t", 2, max_regions=1, have=["a"])
    assert more.table["region"].tolist() == ["c"]
    assert more.table["distance"][0] == pytest.approx(alone.table["distance"][1], abs=1e-6)
    assert more.improves_until == 1
    union = gs.select_regions(regions, "t", 2, max_regions=1, have={"a": 2}, method="union")
    assert union.table["region"].tolist() == ["c"]
    again = gs.select_regions(regions, "t", 2, max_regions=1, have=["a", "c"])
    assert again.table["region"].tolist() == ["b"]
    assert again.improves_until == 0


def test_several_targets_count_by_their_weights() -> None:
    regions = gs.Regions.from_points(
        lon=[0, 1, 60, 61, 2, 3, 63, 64], lat=[0] * 8, region=list("ttuuaabb")
    )
    for weights_, first in (({"t": 9, "u": 1}, "a"), ({"t": 1, "u": 9}, "b")):
        for method in ("coverage", "union", "nearest"):
            found = gs.select_regions(regions, weights_, 2, max_regions=1, method=method)
            assert found.table["region"].tolist() == [first]
            assert found.targets == ["t", "u"]
    both = gs.select_regions(regions, ["t", "u"], 4, max_regions=2)
    assert sorted(both.table["region"]) == ["a", "b"]


def test_targets_of_a_table_of_their_own(regions: gs.Regions) -> None:
    """A target of the second table is what it would be in the first one."""
    inside = choose(regions, target="r03", max_regions=3)
    names = [name for name in regions.names if name != "r03"]
    parts = {name: regions.sources[k].rows for k, name in enumerate(regions.names)}
    source = regions.sources[0]
    first, second = (
        gs.Regions.from_groups(source.points, {n: parts[n] for n in some}, encoder=source.encoder)
        for some in (names, ["r03"])
    )
    outside = choose(first, target="r03", max_regions=3, against=second)
    pd.testing.assert_frame_equal(inside.table, outside.table, rtol=1e-5)


def test_a_target_may_be_its_own_candidate(regions: gs.Regions) -> None:
    found = choose(regions, max_regions=1, include_target=True)
    assert found.table["region"].tolist() == ["r00"]
    assert found.table["distance"][0] > 0.01  # its own points do not stand for themselves


def test_quotas_share_the_budget() -> None:
    available = np.array([3, 10, 10])
    assert share_equally(available, 16, np.array([3, 5, 5])).tolist() == [3, 7, 6]
    assert share_equally(available, 99, np.array([3, 10, 10])).tolist() == [3, 10, 10]
    assert share_equally(np.array([1, 2, 50, 60]), 70, np.ones(4, int)).tolist() == [1, 2, 34, 33]


def test_a_budget_beyond_everything_takes_all_and_says_so(
    regions: gs.Regions, caplog: pytest.LogCaptureFixture
) -> None:
    found = choose(regions, budget=1e6)
    assert len(found.table) == 7
    assert found.table["quota"].tolist() == found.table["available"].tolist()
    total = int(found.table["quota"].sum())
    assert found.shortfall == 1_000_000 - total
    assert f"the 7 regions chosen have only {total} samples: all are taken" in caplog.text
    few = choose(regions, budget=90, max_regions=2)
    assert few.shortfall == 90 - int(few.table["quota"].sum()) > 0
    assert "raise max_regions for more" in caplog.text


def test_quotas_beyond_the_sample_draw_larger_ones() -> None:
    generator = np.random.default_rng(0)
    lon, lat = generator.uniform(0, 50, 600), generator.uniform(0, 40, 600)
    names = np.repeat(["a", "b", "t"], 200).tolist()
    small = gs.Regions.from_points(lon=lon, lat=lat, region=names, max_points=20)
    whole = gs.Regions.from_points(lon=lon, lat=lat, region=names, max_points=150)
    found = gs.select_regions(small, "t", 150, max_regions=1)
    expected = gs.select_regions(whole, "t", 150, max_regions=1)
    pd.testing.assert_frame_equal(found.table, expected.table)


def prices(**changes: Any) -> pd.DataFrame:
    table = pd.DataFrame(
        {"region": [f"r{k:02d}" for k in range(1, 8)], "per_region": 10.0, "per_sample": 1.0}
    )
    return table.assign(**changes)


def test_prices_decide_what_can_be_had(regions: gs.Regions) -> None:
    free = choose(regions, budget=1e9, quota=5, prices=prices())
    assert len(free.table) == 7
    assert free.table["quota"].tolist() == [5] * 7
    assert free.table["price"].tolist() == [15.0] * 7
    first = free.table["region"][0]
    dear = prices()
    dear.loc[dear["region"] == first, "per_sample"] = 1000.0
    found = choose(regions, budget=45, quota=5, prices=dear)
    assert first not in set(found.table["region"])
    assert len(found.table) == 3
    assert found.table["price"].sum() <= 45
    union = choose(regions, budget=45, quota=5, prices=dear, method="union", max_regions=2)
    assert len(union.table) == 2
    assert first not in set(union.table["region"])


def test_prices_name_regions_as_other_tables_do() -> None:
    names = ["t", "12", "C\N{LATIN SMALL LETTER O WITH CIRCUMFLEX}te"]
    places = np.random.default_rng(0).normal(size=(2, 30))
    regions = gs.Regions.from_points(lon=places[0], lat=places[1], region=names * 10)
    table = pd.DataFrame(
        {
            "per_sample": [2.0, 1.0, 9.0],
            "region": [" Co\N{COMBINING CIRCUMFLEX ACCENT}te", "12.0", "elsewhere"],
            "per_region": [20, 10, 90],
        }
    )
    found = gs.select_regions(regions, "t", 1e9, quota=5, prices=table).table
    assert dict(zip(found["region"], found["price"], strict=True)) == {"12": 15.0, names[2]: 30.0}
    twice = pd.concat([table, table.assign(region="12")])
    with pytest.raises(gs.GeospotError, match="prices: 12 has several rows: keep one"):
        gs.select_regions(regions, "t", 1e9, quota=5, prices=twice)
    with pytest.raises(gs.GeospotError, match="prices is of type int: give a DataFrame, with colu"):
        gs.select_regions(regions, "t", 1e9, quota=5, prices=3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": "r9x"}, "target=r9x is no region here"),
        ({"target": []}, r"target=\[\] names no region"),
        ({"target": {"r01": 0.0}}, "target: r01 counts 0: give a positive number"),
        ({"budget": 0}, "budget=0 buys nothing"),
        ({"budget": -5}, "budget=-5 buys nothing"),
        ({"budget": 0.5}, "budget=0.5 is not a whole number of samples"),
        ({"max_regions": 0}, "max_regions=0: give at least 1"),
        ({"quota": 0}, "quota=0: give how many samples"),
        ({"quota": 25}, "quota=25 exceeds budget=24"),
        ({"exclude": ["r01", "nowhere"]}, "exclude=nowhere is no region here"),
        ({"exclude": [f"r{k:02d}" for k in range(1, 8)]}, "no candidates are left"),
        ({"have": {"r01": 0}}, "have: 0 samples of r01"),
        ({"have": ["x"]}, "have=x is no region here"),
        ({"method": "best"}, "method=best is unknown: use one of coverage, union"),
        ({"method": "nearest", "by": "beauty"}, "by=beauty is unknown: use one of divergence"),
        ({"prices": prices()}, "give quota=..., the samples to take"),
        ({"prices": prices(per_sample=-1.0), "quota": 3}, "per_sample of r01 is -1.0: give"),
        ({"prices": prices(per_region="many"), "quota": 3}, "per_region of r01 is many"),
        ({"prices": prices()[2:], "quota": 3}, "prices: there is no row for r01"),
        ({"prices": prices().drop(columns="per_region"), "quota": 3}, "no column 'per_region'"),
        ({"prices": pd.concat([prices(), prices()]), "quota": 3}, "r01 has several rows"),
        ({"prices": prices(), "quota": 3, "budget": 5}, "budget=5 buys no region: the cheapest"),
        ({"method": "union", "solver": gs.GeomLoss()}, "method=union needs solver=sinkhorn"),
    ],
)
def test_mistakes_are_one_line(regions: gs.Regions, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(gs.GeospotError, match=message) as error:
        choose(regions, **settings)
    assert "\n" not in str(error.value)


def test_a_target_of_one_point_is_refused() -> None:
    regions = gs.Regions.from_points(lon=[0, 5, 6], lat=[0, 0, 0], region=["t", "a", "a"])
    with pytest.raises(gs.GeospotError, match="target=t has points at one place only"):
        gs.select_regions(regions, "t", 2)


def test_scales_of_pairs_do_not_compare(regions: gs.Regions) -> None:
    with pytest.raises(gs.GeospotError, match=r"set cost\.scaling=global"):
        gs.select_regions(regions, "r00", 5, cost=gs.GroundCost(scaling="pair_max"))


def test_distances_that_did_not_converge_are_counted(
    regions: gs.Regions, caplog: pytest.LogCaptureFixture
) -> None:
    choose(regions, method="nearest", by="divergence")
    assert "converge" not in caplog.text
    hasty = gs.Sinkhorn(tolerance=1e-7, max_iterations=1)
    choose(regions, method="nearest", by="divergence", solver=hasty)
    assert re.search(r"by=divergence: (\d+) of \1 distances did not converge: raise", caplog.text)


def test_geomloss_finds_the_same_distances(regions: gs.Regions) -> None:
    ours, theirs = (
        choose(regions, method="nearest", by="coverage", solver=solver)
        for solver in (gs.Sinkhorn(), gs.GeomLoss())
    )
    assert ours.table["region"].tolist() == theirs.table["region"].tolist()


def test_names_may_be_of_any_kind() -> None:
    points = gs.Points.build(lon=[0, 9, 1, 2, 8, 9, 90, 91], lat=[0] * 8)
    groups: dict[Any, Any] = {7: [0, 1], ("x", 1): [2, 3], "Co\u0302te": [4, 5], 2.5: [6, 7]}
    regions = gs.Regions.from_groups(points, groups, encoder="none")
    whole = gs.select_regions(regions, "7", 2, max_regions=1)
    for target in (7, 7.0, np.int64(7), [7], {7: 2.0}, (" 7 ",)):
        found = gs.select_regions(regions, target, 2, max_regions=1)
        pd.testing.assert_frame_equal(found.table, whole.table)
    assert gs.select_regions(regions, ("x", 1), 2).targets == ["x/1"]
    assert gs.select_regions(regions, ("7", 2.5), 2).targets == ["7", "2.5"]
    left = gs.select_regions(
        regions, 7, 6, max_regions=3, exclude=[("x", 1)], have={"C\u00f4te": 1}
    )
    assert left.table["region"].tolist() == ["2.5"]
    prices = pd.DataFrame({"region": ["x/1", " C\u00f4te", "2.5", "7"]}).assign(
        per_region=[1.0, 2.0, 3.0, 4.0], per_sample=1.0
    )
    priced = gs.select_regions(regions, 7, 9, quota=1, prices=prices)
    assert (
        dict(zip(priced.table["region"], priced.table["price"], strict=True)).items()
        >= {"Co\u0302te": 3.0}.items()
    )
    assert gs.nearest_regions(regions, 2.5, 1).table["region"].tolist() == ["Co\u0302te"]
    explained = gs.contributions(
        regions, source=7, target=("x", 1), cost=gs.GroundCost(geo_weight=1.0),
        solver=gs.Sinkhorn(), engine=gs.Engine("cpu"),
    )  # fmt: skip
    assert set(explained["region"]) == {"7", "x/1"}
