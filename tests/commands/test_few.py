"""The command predict with a few labels of targets, or how many there might be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.helpers.commands import Geospot
from tests.helpers.scored import NAMES, REPORT, points

NEW = (*REPORT, "targets=new.csv", "targets.region=region")
pytestmark = pytest.mark.usefixtures("few_models")


@pytest.fixture
def new(tmp_path: Path) -> None:
    """Two new regions, and half of ten labels right in one of them."""
    table = points()
    near = table[table["region"] == "r00"].assign(region="near", station=range(30))
    other = table[table["region"] == "r04"].assign(region="other", station=range(30, 60))
    pd.concat([near, other]).to_csv(tmp_path / "new.csv", index=False)
    labels = {"source": np.repeat(NAMES, 10), "station": np.tile(range(10), 10)}
    few = pd.DataFrame({**labels, "correct": np.tile([0, 1], 50)})
    few.to_csv(tmp_path / "few.csv", index=False)


@pytest.mark.slow
@pytest.mark.usefixtures("new")
def test_labels_are_combined_with_predictions(run: Geospot, tmp_path: Path) -> None:
    done = run("predict", *NEW, "few=few.csv", "few.id=station", "out=few")
    assert done.returncode == 0, done.stderr
    assert "10 labels, the median of 10 pairs that have any, narrow 90 % intervals" in done.stdout
    assert ", then 10 labels " in done.stdout
    found = pd.read_parquet(tmp_path / "few" / "predictions.parquet").set_index("target")
    near, other = found.loc["near"], found.loc["other"]
    assert (near["labels"] == 10).all()
    assert (other["labels"] == 0).all()
    away = (near["predicted"] - 0.5).abs()
    assert (away <= (near["predicted_without_labels"] - 0.5).abs()).all()
    np.testing.assert_array_equal(other["predicted"], other["predicted_without_labels"])
    summary = json.loads((tmp_path / "few" / "summary.json").read_text())
    assert summary["labels"]["pairs"] == 10
    assert summary["labels"]["text"] in done.stdout
    known = [row["known"] for row in summary["knowledge"]]
    assert known[1:] == ["coordinates", "10 labels"]
    removed = [row["removed"] for row in summary["knowledge"]]
    errors = [row["error"] for row in summary["knowledge"]]
    assert sum(removed) == pytest.approx(1 - errors[-1] / errors[0], abs=1e-3)


@pytest.mark.slow
@pytest.mark.usefixtures("new")
def test_how_much_labels_would_narrow_is_said(run: Geospot, tmp_path: Path) -> None:
    done = run("predict", *NEW, "label_budget=20", "out=budget")
    assert done.returncode == 0, done.stderr
    assert "20 labels of a target would narrow 90 % intervals by " in done.stdout
    found = pd.read_parquet(tmp_path / "budget" / "predictions.parquet")
    width = found["upper"] - found["lower"]
    np.testing.assert_allclose(found["width_with_labels"], width * (1 - found["narrower"]))
    both = run("predict", *NEW, "label_budget=20", "few=few.csv", "out=budget")
    assert "give few, the labels, or label_budget, how many there might be" in both.stderr
    none = run("predict", *NEW, "label_budget=0", "out=budget")
    assert none.returncode == 1
    assert "label_budget=0" in none.stderr


@pytest.mark.usefixtures("new")
def test_one_model_has_no_use_of_them(run: Geospot, tmp_path: Path) -> None:
    pd.DataFrame({"lon": [0.0, 1.0], "lat": 0.0, "correct": [0, 1]}).to_csv(
        tmp_path / "one.csv", index=False
    )
    done = run(
        "predict", "sweep=run", "scores=one.csv", "scores.kind=accuracy", "source=r00",
        "few=few.csv", "out=one",
    )  # fmt: skip
    assert "few.path=few.csv has no effect without scores of pairs of regions" in done.stderr
    bare = run("predict", *NEW, "few.id=station", "out=one")
    assert "few.id=station has no effect without few=FILE" in bare.stderr
