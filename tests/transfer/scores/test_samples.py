"""Tables with a row per test sample: what is read of them, and which regions samples lie in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.transfer.scores.scores import Scores, read_scores
from geospot_gpu.transfer.training import evidence_for, training_pairs
from tests.helpers.commands import code_of
from tests.helpers.scored import NAMES, points


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Points with ids, seen by models of three regions."""
    own = points().assign(id=[f"p{k:03d}" for k in range(300)])
    generator = np.random.default_rng(0)
    return pd.concat(
        own.assign(source=source, correct=(generator.random(300) < 0.7).astype(int))
        for source in NAMES[:3]
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> gs.Run:
    folder = tmp_path_factory.mktemp("samples")
    regions = gs.Regions.from_table(points(), region="region", encoder="none")
    return gs.sweep(
        folder / "run", regions, outputs=["divergence"], cost=gs.GroundCost(geo_weight=1.0)
    )


def read(table: pd.DataFrame, **changes: Any) -> Scores:
    given: dict[str, Any] = {"kind": "accuracy", "change": "raw", "regions": NAMES} | changes
    return read_scores(table, **given)


def test_scores_and_errors_are_those_of_pandas(table: pd.DataFrame) -> None:
    found = read(table[["source", "region", "correct"]])
    expected = table.groupby(["source", "region"])["correct"].agg(["mean", "sem", "size"])
    assert found.std_error is not None
    assert found.weight is not None
    for name, matrix in (
        ("mean", found.score), ("sem", found.std_error), ("size", found.weight)
    ):  # fmt: skip
        np.testing.assert_allclose(matrix[:3], expected[name].unstack(), atol=1e-12)
        assert np.isnan(matrix[3:]).all()


def test_correctness_in_many_forms(table: pd.DataFrame) -> None:
    own = table[["source", "region"]]
    usual = read(own.assign(correct=table["correct"]))
    for correct in (
        table["correct"].astype(bool),
        table["correct"].map({0: "False", 1: "True"}),
        table["correct"].astype(float).astype(str),
    ):
        np.testing.assert_array_equal(read(own.assign(correct=correct)).score, usual.score)
    labels = table["correct"].map({0: "cat", 1: "dog"})
    texts = own.assign(prediction="dog ", label=labels)
    np.testing.assert_array_equal(read(texts).score, usual.score)
    numbers = own.assign(prediction="1", label=table["correct"].astype(float))
    np.testing.assert_array_equal(read(numbers).score, usual.score)
    named = read(own.assign(hit_rate=table["correct"], id=range(900)), score="hit_rate")
    np.testing.assert_array_equal(named.score, usual.score)


@pytest.mark.parametrize(
    ("said", "true"),
    [
        ("bool", "int"), ("bool", "TRUE"), ("TRUE", "true"), ("float", "bool"), ("TRUE", "int"),
        ("category", "float"),
    ],
)  # fmt: skip
def test_what_is_true_is_written_in_many_ways(table: pd.DataFrame, said: str, true: str) -> None:
    own, label = table[["source", "region"]], pd.Series(np.arange(900) % 2, table.index)
    prediction = label.where(table["correct"] == 1, 1 - label)

    def written(values: pd.Series[Any], how: str) -> pd.Series[Any]:
        if how.lower() == "true":
            return values.map({0: how.replace("TRUE", "FALSE").replace("true", "false"), 1: how})
        kind: Any = how
        return values.astype(kind)

    found = read(own.assign(prediction=written(prediction, said), label=written(label, true)))
    usual = read(own.assign(correct=table["correct"]))
    np.testing.assert_array_equal(found.score, usual.score)


@pytest.mark.parametrize("word", ["", " ", "NA", "nan", "None", None, np.nan, "-"])
def test_a_missing_prediction_is_not_wrong(
    table: pd.DataFrame, word: object, caplog: pytest.LogCaptureFixture
) -> None:
    own = table[["source", "region"]].assign(label="a")
    prediction = table["correct"].map({0: "b", 1: "a"}).astype(object)
    prediction.iloc[::3] = word
    found = read(own.assign(prediction=prediction))
    rest = read(table[["source", "region", "correct"]].iloc[np.arange(900) % 3 > 0])
    np.testing.assert_array_equal(found.score, rest.score)
    assert "300 of 900 rows have no value, left out" in caplog.text


def test_none_is_a_class_where_it_is_one(
    table: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    label = np.where(np.arange(900) % 2, "None", "crop")
    prediction = np.where(table["correct"] == 1, label, "other")
    found = read(table[["source", "region"]].assign(prediction=prediction, label=label))
    np.testing.assert_array_equal(found.score, read(table[["source", "region", "correct"]]).score)
    assert "'none' is taken for a class, for it is a prediction and a label" in caplog.text


def test_errors_are_means_and_differences_are_roots_of_mean_squares(table: pd.DataFrame) -> None:
    generator = np.random.default_rng(1)
    off = generator.normal(size=len(table))
    own = table[["source", "region", "id"]]
    absolute = read(own.assign(error=abs(off)), kind="error")
    groups = own.assign(off=off).groupby(["source", "region"])["off"]
    mean = groups.apply(lambda x: x.abs().mean()).unstack()
    np.testing.assert_allclose(absolute.score[:3], mean)
    both = read(own.assign(prediction=5.0 + off, label=5.0), kind="error")
    root = groups.apply(lambda x: np.sqrt((x**2).mean())).unstack()
    np.testing.assert_allclose(both.score[:3], root)


@pytest.mark.slow
def test_ids_and_places_find_the_regions(
    table: pd.DataFrame, run: gs.Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    usual = read(table[["source", "region", "correct"]])
    moved = table[["source", "lon", "lat", "correct"]].assign(lon=table["lon"] + 1e-4)
    np.testing.assert_array_equal(read(moved, regions=run).score, usual.score)
    far = pd.concat([moved, moved.head(7).assign(lon=-150.0)])
    caplog.clear()
    np.testing.assert_array_equal(read(far, regions=run).score, usual.score)
    assert "7 of 907 samples lie in no region of the sweep, left out" in caplog.text
    points().assign(id=table["id"].iloc[:300]).to_csv(tmp_path / "points.csv", index=False)
    plain = ("points=table", "points.path=points.csv", "encoder=none", "regions.min_points=1")
    more = ("outputs=[divergence]", "points.region=region", "regions.unions=[r00+r01]")
    assert code_of("sweep", *plain, *more, "out=ids", folder=tmp_path) == 0
    named = read(table[["source", "id", "correct"]], regions=gs.Run.open(tmp_path / "ids"))
    assert named.regions == (*usual.regions[:1], "r00+r01", *usual.regions[1:])
    np.testing.assert_array_equal(np.delete(named.score, 1, axis=1)[0], usual.score[0])
    both = table[(table["source"] == "r00") & table["region"].isin(["r00", "r01"])]
    assert named.score[0, 1] == pytest.approx(both["correct"].mean())
    grid = ("regions=grid", "regions.degrees=30", "outputs=[divergence]")
    assert code_of("sweep", *plain, *grid, "out=grid", folder=tmp_path) == 0
    cells = gs.Run.open(tmp_path / "grid")
    lon, lat = (np.floor(table[axis] / 30) * 30 for axis in ("lon", "lat"))
    source = table["source"].map(dict(zip(NAMES[:3], cells.names[:3], strict=True)))
    found = read(table[["lon", "lat", "correct"]].assign(source=source), regions=cells)
    own = table.assign(source=source).groupby([lon, lat, "source"])["correct"].mean()
    np.testing.assert_allclose(
        np.sort(found.score[np.isfinite(found.score)]), np.sort(own.to_numpy())
    )


def test_seeds_are_taken_together_and_models_are_chosen(
    table: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    own = table[["source", "region", "id", "correct"]]
    flipped = own.assign(correct=1 - own["correct"])
    seeds = pd.concat([own.assign(seed=0), flipped.assign(seed=1)])
    found = read(pd.concat([seeds, own[own["region"] == "r00"].assign(seed=2)]))
    assert found.weight is not None
    assert set(found.weight[0]) == {30.0}
    assert (found.score[0, 1:] == 0.5).all()
    models = pd.concat([own.assign(model="net"), flipped.assign(model="tree")])
    with pytest.raises(gs.GeospotError) as error:
        read(models)
    assert str(error.value) == (
        "scores: its column model has 2 values (net, tree): choose one with scores.model=..."
    )
    np.testing.assert_array_equal(read(models, model="net").score, read(own).score)
    shots = pd.concat([own.assign(shots=0), flipped.assign(shots=5)])
    np.testing.assert_array_equal(read(shots, shots="0").score, read(own).score)
    with pytest.raises(gs.GeospotError, match=r"scores\.shots=3 is not there; there are: 0, 5"):
        read(shots, shots=3)
    holes = own.assign(correct=own["correct"].astype(float).where(own["id"] != "p000"))
    caplog.clear()
    read(holes)
    assert "3 of 900 rows have no value, left out" in caplog.text


def test_the_predictor_is_given_standard_errors(table: pd.DataFrame, run: gs.Run) -> None:
    scores = read(table[["source", "region", "correct"]], regions=run)
    pairs, names, *_ = training_pairs(evidence_for(run, scores), scores)
    assert scores.std_error is not None
    assert "std_error" not in names
    assert pairs["std_error"].tolist() == [
        *scores.std_error[0, 1:], *np.delete(scores.std_error[1], 1), *np.delete(
            scores.std_error[2], 2
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "given", "message"),
    [
        ({}, {"kind": "skill"}, "has a row per sample, of which no skill follows"),
        ({"correct": None}, {}, "scores: needs the columns source, target and score"),
        ({"correct": 2}, {}, "row 1: correct 2 is not correct, from 0 to 1: mend it"),
        ({"correct": "x"}, {}, "row 1: correct 'x' is not a finite number"),
        ({"correct": np.nan}, {}, "scores: no row has a value: fill its columns"),
        ({"source": None}, {}, "scores: has no column source, so its samples are of one model"),
        ({"source": "FR"}, {}, "no source is a region of the sweep (FR); there are: r00"),
        ({"region": "FR"}, {}, "none of its 900 samples lies in a region of the sweep; there are"),
        ({"region": None}, {}, "has a row per sample and no column region: give it one, or the"),
        ({}, {"kind": "error"}, "scores.kind=error needs its column error, or prediction and"),
        ({}, {"target": "where"}, "scores.target=where is not a column; there are: region, lon"),
        ({}, {"model": "net"}, "scores.model=net, and there is no column model"),
        (
            {"model": ["a", None] * 450},
            {},
            "its column model is a and empty in 450 rows: fill them, or choose with scores.model=",
        ),
        (
            {"correct": None, "error": 1e200},
            {"kind": "error"},
            "row 1: error 1e+200 is too large: mend it or leave it out",
        ),
        (
            {"correct": None, "error": None, "prediction": -1e200, "label": 0},
            {"kind": "error"},
            "row 1: a difference of -1e+200 is too large: mend it or leave it out",
        ),
        (
            {"lon": "x"},
            {},
            "scores: table: ",
        ),
        ({"correct": None, "error": -1.0}, {"kind": "error"}, "error -1 is not an error, which"),
    ],
)
def test_what_is_wrong_is_said(
    table: pd.DataFrame, change: dict[str, Any], given: dict[str, Any], message: str
) -> None:
    gone = [key for key, value in change.items() if value is None]
    changed = {key: value for key, value in change.items() if value is not None}
    frame = table.drop(columns=["id", *gone], errors="ignore").assign(**changed)
    if "correct" in gone and not {"error", "prediction"} & changed.keys():
        frame = frame.drop(columns=["region"])
    with pytest.raises(gs.GeospotError) as error:
        read(frame, **given)
    assert message in str(error.value)


def test_what_is_wrong_with_places_is_said(table: pd.DataFrame, run: gs.Run) -> None:
    bare = table[["source", "correct"]]
    with pytest.raises(gs.GeospotError, match="nothing says in which regions its samples lie"):
        read(bare, regions=run)
    with pytest.raises(gs.GeospotError, match="has no column id to find its samples by"):
        read(table[["source", "id", "correct"]], regions=run)
    away = bare.assign(lon=-150.0, lat=0.0)
    with pytest.raises(gs.GeospotError, match="lies in a region of the sweep; is it of other"):
        read(away, regions=run)
    pairs = pd.DataFrame({"source": ["r00"], "target": ["r01"], "score": [0.5]})
    with pytest.raises(gs.GeospotError, match=r"scores\.id=x has no effect without a row per test"):
        read(pairs, id="x")


@pytest.mark.parametrize("written", ["{:04d}", "{}", "{}.0", " {:04d} "])
def test_ids_that_lost_their_zeros_are_found(
    table: pd.DataFrame, tmp_path: Path, written: str
) -> None:
    """0007 in a table of points that is read as numbers, as the docs have it."""
    points().assign(station=[f"{k:04d}" for k in range(300)]).to_csv(tmp_path / "p.csv")
    regions = gs.Regions.from_table(tmp_path / "p.csv", region="region", encoder="none")
    run = gs.sweep(
        tmp_path / "run", regions, outputs=["divergence"], cost=gs.GroundCost(geo_weight=1.0)
    )
    ids = [written.format(k) for k in range(300)] * 3
    bare = table[["source", "correct"]].assign(station=ids)
    found = read(bare, regions=run, id="station")
    np.testing.assert_array_equal(found.score, read(table.drop(columns="id")).score)
    errors = bare.rename(columns={"correct": "error"})
    same = read(errors, regions=run, id="station", kind="error")
    np.testing.assert_allclose(same.score, found.score)


def test_coordinates_are_taken_where_ids_are_of_no_use(
    table: pd.DataFrame, run: gs.Run, caplog: pytest.LogCaptureFixture
) -> None:
    found = read(table.drop(columns="region"), regions=run)
    np.testing.assert_array_equal(found.score, read(table.drop(columns="id")).score)
    assert "scores: samples are found by coordinates, for " in caplog.text
    assert " has no column id to find them by" in caplog.text


def test_columns_that_nobody_filled_are_none(table: pd.DataFrame) -> None:
    found = read(table.drop(columns="id").assign(lon=np.nan, lat=" "))
    np.testing.assert_array_equal(found.score, read(table.drop(columns="id")).score)


def test_errors_may_say_the_region(table: pd.DataFrame) -> None:
    own = table[["source", "region"]].assign(error=table["correct"])
    np.testing.assert_allclose(read(own, kind="error").score, read(table.drop(columns="id")).score)


def test_a_model_is_chosen_by_a_number(table: pd.DataFrame) -> None:
    own = table.drop(columns="id")
    both = pd.concat([own.assign(model=1), own.assign(model=2.5, correct=0)])
    np.testing.assert_array_equal(read(both, model="1").score, read(own).score)


def test_samples_without_an_id_are_not_one(table: pd.DataFrame) -> None:
    own = table.drop(columns=["lon", "lat"])
    some = own.assign(id=own["id"].where(np.arange(900) % 2 == 0))
    one, other = read(some), read(own)
    assert one.std_error is not None
    assert other.std_error is not None
    np.testing.assert_allclose(one.std_error, other.std_error)
    np.testing.assert_array_equal(one.weight, other.weight)
