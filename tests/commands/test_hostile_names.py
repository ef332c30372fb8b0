"""Names that would command a terminal, a picture, a spreadsheet or a folder."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geospot_gpu.cli import _Warnings
from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.say import one_line, printable
from geospot_gpu.outcome import say
from tests.helpers.commands import Geospot

NAMES = (
    *("a$b^$_{", "\u202egnp.exe\u202c", "z\u200bw", "_under", "=cmd|' /C calc'!A0", "../../x"),
    *("x" * 120, "\\alpha $\\frac{", "%s%n{0}", "A"),
)
ESCAPE = "\x1b[31mred\x07"
BASE = (
    *("points=table", "points.path=points.csv", "points.region=region", "encoder=none"),
    *("regions.min_points=1", "regions.exclude=[]"),
)


@given(st.text())
def test_whatever_is_shown_can_be_seen(text: str) -> None:
    assert printable(text).isprintable()
    assert one_line(text).isprintable()
    assert str(GeospotError(text)) == one_line(text)
    if text.isprintable():
        assert printable(text) == text
    record = logging.LogRecord("geospot_gpu", logging.WARNING, "", 0, "%s", (text,), None)
    assert _Warnings(None).format(record).isprintable()


def test_lines_are_those_of_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    say("one", f"two{ESCAPE}\nresults in /elsewhere", "\udc80")
    said = capsys.readouterr().out
    assert said == "one\ntwo\\x1b[31mred\\x07\\nresults in /elsewhere\n\\udc80\n"


def write_points(path: Path, names: tuple[str, ...] = NAMES) -> None:
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"region": list(names) * 5})
    table["lon"], table["lat"] = generator.uniform(0, 50, (2, len(table)))
    table.to_csv(path, index=False)


@pytest.mark.draws
@pytest.mark.usefixtures("few_models")
def test_every_command_shows_odd_names(
    geospot_here: Geospot, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    write_points(tmp_path / "points.csv")
    generator = np.random.default_rng(0)
    rows = [(a, b, generator.uniform(0.2, 0.9)) for a in NAMES for b in NAMES]
    scores = pd.DataFrame(rows, columns=["source", "target", "score"])
    scores.to_csv(tmp_path / "scores.csv", index=False)
    odd, hidden = '"a$b^$_{"', NAMES[1]
    for arguments in (
        ("sweep", *BASE, "out=run"),
        ("nearest", *BASE, f"target={odd}", "k=20", "out=near"),
        ("transfer", "sweep=run", "scores=scores.csv", "scores.kind=accuracy", "out=report"),
        ("explain", "sweep=run", f"source={odd}", f"target={hidden}", "out=why"),
        ("select", "sweep=run", f"target=[{odd},_under,{hidden}]", "budget=30", "out=chosen"),
        ("select", "sweep=run", f"target=[{odd},_under]", "budget=9", "over=points", "out=points"),
        ("sweep", *BASE[:-1], "-m", "out=grid", "regions.exclude=[../../x],[A]"),
        ("sweep", *BASE[:-1], "-m", "out=grid", f"regions.exclude=[{hidden}],[z\u200bw]"),
    ):
        done = geospot_here(*arguments)
        assert done.returncode == 0, done.stderr
        assert all(line.isprintable() for line in done.stdout.splitlines())
        bars = done.stderr.replace("\x1b[A", "")  # a progress bar goes up a line
        assert re.sub(r"[\r\n]", "", bars).isprintable(), ascii(done.stderr)
        assert "\\u202e" in done.stdout or arguments[0] not in ("explain", "nearest")
    assert not [str(one.message) for one in recwarn if one.category is UserWarning]
    folders = {path.name for path in (tmp_path / "grid").iterdir() if path.is_dir()}
    assert folders >= {"regions.exclude=[..-..-x]", "regions.exclude=[A]"}
    assert all(name.isprintable() for name in folders)
    above = {path.name for path in tmp_path.iterdir()}
    assert above == {
        *("points.csv", "scores.csv", "run", "near", "report", "why", "chosen", "points", "grid")
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((f"points.path={ESCAPE}.csv",), r"\x1b[31mred\x07.csv"),
        ((f"points.weight=w{ESCAPE}",), r"w\x1b[31mred\x07"),
        ((f'"points.lon{ESCAPE}=x"',), r"\x1b[31m"),
        ((f"regions.exclude=['{ESCAPE}']",), r"\x1b[31m"),
        (("=x",), "'=x' is no setting: write key=value"),
        (("",), "'' is no setting: write key=value"),
        (("points.path=a\nb.csv",), "error: a b.csv: "),
        (("points.path=\udcff.csv",), r"\udcff.csv"),
        (("points.path=/dev/null\u202e/x.csv",), r"\u202e"),
    ],
)
def test_an_error_shows_what_cannot_be_seen(
    geospot_here: Geospot, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    write_points(tmp_path / "points.csv", ("A", "B"))
    done = geospot_here("sweep", *BASE, "out=o", *arguments)
    assert done.returncode == 1
    assert done.stderr.endswith("\n")
    assert done.stderr[:-1].isprintable()
    assert said in done.stderr


def test_columns_and_cells_that_command_a_terminal(geospot_here: Geospot, tmp_path: Path) -> None:
    write_points(tmp_path / "points.csv", ("A", "B"))
    table = pd.read_csv(tmp_path / "points.csv").rename(columns={"lon": f"lon{ESCAPE}"})
    table.to_csv(tmp_path / "odd.csv", index=False)
    done = geospot_here("sweep", *BASE, "points.path=odd.csv", "out=o")
    assert done.returncode == 1
    assert r"there are: region, lon\x1b[31mred\x07, lat" in done.stderr
    assert geospot_here("sweep", *BASE, "out=run").returncode == 0
    for cell in (ESCAPE, "\u202e0.5", "0.5\x00"):
        scores = pd.DataFrame([("A", "B", cell)], columns=["source", "target", "score"])
        scores.to_csv(tmp_path / "scores.csv", index=False)
        done = geospot_here(
            "transfer", "sweep=run", "scores=scores.csv", "scores.kind=accuracy", "out=t"
        )
        assert done.returncode == 1
        assert done.stderr[:-1].isprintable()
