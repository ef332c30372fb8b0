"""How commands speak: in lines, as JSON, briefly and at length."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from geospot_gpu import outcome
from geospot_gpu.cli import COMMANDS
from tests.helpers.commands import Geospot

SWEEP = (
    *("sweep", "points=table", "points.path=points.csv", "points.region=region"),
    *("encoder=none", "regions.min_points=1", "out=run"),
)
KEYS = ["command", "error", "results", "figures", "summary", "said", "jobs", "warnings"]


@pytest.fixture(autouse=True)
def _points(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"region": list("ABCDEFGH") * 3})
    table["lon"], table["lat"] = generator.uniform(0, 50, (2, 24))
    table.to_csv(tmp_path / "points.csv", index=False)
    scores = pd.DataFrame(generator.uniform(0.2, 0.9, (8, 8)), list("ABCDEFGH"), list("ABCDEFGH"))
    scores.to_csv(tmp_path / "scores.csv")


def one_object(text: str) -> dict[str, Any]:
    """The JSON object that is all of a standard output."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    (line,) = text.splitlines()
    found = json.loads(line, parse_constant=refuse)
    assert list(found) == KEYS
    assert isinstance(found, dict)
    return found


def test_json_is_all_that_is_printed(geospot_here: Geospot, tmp_path: Path) -> None:
    found = one_object(geospot_here(*SWEEP, "--json").stdout)
    assert (found["command"], found["error"], found["results"]) == ("sweep", None, "run")
    assert found["figures"] == {"total": 28, "computed": 28, "reused": 0, "unconverged": 0}
    again = geospot_here(*SWEEP).stdout.splitlines()
    assert again[-1] == "pairs total=28 computed=0 reused=28 unconverged=0"
    near = one_object(
        geospot_here("nearest", *SWEEP[1:-1], "target=A", "--json", "out=near").stdout
    )
    assert near["summary"] == json.loads((tmp_path / "near" / "summary.json").read_text())
    assert near["figures"]["nearest"] == len(pd.read_csv(tmp_path / "near" / "nearest.csv"))


def test_an_error_is_an_object_too(geospot_here: Geospot) -> None:
    for arguments in (("sweep", "epsilon=1"), ("verify", "sweep=none"), ("swep",), ("sweep", "-x")):
        done = geospot_here(*arguments, "--json")
        found = one_object(done.stdout)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1] == f"error: {found['error']}"


def test_jobs_of_a_grid_are_told_apart(geospot_here: Geospot) -> None:
    done = geospot_here(*SWEEP, "-m", "solver.epsilon=0.1,-1", "--json")
    assert done.returncode == 1
    found = one_object(done.stdout)
    assert [job["job"] for job in found["jobs"]] == ["solver.epsilon=0.1", "solver.epsilon=-1"]
    assert [job["error"] for job in found["jobs"]] == [
        *(None, "solver.epsilon=-1.0 must be positive: try 0.01"),
    ]
    assert found["jobs"][0]["figures"]["computed"] == 28
    assert found["figures"] == {}


def test_quiet_leaves_warnings_and_errors_alone(
    geospot_here: Geospot, caplog: pytest.LogCaptureFixture
) -> None:
    done = geospot_here(*SWEEP, "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = geospot_here("explain", "sweep=run", "source=A", "target=none", "out=x", "--quiet")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_verbose_says_what_is_done_and_where_an_error_came_from(
    geospot_here: Geospot, caplog: pytest.LogCaptureFixture
) -> None:
    assert geospot_here(*SWEEP, "-v").returncode == 0
    said = [one.getMessage() for one in caplog.records if one.levelno == logging.DEBUG]
    assert "points.csv: 24 rows of region, lon, lat" in said
    assert any(line.startswith("28 pairs in 1 batches on cpu, by ") for line in said)
    done = geospot_here("verify", "sweep=nothing", "--verbose")
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: nothing: holds no sweep")
    caplog.clear()
    assert geospot_here(*SWEEP).returncode == 0
    assert not caplog.records


@pytest.mark.slow
def test_warnings_are_in_the_object(geospot: Geospot, tmp_path: Path) -> None:
    """In a process of its own, whose warnings go to standard error as they do for a user."""
    table = pd.read_csv(tmp_path / "points.csv").drop(columns=["lon", "lat"])
    table.assign(value=range(1, 25)).to_csv(tmp_path / "points.csv", index=False)
    done = geospot(
        *SWEEP[:-3], "encoder=precomputed", "encoder.columns=[value]", *SWEEP[-2:],
        "cost.geo_weight=0", "--json",
    )  # fmt: skip
    found = one_object(done.stdout)
    assert found["error"] is None
    assert found["warnings"] == [
        line.removeprefix("warning: ")
        for line in done.stderr.splitlines()
        if line.startswith("warning: ")
    ]
    assert found["warnings"][0].startswith("points.csv: has no coordinates")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_concludes(command: str) -> None:
    """By figures that programs read, whatever it says besides."""
    module, _ = COMMANDS[command]
    path = Path(outcome.__file__).parent / "commands" / f"{module.rpartition('.')[2]}.py"
    assert "conclude(" in path.read_text()
