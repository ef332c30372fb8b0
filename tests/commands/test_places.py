"""The commands transfer and predict with single predictions, as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from tests.helpers.commands import Geospot
from tests.helpers.scored import NAMES, points

ONE = ("sweep=run", "scores=samples.csv", "scores.kind=accuracy", "out=where")


def write_samples(folder: Path) -> pd.DataFrame:
    """Samples of one model of the first region, and what it was trained on."""
    own = points()
    away = np.hypot(own["lon"] - own["lon"][:30].mean(), own["lat"] - own["lat"][:30].mean())
    right = (np.random.default_rng(0).random(300) > away / 60).astype(int)
    samples = own.drop(columns="region").assign(correct=right)
    samples.to_csv(folder / "samples.csv", index=False)
    own[own["region"] == "r00"].to_csv(folder / "train.csv", index=False)
    return samples


@pytest.mark.slow
@pytest.mark.draws
def test_one_model_has_places(run: Geospot, tmp_path: Path) -> None:
    write_samples(tmp_path)
    grid = ("targets.degrees=30", "targets.points=20")
    done = run("predict", *ONE, "training=train.csv", "threshold=0.5", *grid)
    assert done.returncode == 0, done.stderr
    assert "mean absolute error for 10 regions left out: dissimilarity of places" in done.stdout
    table = pd.read_parquet(tmp_path / "where" / "places.parquet")
    side = table.pop("threshold_side")
    assert list(table) == ["lon", "lat", "di", "inside", "lpd", "expected", "lower", "upper"]
    assert len(table) > 500
    unknown = table["expected"].isna()
    assert unknown.any()
    assert table["di"][unknown].min() > table["di"][~unknown].max()
    last = done.stdout.splitlines()[-1]
    assert last == f"places={len(table)} inside={table['inside'].sum()} unknown={unknown.sum()}"
    summary = json.loads((tmp_path / "where" / "summary.json").read_text())
    assert summary["verdict"] in done.stdout
    assert summary["comparison"]["regions"] == 10
    counted = {name: int((side == name).sum()) for name in ("above", "below", "unclear")}
    assert summary["score_threshold"] == {"threshold": 0.5} | counted
    assert (side[unknown] == "unclear").all()
    assert (side == "below").equals(table["upper"] < 0.5)
    assert matplotlib.image.imread(tmp_path / "where" / "applicability.png").std() > 0.0


@pytest.mark.slow
@pytest.mark.usefixtures("few_models")
def test_pairs_are_made_of_samples(
    run: Geospot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    samples = write_samples(tmp_path).head(150)
    every = pd.concat(samples.assign(source=name) for name in NAMES[:5])
    every.to_csv(tmp_path / "samples.csv", index=False)
    done = run("transfer", *ONE, "scores.change=raw")
    assert done.returncode == 0, done.stderr
    assert "750 samples make the scores of 25 pairs" in caplog.text
    assert done.stdout.splitlines()[-1].endswith("regions=5 pairs=20 missing=0")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "needs its training points: give training=FILE or source=REGION"),
        (("training=train.csv", "source=r00"), "or source=REGION, not both"),
        (("source=r00", "scores.change=raw"), "scores.change=raw has no effect without scores of"),
        (("source=r00", "targets.region=x"), "targets.region=x has no effect without scores of"),
        (("source=r00", "targets.lon=x"), "targets.lon=x has no effect without targets=FILE"),
        (("source=r00", "training.lon=x"), "training.lon=x has no effect without training=FILE"),
        (
            ("training=train.csv", "scores=scores.csv"),
            "has no row per test sample: give columns correct, error, or prediction and label",
        ),
        (("training=train.csv", "scores=null"), "scores is needed: give scores=FILE"),
    ],
)
def test_what_is_wrong_is_said(
    run: Geospot, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    write_samples(tmp_path)
    done = run("predict", *ONE, *arguments)
    assert done.returncode == 1
    assert message in done.stderr


def test_transfer_says_what_is_for_one_model(run: Geospot, tmp_path: Path) -> None:
    write_samples(tmp_path)
    done = run("transfer", *ONE)
    assert done.returncode == 1
    assert "samples are of one model: name the column of the region" in done.stderr
    pairs = run("predict", *ONE, "scores=scores.csv", "training.lat=x")
    assert "training.lat=x has no effect without training=FILE" in pairs.stderr
