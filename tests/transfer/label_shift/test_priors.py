"""Priors of classes: against closed forms, a general optimiser, and simulated label shift."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import softmax

import geospot_gpu as gs
from geospot_gpu.transfer.label_shift import priors
from geospot_gpu.transfer.label_shift.report import label_report

Floats = NDArray[np.float64]
CLASSES = ["u", "v", "w"]
HOME, AWAY = np.array([0.6, 0.3, 0.1]), np.array([0.1, 0.3, 0.6])
CENTRES = 1.5 * np.eye(3)


def draw(n: int, shares: Floats, seed: int) -> tuple[NDArray[np.int64], Floats]:
    """Labels, and what the true model of the home shares says of Gaussian samples of them."""
    generator = np.random.default_rng(seed)
    label = generator.choice(3, n, p=shares)
    x = CENTRES[label] + generator.normal(size=(n, 3))
    logs = -0.5 * ((x[:, None] - CENTRES) ** 2).sum(2) + np.log(HOME)
    return label.astype(np.int64), softmax(logs, axis=1)


def test_em_finds_the_shares_of_largest_likelihood() -> None:
    _, probability = draw(2000, AWAY, 0)

    def loss(free: Floats) -> float:
        return -float(np.log(probability @ (softmax(np.append(free, 0.0)) / HOME)).mean())

    best = softmax(np.append(minimize(loss, np.zeros(2), tol=1e-12).x, 0.0))
    found = priors.em_priors(probability, HOME)
    np.testing.assert_allclose(found, best, atol=1e-4)
    np.testing.assert_allclose(found, AWAY, atol=0.05)
    np.testing.assert_allclose(
        priors.reweighted(probability, found / HOME).mean(0), found, atol=1e-5
    )


def test_predictions_alone_tell_shares() -> None:
    truth, home = draw(20_000, HOME, 0)
    _, away = draw(20_000, AWAY, 1)
    found = priors.confusion_priors(away.argmax(1), home.argmax(1), truth, HOME)
    np.testing.assert_allclose(found, AWAY, atol=0.03)
    same = priors.confusion_priors(home.argmax(1), home.argmax(1), truth, HOME)
    np.testing.assert_allclose(same, HOME, atol=0.01)


def test_calibration_undoes_what_a_model_exaggerates() -> None:
    truth, probability = draw(20_000, HOME, 0)
    sure = softmax(3.0 * np.log(probability) + [0.0, 0.5, -0.5], axis=1)
    honest = priors.calibrated(sure, truth)(sure)
    np.testing.assert_allclose(honest, probability, atol=0.02)
    np.testing.assert_allclose(honest.mean(0), np.bincount(truth) / len(truth), atol=1e-3)


def table_of(n: int = 400, probabilities: bool = True, sharpness: float = 1.0) -> pd.DataFrame:
    """One model, of A's shares, in A and in B, where nothing but shares differs."""
    parts = []
    for seed, (region, shares) in enumerate({"A": HOME, "B": AWAY}.items()):
        label, probability = draw(n, shares, seed)
        said = softmax(sharpness * np.log(probability), axis=1)
        part = pd.DataFrame({"source": "A", "region": region, "label": np.array(CLASSES)[label]})
        part["prediction"] = np.array(CLASSES)[said.argmax(1)]
        if probabilities:
            part[[f"probability_{name}" for name in CLASSES]] = said
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def read(table: pd.DataFrame, other: pd.DataFrame | None = None, **changes: Any) -> gs.Scores:
    """With models of B and C that always say the same, for scores have to vary."""
    given: dict[str, Any] = {"kind": "accuracy", "change": "raw", "regions": list("ABC")} | changes
    said = table if other is None else other
    constant = [said.assign(source=name, prediction=c) for name, c in (("B", "v"), ("C", "w"))]
    return gs.read_scores(pd.concat([table, *constant]), **given)


