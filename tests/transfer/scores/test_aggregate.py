"""Scores of samples and their standard errors, against pandas, closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geospot_gpu.transfer.scores.aggregate import aggregate


@given(st.lists(st.floats(0.0, 100.0), min_size=2, max_size=30))
def test_a_mean_has_the_error_of_a_mean(values: list[float]) -> None:
    array = np.array(values) + 2.0  # neither 0 nor 1
    found = aggregate(array, "mean")
    assert found.score == pytest.approx(array.mean())
    expected = array.std(ddof=1) / np.sqrt(len(array))
    assert found.std_error == pytest.approx(expected, abs=1e-9)
    assert found.samples == len(array)


def test_a_root_mean_square_has_the_error_that_simulation_shows() -> None:
    generator = np.random.default_rng(0)
    runs = [aggregate(generator.normal(0.5, 2.0, 100), "rmse") for _ in range(2000)]
    scores = np.array([run.score for run in runs])
    said = np.sqrt(np.mean([run.std_error**2 for run in runs]))
    assert scores.mean() == pytest.approx(np.sqrt(0.25 + 4.0), rel=0.01)
    assert said == pytest.approx(scores.std(), rel=0.05)


@pytest.mark.parametrize(("hard", "chance"), [(0.3, 0.2), (0.0, 0.3), (0.4, 0.0)])
@pytest.mark.parametrize("shared", [True, False])
def test_seeds_and_samples_have_the_error_that_simulation_shows(
    hard: float, chance: float, shared: bool
) -> None:
    """Samples differ in how hard they are, seeds in how well they went."""
    generator = np.random.default_rng(1)
    seeds, samples = 8, 40
    seed = np.repeat(np.arange(seeds), samples)
    sample = np.tile(np.arange(samples), seeds)
    if not shared:
        sample = np.arange(seeds * samples)
    scores, said = [], []
    for _ in range(300):
        value = (
            0.5
            + hard * generator.normal(size=sample.max() + 1)[sample]
            + chance * generator.normal(size=seeds)[seed]
            + 0.3 * generator.normal(size=len(seed))
        )
        found = aggregate(value, "mean", sample, seed)
        scores.append(found.score)
        said.append(found.std_error**2)
    assert np.sqrt(np.mean(said)) == pytest.approx(np.std(scores), rel=0.12)


def test_samples_that_cannot_be_told_apart_are_taken_for_the_same_in_all_seeds() -> None:
    generator = np.random.default_rng(2)
    value, seed = generator.random(60), np.repeat(np.arange(3), 20)
    found = aggregate(value, "mean", None, seed)
    by_seed = value.reshape(3, 20).mean(1).var(ddof=1) / 3
    assert found.std_error == pytest.approx(np.sqrt(by_seed + 3 * value.var(ddof=1) / 60))
    assert found.samples == 20
    same = aggregate(value, "mean", np.tile(np.arange(20), 3), seed)
    assert same.samples == 20


def test_a_perfect_score_is_not_certain() -> None:
    for value in (0.0, 1.0):
        found = aggregate(np.full(6, value), "mean")
        assert found.score == value
        assert found.std_error == pytest.approx(np.sqrt(0.2 * 0.8 / 10))
    assert np.isnan(aggregate(np.ones(1), "mean").std_error)
    assert aggregate(np.zeros(4), "rmse")[:2] == (0.0, 0.0)
