"""The commands transfer and predict on a sweep of several spaces."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from geospot_gpu.commands.transfer import _report
from tests.helpers.commands import Geospot
from tests.helpers.scored import REPORT, TABLE, points, scores

SPACES = (
    "encoder.spaces={place: {name: precomputed, columns: [f*]}, "
    "noise: {name: precomputed, columns: [g*]}}"
)


@pytest.mark.slow
@pytest.mark.usefixtures("few_models")
@pytest.mark.draws
def test_spaces_are_compared(tmp_path: Path, geospot_here: Geospot) -> None:
    table = points()
    vectors = np.column_stack([table["lon"], table["lat"], np.full(len(table), 60.0)])
    noise = np.random.default_rng(5).normal(size=(len(table), 3))
    table[["f0", "f1", "f2"]], table[["g0", "g1", "g2"]] = vectors, noise
    table.to_csv(tmp_path / "points.csv", index=False)
    scores().to_csv(tmp_path / "scores.csv", index=False)
    swept = geospot_here(
        *("sweep", *TABLE, "out=run", "regions.min_points=1", "cost.geo_weight=0"),
        *("encoder=spaces", SPACES),
    )
    assert swept.returncode == 0, swept.stderr
    done = geospot_here("transfer", *REPORT, "out=report")
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "report" / "summary.json").read_text())
    (row,) = summary["spaces"]
    assert (row["space"], row["other_space"]) == ("place", "noise")
    assert 0 < row["lower"] <= row["difference"] <= row["upper"]
    assert row["text"].startswith("place above noise by +")
    assert row["text"] in done.stdout.splitlines()
    assert summary["best_distance"] == f"place.{row['distance']}"
    known = [row["known"] for row in summary["knowledge"]]
    assert known[1:] == ["coordinates", "inputs"]
    assert "error for regions left out: always the " in done.stdout
    stored = pd.read_parquet(tmp_path / "report" / "spaces.parquet")
    assert {"divergence", "coverage_reversed", "proxy_a_distance"} <= set(stored["distance"])
    assert stored["best"].sum() == 1
    names = set(pd.read_parquet(tmp_path / "report" / "correlations.parquet")["distance"])
    assert {"place.coverage", "noise.coverage", "mean_great_circle_km", "n_source"} <= names
    assert not {"coverage", "place.mean_great_circle_km"} & names
    assert (tmp_path / "report" / "transfer.png").stat().st_size > 20_000
    new = ("targets=points.csv", "targets.region=region")
    assert geospot_here("predict", *REPORT, *new, "out=predictions").returncode == 0
    table.drop(columns=["g0", "g1", "g2"]).to_csv(tmp_path / "few.csv", index=False)
    refused = geospot_here("predict", *REPORT, "targets=few.csv", "out=few")
    assert refused.returncode == 1
    assert "encoder.columns='g*' matches no column" in refused.stderr
    one = ("sweep=run/spaces/noise", *REPORT[1:])
    assert geospot_here("transfer", *one, "out=report", "overwrite=true").returncode == 0
    assert "spaces" not in json.loads((tmp_path / "report" / "summary.json").read_text())
    assert not (tmp_path / "report" / "spaces.parquet").exists()


def test_long_names_are_parted_from_what_is_said_of_them() -> None:
    """Those of spaces are, wherever in the report they stand."""
    names = [
        "place.coverage",
        "place.of_a_very_long_name_as_people_give",
        "inputs.dissimilarity_reversed",
    ]
    table = pd.DataFrame(
        {"distance": names, "group": ["transport", "covariate", "baseline"], "scope": "overall",
         "statistic": "spearman", "reason": [None, None, "constant"], "n_pairs": 90, "value": 0.5,
         "lower": 0.1, "upper": 0.9, "p": 0.01, "p_family": 0.02}
    )  # fmt: skip
    scores_ = SimpleNamespace(regions=list("abc"), missing=0)
    found = SimpleNamespace(table=table, scores=scores_, left_out={names[2]: "constant"})
    lines = _report(found)  # type: ignore[arg-type]
    for name, said in zip(names, ("0.50", "0.50", "constant"), strict=True):
        (line,) = [line for line in lines if line.split()[0] == name]
        assert line.split()[1] == said