def of_a(scores: gs.Scores, **changes: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table of A's model by method, and shares."""
    found = gs.correct_priors(scores, **changes)
    table = found.table[found.table["source"] == "A"].set_index("method")
    return table, found.priors[found.priors["source"] == "A"]


@pytest.mark.parametrize("probabilities", [True, False])
def test_where_shares_alone_differ_it_recovers_what_is_expected(probabilities: bool) -> None:
    scores = read(table_of(4000, probabilities))
    table, found = of_a(scores, labels=200)
    blind = "em" if probabilities else "confusion"
    assert list(table.index) == [blind, "labels"]
    gain = table["corrected"] - table["score"]
    assert (gain > 5.0 * table["gain_error"]).all()
    np.testing.assert_allclose(table["expected"], table["score"], atol=0.05)
    np.testing.assert_allclose(table["expected_corrected"], table["corrected"], atol=0.05)
    shares = found.pivot(index="class", columns="method", values="share")
    np.testing.assert_allclose(shares[blind], AWAY, atol=0.08)
    np.testing.assert_allclose(shares["labels"], AWAY, atol=0.1)
    np.testing.assert_allclose(found["share_known"].head(3), AWAY, atol=0.03)
    assert table["n"].tolist() == [3800, 3800]
    assert table["labels"].tolist() == [0, 200]


def test_a_model_that_is_too_sure_is_calibrated_before_labels_correct_it() -> None:
    sure, _ = of_a(read(table_of(2000, sharpness=4.0)))
    honest, _ = of_a(read(table_of(2000)))
    for column in ("score", "corrected"):
        assert sure[column]["labels"] == pytest.approx(honest[column]["labels"], abs=0.05)


def test_a_class_that_is_predicted_has_a_column_of_probabilities() -> None:
    table = table_of().rename(columns={"probability_u": "probability_U"})
    with pytest.raises(gs.GeospotError) as error:
        gs.correct_priors(read(table))
    assert "'u' is predicted, and there is no column probability_u; there are:" in str(error.value)


def test_a_sample_has_one_label_however_many_seeds_a_model_has() -> None:
    table = table_of()
    table["sample"] = [f"s{k}" for k in range(len(table))]
    both = pd.concat([table.assign(seed=seed) for seed in (0, 1, 2)])
    found, shares = of_a(read(both))
    assert found["labels"]["labels"] == 20
    by_labels = shares[shares["method"] == "labels"]
    counts = 21 * by_labels["share"] - by_labels["share_home"]  # which count as one label more
    np.testing.assert_allclose(counts, counts.round(), atol=0.01)


def test_without_labels_of_the_target_it_says_what_to_expect() -> None:
    table = table_of()
    usual, _ = of_a(read(table))
    unknown = table.assign(label=table["label"].where(table["region"] == "A", ""))
    found, shares = of_a(read(unknown, table))
    assert found["expected_corrected"]["em"] == pytest.approx(usual["expected_corrected"]["em"])
    assert found[["score", "corrected", "gain_error"]].isna().all(axis=None)
    assert found["labels"].tolist() == [0, 0]
    assert shares["share_known"].isna().all()
    few = unknown["label"].mask(unknown.index.isin(range(400, 415)), table["label"])
    scores = read(unknown.assign(label=few), table)
    found, _ = of_a(scores)
    assert found["labels"].tolist() == [0, 15]
    assert found["n"].tolist() == [0, 0]
    assert gs.split_loss(scores).query("source == 'A'")["n"].tolist() == [15]


def test_classes_that_one_region_lacks_do_no_harm() -> None:
    table = table_of()
    fewer = table[(table["region"] == "A") | (table["label"] != "u")]
    fewer = fewer[(fewer["region"] == "B") | (fewer["label"] != "w")]
    for kept in (fewer, fewer[["source", "region", "label", "prediction"]]):
        found, shares = of_a(read(kept.reset_index(drop=True)))
        assert np.isfinite(found.drop(columns=["source", "target"])).all(axis=None)
        sums = shares.groupby("method")[["share_home", "share", "share_known"]].sum()
        np.testing.assert_allclose(sums, 1.0, atol=1e-9)


def test_a_model_that_weighed_classes_is_not_corrected_for_that() -> None:
    """Probabilities of a model that takes classes to be equally likely have other priors."""
    table = table_of(2000)
    columns = [f"probability_{name}" for name in CLASSES]
    weighed = table[columns].to_numpy() / HOME
    table[columns] = weighed / weighed.sum(1, keepdims=True)
    table["prediction"] = np.array(CLASSES)[weighed.argmax(1)]
    found, shares = of_a(read(table))
    assert found["corrected"]["em"] > found["score"]["em"] - 0.01
    em = shares[shares["method"] == "em"]
    assert np.abs(em["share"] - AWAY).sum() < np.abs(HOME - AWAY).sum()


def test_predictions_without_probabilities_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    table = table_of(100)
    table.loc[150:, "probability_u"] = np.nan
    found, _ = of_a(read(table))
    assert found["n"].tolist() == [30, 30]
    assert "150 of 600 predictions lack probabilities and take no part" in caplog.text


def test_mistakes_are_one_line() -> None:
    table = table_of(20)
    wrong = table.copy()
    wrong.loc[2, ["probability_u", "probability_v", "probability_w"]] = 0.5
    with pytest.raises(gs.GeospotError, match=r"row 3: probabilities sum to 1\.5, not to one"):
        read(wrong)
    with pytest.raises(gs.GeospotError, match=r"-0\.1 is not a probability, from 0 to 1"):
        read(table.assign(probability_u=-0.1))
    with pytest.raises(gs.GeospotError, match="probability_ names no class, or one that another"):
        read(table.rename(columns={"probability_u": "probability_"}))
    columns = ["source", "region", "label", "prediction"]
    numbers = table.assign(label=range(40), prediction=1)[columns]
    numbers = pd.concat([numbers, numbers.assign(source="B", prediction=2)])
    errors = gs.read_scores(numbers, kind="error", change="raw", regions=["A", "B"])
    with pytest.raises(gs.GeospotError, match="priors are those of classes: give a row per test"):
        gs.correct_priors(errors)
    with pytest.raises(gs.GeospotError, match="labels=0: give a whole number of 1 or more"):
        gs.correct_priors(read(table), labels=0)


def test_the_report_says_what_shares_cost_and_what_correction_gives(
    caplog: pytest.LogCaptureFixture,
) -> None:
    report = label_report(read(table_of(400, probabilities=False)))
    assert report is not None
    first, second, third = report.texts
    assert "lose 0.1" in first
    assert "by the shares of labels" in first
    assert second.startswith("class priors corrected by the model's predictions there: expected")
    assert third.startswith("class priors corrected by 20 labels of the target: expected")
    assert "columns probability_CLASS correct priors better" in caplog.text
    assert set(report.summary["correction"]) == {"confusion", "labels"}
    table = table_of(40)
    away = table.assign(source=table["region"].map({"A": "B", "B": "A"}))
    scores = gs.read_scores(away, kind="accuracy", change="raw", regions=["A", "B"])
    assert label_report(scores) is None
    assert "what of its loss is due to labels is not known" in caplog.text
