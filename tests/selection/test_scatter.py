"""Budgets that are scattered over all regions, beside all samples there are."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import geospot_gpu as gs
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.engine.settings import Engine
from geospot_gpu.selection.quota import quota_costs
from geospot_gpu.selection.recommended import recommended_by
from geospot_gpu.selection.scatter import apportion
from geospot_gpu.selection.together import costs_together
from tests.helpers.clouds import cost_matrix, random_regions, weights

COST = gs.GroundCost(geo_weight=0.3)
SIZES = {"t": 5, "a": 4, "b": 3, "c": 6, "d": 1}


def even_regions(seed: int = 0) -> gs.Regions:
    """Regions whose points all count alike."""
    generator, total = np.random.default_rng(seed), sum(SIZES.values())
    return gs.Regions.from_points(
        lon=generator.uniform(-90, 90, total),
        lat=generator.uniform(-60, 60, total),
        region=np.repeat(list(SIZES), list(SIZES.values())).tolist(),
        features=generator.normal(size=(total, 4)),
    )


def brute_force(regions: gs.Regions, quotas: dict[str, int], target: str = "t") -> np.ndarray:
    """Mean smallest cost of each target point over all samples of all regions."""
    t = regions.names.index(target)
    costs = [cost_matrix(regions, t, regions.names.index(name), COST) for name in quotas]
    draws = [
        list(itertools.combinations(range(cost.shape[1]), quota))
        for cost, quota in zip(costs, quotas.values(), strict=True)
    ]
    found = [
        np.min([cost[:, list(d)].min(axis=1) for cost, d in zip(costs, drawn, strict=True)], axis=0)
        for drawn in itertools.product(*draws)
    ]
    mean: np.ndarray = np.mean(found, axis=0)
    return mean


@st.composite
def shares(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    count = draw(st.integers(1, 12))
    share = draw(st.lists(st.integers(0, 50), min_size=count, max_size=count))
    most = draw(st.lists(st.integers(0, 20), min_size=count, max_size=count))
    return np.array(share, float), np.array(most), draw(st.integers(0, 150))


@given(shares())
def test_apportioned_is_what_there_is_and_within_limits(
    given_: tuple[np.ndarray, np.ndarray, int],
) -> None:
    share, most, total = given_
    found = apportion(share, most, total)
    room = np.where(share > 0, most, 0)
    assert (found >= 0).all()
    assert (found <= room).all()
    assert found.sum() == min(total, room.sum())


@given(shares())
def test_larger_shares_get_no_less_and_none_is_off_by_one(
    given_: tuple[np.ndarray, np.ndarray, int],
) -> None:
    share, _, total = given_
    if not share.any():
        return
    found = apportion(share, np.full(len(share), total), total)
    exact = share / share.sum() * total
    assert (np.abs(found - exact) < 1.0 - 1e-9).all()
    order = np.argsort(share, kind="stable")
    for low, high in itertools.pairwise(order):
        assert found[low] <= found[high] or share[low] == share[high]


@given(shares())
def test_who_has_no_more_gives_way_and_others_share_the_rest(
    given_: tuple[np.ndarray, np.ndarray, int],
) -> None:
    """Beside the exact shares, a level times each as far as there is room, found by bisection."""
    share, most, total = given_
    room = np.where(share > 0, most, 0)
    low, high = 0.0, 1e4
    for _ in range(100):
        level = (low + high) / 2
        low, high = (level, high) if np.minimum(room, level * share).sum() < total else (low, level)
    exact = np.minimum(room, high * share)
    assert (np.abs(apportion(share, most, total) - exact) < 1.0 - 1e-7).all()


def test_samples_together_are_the_mean_over_all_samples() -> None:
    regions = even_regions()
    engine = PairEngine(regions, Method(COST, gs.Sinkhorn()), Engine(device="cpu"))
    quotas = {"a": 2, "b": 1, "c": 3, "d": 1}
    sources = np.array([regions.names.index(name) for name in quotas])
    targets = np.array([regions.names.index("t")])
    asked = engine, targets, sources, list(quotas.values())
    steps = costs_together(*asked, steps=True)
    for k in range(1, 5):
        expected = brute_force(regions, dict(list(quotas.items())[:k]))
        np.testing.assert_allclose(steps[:, k - 1], expected, atol=1e-6)
    np.testing.assert_allclose(costs_together(*asked)[:, 0], steps[:, -1], atol=1e-9)


def test_one_sample_is_what_it_is_alone() -> None:
    """Whatever the masses, and in the target itself, whose points never stand for themselves."""
    regions = random_regions([12, 30, 9])
    engine = PairEngine(regions, Method(COST, gs.Sinkhorn()), Engine(device="cpu"))
    targets = np.array([0, 2])
    for r, quota in ((1, 4), (0, 3), (2, 50), (1, 30)):
        asked = engine, targets, np.array([r]), [quota]
        np.testing.assert_allclose(costs_together(*asked), quota_costs(*asked), atol=1e-6)
    assert np.isinf(costs_together(engine, targets, np.array([1]), [0])).all()


def test_what_is_behind_all_samples_is_left_out_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    regions = random_regions([20, *[15] * 12], spread=0.5)
    engine = PairEngine(regions, Method(COST, gs.Sinkhorn()), Engine(device="cpu"))
    asked = engine, np.array([0]), np.arange(1, 13), [9] * 12
    found = costs_together(*asked)
    monkeypatch.setattr("geospot_gpu.selection.together.UNLIKELY", 0.0)
    monkeypatch.setattr("geospot_gpu.selection.quota._TILE_ENTRIES", 500)
    np.testing.assert_allclose(costs_together(*asked), found, atol=1e-6)


def choose(regions: gs.Regions, budget: float, **settings: Any) -> gs.Selection:
    return gs.select_regions(regions, "t", budget, cost=COST, **({"method": "scatter"} | settings))


def quotas_of(found: gs.Selection) -> dict[str, int]:
    return dict(zip(found.table["region"], found.table["quota"].tolist(), strict=True))


def plan(regions: gs.Regions, counts: dict[str, int], target: str = "t") -> dict[str, float]:
    """What each region gives of a plan that takes every target point's mass by its softmin."""
    t, taken = regions.names.index(target), dict.fromkeys(counts, 0.0)
    costs = {name: cost_matrix(regions, t, regions.names.index(name), COST) for name in counts}
    for j, mass in enumerate(weights(regions, t)):
        near = {
            name: counts[name]
            * (
                weights(regions, regions.names.index(name))
                @ np.exp(-cost[j] / gs.Sinkhorn().epsilon)
            )
            for name, cost in costs.items()
        }
        for name, value in near.items():
            taken[name] += mass * value / sum(near.values())
    return taken


