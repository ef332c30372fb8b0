"""Label shift against closed forms, scipy and simulation."""

from __future__ import annotations

from collections.abc import Sequence

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

import geospot_gpu as gs
from geospot_gpu.distances.label_shift import Shift, label_shift

Labels = Sequence[str | float | None]


def regions_of(one: Labels, other: Labels, weight: list[float] | None = None) -> gs.Regions:
    n = len(one) + len(other)
    return gs.Regions.from_points(
        lon=np.linspace(-90, 90, n),
        lat=np.zeros(n),
        region=["a"] * len(one) + ["b"] * len(other),
        label=np.array([*one, *other], object),
        weight=weight,
    )


def shift(one: Labels, other: Labels, weight: list[float] | None = None) -> Shift:
    return label_shift(regions_of(one, other, weight), np.array([0]), np.array([1]))


def test_disjoint_classes_are_one_apart_as_surely_as_there_are_labels() -> None:
    found = shift(["u"] * 9, ["v"] * 5)
    assert found.value[0] == pytest.approx(1.0, abs=1e-9)
    # With one label more, half of either class: 19/20 and 11/12 are of the own one.
    expected = np.sqrt(19 / 20 * 1 / 20 / 9 + 11 / 12 * 1 / 12 / 5)
    assert found.error[0] == pytest.approx(expected)
    assert shift(["u"], ["v"]).error[0] > 0.5


@pytest.mark.parametrize("k", [50, 100_000])
def test_it_is_total_variation_of_shares_less_what_chance_adds(k: int) -> None:
    """Three classes, 0.5, 0.3, 0.2 against 0.2, 0.3, 0.5: 0.3, as the masses say."""
    classes: Labels = ["u", "v", "w"]
    weight = [0.5 * k, 0.3 * k, 0.2 * k, 0.2 * k, 0.3 * k, 0.5 * k]
    found = shift(classes, classes, weight)
    assert 0.0 <= found.value[0] < 0.3  # three points, of which chance alone makes as much
    assert found.error[0] > 0.0
    many = shift(["u"] * 500 + ["v"] * 300 + ["w"] * 200, ["u"] * 200 + ["v"] * 300 + ["w"] * 500)
    assert many.value[0] == pytest.approx(0.3, abs=0.01)
    # Var s(label) / 4: means of 0.5 - 0.2 and 0.2 - 0.5, squares of 0.7
    assert many.error[0] == pytest.approx(np.sqrt(2 * (0.7 - 0.09) / 4 / 1000), rel=1e-3)


def test_of_numbers_it_is_scipys_distance() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=3000), generator.normal(0.7, 1.5, size=2000)
    found = shift(x.tolist(), y.tolist())
    assert found.value[0] == pytest.approx(wasserstein_distance(x, y), abs=2e-3)
    shifted = shift(x.tolist(), (x + 20.0).tolist())
    assert shifted.value[0] == pytest.approx(20.0, abs=1e-3)
    assert shifted.error[0] == pytest.approx(x.std() * np.sqrt(2 / 3000), rel=0.05)


@pytest.mark.parametrize("shares", [(0.5, 0.3, 0.2), (0.2, 0.2, 0.6)])
@pytest.mark.parametrize("k", [5, 20, 200])
def test_chance_is_taken_off_and_the_error_is_that_of_samples(
    shares: tuple[float, ...], k: int
) -> None:
    """Of k labels against many: nearer to the truth than plain shares are, on average."""
    generator = np.random.default_rng(k)
    known = np.array([0.5, 0.3, 0.2])
    truth = 0.5 * np.abs(known - shares).sum()
    base: Labels = ["u"] * 500 + ["v"] * 300 + ["w"] * 200
    drawn = [generator.choice(["u", "v", "w"], size=k, p=shares) for _ in range(150)]
    n = len(base) + k * len(drawn)
    regions = gs.Regions.from_points(
        lon=np.linspace(-90, 90, n),
        lat=np.zeros(n),
        region=["000"] * len(base) + np.repeat([f"{r:03d}" for r in range(1, 151)], k).tolist(),
        label=[*base, *np.concatenate(drawn).tolist()],
    )
    found, errors = label_shift(regions, np.zeros(150, np.int64), np.arange(1, 151))
    plain = [
        0.5 * sum(abs(p - (one == c).mean()) for p, c in zip(known, "uvw", strict=True))
        for one in drawn
    ]
    assert abs(np.mean(found) - truth) <= abs(np.mean(plain) - truth) + 0.1 / np.sqrt(k)
    if truth > 0.0 and k >= 20:
        assert np.mean(errors) == pytest.approx(np.std(found), rel=0.35)
        within = np.abs(found - truth) <= 2.0 * errors
        assert within.mean() > 0.85


