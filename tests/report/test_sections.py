"""What a report says of scores, predictions, choices and explanations, in a browser."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.helpers.browser import Opened, Opens
from tests.helpers.reported import HOSTILE

pytestmark = pytest.mark.slow


def table(text: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(text)))


def summary(made: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((made / name / "summary.json").read_text())
    return found


def test_transfer(opened: Opened, made: Path) -> None:
    text = opened.page.locator("#transfer").inner_text()
    assert summary(made, "transfer")["text"] in text
    pairs = pd.read_parquet(made / "transfer" / "pairs.parquet")
    inside = pairs["score"].between(pairs["lower"], pairs["upper"]).sum()
    assert opened.get("covered").inner_text().startswith(f"{inside} of {len(pairs)} measured")
    former = opened.drawn("loss")
    opened.get("transfer-distance").select_option("mean_great_circle_km")
    opened.redrawn("loss", former)
    opened.get("transfer-region").select_option("r04")
    assert opened.get("transfer-status").inner_text() == "pairs with r04: 18 of 90"
    for view in ("loss", "predicted"):
        opened.get(view).focus()
        opened.page.keyboard.press("ArrowRight")
        assert re.match(r"r\d\d → r\d\d", opened.page.locator("#tip").inner_text())
        opened.page.keyboard.press("Enter")
        assert opened.get("transfer-status").inner_text().endswith("18 of 90")
    saved = table(opened.saved("csv-transfer"))
    assert [float(row["loss"]) for row in saved] == pytest.approx(pairs["loss"].to_list(), rel=1e-4)
    assert saved[0]["source"] == pairs["source"][0]


def test_tables_are_sorted_and_saved(opened: Opened, made: Path) -> None:
    def rhos() -> list[float]:
        cells = opened.get("table-distances").locator("tbody tr td:nth-child(3)").all_inner_texts()
        return [float(cell) for cell in cells]

    assert rhos() == sorted(rhos(), reverse=True)
    opened.get("sort-distances-2").click()
    assert rhos() == sorted(rhos())
    opened.get("sort-distances-2").click()
    assert rhos() == sorted(rhos(), reverse=True)
    found = pd.read_parquet(made / "transfer" / "correlations.parquet").set_index("distance")
    chosen = found[(found["scope"] == "overall") & (found["statistic"] == "spearman")]
    for row in table(opened.saved("csv-distances")):
        assert float(row["rho"]) == chosen.loc[row["distance"], "value"]
    for name in ("expected", "steps", "contributions", "moved"):
        assert table(opened.saved(f"csv-{name}"))
    every = pd.read_parquet(made / "predict" / "predictions.parquet")["target"].nunique()
    assert len(table(opened.saved("csv-expected"))) == every  # more than the page lists


def test_what_the_tool_cannot_know_is_hidden(opened: Opened, made: Path) -> None:
    every = pd.read_parquet(made / "predict" / "map.parquet")
    unknown = int((every["extrapolates"] | (every["threshold_side"] == "unclear")).sum())
    said = opened.get("predict-status")
    assert said.inner_text().startswith(f"{unknown} of {len(every)} targets are not known: ")
    former = opened.drawn("predict-map")
    opened.get("hide-unknown").check()
    assert "are not known, and hidden" in said.inner_text()
    opened.redrawn("predict-map", former)
    opened.get("hide-unknown").uncheck()
    for what in ("width", "side", "expected"):
        opened.get("predict-colour").select_option(what)
        assert opened.get("predict-legend").is_visible() == (what != "side")
        assert opened.get("predict-key").is_visible() == (what == "side")
    opened.get("predict-map").focus()
    opened.page.keyboard.press("ArrowRight")
    tip = opened.page.locator("#tip").inner_text()
    assert "90 % interval [" in tip
    assert " wide" in tip
    opened.page.keyboard.press("Enter")


def test_select_and_explain(opened: Opened, made: Path) -> None:
    steps = pd.read_csv(made / "select" / "selection.csv")
    opened.get("select-map").focus()
    opened.page.keyboard.press("ArrowRight")
    assert opened.page.locator("#tip").inner_text().startswith(f"1. {steps['region'][0]}")
    assert opened.get("table-steps").locator("tbody tr").count() == len(steps)
    former = opened.drawn("explain-map")
    for side, name in (("source", "r01"), ("target", "r07")):
        opened.get("explain-side").select_option(side)
        former = opened.redrawn("explain-map", former)
        opened.get("explain-map").focus()
        opened.page.keyboard.press("ArrowDown")
        assert opened.page.locator("#tip").inner_text().startswith(name)
    for view in ("select-map", "explain-map", "predict-map"):
        for button in ("nearer", "farther", "all"):
            opened.get(f"{view}-{button}").click()


def test_the_command_is_copied(opened: Opened) -> None:
    opened.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened.get("copy-command").click()
    assert opened.get("copy-command").inner_text() == "copied"
    copied = opened.page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("geospot report sweep=run transfer=transfer predict=predict ")
    assert copied.endswith(" out=report.html")
    assert copied in opened.get("commands").inner_text()


def test_every_control_is_named(opened: Opened) -> None:
    unnamed = opened.page.locator(
        "button:not([data-testid]):not(.link), select:not([data-testid]), "
        "input:not([data-testid]), canvas[tabindex]:not([data-testid])"
    )
    assert unnamed.count() == 0


def test_a_phone_and_paper(opens: Opens, made: Path) -> None:
    with opens(made / "report.html", color_scheme="dark") as shown:
        shown.page.set_viewport_size({"width": 360, "height": 740})
        width = shown.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 360
        shown.page.emulate_media(media="print")
        assert shown.get("clear").is_hidden()
        assert shown.get("map").is_visible()
        shown.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        paper = shown.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == "rgb(255, 255, 255)"
    assert shown.faults == []


def test_without_scripts_there_are_pictures_and_tables(opens: Opens, made: Path) -> None:
    with opens(made / "report.html", java_script_enabled=False) as shown:
        assert shown.page.locator("img.static").count() == 5
        assert shown.page.locator("#atlas table").is_visible()
        text = shown.page.locator("#atlas table").inner_text()
        assert HOSTILE[0] in text
        assert HOSTILE[1] in text
        assert summary(made, "predict")["verdict"] in shown.page.locator("#predict").inner_text()
    assert shown.faults == []