def quotas_by(taken: dict[str, float], most: dict[str, int], total: int) -> dict[str, int]:
    share = np.array(list(taken.values()))
    found = apportion(share, np.array([most[name] for name in taken]), total)
    return {name: int(n) for name, n in zip(taken, found, strict=True) if n}


@pytest.mark.parametrize("repeated", [False, True])
def test_scattered_is_by_the_plan_and_costs_what_all_samples_do(repeated: bool) -> None:
    regions = random_regions([5, 4, 3, 6, 2], spread=1.0) if repeated else even_regions()
    t = "t" if "t" in regions.names else regions.names[0]
    counts = {
        name: int(regions.n_available[k]) for k, name in enumerate(regions.names) if name != t
    }
    taken = plan(regions, counts, t)
    assert sum(taken.values()) == pytest.approx(1.0)
    found = gs.select_regions(regions, t, 7, cost=COST, method="scatter")
    assert quotas_of(found) == quotas_by(taken, counts, 7)
    assert found.table["quota"].is_monotonic_decreasing
    assert (found.guarantee, found.shortfall, found.distance) == (None, 0, "coverage")
    assert found.scatter.scattered == found.scatter.chosen
    assert found.scatter.gain == (0.0, 0.0, 0.0)
    if not repeated:
        of_all = weights(regions, regions.names.index(t)) @ brute_force(regions, quotas_of(found))
        assert found.coverage == pytest.approx(of_all, abs=1e-6)
        assert found.table["distance"].tolist() == pytest.approx([of_all] * len(found.table))


@pytest.mark.parametrize("method", ["coverage", "nearest", "union", "random", "all"])
def test_every_method_is_put_beside_it(method: Any) -> None:
    regions = even_regions()
    rival, found = choose(regions, 6), choose(regions, 6, method=method)
    beside = found.scatter
    assert beside.scattered == pytest.approx(rival.scatter.chosen)
    assert (beside.samples, beside.regions) == (6, len(rival.table))
    chosen = brute_force(regions, quotas_of(found))
    assert beside.chosen.value == pytest.approx(found.coverage)
    mass = weights(regions, regions.names.index("t"))
    assert found.coverage == pytest.approx(mass @ chosen, abs=1e-6)
    assert beside.gain.value == pytest.approx(rival.coverage - found.coverage, abs=1e-9)
    assert beside.gain.lower <= beside.gain.value <= beside.gain.upper


