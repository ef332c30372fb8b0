"""Map, matrix, tree and plane of a report, in a browser."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from tests.helpers.browser import Opened
from tests.helpers.reported import HOSTILE, NAMES

pytestmark = pytest.mark.slow


def choose(opened: Opened, name: str) -> None:
    opened.get("search").fill(name)
    opened.get("search").press("Enter")


def rows(opened: Opened) -> list[tuple[str, float]]:
    """Names and values of the row that is shown."""
    shown = opened.get("row").locator("tbody tr").all_inner_texts()
    cells = [line.split("\t") for line in shown]
    return [(cell[1].strip(), float(cell[2].replace(",", ""))) for cell in cells]


def test_a_name_colours_all_others_and_shows_the_row(opened: Opened, made: Path) -> None:
    before = [opened.drawn(name) for name in ("map", "matrix", "plane", "tree")]
    choose(opened, "R03")
    assert "between r03 and all others" in opened.get("status").inner_text()
    expected = gs.Run.open(made / "run").row("r03")["divergence"]
    assert len(rows(opened)) == 40 < len(expected)
    opened.get("row-all").click()
    assert [name for name, _ in rows(opened)] == list(expected.index)
    assert [x for _, x in rows(opened)] == pytest.approx(expected.to_list(), rel=1e-3, abs=1e-7)
    for view, former in zip(("map", "matrix", "plane", "tree"), before, strict=True):
        opened.redrawn(view, former)
    saved = list(csv.reader(io.StringIO(opened.saved("csv-row"))))
    assert saved[0] == ["rank", "region", "divergence", "lower", "upper"]
    assert {row[1] for row in saved} >= {HOSTILE[0], f"'{HOSTILE[1]}"}
    opened.get("clear").click()
    assert opened.get("row").is_hidden()


def test_a_name_that_is_none_is_said(opened: Opened) -> None:
    choose(opened, "nowhere")
    assert opened.get("status").inner_text() == "no region is called nowhere"
    choose(opened, "s0")
    assert opened.get("status").inner_text().startswith("10 regions are called so: s00, s01")
    choose(opened, HOSTILE[0])
    assert HOSTILE[0] in opened.get("status").inner_text()
    assert opened.page.locator("img[src=x]").count() == 0


def test_directed_distances_go_both_ways(opened: Opened, made: Path) -> None:
    choose(opened, "r00")
    assert opened.get("direction").is_hidden()
    opened.get("distance").select_option("coverage")
    found = gs.Run.open(made / "run").dataset().coverage
    for way, chosen in (("from", found.sel(source="r00")), ("to", found.sel(target="r00"))):
        opened.get("direction").select_option(way)
        shown = dict(rows(opened))
        values = chosen.to_series().drop("r00").sort_values(kind="stable")
        assert list(shown.values()) == pytest.approx(values.to_list()[:40], rel=1e-3)
        assert next(iter(shown)) == values.index[0]


def test_baselines_that_are_stored_are_distances_too(opened: Opened, made: Path) -> None:
    choose(opened, "r00")
    opened.get("distance").select_option("mean_great_circle_km")
    pairs = pd.read_parquet(made / "transfer" / "pairs.parquet").set_index(["source", "target"])
    opened.get("row-all").click()
    shown = dict(rows(opened))
    for name in ("r01", "r05"):
        expected = pairs.loc[("r00", name), "mean_great_circle_km"]
        assert shown[name] == pytest.approx(expected, rel=1e-3)


def test_the_mouse_reads_and_chooses(opened: Opened) -> None:
    matrix, tip = opened.get("matrix"), opened.page.locator("#tip")
    matrix.scroll_into_view_if_needed()
    matrix.hover(position={"x": 300, "y": 220})
    said = tip.inner_text()
    assert "Sinkhorn divergence: " in said
    assert "certified in [" in said
    assert "converged in " in said
    assert "standard error: " in said
    assert "n: " in said
    matrix.click(position={"x": 300, "y": 220})
    source = said.split(" – ")[0]
    assert f"between {source} and all others" in opened.get("status").inner_text()
    opened.get("tree").click(position={"x": 300, "y": 100})
    chosen = opened.get("search").input_value()
    assert chosen in NAMES
    opened.get("map").hover(position={"x": 2, "y": 2})
    assert tip.is_hidden()


def test_the_keyboard_does_all_that_the_mouse_does(opened: Opened) -> None:
    for view in ("map", "plane", "tree", "matrix"):
        opened.get("clear").click()
        opened.get(view).focus()
        opened.page.keyboard.press("ArrowRight")
        opened.page.keyboard.press("ArrowDown")
        assert opened.page.locator("#tip").is_visible()
        opened.page.keyboard.press("Enter")
        assert opened.get("search").input_value() in NAMES
        opened.page.keyboard.press("Escape")
        assert opened.get("status").inner_text().startswith("No region is chosen")


@pytest.mark.parametrize("view", ["map", "matrix"])
def test_nearer_farther_and_all(opened: Opened, view: str) -> None:
    every = opened.drawn(view)
    opened.get(f"{view}-nearer").click()
    near = opened.redrawn(view, every)
    opened.get(f"{view}-nearer").click()
    nearer = opened.redrawn(view, near)
    opened.get(f"{view}-farther").click()
    opened.redrawn(view, nearer)
    opened.get(f"{view}-all").click()
    opened.redrawn(view, every, again=True)


def test_colours_and_page(opened: Opened) -> None:
    former = opened.drawn("matrix")
    for colours in ("cividis", "greys"):
        opened.get("colours").select_option(colours)
        former = opened.redrawn("matrix", former)
    papers = set()
    for theme in ("light", "dark", "auto"):
        opened.get("theme").select_option(theme)
        papers.add(
            opened.page.evaluate("getComputedStyle(document.body).backgroundColor"),
        )
    assert len(papers) == 2


def test_all_pairs_are_saved_as_they_are_stored(opened: Opened, made: Path) -> None:
    saved = list(csv.DictReader(io.StringIO(opened.saved("csv-pairs"))))
    run = gs.Run.open(made / "run")
    plain = [{**row, "source": row["source"].lstrip("'")} for row in saved]
    plain = [{**row, "target": row["target"].lstrip("'")} for row in plain]
    of = {(row["source"], row["target"]): row for row in plain}
    pairs = run.pairs
    assert len(saved) == len(pairs)
    coverage = run.dataset().coverage.to_pandas()
    for row in pairs.itertuples():
        found = of.get((row.source, row.target)) or of[row.target, row.source]
        for name in ("divergence", "lower", "upper"):  # all of their digits
            assert np.float32(found[name]) == np.float32(getattr(row, name))
        there = coverage.loc[found["source"], found["target"]]
        assert float(found["coverage_source_to_target"]) == pytest.approx(there, rel=1e-4)
        assert float(found["coverage_source_to_target_lower"]) <= there
        assert float(found["coverage_source_to_target_upper"]) >= there
