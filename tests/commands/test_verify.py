"""geospot verify: one line for each finding, and a status."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.commands import Geospot
from tests.helpers.scored import PLAIN
from tests.helpers.swept import counts, the_error


@pytest.mark.parametrize("named", ["run", "sweep=run"])
def test_a_whole_run(named: str, run: Geospot) -> None:
    done = run("verify", named)
    assert done.returncode == 0, done.stderr
    said, last = done.stdout.splitlines()
    assert said.endswith("MiB read; 45 of 45 pairs of the last sweep are there")
    assert last.startswith("findings=0 files=")
    assert last.endswith(" pairs=45 missing=0")


def test_what_is_wrong_is_said_and_put_right(run: Geospot, tmp_path: Path) -> None:
    (block,) = (tmp_path / "run" / "distances").iterdir()
    block.write_bytes(block.read_bytes()[:-1])
    name = block.relative_to(tmp_path)
    done = run("verify", "run")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    sweep = "run the same geospot sweep again"
    assert lines[:2] == [
        f"{name}: is damaged: {sweep}: it is set aside, and computed again",
        f"run: 45 of 45 pairs of the last sweep are missing: {sweep}: 45 pairs are computed again",
    ]
    assert lines[-1].startswith("findings=2 ")
    assert lines[-1].endswith(" pairs=45 missing=45")
    assert done.stderr.splitlines()[-1] == "error: run: 2 findings, listed above"
    assert block.exists()

    assert counts(run("sweep", *PLAIN, "out=run")) == (45, 45, 0, 0)
    done = run("verify", "run")
    assert done.stdout.splitlines()[0] == (
        f"{name.with_suffix('.damaged')}: was found damaged, and set aside: "
        "remove it when nobody wants to look at it"
    )
    (tmp_path / name).with_suffix(".damaged").unlink()
    assert run("verify", "run").returncode == 0


def test_no_run(run: Geospot) -> None:
    assert "nowhere: holds no sweep; make one with" in the_error(run("verify", "nowhere"))
