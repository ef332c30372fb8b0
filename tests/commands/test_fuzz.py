"""Any settings on any table: every point is accounted for, or one line of error."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from geospot_gpu import cli
from tests.helpers.examples import examples

pytestmark = pytest.mark.slow

NAMES = ("A", "B", "1_2", "12", " B", "N/A", "Co\u0302te d'Ivoire", "Côte d'Ivoire", "x+y", "2.50")
ROWS = st.tuples(
    st.sampled_from([*NAMES, "A", "A", "B", "", None]),
    st.sampled_from([0.0, 1.5, 10.0, 359.0, 180.0, -180.0, 7.25, "x", None, 1e9]),
    st.sampled_from([0.0, 0.5, 45.0, 90.0, -90.0, "", 91.0]),
)
GOOD = st.tuples(
    st.sampled_from(["A", "B", "1_2"]),
    st.floats(-180, 180, width=16),
    st.floats(-90, 90, width=16),
)
NASTY = st.sampled_from(
    ["nan", "inf", "-1", "0", "1e30", "null", "true", "[A]", "[A,B]", "{A:1}", "{A:nan}", "", "x",
     "1_2", "100000000000000000000", "A,B", "[", "'", "é", "${oc.env:HOME}", "0.5", "[[A]]"]
)  # fmt: skip
NAMED = st.sampled_from(["[A]", "[1_2]", "[ B ,A]", "[Côte d'Ivoire]", "[]", "null", "[zz]"])
REGIONS = st.fixed_dictionaries(
    {"regions.min_points": st.sampled_from(["1", "2", "9"])},
    optional={
        "regions.max_points": st.sampled_from(["1", "2", "null"]),
        "regions.include": NAMED,
        "regions.exclude": NAMED,
        "regions.unions": st.sampled_from(["[A+B]", "[A+1_2]", "[A+x+y]", "[A]"]),
        "regions.cell_degrees": st.sampled_from(["5", "0.5"]),
        "points.invalid": st.just("drop"),
        "regions": st.sampled_from(["grid", "column", "country"]),
        "against.path": st.just("points.csv"),
        "cost.geo_weight": st.sampled_from(["1", "0.5"]),
        "solver": st.sampled_from(["sinkhorn", "geomloss"]),
        "solver.epsilon": st.sampled_from(["0.1", "1e-4", "5"]),
        "engine.storage": st.sampled_from(["kept", "streamed"]),
    },
)
SWEPT = sorted(
    [
        *("points", "points.lon", "points.weight", "points.region", "points.invalid", "regions"),
        *("regions.degrees", "regions.max_points", "regions.seed", "regions.include", "out"),
        *("regions.cell_degrees", "regions.unions", "regions.by", "encoder", "encoder.name"),
        *("cost", "cost.feature", "cost.geo_weight", "cost.geo_scale", "cost.scaling"),
        *("solver", "solver.epsilon", "solver.tolerance", "solver.rho", "target_error"),
        *("solver.max_iterations", "solver.precision", "device", "preset"),
        *("engine.backend", "engine.storage", "engine.memory_budget", "kernel"),
    ]
)
SELECTED = sorted(
    [
        *("target", "budget", "over", "method", "exclude", "have", "include_target", "quota"),
        *("max_regions", "prices", "by", "exhaustive", "seed", "pool", "pool.id", "pool.lon"),
        *("neighbours", "out", "sweep"),
    ]
)


def run(*arguments: str) -> tuple[int, list[str], str]:
    """The command in this process: exit code, lines of error, and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    sys.argv = ["geospot", *arguments]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
    lines = err.getvalue().replace("\r", "\n").split("\n")
    return code, [line for line in lines if line.startswith("error: ")], out.getvalue()


def check(arguments: list[str]) -> int:
    """Run a command that must end well, or in one line of error; its exit code."""
    code, errors, _ = run(*arguments)
    assert code in (0, 1), arguments
    assert len(errors) == code, (arguments, errors)
    assert "Traceback" not in str(errors)
    return code


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    logging.disable(logging.WARNING)
    yield tmp_path
    logging.disable(logging.NOTSET)


