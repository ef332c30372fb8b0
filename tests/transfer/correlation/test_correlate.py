"""Correlations against SciPy, their p-values against all permutations and scikit-bio."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from geospot_gpu.transfer.correlation import correlate as correlation
from geospot_gpu.transfer.correlation.correlate import Correlations

Array = NDArray[np.float64]


METHODS: dict[str, Any] = {
    "pearson": stats.pearsonr,
    "spearman": stats.spearmanr,
    "kendall": stats.kendalltau,
}


def labelled(values: Array) -> xarray.DataArray:
    names = [f"r{k:03d}" for k in range(len(values))]
    return xarray.DataArray(values, {"source": names, "target": names}, ("source", "target"))


def correlate(distances: dict[str, Array], loss: Array, seed: int = 0) -> Correlations:
    named = {name: labelled(values) for name, values in distances.items()}
    return correlation.correlate(named, labelled(loss), seed=seed)


def world(regions: int, seed: int, noise: float = 0.5) -> tuple[Array, Array]:
    """A distance between random places, and a loss that grows with it."""
    generator = np.random.default_rng(seed)
    places = generator.normal(size=(regions, 2))
    distance = np.linalg.norm(places[:, None] - places, axis=2)
    loss = distance + noise * generator.normal(size=(regions, regions))
    np.fill_diagonal(loss, np.nan)
    return distance, loss


def overall(table: pd.DataFrame, name: str = "d") -> pd.DataFrame:
    some = table[(table["distance"] == name) & (table["scope"] == "overall")]
    return some.set_index("statistic")


def test_values_are_those_of_scipy() -> None:
    distance, loss = world(9, 0)
    loss[2, 5] = loss[7, 1] = np.nan
    table, _ = correlate({"d": distance}, loss)
    known = np.isfinite(loss)
    x, y = distance[known], loss[known]
    found = overall(table)["value"]
    assert found["pearson"] == pytest.approx(stats.pearsonr(x, y).statistic)
    assert found["spearman"] == pytest.approx(stats.spearmanr(x, y).statistic)
    assert found["kendall"] == pytest.approx(stats.kendalltau(x, y).statistic)
    within = table[table["scope"] == "per target"].set_index("statistic")["value"]
    columns = [(distance[known[:, j], j], loss[known[:, j], j]) for j in range(9)]
    for name, statistic in METHODS.items():
        expected = np.mean([statistic(*column).statistic for column in columns])
        assert within[name] == pytest.approx(expected)
    assert set(table["n_pairs"]) == {70}


@pytest.mark.slow
@pytest.mark.parametrize("holes", [False, True])
def test_p_values_are_those_of_all_permutations(
    holes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of six regions all 720 relabellings can be tried, of a matrix that is not symmetric."""
    generator = np.random.default_rng(3)
    distance, loss = generator.random((6, 6)), generator.random((6, 6))
    loss += distance
    np.fill_diagonal(loss, np.nan)
    if holes:
        loss[0, 3] = loss[4, 2] = np.nan
    known = np.isfinite(loss)

    def values(matrix: Array) -> dict[str, float]:
        sides = matrix[known], loss[known]
        return {name: abs(float(of(*sides).statistic)) for name, of in METHODS.items()}

    observed, exact = values(distance), dict.fromkeys(METHODS, 0)
    for order in itertools.permutations(range(6)):
        for name, value in values(distance[np.ix_(order, order)]).items():
            exact[name] += value >= observed[name] - 1e-12
    monkeypatch.setattr(correlation, "PERMUTATIONS", 9999)
    monkeypatch.setattr(correlation, "KENDALL", 9999)
    found = overall(correlate({"d": distance}, loss)[0])["p"]
    for name, count in exact.items():
        share = count / 720
        assert found[name] == pytest.approx(share, abs=5 * np.sqrt(share / 9999) + 1e-4)


def test_symmetric_p_values_are_those_of_scikit_bio(monkeypatch: pytest.MonkeyPatch) -> None:
    mantel = pytest.importorskip("skbio.stats.distance").mantel
    distance, loss = world(9, 1, noise=2.0)
    loss = np.nan_to_num(loss + loss.T)
    np.fill_diagonal(distance, 0.0)
    monkeypatch.setattr(correlation, "PERMUTATIONS", 9999)
    hollow = np.where(np.eye(9, dtype=bool), np.nan, loss)
    found = overall(correlate({"d": distance}, hollow)[0])
    for method in ("pearson", "spearman"):
        value, p, _ = mantel(distance, loss, method=method, permutations=9999)
        assert found["value"][method] == pytest.approx(value)
        assert found["p"][method] == pytest.approx(p, abs=0.025)


