"""Where one model may be trusted, from a run and the samples of one model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.sphere import unit_vectors
from geospot_gpu.transfer.applicability.applicability import Applicability, applicability
from geospot_gpu.transfer.applicability.dissimilarity import Dissimilarity
from tests.helpers.scored import points

PLACES = gs.Points.build(lon=[10.0, -170.0], lat=[30.0, -80.0])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> gs.Run:
    folder = tmp_path_factory.mktemp("applicability")
    regions = gs.Regions.from_table(points(), region="region", encoder="none")
    return gs.sweep(
        folder / "run", regions, outputs=["divergence"], cost=gs.GroundCost(geo_weight=1.0)
    )


@pytest.fixture(scope="module")
def samples() -> pd.DataFrame:
    """The farther from the first region, the more often wrong."""
    own = points()
    xyz = unit_vectors(lon=own["lon"], lat=own["lat"])
    away = np.linalg.norm(xyz - xyz[:30].mean(0), axis=1)
    chance = np.random.default_rng(3).random(300)
    return own.assign(correct=(chance > away).astype(int)).drop(columns="region")


def look(run: gs.Run, samples: Any, **changes: Any) -> Applicability:
    given: dict[str, Any] = {"kind": "accuracy", "source": "r00", "targets": PLACES} | changes
    return applicability(run, samples, **given)


def test_places_have_what_their_parts_say(
    run: gs.Run, samples: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    found = look(run, samples)
    assert "30 of 300 samples lie at training points" in caplog.text
    training = run.regions["r00"].xyz.numpy()
    table = found.places
    brute = Dissimilarity(training, np.arange(30)).of(unit_vectors(lon=PLACES.lon, lat=PLACES.lat))
    np.testing.assert_allclose(table["di"], brute.di)
    assert found.training == 30
    assert found.folds == "blocks of places"
    assert table["expected"].isna().tolist() == [False, True]
    assert table["inside"].tolist() == (table["di"] <= found.threshold).tolist()
    assert (table["lower"] <= table["expected"])[0]
    assert (table["expected"] <= table["upper"])[0]
    assert found.unknown == 1
    comparison = found.comparison
    assert comparison is not None
    assert set(comparison.distances) == {"nearest", "coverage", "dissimilarity"}
    assert comparison.places.mean() < comparison.mean.mean()
    assert "clearly tell" in found.text
    assert found.summary["intervals_from"] == "10 regions"
    assert "of 1 nothing is known" in found.verdict


def test_training_points_come_from_a_table_or_several_regions(
    run: gs.Run, samples: pd.DataFrame
) -> None:
    own = points()
    two = own[own["region"].isin(["r00", "r01"])]
    table = look(run, samples, source=None, training=gs.read_points(two))
    named = look(run, samples, source=["r00", "r01"])
    assert table.training == named.training == 60
    np.testing.assert_allclose(table.places["di"], named.places["di"])
    assert table.comparison is not None
    assert named.comparison is not None
    for name, errors in table.comparison.distances.items():
        np.testing.assert_allclose(errors, named.comparison.distances[name], rtol=1e-4)
    folded = two.assign(fold=np.arange(60) % 2)
    assert look(run, samples, source=None, training=gs.read_points(folded)).folds == (
        "the column fold"
    )


def test_few_regions_are_not_compared(run: gs.Run, samples: pd.DataFrame) -> None:
    few = look(run, samples[:120])
    assert few.comparison is None
    assert "fewer than 8 regions have samples" in few.text
    assert few.summary["intervals_from"] == "10 blocks of places"
    errors = samples.assign(prediction=1.0 - samples["correct"], label=0.0)
    rmse = look(run, errors.drop(columns="correct"), kind="error")
    assert rmse.comparison is not None


def test_features_of_the_runs_own_points_are_taken(tmp_path: Path, samples: pd.DataFrame) -> None:
    """An encoder in Python knows no other points: samples are those at the same places."""
    own = points()
    vectors = np.random.default_rng(0).normal(size=(300, 4))
    regions = gs.Regions.from_points(
        lon=own["lon"], lat=own["lat"], region=own["region"], features=vectors
    )
    kept = gs.sweep(
        tmp_path / "run", regions, outputs=["divergence"], cost=gs.GroundCost(geo_weight=0.0)
    )
    found = look(gs.Run.open(tmp_path / "run"), samples, targets=None)
    assert len(found.places) == 300
    assert found.places["di"].min() == pytest.approx(0.0, abs=1e-5)
    again = look(kept, samples, targets=None)
    pd.testing.assert_frame_equal(found.places, again.places)


@pytest.mark.parametrize(
    ("change", "given", "message"),
    [
        ({}, {"source": None}, "needs its training points: give training=FILE or source=REGION"),
        ({}, {"training": PLACES}, "give training=FILE or source=REGION, not both"),
        ({}, {"source": "FR"}, "FR is no region here"),
        ({}, {"training": "x.csv"}, "training is of type str: give a Points"),
        ({"source": ["a"] * 299 + ["b"]}, {}, "its column source has 2 sources (a, b"),
        ({"correct": None}, {}, "has no row per test sample: give columns correct, error, or"),
        ({"lon": None}, {}, "neither coordinates nor ids of the sweep's points: give lon and lat"),
    ],
)
def test_what_is_wrong_is_said(
    run: gs.Run, samples: pd.DataFrame, change: dict[str, Any], given: dict[str, Any], message: str
) -> None:
    gone = [key for key, value in change.items() if value is None]
    kept = {key: value for key, value in change.items() if value is not None}
    with pytest.raises(gs.GeospotError) as error:
        look(run, samples.drop(columns=gone).assign(**kept), **given)
    assert message in str(error.value)


@pytest.mark.parametrize(
    "parameter",
    [
        *("run", "samples", "kind", "training", "source", "targets", "target", "score", "id"),
        *("model", "shots", "seed"),
    ],
)
def test_wrong_kinds_are_refused_in_one_line(
    run: gs.Run, samples: pd.DataFrame, parameter: str
) -> None:
    for value in (object(), 2.5, "text", b"bytes", [], ["text"], [None], {"a": 1}, np.zeros(2)):
        given: dict[str, Any] = {"run": run, "samples": samples} | {parameter: value}
        with pytest.raises(gs.GeospotError) as error:
            look(**given)
        assert "\n" not in str(error.value)
    for name in ("degrees", "points"):
        with pytest.raises(gs.GeospotError):
            look(run, samples, **{"targets": None, name: object()})


def test_tests_at_training_points_show_nothing(run: gs.Run, samples: pd.DataFrame) -> None:
    with pytest.raises(gs.GeospotError, match="all test samples are equally dissimilar"):
        look(run, samples, source=None, training=gs.read_points(samples[["lon", "lat"]]))


def test_a_fold_that_is_missing_is_said(run: gs.Run, samples: pd.DataFrame) -> None:
    fold = pd.Series("a", samples.index[:30]).where(np.arange(30) % 2 == 0)
    training = gs.read_points(samples[:30].assign(fold=fold))
    with pytest.raises(gs.GeospotError, match="its column fold is empty in 15 rows: fill them"):
        look(run, samples, source=None, training=training)
