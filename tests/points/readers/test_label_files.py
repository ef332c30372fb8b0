"""Labels that stand in a file of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from tests.helpers.commands import code_of

POINTS = pd.DataFrame(
    {"id": [f"{k:03d}" for k in range(6)], "lon": range(6), "lat": 0.0, "region": list("aaabbb")}
)
FEW = pd.DataFrame({"id": ["004", "001", "999"], "label": ["u", "v", "w"]})


def test_points_get_the_labels_of_their_ids(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    points, few = tmp_path / "points.csv", tmp_path / "few.csv"
    POINTS.to_csv(points, index=False)
    FEW.to_csv(few, index=False)
    found = gs.read_points(points, labels=few, text=["id"])
    assert found.label is not None
    assert found.label.tolist() == [None, "v", None, None, "u", None]
    assert f"{few}: labels 2 of 6 points; 1 ids are of no point, as 999" in caplog.text
    regions = gs.Regions.from_table(POINTS, region="region", encoder="none", labels=FEW)
    assert regions.label is not None
    assert sorted(filter(None, regions.label.tolist())) == ["u", "v"]


def test_columns_may_have_other_names_and_labels_be_numbers() -> None:
    points = POINTS.rename(columns={"id": "station"}).assign(station=range(6))
    few = pd.DataFrame({"wet": [0.5, 1.5], "station": [3, 0], "note": ["x", "y"]})
    found = gs.read_points(points, label="wet", labels=few)
    np.testing.assert_array_equal(found.label, [1.5, np.nan, np.nan, 0.5, np.nan, np.nan])
    bare = gs.read_points(points[["station"]], located=False, label="wet", labels=few)
    np.testing.assert_array_equal(bare.label, found.label)


@pytest.mark.parametrize(
    ("few", "message"),
    [
        (FEW.drop(columns="label"), "labels: points.label='label' is not a column"),
        (FEW.rename(columns={"id": "name"}), "labels: shares no column with table beside 'label'"),
        (FEW.assign(lon=1, region="a").drop(columns="id"), "shares 2 columns"),
        (pd.concat([FEW, FEW]), "labels: id 004 occurs more than once: keep one"),
        (FEW.assign(id=["x", "y", "z"]), "labels: no id of it is one of table, as x, y, z"),
    ],
)
def test_what_does_not_fit_is_refused(few: pd.DataFrame, message: str) -> None:
    with pytest.raises(gs.GeospotError, match=message):
        gs.read_points(POINTS, labels=few)


def test_a_sweep_takes_them_and_finds_them_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    POINTS.to_csv(tmp_path / "points.csv", index=False)
    FEW.to_csv(tmp_path / "few.csv", index=False)
    sweep = ("sweep", "points=table", "points.path=points.csv", "points.region=region")
    own = ("points.labels=few.csv", "encoder=none", "regions.min_points=1", "outputs=[divergence]")
    assert code_of(*sweep, *own, "out=run", folder=tmp_path) == 0
    monkeypatch.chdir("/")
    regions = gs.Run.open(tmp_path / "run").regions
    assert regions.label is not None
    assert sorted(filter(None, regions.label.tolist())) == ["u", "v"]
    refused = code_of("sweep", "points.labels=few.csv", "out=other", folder=tmp_path)
    assert refused == 1