@pytest.mark.slow
def test_noise_seldom_predicts_and_a_relation_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """One verdict of all distances tried: five of a hundred false alarms are expected."""
    monkeypatch.setattr(correlation, "PERMUTATIONS", 199)
    monkeypatch.setattr(correlation, "RESAMPLES", 20)
    monkeypatch.setattr(correlation, "KENDALL", 5)
    generator = np.random.default_rng(0)
    alarms = 0
    for seed in range(60):
        distances = {f"d{k}": world(12, 1000 * k + seed)[0] for k in range(4)}
        _, loss = world(12, 77_000 + seed)
        order = generator.permutation(12)
        verdict = correlate(distances, loss[np.ix_(order, order)], seed=seed)[1]
        alarms += verdict.verdict == "predicts"
    assert alarms <= 7, "8 of 60 come once in 100 times at 5 %"
    distance, loss = world(12, 5)
    found = correlate({"noise": world(12, 6)[0], "d": distance}, loss)[1]
    assert (found.verdict, found.distance) == ("predicts", "d")


def test_trying_more_distances_costs() -> None:
    distance, loss = world(10, 2, noise=1.5)
    others = {f"d{k}": world(10, 50 + k)[0] for k in range(6)}
    alone = overall(correlate({"d": distance}, loss)[0])
    among = overall(correlate({"d": distance} | others, loss)[0])
    for name in ("pearson", "spearman"):
        assert alone["p"][name] == alone["p_family"][name] == among["p"][name]
        assert among["p_family"][name] >= among["p"][name]
    everyone = correlate({"d": distance} | others, loss)[0]
    assert (everyone["p_family"].dropna() >= everyone["p"].dropna()).all()


@pytest.mark.slow
@settings(max_examples=10)
@given(seed=st.integers(0, 2**20))
def test_the_names_of_regions_do_not_matter(seed: int) -> None:
    distance, loss = world(8, seed)
    order = np.random.default_rng(seed).permutation(8)
    grid = np.ix_(order, order)
    one = overall(correlate({"d": distance}, loss)[0])
    other = overall(correlate({"d": distance[grid]}, loss[grid])[0])
    np.testing.assert_allclose(one["value"], other["value"], atol=1e-12)
    np.testing.assert_allclose(one["p"], other["p"], atol=0.08)


@pytest.mark.slow
def test_intervals_contain_the_value_of_many_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples of fourteen regions of a world of four hundred."""
    monkeypatch.setattr(correlation, "PERMUTATIONS", 5)
    monkeypatch.setattr(correlation, "KENDALL", 5)
    distance, loss = world(400, 9, noise=1.0)
    known = np.isfinite(loss)
    truth = stats.spearmanr(distance[known], loss[known]).statistic
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(40):
        some = generator.choice(400, 14, replace=False)
        grid = np.ix_(some, some)
        row = overall(correlate({"d": distance[grid]}, loss[grid])[0]).loc["spearman"]
        held += bool(row["lower"] <= truth <= row["upper"])
    assert held >= 33, "95 % are wanted, less five standard deviations"


def test_few_regions_are_described_and_not_judged() -> None:
    distance, loss = world(6, 0)
    table, verdict = correlate({"d": distance}, loss)
    assert verdict.verdict == "not enough regions"
    assert np.isfinite(overall(table)["value"]).all()


def test_a_constant_distance_says_nothing() -> None:
    distance, loss = world(9, 0)
    table, verdict = correlate({"flat": np.ones((9, 9)), "d": distance}, loss)
    assert np.isnan(overall(table, "flat")["value"]).all()
    assert verdict.distance == "d"


def test_the_difference_of_a_distance_with_itself_is_nothing() -> None:
    distance, loss = world(10, 0)
    one, other, lost = labelled(distance), labelled(world(10, 44)[0]), labelled(loss)
    assert correlation.difference(one, one, lost) == (0.0, 0.0, 0.0)
    value, low, high = correlation.difference(one, other, lost)
    assert low < value < high
    assert low > 0, "one is related, the other is not"


def test_a_distance_with_a_wide_null_does_not_hide_another() -> None:
    """One that depends on its target alone correlates by chance with losses that do, too."""
    generator = np.random.default_rng(1)
    place = generator.normal(size=16)
    distance = np.abs(place[:, None] - place)
    loss = distance + 2 * generator.normal(size=16) + 0.5 * generator.normal(size=(16, 16))
    wide = np.broadcast_to(generator.normal(size=16), (16, 16))
    np.fill_diagonal(loss, np.nan)
    table = correlate({"d": distance, "wide": wide}, loss)[0]
    found = overall(table).loc["spearman"]
    assert found["p_family"] <= 0.01
    # In their own units the largest of both is that of the wide one, more often than not.
    pairs, order = ~np.eye(16, dtype=bool), generator.permutation
    ranks = stats.rankdata(loss[pairs])
    chance = [
        [abs(np.corrcoef(stats.rankdata(x[np.ix_(o, o)][pairs]), ranks)[0, 1])]
        for x in (distance, wide)
        for o in [order(16) for _ in range(199)]
    ]
    largest = np.reshape(chance, (2, 199)).max(axis=0)
    assert np.mean(largest >= found["value"]) > 0.05
