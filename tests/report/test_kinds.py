"""Reports of runs of other kinds, in a browser: very many regions, two tables, no places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.report import arrangement, pairs
from tests.helpers.browser import Opens

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def regions() -> gs.Regions:
    generator = np.random.default_rng(0)
    lon, lat = generator.uniform(-60, 60, (2, 200))
    return gs.Regions.from_points(lon=lon, lat=lat, region=np.repeat(np.arange(40), 5).astype(str))


def test_blocks_and_the_nearest_of_many(
    opens: Opens, regions: gs.Regions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "LARGEST", 20)
    monkeypatch.setattr(pairs, "NEAREST", 3)
    monkeypatch.setattr(arrangement, "BLOCKS", 8)
    run = gs.sweep(tmp_path / "run", regions, outputs=["divergence"])
    gs.write_report(run, tmp_path / "page.html")
    with opens(tmp_path / "page.html") as shown:
        text = shown.page.locator("#atlas").inner_text()
        assert "of 780 pairs: the 3 nearest of each region; other regions stay grey" in text
        assert "means over blocks of about 5 regions" in text
        shown.get("search").fill("7")
        shown.get("search").press("Enter")
        rows = shown.get("row").locator("tbody tr td:nth-child(2)").all_inner_texts()
        assert rows[:3] == list(run.row("7").index[:3])
        shown.get("matrix").focus()
        shown.page.keyboard.press("ArrowDown")
        assert shown.page.locator("#tip").inner_text().startswith("mean ")
    assert shown.faults == []


def test_a_run_of_the_nearest_alone(opens: Opens, regions: gs.Regions, tmp_path: Path) -> None:
    run = gs.sweep(tmp_path / "run", regions, nearest=2)
    gs.write_report(run, tmp_path / "page.html")
    with opens(tmp_path / "page.html") as shown:
        assert "no matrix, tree and plane" in shown.page.locator("#atlas").inner_text()
        assert shown.get("matrix").count() == 0
        shown.get("search").fill("9")
        shown.get("search").press("Enter")
        first = shown.get("row").locator("tbody tr td:nth-child(2)").first.inner_text()
        assert first == run.row("9").index[0]
    assert shown.faults == []


def test_two_tables_and_no_places(opens: Opens, tmp_path: Path) -> None:
    names = ["alpha", "beta", "gamma", "delta", "omega"]
    frame = pd.DataFrame(np.random.default_rng(1).normal(size=(50, 3)), columns=list("xyz"))
    features = gs.Regions.from_points(features=frame.to_numpy(), region=np.repeat(names, 10))
    run = gs.sweep(
        tmp_path / "run",
        features.subset(names[:2]),
        features.subset(names[2:]),
        cost=gs.GroundCost(geo_weight=0.0),
    )
    gs.write_report(run, tmp_path / "page.html")
    with opens(tmp_path / "page.html") as shown:
        assert "there is no map" in shown.page.locator("#atlas").inner_text()
        assert shown.get("map").count() == 0
        for name, others in (("beta", names[2:]), ("omega", names[:2])):
            shown.get("search").fill(name)
            shown.get("search").press("Enter")
            rows = shown.get("row").locator("tbody tr td:nth-child(2)").all_inner_texts()
            assert sorted(rows) == sorted(others)
        saved = shown.saved("csv-pairs")
        assert len(saved.splitlines()) == 7
    assert shown.faults == []
