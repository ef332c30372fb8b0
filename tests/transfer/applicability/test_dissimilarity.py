"""The index, its threshold and the density against brute force, and the relation with scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import geospot_gpu as gs
from geospot_gpu.points.table import Points
from geospot_gpu.transfer.applicability.comparison import compare, line_left_out
from geospot_gpu.transfer.applicability.dissimilarity import Dissimilarity
from geospot_gpu.transfer.applicability.folds import folds
from geospot_gpu.transfer.applicability.profile import LeftOut, Profile, left_out, quantiles


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_all_is_as_brute_force_has_it(seed: int, kind: type) -> None:
    generator = np.random.default_rng(seed)
    training: Any = generator.normal(size=(60, 7)) * (1.0 + np.arange(7))
    training[0] = 50.0  # an outlier
    training = training.astype(kind)
    fold = np.arange(60) % 5
    places: Any = generator.normal(size=(40, 7)).astype(kind) * 4
    found = Dissimilarity(training, fold)
    scale = training.astype(float).std(0, ddof=1)
    scaled, there = training / scale, places / scale
    between = np.sqrt(((scaled[:, None] - scaled) ** 2).sum(2))
    mean = between[~np.eye(60, dtype=bool)].mean()
    of_training = np.where(fold[:, None] == fold, np.inf, between).min(1) / mean
    quarter, three = np.quantile(of_training, [0.25, 0.75])
    threshold = max(x for x in of_training if x <= three + 1.5 * (three - quarter))
    away = np.sqrt(((there[:, None] - scaled) ** 2).sum(2)) / mean
    assert found.mean == pytest.approx(mean, rel=1e-6)
    np.testing.assert_allclose(found.training, of_training, rtol=1e-6)
    assert found.threshold == pytest.approx(threshold, rel=1e-6)
    assert found.threshold < found.training.max()
    index, density = found.of(places)
    np.testing.assert_allclose(index, away.min(1), rtol=1e-6)
    np.testing.assert_array_equal(density, (away <= threshold).sum(1))
    np.testing.assert_array_equal(density > 0, index <= found.threshold)


def test_a_feature_that_is_constant_in_training_counts_nothing() -> None:
    training = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    found = Dissimilarity(training, np.arange(3))
    assert found.of(np.array([[1.0, 99.0]])).di.tolist() == [0.0]


@pytest.mark.parametrize(
    ("training", "fold", "message"),
    [
        (np.ones((1, 2)), [0], "training: 1 points: an area of applicability needs at least two"),
        (np.eye(2), [0, 0], "all points are of one fold: give two folds at least"),
        (np.ones((3, 2)), [0, 1, 2], "all points have the same features: nothing is dissimilar"),
    ],
)
def test_what_is_wrong_is_said(training: np.ndarray, fold: list[int], message: str) -> None:
    with pytest.raises(gs.GeospotError, match=message):
        Dissimilarity(training, np.array(fold))


def test_folds_are_those_of_the_column_or_lie_together() -> None:
    import pandas as pd

    generator = np.random.default_rng(0)
    lon, lat = generator.uniform(0, 90, 200), generator.uniform(0, 50, 200)
    named = Points.build(lon=lon, lat=lat, attributes=pd.DataFrame({"fold": ["a", "b"] * 100}))
    found, what = folds(named, 0)
    assert what == "the column fold"
    assert found.tolist() == [0, 1] * 100
    found, what = folds(Points.build(lon=lon, lat=lat), 0)
    assert what == "blocks of places"
    assert len(set(found)) == 10
    own = [np.hypot(lon[found == k].std(), lat[found == k].std()) for k in range(10)]
    assert np.mean(own) < 0.5 * np.hypot(lon.std(), lat.std())
    bare = Points.build(attributes=pd.DataFrame({"x": range(30)}))
    found, what = folds(bare, 0)
    assert what == "chance"
    assert np.bincount(found).tolist() == [3] * 10


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.booleans())
def test_a_profile_is_monotone_and_knows_nothing_beyond(seed: int, worse_up: bool) -> None:
    generator = np.random.default_rng(seed)
    index, value = generator.random(50), generator.random(50)
    found = Profile(index, value, "mean", worse_up=worse_up)
    at = found.at(np.linspace(0.0, 1.5, 40))
    assert np.isnan(at[np.linspace(0.0, 1.5, 40) > index.max()]).all()
    steps = np.diff(at[np.isfinite(at)])
    assert (steps >= 0).all() if worse_up else (steps <= 0).all()
    assert found.over(index) == pytest.approx(value.mean())  # isotonic fits keep the mean
    root = Profile(index, value - 0.5, "rmse", worse_up=True)
    assert root.over(index) == pytest.approx(np.sqrt(((value - 0.5) ** 2).mean()))


def test_groups_are_left_out_and_intervals_hold() -> None:
    generator = np.random.default_rng(0)
    inside = []
    for _ in range(50):
        shift = generator.normal(0, 0.1, 21)
        group = np.repeat(np.arange(21), 8)
        index = generator.random(168)
        value = 1.0 - 0.5 * index + shift[group] + generator.normal(0, 0.1, 168)
        new = group == 20
        found = left_out(index[~new], value[~new], "mean", group[~new], worse_up=False)
        low, high = found.interval
        expected = Profile(index[~new], value[~new], "mean", worse_up=False).over(index[new])
        inside.append(low <= value[new].mean() - expected <= high)
        assert 0.0 <= found.covered <= 1.0
    assert np.mean(inside) == pytest.approx(19 / 21, abs=0.12)  # of 20, the ends are the extremes
    assert quantiles(np.array([3.0, 1.0, 2.0])) == (1.0, 3.0)


@pytest.mark.parametrize("far", [0.0, 1e4])
def test_training_points_have_no_dissimilarity(far: float) -> None:
    """Nor has one that is the same to many digits: distances from products would say otherwise."""
    x = np.random.default_rng(0).random((40, 3)) + far
    found = Dissimilarity(x, np.arange(40) % 4)
    assert found.of(x).di.tolist() == [0.0] * 40
    brute = np.linalg.norm((x[:, None] - x) / x.std(axis=0, ddof=1), axis=2)
    other = found.of(x + 0.5)
    np.testing.assert_allclose(found.mean, brute.sum() / (40 * 39))
    wanted = np.linalg.norm((x[:, None] + 0.5 - x) / x.std(axis=0, ddof=1), axis=2).min(1)
    np.testing.assert_allclose(other.di, wanted / found.mean)


def test_what_differs_by_rounding_alone_is_constant() -> None:
    x = np.full((7, 2), 0.1)
    assert x.std(axis=0, ddof=1).any(), "the deviation of equal numbers is not 0"
    with pytest.raises(gs.GeospotError, match="all points have the same features"):
        Dissimilarity(x, np.arange(7))
    x[:, 1] = np.arange(7)
    found = Dissimilarity(x, np.arange(7)).of(np.array([[9.0, 1.0], [0.1, 7.0]]))
    assert found.di.round(6).tolist() == [0.0, 0.375]


def test_equal_indices_show_nothing() -> None:
    with pytest.raises(gs.GeospotError, match="all test samples are equally dissimilar"):
        Profile(np.ones(3), np.arange(3.0), "mean", worse_up=True)


def test_ways_are_compared_for_regions_left_out() -> None:
    generator = np.random.default_rng(0)
    x = generator.random(12)
    score = 1.0 - x + generator.normal(0, 0.01, 12)
    expected = [np.polyval(np.polyfit(np.delete(x, k), np.delete(score, k), 1), x[k])
                for k in range(12)]  # fmt: skip
    np.testing.assert_allclose(line_left_out(x, score), expected)
    far = {"nearest": x, "coverage": generator.random(12)}
    found = compare(LeftOut(score, generator.random(12)), far)
    assert found.best_distance == "nearest"
    assert "nearest of whole regions clearly tells more than the mean" in found.text
    mean = [abs(np.delete(score, k).mean() - score[k]) for k in range(12)]
    assert found.summary["error_of_mean"] == pytest.approx(np.mean(mean))
    both = compare(LeftOut(score, 1.0 - x), far)
    assert "both clearly tell more than the mean" in both.text
    none = compare(LeftOut(score, generator.random(12)), {"coverage": far["coverage"]})
    assert "neither clearly tells more than the mean" in none.text