def test_scattering_keeps_to_what_is_asked(caplog: pytest.LogCaptureFixture) -> None:
    regions = even_regions()
    most = {name: n for name, n in SIZES.items() if name != "t"}
    taken = plan(regions, most)
    first = sorted(taken, key=lambda name: -taken[name])[:2]
    assert quotas_of(choose(regions, 4, max_regions=2)) == quotas_by(
        {name: taken[name] for name in first}, most, 4
    )
    without = {name: n for name, n in most.items() if name != "c"}
    assert quotas_of(choose(regions, 6, exclude=["c"])) == quotas_by(
        plan(regions, without), most, 6
    )
    found = choose(regions, 6, have={"c": 2})
    left = {name: share for name, share in plan(regions, most | {"c": 2}).items() if name != "c"}
    assert quotas_of(found) == quotas_by(left, most, 6)
    both = brute_force(regions, quotas_of(found) | {"c": 2})
    mass = weights(regions, regions.names.index("t"))
    assert found.coverage == pytest.approx(mass @ both, abs=1e-6)
    assert not caplog.text
    assert quotas_of(choose(regions, 9, quota=2)) == {"a": 2, "b": 2, "c": 2, "d": 1}
    assert "budget=9: no more than 7 samples can be scattered over 4 regions" in caplog.text
    everything = choose(regions, 1000)
    assert quotas_of(everything) == most
    assert everything.shortfall == 986


def test_regions_too_far_for_the_plan_give_what_others_lack() -> None:
    """At an epsilon that leaves nothing of theirs in floating point."""
    regions = even_regions()
    found = choose(regions, 14, solver=gs.Sinkhorn(epsilon=1e-5))
    assert quotas_of(found) == {"c": 6, "a": 4, "b": 3, "d": 1}


def test_a_solver_without_epsilon_scatters_by_the_default_one() -> None:
    regions = even_regions()
    assert quotas_of(choose(regions, 7, solver=gs.EMD())) == quotas_of(choose(regions, 7))


def test_prices_buy_as_much_as_they_can() -> None:
    regions = even_regions()
    prices = pd.DataFrame({"region": list("abcd"), "per_region": [1, 1, 1, 90], "per_sample": 2.0})
    found = choose(regions, 20, quota=6, prices=prices)
    assert set(found.table["region"]) <= {"a", "b", "c"}  # nothing of d can be had
    assert found.table["price"].tolist() == [1 + 2 * n for n in found.table["quota"]]
    samples = int(found.table["quota"].sum())
    more = quotas_by(
        {
            name: share
            for name, share in plan(regions, {"a": 4, "b": 3, "c": 6, "d": 1}).items()
            if name != "d"
        },
        SIZES,
        samples + 1,
    )
    assert found.table["price"].sum() <= 20 < sum(1 + 2 * n for n in more.values())
    assert choose(regions, 20, quota=6, prices=prices, method="coverage").scatter.samples == samples


def report(folder: Path, verdict: object) -> Path:
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps({"verdict": verdict}))
    return folder


def test_a_report_of_transfer_recommends_a_method(tmp_path: Path) -> None:
    for verdict, over, method in (
        ("predicts", "points", "importance"), ("no evidence", "regions", "scatter"),
        ("not enough regions", "regions", "scatter"),
    ):  # fmt: skip
        found = recommended_by(report(tmp_path / verdict, verdict))
        assert found.choice == (over, method)
        assert found.text.startswith(f"recommended: over={over} method={method}: ")
        assert repr(verdict) in found.text


@pytest.mark.parametrize("verdict", ["100 samples from 3 regions", 3, ["predicts"]])
def test_what_is_no_report_of_transfer_is_refused(tmp_path: Path, verdict: object) -> None:
    with pytest.raises(gs.GeospotError, match="other: holds no report of geospot transfer: give"):
        recommended_by(report(tmp_path / "other", verdict))
    with pytest.raises(gs.GeospotError, match="gone: holds no report of geospot transfer"):
        recommended_by(tmp_path / "gone")
    (tmp_path / "other" / "summary.json").write_text("{")
    with pytest.raises(gs.GeospotError, match="other: holds no report of geospot transfer"):
        recommended_by(tmp_path / "other")
