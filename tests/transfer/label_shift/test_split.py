"""The split of a loss by labels, against closed forms, the jackknife and simulation."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

import geospot_gpu as gs
from geospot_gpu.transfer.label_shift.parts import Parts, Side, parts_of
from geospot_gpu.transfer.scores.values import Measure

MEASURES: tuple[Measure, ...] = ("mean", "rmse")


def drawn(seed: int, n: int, shares: list[float], measure: Measure) -> Side:
    generator = np.random.default_rng(seed)
    label = generator.choice(len(shares), n, p=shares)
    value = (generator.random(n) < 0.9 - 0.1 * label).astype(float)
    if measure == "rmse":
        value = generator.normal(0.3, 1.0 + label)
    return Side(value, label.astype(np.int64))


def figures(found: Parts) -> list[float]:
    return [found.change, found.label, found.within]


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("shares", [[0.4, 0.3, 0.3, 0.0], [0.25] * 4])
def test_errors_are_those_of_the_jackknife(measure: Measure, shares: list[float]) -> None:
    """Which leaves out every sample of either place in turn; one place may lack a label."""
    sides = drawn(0, 150, shares, measure), drawn(1, 120, [0.1, 0.1, 0.2, 0.6], measure)
    variance = np.zeros(3)
    for k, side in enumerate(sides):
        without = []
        for left in range(len(side.value)):
            kept = np.arange(len(side.value)) != left
            fewer = [*sides]
            fewer[k] = Side(side.value[kept], side.label[kept])
            without.append(figures(parts_of(fewer[0], fewer[1], measure)))
        n = len(side.value)
        variance += (n - 1) / n * ((np.array(without) - np.mean(without, 0)) ** 2).sum(0)
    found = parts_of(*sides, measure)
    errors = [found.change_error, found.label_error, found.within_error]
    np.testing.assert_allclose(errors, np.sqrt(variance), rtol=0.08)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 30), st.integers(1, 30), st.sampled_from(MEASURES))
def test_parts_sum_to_the_change_and_turn_with_it(
    seed: int, n: int, m: int, measure: Measure
) -> None:
    home = drawn(seed, n, [0.4, 0.3, 0.3], measure)
    away = drawn(seed + 1, m, [0.1, 0.2, 0.7], measure)
    there, back = parts_of(home, away, measure), parts_of(away, home, measure)
    assert there.label + there.within == pytest.approx(there.change, abs=1e-12)
    np.testing.assert_allclose(figures(there), [-x for x in figures(back)], atol=1e-12)
    same = parts_of(home, home, measure)
    np.testing.assert_allclose(figures(same), 0.0, atol=1e-12)


def test_shares_alone_are_the_label_part_and_rates_alone_the_other() -> None:
    home = Side(np.array([1.0, 1.0, 0.0, 0.0]), np.array([0, 0, 1, 1]))
    shares = parts_of(home, Side(np.array([1.0, 0.0, 0.0, 0.0]), np.array([0, 1, 1, 1])), "mean")
    assert (shares.label, shares.within) == (-0.25, 0.0)
    rates = parts_of(home, Side(np.array([1.0, 0.0, 0.0, 0.0]), np.array([0, 0, 1, 1])), "mean")
    assert (rates.label, rates.within) == (0.0, -0.25)
    # A label that the source lacks is due to shares, however wrong the model is about it.
    new = parts_of(home, Side(np.zeros(4), np.full(4, 2)), "mean")
    assert (new.label, new.within, new.unshared) == (-0.5, 0.0, 1.0)


def test_seeds_and_samples_that_share_are_counted_once() -> None:
    """Ten equal copies of every sample say no more than one."""
    home, away = drawn(0, 60, [0.5, 0.5], "mean"), drawn(1, 60, [0.2, 0.8], "mean")
    copies = [
        Side(
            np.tile(one.value, 10), np.tile(one.label, 10),
            np.tile(np.arange(60), 10), np.repeat(np.arange(10), 60),
        )
        for one in (home, away)
    ]  # fmt: skip
    once, many = parts_of(home, away, "mean"), parts_of(copies[0], copies[1], "mean")
    np.testing.assert_allclose(figures(many), figures(once), atol=1e-12)
    assert many.label_error == pytest.approx(once.label_error, rel=1e-9)


def table_of(**changes: Any) -> pd.DataFrame:
    """Models of two regions that always say their region's commoner class."""
    regions = pd.DataFrame({"region": list("AAAABBBB"), "label": list("uuuvvvvv")})
    both = [regions.assign(source=name, prediction=said) for name, said in (("A", "u"), ("B", "v"))]
    return pd.concat(both, ignore_index=True).assign(**changes)


