"""Scores at a few labelled points: which model's, and of which target."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.errors import GeospotError
from geospot_gpu.points.table import Points
from geospot_gpu.transfer.land_cells import LandCells
from geospot_gpu.transfer.scores.few import read_few
from geospot_gpu.transfer.scores.membership import Among

NEW = pd.DataFrame(
    {
        "site": [1, 2, 3, 4], "region": ["x", "x", "y", "y"],
        "lon": [0.0, 1.0, 50.0, 51.0], "lat": 0.0,
    }
)  # fmt: skip
SOURCES = {"a": ("a",), "b+c": ("b", "c")}


def nowhere(_: Points) -> None:
    """Of regions that places do not define."""


@pytest.fixture(scope="module")
def among() -> Among:
    regions = gs.Regions.from_table(NEW, region="region", encoder="none", min_points=1)
    return Among(regions, nowhere, "the targets")


def read(table: object, among: Among, kind: Any = "accuracy", **changes: Any) -> pd.DataFrame:
    arguments = {"sources": SOURCES, "regions": ["a", "b", "c"], "headers": {}} | changes
    return read_few(table, kind, among=among, **arguments)  # type: ignore[arg-type]


SAMPLES = pd.DataFrame(
    {"source": ["a"] * 4 + ["c+b"], "site": [1, 2, 3, 9, 4], "correct": [1, 0, 1, 1, 1]}
)


def test_samples_are_found_by_ids_of_the_targets(
    among: Among, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = read(SAMPLES, among, headers={"id": "site"})
    rows = [("a", "x", 0.5, 2.0), ("a", "y", 1.0, 1.0), ("b+c", "y", 1.0, 1.0)]
    assert list(zip(*(found[c] for c in ("source", "target", "score", "n")), strict=True)) == rows
    assert found["std_error"].isna().tolist() == [False, True, True], "of one label not known"
    assert "few: 1 of 5 samples lie in no region of the targets, left out" in caplog.text
    assert "few: 4 samples make the scores of 3 pairs" in caplog.text


def test_and_by_places_and_one_model_needs_no_source(among: Among) -> None:
    table = pd.DataFrame(
        {
            "lon": [0.1, 0.9, 50.2],
            "lat": 0.0,
            "prediction": [1.0, 2.0, 3.0],
            "label": [4.0, 6.0, 3.0],
        }
    )
    found = read(table, among, "error", sources={"a": ("a",)})
    assert found["target"].tolist() == ["x", "y"]
    np.testing.assert_allclose(found["score"], [np.sqrt(12.5), 0.0])
    scores = pd.DataFrame({"region": ["x"], "accuracy": [0.5], "n": [4]})
    found = read(scores.rename(columns={"region": "target"}), among, sources={"a": ("a",)})
    assert found[["source", "target", "score", "n"]].to_numpy().tolist() == [["a", "x", 0.5, 4.0]]


def test_places_lie_in_cells(among: Among) -> None:
    lon, lat = np.array([-180.0, -0.1, 0.0, 50.0]), np.array([-90.0, -0.1, 0.0, 89.0])
    table = pd.DataFrame({"cell": ["0,0", "-10,-10"], "lon": [0.0, -1.0], "lat": [0.0, -1.0]})
    regions = gs.Regions.from_table(table, region="cell", encoder="none", min_points=1)
    cells = LandCells(regions, table, 10.0)
    found = cells.groups(Points.build(lon=lon, lat=lat))
    assert {name: rows.tolist() for name, rows in found.items()} == {"0,0": [2], "-10,-10": [1]}


PAIR = pd.DataFrame({"source": ["a"], "target": ["x"], "score": [0.8], "n": [20]})


def test_a_row_per_pair(among: Among, caplog: pytest.LogCaptureFixture) -> None:
    table = pd.concat([PAIR, PAIR.assign(source="b"), PAIR.assign(source="b+c", n=7)])
    with caplog.at_level(logging.WARNING):
        found = read(table, among)
    assert found[["source", "n"]].to_numpy().tolist() == [["a", 20.0], ["b+c", 7.0]]
    assert "few: scores of 1 pairs are of models that are not asked about, left out" in caplog.text


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (PAIR.assign(target="a"), "few: a is no region of the targets: "),
        (PAIR.assign(target="z"), "few: regions that neither the sweep nor the targets have: z; "),
        (PAIR.assign(source="c"), "few: its scores are of none of the models that are asked about"),
        (PAIR.drop(columns="n"), "few: a to x has a score without n, how many labels it rests on"),
        (pd.concat([PAIR, PAIR]), "few: a to x has several scores: keep one"),
        (PAIR.assign(score=80), "few: scores from 80 to 80 are no accuracies between 0 and 1: "),
        (PAIR.drop(columns="source"), "few: has no column source, and 2 models are asked about: "),
        (SAMPLES.assign(source=None, region="x"), "few: 5 samples are of sources that the sweep"),
        (SAMPLES.assign(model=list("ppqqq"), region="x"), "choose one with few.model=..."),
        (SAMPLES.assign(id=99), "few: none of its 5 samples lies in a region of the targets"),
        (
            SAMPLES.assign(source="q", id=SAMPLES["site"]).assign(region="x"),
            "few: 5 samples are of sources that the sweep does not have: q; ",
        ),
        (
            pd.concat([SAMPLES, SAMPLES.assign(correct=0)]).rename(columns={"site": "id"})
            .assign(region="x"),
            "few: id 1 has 2 different values of the model of a: keep one, or name runs in a",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_says_why(
    among: Among, table: pd.DataFrame, message: str
) -> None:
    points = among.regions.sources[0].points
    points.attributes["id"] = NEW["site"].to_numpy()
    with pytest.raises(GeospotError) as error:
        read(table, among)
    assert message in str(error.value)
