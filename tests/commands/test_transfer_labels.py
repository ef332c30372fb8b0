"""What ``geospot transfer`` says of labels, where scores are single predictions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.helpers.commands import Geospot
from tests.helpers.scored import NAMES, REPORT

FEW = NAMES[:4]


def samples() -> pd.DataFrame:
    """Four models of two classes, of which regions have other shares each."""
    generator = np.random.default_rng(0)
    parts = []
    for s, source in enumerate(FEW):
        for t, region in enumerate(FEW):
            label = np.where(generator.random(60) < 0.2 + 0.2 * t, "wet", "dry")
            sure = np.where(label == "wet", 0.6, 0.4) + 0.1 * (s - 1.5)
            wet = (sure + generator.normal(0, 0.2, 60)).clip(0.02, 0.98)
            parts.append(
                pd.DataFrame({
                    "source": source, "region": region, "label": label,
                    "prediction": np.where(wet > 0.5, "wet", "dry"),
                    "probability_wet": wet, "probability_dry": 1.0 - wet,
                })
            )  # fmt: skip
    return pd.concat(parts)


@pytest.mark.usefixtures("few_models")
def test_transfer_splits_losses_and_corrects_priors(run: Geospot, tmp_path: Path) -> None:
    samples().to_csv(tmp_path / "scores.csv", index=False)
    done = run("transfer", *REPORT, "out=report")
    assert done.returncode == 0, done.stderr
    assert "by the shares of labels" in done.stdout
    assert "class priors corrected by the model's probabilities there: expected" in done.stdout
    assert "class priors corrected by 20 labels of the target: expected" in done.stdout
    folder = tmp_path / "report"
    split = pd.read_parquet(folder / "split.parquet")
    assert len(split) == 12
    parts = split["label_part"] + split["conditional_part"]
    np.testing.assert_allclose(parts, split["loss"], atol=1e-12)
    corrected = pd.read_parquet(folder / "corrected.parquet")
    assert corrected["method"].tolist() == ["em", "labels"] * 12
    assert len(pd.read_parquet(folder / "priors.parquet")) == 48
    said = json.loads((folder / "summary.json").read_text())["labels"]
    assert said["loss"][0] == pytest.approx(split["loss"].mean())
    assert set(said["correction"]) == {"em", "labels"}
    # Without labels the same command leaves nothing of them behind.
    own = samples().assign(correct=lambda table: table["label"] == table["prediction"])
    own[["source", "region", "correct"]].to_csv(tmp_path / "scores.csv", index=False)
    done = run("transfer", *REPORT, "out=report")
    assert done.returncode == 0, done.stderr
    assert "shares of labels" not in done.stdout
    assert not (folder / "split.parquet").exists()
