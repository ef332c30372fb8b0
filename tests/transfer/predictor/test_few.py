"""Predictions and a few labels, where the best combination is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from geospot_gpu.errors import GeospotError
from geospot_gpu.transfer.predictor.few.combination import FewLabels
from geospot_gpu.transfer.predictor.few.left_out import LeftOut
from geospot_gpu.transfer.predictor.few.noise import Noise, pooled
from geospot_gpu.transfer.predictor.few.predictions import (
    noise_of,
    variance_of_scores,
    with_budget,
    with_labels,
)

Array = NDArray[np.float64]
ANY = (-np.inf, np.inf)
TARGETS, MODELS = 40, 10


def left_out(spread: float = 0.5, limits: tuple[float, float] = ANY, level: float = 0.0) -> LeftOut:
    """Forty targets whose scores are normal around what is predicted."""
    generator = np.random.default_rng(7)
    count = TARGETS * MODELS
    predicted = np.full(count, level)
    score = np.clip(predicted + spread * generator.normal(size=count), *limits)
    target = np.repeat(np.arange(TARGETS), MODELS)
    return LeftOut.of(score, predicted, np.ones(count), target, np.zeros(count), limits)


def test_the_score_of_labels_has_the_variance_that_is_said() -> None:
    normal = np.random.default_rng(0).normal(size=200_000)
    for noise, level in (
        (Noise("accuracy", 1.0), 0.8), (Noise("error", 0.5), 3.0), (Noise("skill", 2.0), -1.0),
    ):  # fmt: skip
        shown = noise.draw(np.float64(level), np.float64(10.0), normal)  # type: ignore[arg-type]
        assert shown.mean() == pytest.approx(level, rel=0.01)
        assert shown.var() == pytest.approx(float(noise.variance(np.array(level))) / 10, rel=0.03)


def test_the_variance_is_pooled_where_five_of_five_are_right() -> None:
    score, count = np.array([1.0, 0.6]), np.array([5.0, 50.0])
    error = np.sqrt(np.array([0.0, 0.24 / 49]))
    assert pooled("accuracy", score, error, count) == pytest.approx(1.0)
    assert pooled("accuracy", score[:1], error[:1], count[:1]) is None


@pytest.mark.parametrize("labels", [2, 5, 20])
def test_the_variance_of_few_labels_is_pooled_without_bias(labels: int) -> None:
    generator, count = np.random.default_rng(0), np.full(20_000, float(labels))
    level = generator.uniform(0.3, 0.9, (20_000, 1))
    right = (generator.random((20_000, labels)) < level).astype(float)
    error = right.std(1, ddof=1) / np.sqrt(labels)
    assert pooled("accuracy", right.mean(1), error, count) == pytest.approx(1.0, rel=0.02)
    squares = (level * generator.normal(size=(20_000, labels))) ** 2
    score = np.sqrt(squares.mean(1))
    error = squares.std(1, ddof=1) / np.sqrt(labels) / (2.0 * score)
    assert pooled("error", score, error, count) == pytest.approx(0.5, rel=0.06)


def test_of_normal_errors_the_root_mean_square_has_the_factor_a_half() -> None:
    errors = np.random.default_rng(0).normal(size=(20_000, 25))
    score = np.sqrt((errors**2).mean(1))
    assert 25 * score.var() / score.mean() ** 2 == pytest.approx(0.5, rel=0.03)


def test_both_are_weighed_by_precision_where_all_is_normal() -> None:
    """With a variance of 1/4 of predictions and 1 of a label, four labels weigh as much."""
    labels = FewLabels(left_out(0.5), Noise("skill", 1.0))
    worth = labels.worth(4)
    assert worth.trust == 1.0
    found = labels.together(np.zeros(1), np.ones(1), np.ones(1), np.full(1, 4.0))
    unit = left_out(0.5).unit
    assert found.predicted[0] == pytest.approx(unit**2 / (unit**2 + 0.25))
    assert found.std_error[0] == pytest.approx(0.5)
    expected = np.sqrt(0.125) * np.sqrt(2 / np.pi)
    assert worth.error == pytest.approx(expected, rel=0.05)
    # Nine of ten scores of one more of forty targets.
    level = 1 - (1 - 0.9 * (1 + 1 / TARGETS)) / 2
    assert worth.tails.above == pytest.approx(stats.norm.ppf(level), rel=0.07)
    assert worth.covered == pytest.approx(0.9 * (1 + 1 / TARGETS), abs=0.02)


def test_what_is_said_of_few_targets_holds_for_others() -> None:
    """Ten targets, each with an error of its own: what they are tried on, they have not chosen."""
    said, held = [], []
    for seed in range(40):
        generator = np.random.default_rng(seed)

        def drawn(targets: int, generator: np.random.Generator = generator) -> Array:
            size = np.repeat(generator.choice([0.3, 2.0], targets), MODELS)
            own = np.repeat(generator.normal(size=targets), MODELS)
            return size * (own + 0.3 * generator.normal(size=len(own)))

        score, zeros = drawn(10), np.zeros(10 * MODELS)
        known = LeftOut.of(score, zeros, zeros + 1, np.repeat(np.arange(10), MODELS), zeros, ANY)
        labels = FewLabels(known, Noise("skill", 1.0), seed=seed)
        worth = labels.worth(5)
        new = drawn(200)
        shown = new + generator.normal(size=len(new)) / np.sqrt(5)
        zeros = np.zeros(len(new))
        ends = labels.together(zeros, zeros + 1, shown, zeros + 5)
        said.append((worth.covered, worth.error))
        inside = (ends.lower <= new) & (new <= ends.upper)
        held.append((inside.mean(), np.abs(ends.predicted - new).mean()))
    covered, error = np.mean(said, axis=0) / np.mean(held, axis=0)
    assert covered == pytest.approx(1.0, abs=0.025)
    assert error == pytest.approx(1.0, abs=0.07)


def test_many_labels_say_all_and_a_sure_prediction_too() -> None:
    labels = FewLabels(left_out(0.5), Noise("skill", 1.0))
    many = labels.together(np.zeros(1), np.ones(1), np.ones(1), np.full(1, 1e6))
    assert many.predicted[0] == pytest.approx(1.0, abs=1e-4)
    sure = FewLabels(left_out(0.0), Noise("skill", 1.0))
    found = sure.together(np.zeros(1), np.ones(1), np.ones(1), np.ones(1))
    assert (found.predicted[0], found.lower[0], found.upper[0]) == (0.0, 0.0, 0.0)


LABELS = FewLabels(left_out(0.2, (0, 1), 0.6), Noise("accuracy", 1.0))


@given(st.floats(0, 1), st.integers(1, 200), st.floats(0, 1))
def test_the_combination_lies_between_both(predicted: float, count: int, shown: float) -> None:
    one = LABELS.together(*(np.array([float(x)]) for x in (predicted, 1, shown, count)))
    low, high = sorted([predicted, shown])
    assert low - 1e-9 <= one.predicted[0] <= high + 1e-9
    assert 0 <= one.lower[0] <= one.upper[0] <= 1


def test_what_is_said_beforehand_is_what_is_found() -> None:
    known, noise = left_out(0.2, (0, 1), 0.7), Noise("accuracy", 1.0)
    labels = FewLabels(known, noise)
    widths = []
    for count in (1.0, 5.0, 20.0, 80.0):
        said = labels.widths(np.full(1, 0.7), np.ones(1), count)[0]
        some = np.random.default_rng(1).permutation(len(known.score))[:200]
        shown = noise.draw(
            known.score[some], np.full(200, count), np.random.default_rng(2).normal(size=200)
        )
        ends = labels.together(known.predicted[some], np.ones(200), shown, np.full(200, count))
        assert said == pytest.approx(float((ends.upper - ends.lower).mean()), rel=0.1)
        widths.append(said)
    assert widths == sorted(widths, reverse=True)


PAIRS = pd.DataFrame(
    {"source": ["a", "b", "a"], "target": ["x", "x", "y"], "predicted": 0.5, "lower": 0.1,
     "upper": 0.9}
)  # fmt: skip


def few(**columns: object) -> pd.DataFrame:
    given = {"source": ["a"], "target": ["x"], "score": [1.0], "n": [5.0]} | columns
    return pd.DataFrame({name: value for name, value in given.items() if value is not None})


def labelled(table: pd.DataFrame) -> pd.DataFrame:
    known = left_out(0.2, (0, 1), 0.6)
    return with_labels(PAIRS, np.ones(3), table, FewLabels(known, Noise("accuracy", 1.0)))


def test_pairs_without_labels_stay_as_they_are() -> None:
    found = labelled(few())
    assert found["labels"].tolist() == [5.0, 0.0, 0.0]
    pd.testing.assert_frame_equal(found[list(PAIRS)][1:], PAIRS[1:])
    one = found.iloc[0]
    assert one["score_of_labels"] == 1.0
    assert one["std_error_of_labels"] > 0.15, "five of five are not certain"
    assert 0.5 < one["predicted"] < 1.0
    assert one["upper"] - one["lower"] < 0.8
    alone = found[[f"{name}_without_labels" for name in ("predicted", "lower", "upper")]]
    np.testing.assert_allclose(alone.iloc[0], [0.5, 0.1, 0.9])


def test_a_standard_error_stands_for_a_number_of_labels() -> None:
    by_count = labelled(few())
    error = by_count["std_error_of_labels"][0]
    by_error = labelled(few(n=None, std_error=[error]))
    pd.testing.assert_frame_equal(by_error, by_count)


def test_a_budget_narrows_intervals() -> None:
    known = left_out(0.2, (0, 1), 0.6)
    found = with_budget(PAIRS, np.ones(3), 20, FewLabels(known, Noise("accuracy", 1.0)))
    width = found["width_with_labels"].to_numpy()
    np.testing.assert_allclose(found["narrower"], 1 - width / 0.8)
    assert (found["narrower"] > 0.3).all()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (few(target=["z"]), "few: a to z is no pair that is predicted: leave it out"),
        (pd.concat([few(), few()]), "few: a to x has several scores: keep one for each pair"),
        (few(n=None), "few: give n, how many labels each score rests on, or std_error"),
        (few(n=[0.0]), "few: a to x needs n, how many labels its score rests on, from 1 on, or a"),
        (few(n=None, std_error=[0.0]), "few: a to x needs n, how many labels its score rests on"),
        (few(score=[1.5]), "few: score of a to x is 1.5: scores lie between 0 and 1"),
        (few(score=[np.nan]), "few: score of a to x is nan: scores lie between 0 and 1"),
        (few(score=None), "few='score' is not a column; there are: source, target, n"),
    ],
)
def test_what_cannot_be_combined_says_why(table: pd.DataFrame, message: str) -> None:
    with pytest.raises(GeospotError) as error:
        labelled(table)
    assert message in str(error.value)


def test_the_noise_is_that_of_scores_or_of_the_labels_or_of_their_kind() -> None:
    bare = pd.DataFrame({"score": [0.5]})
    known = pd.DataFrame({"score": [0.5], "std_error": [0.1], "weight": [51.0]})
    assert noise_of("accuracy", bare) == Noise("accuracy", 1.0)
    assert noise_of("error", bare) == Noise("error", 0.5)
    assert noise_of("accuracy", known, bare).factor == pytest.approx(0.51 / 0.26)
    assert noise_of("accuracy", bare, known).factor == pytest.approx(0.51 / 0.26)
    assert noise_of("accuracy", known.assign(weight=20.0)).factor == 1.0, "too few to tell"
    with pytest.raises(GeospotError) as error:
        noise_of("skill", bare)
    assert "how sure a few labels are of a skill is not known: give std_error and n" in str(
        error.value
    )


def test_scores_that_rest_on_samples_have_a_variance() -> None:
    noise, score = Noise("accuracy", 1.0), np.array([0.5, 0.8])
    of = {
        "std_error": pd.DataFrame({"std_error": [0.1, np.nan]}),
        "one sample": pd.DataFrame({"std_error": [0.1, np.nan], "weight": [25.0, 1.0]}),
        "counts": pd.DataFrame({"weight": [10.0, 16.0]}),
        "weights": pd.DataFrame({"weight": [0.5, 1.5]}),
    }
    found = {name: variance_of_scores(table, score, noise) for name, table in of.items()}
    np.testing.assert_allclose(found["std_error"], [0.01, 0.01])
    np.testing.assert_allclose(found["one sample"], [0.01, 0.25])
    np.testing.assert_allclose(found["counts"], [0.025, 0.01])
    np.testing.assert_allclose(found["weights"], 0.0)