def read(table: pd.DataFrame, **changes: Any) -> gs.Scores:
    given: dict[str, Any] = {"kind": "accuracy", "change": "raw", "regions": ["A", "B"]}
    return gs.read_scores(table, **(given | changes))


def test_numbers_are_split_by_tenths() -> None:
    """Errors that grow with the label alone are all due to its shares."""
    label = np.concatenate([np.arange(100.0), np.arange(50.0, 150.0)] * 2)
    table = pd.DataFrame({
        "source": np.repeat(["A", "B"], 200), "region": np.tile(np.repeat(["A", "B"], 100), 2),
        "label": label, "prediction": label + np.floor(label / 50.0),
    })  # fmt: skip
    found = gs.split_loss(read(table, kind="error"))
    away = np.sqrt(2.5) - np.sqrt(0.5)
    assert found["loss"].tolist() == pytest.approx([away, -away])
    np.testing.assert_allclose(found["label_part"] + found["conditional_part"], found["loss"])
    assert (found["label_part"] / found["loss"]).min() > 0.8


def test_classes_are_the_same_however_they_are_written() -> None:
    as_text = {"u": "1", "v": "2"}
    table = table_of()
    written = table.assign(
        label=table["label"].map({"u": 1.0, "v": 2.0}), prediction=table["prediction"].map(as_text)
    )
    pd.testing.assert_frame_equal(gs.split_loss(read(written)), gs.split_loss(read(table)))
    flagged = table.assign(correct=table["label"] == table["prediction"]).drop(columns="prediction")
    pd.testing.assert_frame_equal(gs.split_loss(read(flagged)), gs.split_loss(read(table)))


@pytest.mark.parametrize("function", [gs.split_loss, gs.correct_priors])
@pytest.mark.parametrize("scores", [None, "scores.csv", 7, pd.DataFrame(), object()])
def test_what_are_no_scores_is_refused(function: Any, scores: object) -> None:
    with pytest.raises(
        gs.GeospotError, match=r"scores is of type \w+: give a Scores, as read_scores"
    ):
        function(scores)


def test_what_cannot_be_split_is_refused_or_said(caplog: pytest.LogCaptureFixture) -> None:
    pairs = pd.DataFrame(
        {"source": list("AABB"), "target": list("ABAB"), "score": [0.9, 0.5, 0.4, 0.8]}
    )
    with pytest.raises(gs.GeospotError, match="not of single predictions with labels: give a row"):
        gs.split_loss(read(pairs))
    table = table_of()
    away = table[table["source"] != table["region"]].iloc[1:]
    with pytest.raises(gs.GeospotError, match="no model has labelled samples in its own region"):
        gs.split_loss(read(away))
    homeless = table[(table["source"] == "A") | (table["region"] == "A")]
    assert gs.split_loss(read(homeless))["source"].tolist() == ["A"]
    assert "models of 1 regions have no labelled samples there" in caplog.text
    union = pd.concat([table, table.head(8).assign(source="A+B")])
    assert len(gs.split_loss(read(union))) == 2
    assert "8 samples of models of several regions together take no part" in caplog.text
