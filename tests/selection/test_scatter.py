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


def test_scattered_is_by_size_and_costs_what_all_samples_do() -> None:
    regions = even_regions()
    found = choose(regions, 7)
    assert quotas_of(found) == {"c": 3, "a": 2, "b": 2} | (
        {} if len(found.table) == 3 else {"d": 0}
    )
    assert found.table["order"].tolist() == [1, 2, 3]
    assert (found.guarantee, found.shortfall, found.distance) == (None, 0, "coverage")
    expected = weights(regions, regions.names.index("t")) @ brute_force(regions, quotas_of(found))
    assert found.coverage == pytest.approx(expected, abs=1e-6)
    assert found.table["distance"].tolist() == pytest.approx([expected] * 3, abs=1e-6)
    assert found.scatter.scattered == found.scatter.chosen
    assert found.scatter.gain == (0.0, 0.0, 0.0)
    few = choose(regions, 2)
    assert quotas_of(few) == {"a": 1, "c": 1}


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
    assert quotas_of(choose(regions, 8, max_regions=2)) == {"c": 5, "a": 3}
    assert quotas_of(choose(regions, 6, exclude=["c"])) == {"a": 3, "b": 2, "d": 1}
    assert quotas_of(choose(regions, 6, have={"c": 2})) == {"a": 3, "b": 2, "d": 1}
    with_have = choose(regions, 6, have={"c": 2})
    both = brute_force(regions, quotas_of(with_have) | {"c": 2})
    assert with_have.coverage == pytest.approx(
        weights(regions, regions.names.index("t")) @ both, abs=1e-6
    )
    assert not caplog.text
    assert quotas_of(choose(regions, 9, quota=2)) == {"a": 2, "b": 2, "c": 2, "d": 1}
    assert "budget=9: no more than 7 samples can be scattered over 4 regions" in caplog.text
    everything = choose(regions, 1000)
    assert quotas_of(everything) == {"c": 6, "a": 4, "b": 3, "d": 1}
    assert everything.shortfall == 986


def test_prices_buy_as_much_as_they_can() -> None:
    regions = even_regions()
    prices = pd.DataFrame({"region": list("abcd"), "per_region": [1, 1, 1, 90], "per_sample": 2.0})
    found = choose(regions, 20, quota=6, prices=prices)
    assert set(found.table["region"]) == {"a", "b", "c"}  # nothing of d can be had
    assert found.table["price"].tolist() == [1 + 2 * n for n in found.table["quota"]]
    assert found.table["price"].sum() == 19
    assert found.table["quota"].sum() == 8
    assert choose(regions, 20, quota=6, prices=prices, method="coverage").scatter.samples == 8


def report(folder: Path, verdict: object) -> Path:
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps({"verdict": verdict}))
    return folder


def test_a_report_of_transfer_recommends_a_method(tmp_path: Path) -> None:
    for verdict, method in (
        ("predicts", "coverage"), ("no evidence", "scatter"), ("not enough regions", "scatter"),
    ):  # fmt: skip
        found = recommended_by(report(tmp_path / verdict, verdict))
        assert found.method == method
        assert f"recommended: method={method}, for" in found.text


@pytest.mark.parametrize("verdict", ["100 samples from 3 regions", 3, ["predicts"]])
def test_what_is_no_report_of_transfer_is_refused(tmp_path: Path, verdict: object) -> None:
    with pytest.raises(gs.GeospotError, match="other: holds no report of geospot transfer: give"):
        recommended_by(report(tmp_path / "other", verdict))
    with pytest.raises(gs.GeospotError, match="gone: holds no report of geospot transfer"):
        recommended_by(tmp_path / "gone")
    (tmp_path / "other" / "summary.json").write_text("{")
    with pytest.raises(gs.GeospotError, match="other: holds no report of geospot transfer"):
        recommended_by(tmp_path / "other")