def test_of_equal_shares_most_of_what_chance_adds_is_taken_off() -> None:
    """Twenty labels of five classes each: plain shares are 0.25 apart, for nothing."""
    generator = np.random.default_rng(0)
    pairs = 150
    drawn = generator.choice(list("uvwxy"), size=(2 * pairs, 20))
    regions = gs.Regions.from_points(
        lon=np.linspace(-90, 90, drawn.size),
        lat=np.zeros(drawn.size),
        region=np.repeat([f"{r:03d}" for r in range(2 * pairs)], 20).tolist(),
        label=drawn.ravel().tolist(),
    )
    found = label_shift(regions, np.arange(pairs), np.arange(pairs, 2 * pairs)).value
    shares = (drawn[:, :, None] == np.array(list("uvwxy"))).mean(1)
    plain = 0.5 * np.abs(shares[:pairs] - shares[pairs:]).sum(1)
    assert plain.mean() > 0.23
    assert found.mean() < 0.42 * plain.mean()


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from("uvwx"), min_size=1, max_size=12),
    st.lists(st.sampled_from("uvwx"), min_size=1, max_size=12),
)
def test_it_is_symmetric_and_knows_no_names(one: list[str], other: list[str]) -> None:
    names = dict(zip("uvwx", "xwuv", strict=True))
    there, back = shift([*one], [*other]), shift([*other], [*one])
    renamed = shift([names[c] for c in one], [names[c] for c in other])
    for found in (back, renamed):
        np.testing.assert_allclose(found.value, there.value, atol=1e-12)
        np.testing.assert_allclose(found.error, there.error, atol=1e-12)
    assert 0.0 <= there.value[0] <= 1.0
    assert shift([*one], [*one]).value[0] == 0.0


def test_it_is_unknown_without_labels() -> None:
    some = shift(["u", "v"], [None, None])
    assert np.isnan([some.value[0], some.error[0]]).all()
    few = shift(["u", None, "v"], ["u", None])
    assert few.value[0] <= 0.5
    plain = gs.Regions.from_points(lon=[0, 1], lat=[0, 0], region=["a", "b"])
    assert np.isnan(label_shift(plain, np.array([0]), np.array([1])).value).all()
    table = gs.baselines(plain, np.array([0]), np.array([1]), ["label_shift", "label_shift_error"])
    assert table.isna().all(axis=None)


def test_shift_and_error_are_found_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def counted(regions: gs.Regions, *ends: NDArray[np.int64]) -> Shift:
        asked.append(ends)
        return label_shift(regions, *ends)

    monkeypatch.setattr("geospot_gpu.distances.baselines.label_shift", counted)
    regions = regions_of(["u", "v", "u"], ["v", "v", "u"])
    table = gs.baselines(regions, np.array([0]), np.array([1]))
    assert len(asked) == 1
    pair = label_shift(regions, np.array([0]), np.array([1]))
    assert table[["label_shift", "label_shift_error"]].to_numpy().tolist() == [
        [pair.value[0], pair.error[0]]
    ]
    only = gs.baselines(regions, np.array([0]), np.array([1]), ["label_shift"])
    assert list(only) == ["label_shift"]
