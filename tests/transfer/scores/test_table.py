"""Scores in the forms in which people publish them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from tests.helpers.scored import NAMES, accuracies

VALUES = np.random.default_rng(0).integers(400, 900, (10, 10)) / 1000
MATRIX = pd.DataFrame(VALUES, index=NAMES, columns=NAMES)


def published(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "published.csv"
    path.write_text(text)
    return path


def pairs_text(header: str, row: str = "{0},{1},{2}") -> str:
    lines = [
        row.format(NAMES[i], NAMES[j], VALUES[i, j], round(2 * VALUES[i, j] - 1, 3), 20 + i + j)
        for i in range(10)
        for j in range(10)
    ]
    return "\n".join([header, *lines]) + "\n"


def matrix_text(cell: str = "{}", delimiter: str = ",") -> str:
    rows = [[name, *(cell.format(v) for v in row)] for name, row in zip(NAMES, VALUES, strict=True)]
    return "\n".join(delimiter.join(row) for row in [["source", *NAMES], *rows]) + "\n"


def test_other_names_of_columns_are_found_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for header in (
        "train_country,test_country,auc_score",
        "Source,Target,Score",
        "SRC region,evalRegion,mIoU",
        "trained on,tested on,R\N{SUPERSCRIPT TWO}",
        "from,to,test_accuracy",
    ):
        caplog.clear()
        found = accuracies(published(tmp_path, pairs_text(header)))
        np.testing.assert_array_equal(found.score, VALUES)
        source, target, score = header.split(",")
        taken = f"of its columns source is {source!r}, target is {target!r}, score is {score!r} "
        assert taken in caplog.text
        assert "(scores.source=, scores.target= and scores.score= name others)" in caplog.text
    caplog.clear()
    accuracies(published(tmp_path, pairs_text("target,source,score")))
    assert caplog.text == ""


def test_of_two_scores_one_has_to_be_named(tmp_path: Path) -> None:
    """The case other_names of those that people brought."""
    header = "train_country,test_country,auc_score,kappa"
    path = published(tmp_path, pairs_text(header, "{0},{1},{2},{3}"))
    with pytest.raises(gs.GeospotError) as caught:
        accuracies(path)
    assert str(caught.value) == (
        f"{path}: 'auc_score', 'kappa' may each be the score: name one with scores.score=... "
        "(taken: 'train_country' as source, 'test_country' as target)"
    )
    np.testing.assert_array_equal(accuracies(path, score="auc_score").score, VALUES)
    skill = accuracies(path, score=" kappa ", kind="skill", change="difference")
    np.testing.assert_allclose(skill.score, 2 * VALUES - 1, atol=1e-9)
    swapped = accuracies(path, score="auc_score", source="test_country", target="train_country")
    np.testing.assert_array_equal(swapped.score, VALUES.T)


def test_the_very_word_and_names_of_regions_go_before_other_columns(tmp_path: Path) -> None:
    header = "source,source_lat,train_name,target,accuracy,score,seed,fold,score_se,n_train"
    row = "{0},50.5,A model,{1},0.5,{2},1,2,0.1,7"
    np.testing.assert_array_equal(
        accuracies(published(tmp_path, pairs_text(header, row))).score, VALUES
    )
    header, row = "source_lat,source_id,target_id,acc", "50.5,{0},{1},{2}"
    np.testing.assert_array_equal(
        accuracies(published(tmp_path, pairs_text(header, row))).score, VALUES
    )


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("train,test,n", r"matrix .*\(taken: 'train' as source, 'test' as target\); there are: "),
        ("train,test,auc_se", r"needs the columns source, target and score \(name others with"),
        ("train,test,seed", r"there are: train, test, seed"),
        ("a,test,auc", r"no column is known for the source: name it with scores\.source=\.\.\."),
        ("train,train_b,auc", r"needs the columns source, target and score"),
        ("train,score,test", r"regions that the sweep does not have: 0\.4"),
        ("a,b,c", r"needs the columns .*; there are: a, b, c"),
    ],
)
def test_columns_that_are_not_known_are_asked_for(
    tmp_path: Path, header: str, message: str
) -> None:
    with pytest.raises(gs.GeospotError, match=message):
        accuracies(published(tmp_path, pairs_text(header)))


def test_named_columns_that_are_not_there(tmp_path: Path) -> None:
    path = published(tmp_path, pairs_text("a,b,c"))
    np.testing.assert_array_equal(accuracies(path, source="a", target="b", score="c").score, VALUES)
    with pytest.raises(gs.GeospotError, match=r"scores\.score=x is not a column; there are: a, b"):
        accuracies(path, source="a", target="b", score="x")
    with pytest.raises(gs.GeospotError, match=r"no column is known for the source"):
        accuracies(path, score="c")
    with pytest.raises(gs.GeospotError, match=r"one column is named twice"):
        accuracies(path, source="a", target="a", score="c")


def test_averages_are_left_out_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    wide = MATRIX.assign(Avg=MATRIX.mean(axis=1).round(3))
    wide.loc["Mean (all)"] = wide.mean().round(3)
    path = tmp_path / "avg.csv"
    wide.to_csv(path, index_label="source")
    np.testing.assert_array_equal(accuracies(path).score, VALUES)
    assert "'Avg', 'Mean (all)': an average and no region, left out" in caplog.text
    renamed = MATRIX.rename(index={"r03": "Mean"}, columns={"r03": "Mean"})
    regions = ["Mean" if name == "r03" else name for name in NAMES]
    assert "Mean" in accuracies(renamed, regions=regions).regions


def test_cells_without_a_score_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for missing in ("NA", "n/a", "NaN", "-", "\N{EN DASH}", "", " ", "null"):
        for text in (matrix_text(), pairs_text("source,target,score")):
            caplog.clear()
            line = next(part for part in text.splitlines() if "r02" in part and "0." in part)
            cut = line.split(",")
            changed_line = ",".join([*cut[:-1], missing])
            found = accuracies(published(tmp_path, text.replace(line, changed_line)))
            assert np.isfinite(found.score).sum() == 99
            assert "1 of 100 cells hold no score" in caplog.text
    frame = MATRIX.copy()
    frame.iloc[0, 1] = np.nan
    assert accuracies(frame).missing == 1
    with pytest.raises(gs.GeospotError, match="holds no score"):
        accuracies(published(tmp_path, matrix_text("-")))


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("{} ± 0.02", "what follows 100 numbers, as in '"),
        ("{}±0.02", "what follows 100"),
        ("{} +/- 0.02", "what follows 100"),
        ("{} +- .02", "what follows 100"),
        ("{} (0.02)", "what follows 100"),
        ("{} [0.3; 0.9]", "what follows 100"),
        ("{}e0", ""),
        (" +{} ", ""),
    ],
)
def test_cells_as_they_are_published(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, cell: str, message: str
) -> None:
    np.testing.assert_array_equal(accuracies(published(tmp_path, matrix_text(cell))).score, VALUES)
    assert message in caplog.text
    assert bool(message) == bool(caplog.text)


def test_percent_signs_divide_by_100(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    percent = MATRIX.map(lambda value: f"{100 * value:.1f}")
    np.testing.assert_allclose(accuracies(percent + " %").score, VALUES)
    assert "scores: 100 percentages are divided by 100" in caplog.text
    np.testing.assert_allclose(accuracies(percent + "% ± 0.4 %").score, VALUES)
    np.testing.assert_allclose(accuracies(percent + " ± 0.4 %").score, VALUES)
    # The case matrix_pm: nothing says that these are percentages.
    with pytest.raises(gs.GeospotError, match="divide percentages by 100 or give them a percent"):
        accuracies(percent + " +/- 0.4")
    mixed = percent + " %"
    mixed.iloc[3, 4] = "0.5"
    with pytest.raises(
        gs.GeospotError, match=r"row 4 \(r03 to r04\): score is '0\.5' and elsewher"
    ):
        accuracies(mixed)


def test_decimal_commas(tmp_path: Path) -> None:
    text = matrix_text(delimiter=";").replace(".", ",")
    np.testing.assert_array_equal(accuracies(published(tmp_path, text)).score, VALUES)
    thousands = "source{0}target{0}score\nr00{0}r01{0}1,234\nr01{0}r00{0}2,345\n"
    raw = {"kind": "error", "change": "raw"}
    found = accuracies(published(tmp_path, thousands.format(";")), **raw)
    assert found.score[0, 1] == 1.234
    with pytest.raises(gs.GeospotError, match=r"'1,234' may be 1\.234 or 1234: write it"):
        accuracies(published(tmp_path, thousands.format("\t")), **raw)
    with pytest.raises(gs.GeospotError, match=r"'1,234' has a decimal comma and '2\.5' a point"):
        accuracies(published(tmp_path, thousands.format(";").replace("2,345", "2.5")), **raw)


@pytest.mark.parametrize(
    "wrong", ["abc", "1.234,5", "0.5.6", "inf", "1e999", "0.5 (n)", "1/2", "?"]
)
def test_a_cell_that_is_no_number_is_where_it_is_said_to_be(tmp_path: Path, wrong: str) -> None:
    lines = matrix_text().splitlines()
    row = lines[4].split(",")
    row[3] = f'"{wrong}"'
    text = "\n".join([*lines[:4], ",".join(row), *lines[5:]])
    message = r"published\.csv: line 5 \(r03 to r02\): score '.*' is not a finite number"
    with pytest.raises(gs.GeospotError, match=message):
        accuracies(published(tmp_path, text))


def test_pivoted_frames_and_their_like() -> None:
    long = pd.Series(MATRIX.stack(), name="accuracy")
    long.index.names = ["train", "test"]
    numbered = MATRIX.reset_index(names="source")
    for table in (
        MATRIX,
        MATRIX.rename_axis("country"),
        MATRIX.rename_axis(index="source", columns="target"),
        numbered.iloc[::-1],
        numbered.reset_index(),
        numbered.rename_axis("Unnamed: 0").reset_index(),
        MATRIX.stack(),
        long,
        long.to_frame(),
        long.reset_index().iloc[::-1],
        long.to_xarray(),
    ):
        np.testing.assert_array_equal(accuracies(table).score, VALUES)
    plain = pd.DataFrame(VALUES)
    found = accuracies(plain, regions=range(12))
    assert found.regions == tuple(map(str, range(10)))
    np.testing.assert_array_equal(found.score, VALUES)


def test_an_index_column_of_a_file_is_no_source(tmp_path: Path) -> None:
    for header in ("", "Unnamed: 0", "index"):
        MATRIX.reset_index(names="country").to_csv(tmp_path / "m.csv", index_label=header)
        np.testing.assert_array_equal(accuracies(tmp_path / "m.csv").score, VALUES)
    MATRIX.to_csv(tmp_path / "m.csv")
    np.testing.assert_array_equal(accuracies(tmp_path / "m.csv").score, VALUES)


def test_a_matrix_says_what_it_was_taken_for() -> None:
    numbered = MATRIX.reset_index(drop=True)
    with pytest.raises(gs.GeospotError, match=r"taken for a matrix: sources from the column witho"):
        accuracies(numbered)
    with pytest.raises(gs.GeospotError, match="'model' holds no region of the sweep, as 'A', 'A'"):
        accuracies(numbered.assign(model="A"))
    for corner in ("test_country", "target", "test/train"):
        with pytest.raises(gs.GeospotError, match="is one of targets, and rows are sources"):
            accuracies(MATRIX.T.rename_axis(corner))
    for corner in ("train/test", "source \\ target", "from"):
        np.testing.assert_array_equal(accuracies(MATRIX.rename_axis(corner)).score, VALUES)
    named = accuracies(MATRIX.T.rename_axis("test_country").T.rename_axis("home"), source="home")
    np.testing.assert_array_equal(named.score, VALUES)


def test_samples_weigh_pairs(tmp_path: Path) -> None:
    expected = 20.0 + np.arange(10)[:, None] + np.arange(10)
    for name in ("n", "N", "n_test", "n_samples", "num test samples", "Support", "nTest"):
        header, row = f"source,target,score,{name},n_train,n_seeds", "{0},{1},{2},{4},5,3"
        found = accuracies(published(tmp_path, pairs_text(header, row)))
        assert found.weight is not None
        np.testing.assert_array_equal(found.weight, expected)
    few = published(tmp_path, "source,target,score,n\nr00,r01,.5,3\nr01,r00,.6,4\n")
    weight = accuracies(few, change="raw").weight
    assert weight is not None
    assert np.isnan(np.diag(weight)).all()
    for name in ("n_train", "n_seeds", "se", "sample_id"):
        header, row = f"source,target,score,{name}", "{0},{1},{2},{4}"
        assert accuracies(published(tmp_path, pairs_text(header, row))).weight is None
    assert accuracies(MATRIX).weight is None


def test_pairs_with_ids_or_places_stay_pairs() -> None:
    given: dict[str, Any] = {"change": "raw", "regions": ["FR", "KE"]}
    table = pd.DataFrame({"source": ["FR", "KE"], "target": ["KE", "FR"], "error": [-0.5, 0.6]})
    table = table.assign(id=[1, 2], lon=[0.0, 1.0], lat=[0.0, 1.0])
    assert gs.read_scores(table, kind="error", **given).score[0, 1] == -0.5
    named = table.rename(columns={"source": "a", "target": "b", "error": "c"})
    columns = {"source": "a", "target": "b", "score": "c"}
    assert gs.read_scores(named, kind="error", **given, **columns).score[0, 1] == -0.5  # type: ignore[arg-type]


def test_standard_errors_are_those_that_are_called_so() -> None:
    table = pd.DataFrame({"source": ["FR", "KE"], "target": ["KE", "FR"], "score": [0.5, 0.6]})
    given: dict[str, Any] = {"kind": "accuracy", "change": "raw", "regions": ["FR", "KE"]}
    for header in ("std_error", "se", "SEM", "stderr", "standard error"):
        found = gs.read_scores(table.assign(**{header: ["0.1", ""]}), **given, score="score")
        assert found.std_error is not None
        np.testing.assert_array_equal(found.std_error, [[np.nan, 0.1], [np.nan, np.nan]])
    assert gs.read_scores(table.assign(sd=0.1), **given).std_error is None
    percent = table.assign(score=["50 %", "60 %"], se=["10 %", "5 %"])
    found = gs.read_scores(percent, **given)
    assert found.std_error is not None
    np.testing.assert_allclose(found.std_error[0, 1], 0.1)
    with pytest.raises(gs.GeospotError, match="are not both percentages: write both"):
        gs.read_scores(percent.assign(se=0.1), **given)
    with pytest.raises(gs.GeospotError, match="standard error -1 is none: give one of 0 or more"):
        gs.read_scores(table.assign(se=-1.0), **given)