def base(**more: str) -> list[str]:
    chosen = {
        "points": "table",
        "points.path": "points.csv",
        "points.region": "region",
        "encoder": "none",
        "regions.min_points": "1",
    } | more
    return [f"{key}={value}" for key, value in chosen.items()]


def in_a_new_folder(folder: Path) -> str:
    return f"run{len(os.listdir(folder))}"


@settings(max_examples=examples(10), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.one_of(ROWS, GOOD, GOOD), min_size=1, max_size=25), chosen=REGIONS)
def test_every_point_is_accounted_for(
    rows: list[tuple[Any, ...]], chosen: dict[str, str], folder: Path
) -> None:
    pd.DataFrame(rows, columns=["region", "lon", "lat"]).to_csv(folder / "points.csv", index=False)
    out = in_a_new_folder(folder)
    if check(["sweep", *base(**chosen), f"out={out}"]) == 1:
        return
    manifest = json.loads((folder / out / "manifest.json").read_text())
    assert len(manifest["points"]) == (2 if "against.path" in chosen else 1)
    for counts in manifest["points"]:
        reasons = {name: count for name, count in counts.items() if name != "given"}
        assert counts["given"] == len(rows) == sum(reasons.values())
        assert min(reasons.values()) >= 0
    regions = pd.concat(map(pd.read_parquet, (folder / out / "regions").iterdir()))
    mine = regions[regions["key"].isin([entry["key"] for entry in manifest["sources"]])]
    if not {"regions.unions", "against.path"} & set(chosen):  # no point is in two regions
        assert manifest["points"][0]["used"] == mine["n_distinct"].sum()


@settings(max_examples=examples(10), suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(key="points", value="{A:1}", other="regions.seed", also="-1")
@given(key=st.sampled_from(SWEPT), value=NASTY, other=st.sampled_from(SWEPT), also=NASTY)
def test_any_setting_of_a_sweep(key: str, value: str, other: str, also: str, folder: Path) -> None:
    write_points(folder)
    check(["sweep", *base(), f"out={in_a_new_folder(folder)}", f"{key}={value}", f"{other}={also}"])


def write_points(folder: Path) -> None:
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"region": ["A", "B", "1_2", "C"] * 6, "id": range(24)})
    table["lon"], table["lat"] = generator.uniform(0, 50, (2, 24))
    table.to_csv(folder / "points.csv", index=False)


@settings(max_examples=examples(10), suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(over="regions", changes={"target": "{A:x}"})
@example(over="regions", changes={"have": "{B:nan}"})
@example(over="points", changes={"have": "{B:x}"})
@example(over="regions", changes={"method": "random", "seed": "-1"})
@example(over="points", changes={"budget": "inf"})
@example(over="points", changes={"budget": "2.5"})
@given(
    over=st.sampled_from(["regions", "points"]),
    changes=st.dictionaries(st.sampled_from(SELECTED), NASTY, max_size=2),
)
def test_any_setting_of_select(over: str, changes: dict[str, str], folder: Path) -> None:
    if not (folder / "sweep").exists():
        write_points(folder)
        assert check(["sweep", *base(), "out=sweep"]) == 0
    chosen = {"sweep": "sweep", "target": "A", "budget": "4", "over": over, "out": "chosen"}
    check(["select", *(f"{key}={value}" for key, value in (chosen | changes).items())])


@settings(max_examples=examples(10), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    command=st.sampled_from(["explain", "nearest"]),
    key=st.sampled_from(["source", "target", "k", "out", "sweep", "device"]),
    value=NASTY,
)
def test_any_setting_of_explain_and_nearest(
    command: str, key: str, value: str, folder: Path
) -> None:
    if not (folder / "sweep").exists():
        write_points(folder)
        assert check(["sweep", *base(), "out=sweep"]) == 0
    of_explain = {"sweep": "sweep", "source": "A", "target": "B", "out": "o"}
    own = (
        [f"{name}={text}" for name, text in of_explain.items()]
        if command == "explain"
        else [*base(), "target=A", "k=2", "out=o"]
    )
    check([command, *own, f"{key}={value}"])
