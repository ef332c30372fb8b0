"""The file of a report: what it may hold, what makes it again, and errors."""

from __future__ import annotations

import json
import re
import shlex
from importlib.resources import files
from pathlib import Path

import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.report import html
from geospot_gpu.report.remade import sweep_command
from tests.helpers.commands import Geospot
from tests.helpers.scored import PLAIN, points
from tests.helpers.swept import counts, the_error

ASSETS = files("geospot_gpu.report") / "assets"
AGAIN = "again, so"
FOLDERS = {"transfer": "correlations.parquet", "select": "selection.csv"}


@pytest.fixture
def four(tmp_path: Path) -> None:
    """The points of four regions."""
    some = points()
    some[some["region"] < "r04"].to_csv(tmp_path / "points.csv", index=False)


@pytest.fixture
def run(four: None, geospot_here: Geospot) -> Geospot:
    """``geospot`` in a folder with a sweep of four regions."""
    assert geospot_here("sweep", *PLAIN, "outputs=[divergence]", "out=run").returncode == 0
    return geospot_here


def test_scripts_make_no_markup_and_ask_nobody() -> None:
    for asset in ASSETS.iterdir():
        text = asset.read_text("utf-8")
        found = re.findall(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|fetch\(|"
            r"XMLHttpRequest|WebSocket|import\(|https?:|//\w+\.",
            text,
        )
        assert not found, asset.name


def test_names_cannot_end_what_holds_them() -> None:
    name = "</script><!-- &lt;"
    assert "<" not in html.script_json({"x": name})
    assert json.loads(html.script_json({"x": name})) == {"x": name}
    frame = pd.DataFrame({"region": [name, "=1+1"], "x": [float("nan"), 2.0]})
    text = html.table("t", frame)
    assert "</script>" not in text
    assert "&lt;/script&gt;" in text
    assert text.count("<tr>") == 3
    many = html.table("t", pd.concat([frame] * 150))
    assert "100 more rows are in the CSV" in many


@pytest.mark.parametrize(
    "settings",
    [
        ("regions.max_points=null",),
        ("regions.exclude=[r00]", "solver.epsilon=0.02", "outputs=[divergence,coverage]"),
        ("regions=grid", "regions.degrees=20"),
        ("pairs=nearest", "k=2"),
        ("preset=paper",),
    ],
)
@pytest.mark.usefixtures("four")
def test_the_command_makes_the_sweep_again(
    geospot_here: Geospot, tmp_path: Path, settings: tuple[str, ...]
) -> None:
    first = counts(geospot_here("sweep", *PLAIN, *settings, f"out='{AGAIN}'"))
    manifest = gs.Run.open(tmp_path / AGAIN).manifest
    command = sweep_command(manifest, str(tmp_path / AGAIN))
    assert command is not None
    again = geospot_here(*shlex.split(command)[1:])
    assert counts(again) == (first[0], 0, first[0], first[3])
    after = gs.Run.open(tmp_path / AGAIN).manifest["config"]
    assert {k: v for k, v in after.items() if k != "out"} == {
        k: v for k, v in manifest["config"].items() if k != "out"
    }


def test_from_python(tmp_path: Path) -> None:
    some = points()
    regions = gs.Regions.from_points(lon=some["lon"], lat=some["lat"], region=some["region"])
    made = gs.sweep(tmp_path / "run", regions.subset(["r00", "r01"]))
    assert sweep_command(made.manifest, "run") is None
    size = gs.write_report(made, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert len(text.encode()) == size
    assert "2 regions by Sinkhorn divergence" in text
    assert "the sweep was made from Python" in text
    assert gs.write_report(made, tmp_path / "page.html") == size  # its own file


def test_what_is_wrong_is_said_in_a_line(run: Geospot, tmp_path: Path) -> None:
    def said(*arguments: str) -> str:
        return the_error(run("report", *arguments))

    assert said("sweep=run", "out=page.txt") == (
        "out=page.txt: name a file that ends in .html, as out=report.html"
    )
    assert said("out=page.html") == "sweep is needed: give sweep=..."
    assert said("sweep=none", "out=page.html").startswith("none: holds no sweep")
    (tmp_path / "mine.html").write_text("mine")
    assert "mine.html: was not written by geospot" in said("sweep=run", "out=mine.html")
    for name, file in FOLDERS.items():
        folder = tmp_path / name
        folder.mkdir()
        where = f"{name}={name}: "
        remedy = f": give the folder that geospot {name} wrote, or run it again"
        arguments = ("sweep=run", f"{name}={name}", "out=page.html")
        assert said(*arguments) == f"{where}holds no summary.json{remedy}"
        (folder / "summary.json").write_text("[")
        assert said(*arguments) == f"{where}summary.json is no JSON{remedy}"
        (folder / "summary.json").write_text("[]")
        assert said(*arguments) == f"{where}summary.json is no summary{remedy}"
        (folder / "summary.json").write_text("{}")
        assert said(*arguments) == f"{where}holds no {file}{remedy}"
        (folder / file).write_text("x\n1\n")
        assert said(*arguments).startswith(f"{where}{file} ")
    (tmp_path / "predict").mkdir()
    (tmp_path / "predict" / "summary.json").write_text("{}")
    assert said("sweep=run", "predict=predict", "out=page.html") == (
        "predict=predict: summary.json has no kind: give the folder that geospot predict wrote, "
        "or run it again"
    )
    assert said("sweep=run", "multirun=predict", "out=page.html") == (
        "multirun=predict: holds no folders of runs: give what geospot sweep -m wrote to"
    )
    assert not (tmp_path / "page.html").exists()


def test_arguments_of_a_wrong_kind_are_named(run: Geospot, tmp_path: Path) -> None:
    swept = gs.Run.open(tmp_path / "run")
    wrong: list[tuple[dict[str, object], str]] = [
        ({"run": "run"}, "run is of type str: give a Run, as Run.open gives it"),
        ({"out": 3}, "out=3: give the path"),
        ({"transfer": 5}, "transfer=5: give the path"),
        ({"multirun": ()}, "multirun=(): give the path"),
        ({"overwrite": "yes"}, "overwrite"),
    ]
    for given, message in wrong:
        arguments: dict[str, object] = {"run": swept, "out": tmp_path / "x.html", **given}
        with pytest.raises(gs.GeospotError) as error:
            gs.write_report(**arguments)  # type: ignore[arg-type]
        assert str(error.value).startswith(message)
    assert not (tmp_path / "x.html").exists()
