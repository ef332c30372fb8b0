"""Scores of models as tables and matrices, and everything that can be wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.transfer.scores.scores import bounds, read_scores

REGIONS = ["FR", "KE", "NA", "US"]
TABLE = pd.DataFrame(
    [
        *(("FR", "FR", 0.8), ("FR", "KE", 0.4), ("KE", "KE", 0.5), ("KE", "FR", 0.6)),
        *(("NA", "NA", 0.9), ("NA", "FR", 0.8)),
    ],
    columns=["source", "target", "score"],
)


def test_changes_are_those_of_the_paper() -> None:
    for change, expected in (("relative", -0.2), ("difference", -0.1), ("raw", 0.4)):
        scores = read_scores(TABLE, kind="accuracy", change=change, regions=REGIONS)  # type: ignore[arg-type]
        assert scores.regions == ("FR", "KE", "NA")
        found = scores.change[0, 1]
        assert found == pytest.approx(expected)
        assert scores.loss.sel(source="FR", target="KE") == -found
        assert np.isnan(np.diag(scores.change)).all()
    errors = read_scores(TABLE, kind="error", change="raw", regions=REGIONS)
    assert errors.loss[0, 1] == 0.4
    assert errors.missing == 3


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
@pytest.mark.parametrize("matrix", [False, True])
def test_files_say_the_same_as_frames(tmp_path: Path, suffix: str, matrix: bool) -> None:
    """Names are text: NA is Namibia."""
    table = TABLE
    if matrix:
        table = TABLE.pivot(index="source", columns="target", values="score").reset_index()
    path = tmp_path / f"scores{suffix}"
    table.to_parquet(path) if suffix == ".parquet" else table.to_csv(path, index=False)
    expected = read_scores(TABLE, kind="accuracy", regions=REGIONS)
    for source in (path, str(path), table):
        scores = read_scores(source, kind="accuracy", regions=REGIONS)
        assert scores.regions == expected.regions
        np.testing.assert_array_equal(scores.change, expected.change)


def changed(row: int, **values: object) -> pd.DataFrame:
    table = TABLE.astype(object)
    for name, value in values.items():
        table[name] = np.where(np.arange(len(table)) == row, np.array(value, object), table[name])
    return table


@pytest.mark.parametrize(
    ("table", "settings", "message"),
    [
        (
            changed(1, target="XX"),
            {},
            r"regions that the sweep does not have: XX; there are: FR, KE",
        ),
        (pd.concat([TABLE, TABLE[:1]]), {}, r"FR to FR has several scores \(1 rows too many\)"),
        (changed(1, score="bad"), {}, r"row 2 \(FR to KE\): score 'bad' is not a finite number"),
        (changed(1, score=np.inf), {}, r"score inf is not a finite number"),
        (changed(1, score=55.0), {}, r"from 0.5 to 55 are no accuracies .* divide percentages"),
        (changed(1, score=-1.0), {"kind": "error"}, r"a score of -1 is no error"),
        (TABLE[TABLE["target"] == "FR"], {}, r"all scores are of one target"),
        (TABLE.assign(score=0.5), {}, r"all relative scores are 0: nothing varies"),
        (TABLE[TABLE.source == TABLE.target], {}, r"no pair of different regions has a relative"),
        (changed(0, score=0.0), {}, r"has score 0 in itself.*scores\.change=difference"),
        (TABLE, {"kind": "loss"}, r"scores\.kind='loss' is unknown: use one of accuracy, error"),
        (TABLE, {"change": "log"}, r"scores\.change='log' is unknown: use one of relative"),
        (TABLE.drop(columns="score"), {}, r"needs the columns source, target and score"),
        (TABLE[["source"]], {}, r"or a matrix with a row per source"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    table: pd.DataFrame, settings: dict[str, str], message: str
) -> None:
    with pytest.raises(gs.GeospotError, match=message) as caught:
        read_scores(table, regions=REGIONS, **({"kind": "accuracy"} | settings))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_not_a_table(tmp_path: Path) -> None:
    with pytest.raises(gs.GeospotError, match="there is no such file"):
        read_scores(tmp_path / "no.csv", kind="accuracy", regions=REGIONS)
    (tmp_path / "bad.parquet").write_bytes(b"nothing")
    with pytest.raises(gs.GeospotError, match="cannot be read"):
        read_scores(tmp_path / "bad.parquet", kind="accuracy", regions=REGIONS)


@pytest.mark.parametrize(
    ("n", "message"),
    [
        (0, r"row 2 \(FR to KE\): n 0 is no number of samples: give a positive"),
        (-3, r"n -3 is no number of samples"),
        (None, r"n nan is no number of samples"),
        (np.inf, r"n inf is not a finite number"),
        ("many", r"n 'many' is not a finite number"),
    ],
)
def test_samples_are_positive(n: Any, message: str) -> None:
    table = TABLE.assign(n=[10, n, *[10] * 4])
    with pytest.raises(gs.GeospotError, match=message):
        read_scores(table, kind="accuracy", regions=REGIONS)
    # Where there is no score nothing rests on it.
    gone = table.assign(score=table["score"].where(table.index != 1))
    assert read_scores(gone, kind="accuracy", regions=REGIONS).weight is not None
    with pytest.raises(gs.GeospotError, match="'n_test', 'count' may each be the number of sampl"):
        read_scores(TABLE.assign(n_test=1, count=2), kind="accuracy", regions=REGIONS)


def test_every_kind_and_change_has_its_range() -> None:
    """As the table in the docstring of read_scores says."""
    given = {
        "fractions": np.linspace(0.1, 0.9, 6),
        "positive": np.linspace(0.5, 70, 6),
        "any": np.linspace(-0.4, 0.7, 6),
    }
    allowed = {
        ("accuracy", "relative"): ["fractions"],
        ("accuracy", "difference"): ["fractions"],
        ("error", "relative"): ["fractions", "positive"],
        ("error", "difference"): ["fractions", "positive"],
        ("skill", "relative"): [],
    }
    for kind in ("accuracy", "error", "skill"):
        for change in ("relative", "difference", "raw"):
            for name, values in given.items():
                read = {"kind": kind, "change": change, "regions": REGIONS}
                if name in allowed.get((kind, change), list(given)):
                    found = read_scores(TABLE.assign(score=values), **read)  # type: ignore[arg-type]
                    assert found.kind == kind
                    assert np.isfinite(found.change).any()
                else:
                    with pytest.raises(gs.GeospotError, match=r"scores\.(change=raw|kind=skill)"):
                        read_scores(TABLE.assign(score=values), **read)  # type: ignore[arg-type]


def test_skill_has_no_relative_change() -> None:
    with pytest.raises(gs.GeospotError) as caught:
        read_scores(TABLE, kind="skill", regions=REGIONS)
    assert str(caught.value) == (
        "scores.change=relative has no meaning for scores.kind=skill, which may be 0 or negative: "
        "set scores.change=difference or scores.change=raw"
    )


def test_more_skill_is_better() -> None:
    skill = read_scores(TABLE, kind="skill", change="raw", regions=REGIONS)
    np.testing.assert_array_equal(skill.loss, -skill.change)


def test_bounds_are_those_that_the_scores_keep() -> None:
    inside = np.array([0.0, np.nan, 1.0])
    assert bounds("accuracy", inside) == (0.0, 1.0)
    assert bounds("error", 5 * inside) == (0.0, np.inf)
    for kind, scores in (("accuracy", inside - 0.1), ("error", -inside), ("accuracy", 90 * inside)):
        assert bounds(kind, scores) == (-np.inf, np.inf)  # type: ignore[arg-type]
    assert bounds("skill", inside) == (-np.inf, np.inf)


def test_names_are_those_of_the_sweep(caplog: pytest.LogCaptureFixture) -> None:
    """Unicode forms, surrounding blanks and whole numbers as other programs write them."""
    sweep = ["C\N{LATIN SMALL LETTER O WITH CIRCUMFLEX}te", "12", " Kenya"]
    table = pd.DataFrame(
        {
            "source": ["Co\N{COMBINING CIRCUMFLEX ACCENT}te", "12.0", "Kenya", "12"],
            "target": ["12", "Kenya ", "Co\N{COMBINING CIRCUMFLEX ACCENT}te", sweep[0]],
            "score": [0.1, 0.2, 0.3, 0.4],
        }
    )
    found = read_scores(table, kind="accuracy", change="raw", regions=sweep)
    assert found.regions == (" Kenya", "12", sweep[0])
    expected = [[np.nan, np.nan, 0.3], [0.2, np.nan, 0.4], [np.nan, 0.1, np.nan]]
    np.testing.assert_array_equal(found.score, expected)
    assert "names that differ in surrounding blanks or Unicode form alone are one" in caplog.text
    numbers = pd.DataFrame({"source": [1, 2.0, 3], "target": [2, 3, 1], "score": [0.1, 0.2, 0.3]})
    for regions in (["1", "2", "3"], [1, 2, 3], pd.Series([1.0, 2.0, 3.0])):
        found = read_scores(numbers, kind="accuracy", change="raw", regions=regions)
        assert found.regions == ("1", "2", "3")
        assert found.score[1, 2] == 0.2


def test_names_that_are_not_there() -> None:
    for name, message in (("fr", r": fr; there are: FR, KE"), ("KEN", r"did you mean 'KE'\?")):
        with pytest.raises(gs.GeospotError, match=message):
            read_scores(changed(1, target=name), kind="accuracy", regions=REGIONS)
    for no_name in (["FR"], {"FR": 1}):
        listed = TABLE.assign(source=pd.Series([no_name, *TABLE["source"][1:]], dtype=object))
        with pytest.raises(gs.GeospotError, match=r"scores: source: .* is no name: give text"):
            read_scores(listed, kind="accuracy", regions=REGIONS)
    for absent in ("", None, " "):
        with pytest.raises(gs.GeospotError, match=r"scores: row 2 has no target"):
            read_scores(changed(1, target=absent), kind="accuracy", regions=REGIONS)
    with pytest.raises(gs.GeospotError, match=r"KE to FR has several scores \(1 rows too many\)"):
        read_scores(changed(1, source="KE ", target="FR"), kind="accuracy", regions=REGIONS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"table": 3}, "scores is of type int: give a file or a data frame"),
        ({"table": None}, "scores is of type NoneType"),
        ({"table": [TABLE]}, "scores is of type list"),
        ({"kind": None}, r"scores\.kind=None is unknown: use one of accuracy, error, skill"),
        ({"kind": ["accuracy"]}, r"scores\.kind=\['accuracy'\] is unknown"),
        ({"change": 1}, r"scores\.change=1 is unknown"),
        ({"regions": None}, "regions is of type NoneType: give the names of the regions as a list"),
        ({"regions": "FR"}, "regions is of type str"),
        ({"regions": 4}, "regions is of type int"),
        ({"regions": []}, r"regions=\[\] names no region"),
        ({"regions": [None]}, "regions: None is no name"),
        ({"score": ["a"]}, r"scores\.score: \['a'\] is no name"),
        ({"source": 3}, r"scores\.source=3 is not a column; there are: source, target, score"),
    ],
)
def test_arguments_of_the_wrong_kind(arguments: dict[str, object], message: str) -> None:
    given: dict[str, object] = {"table": TABLE, "kind": "accuracy", "regions": REGIONS} | arguments
    with pytest.raises(gs.GeospotError, match=message) as caught:
        read_scores(**given)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
