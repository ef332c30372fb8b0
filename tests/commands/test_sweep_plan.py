"""geospot sweep plan=true."""

from __future__ import annotations

import re
from pathlib import Path

from tests.helpers.commands import Geospot
from tests.helpers.scored import PLAIN
from tests.helpers.swept import Run, counts, the_error

COSTS = """\
4 regions, 6 pairs: 0 are there, 6 are missing
  blocks   1, of up to 6 pairs
  time     about [0-9.]+ seconds of solving by 1 worker on cpu, from 6 of the pairs, solved just now
  memory   about [0-9.]+ [MG]iB while it solves: [0-9.]+ [MG]iB now, and a block
  disk     about [0-9.]+ KiB, \\d+ bytes a pair; [0-9.]+ [MG]iB are free
nothing was started; without plan=true results go to new/run
plan pairs=6 missing=6 blocks=1 seconds=[0-9.]+ memory=\\d+ bytes=\\d+
"""


def test_what_a_sweep_takes_is_said_and_nothing_stored(here: Run, tmp_path: Path) -> None:
    done = here("out=new/run", "plan=true")
    assert re.fullmatch(COSTS, done.stdout), done.stdout
    assert done.returncode == 0
    assert not (tmp_path / "new").exists()


def test_a_finished_sweep_has_nothing_to_do(run: Geospot) -> None:
    done = run("sweep", *PLAIN, "out=run", "plan=true", "target_error=0.1")
    assert done.stdout.splitlines()[:2] == [
        "10 regions, 45 pairs: 45 are there, 0 are missing",
        "  more     what larger samples take for target error 0.1",
    ]
    assert " missing=0 blocks=0 seconds=0.0 " in done.stdout
    assert counts(run("sweep", *PLAIN, "out=run")) == (45, 0, 45, 0)
    refused = the_error(run("sweep", *PLAIN, "out=run", "plan=true", "solver.epsilon=1"))
    assert refused.startswith("run holds another sweep (solver.epsilon=0.01 there, 1.0 here)")


def test_the_nearest_alone_are_not_planned(here: Run, tmp_path: Path) -> None:
    refused = the_error(here("out=new", "plan=true", "pairs=nearest"))
    assert refused.startswith("plan=true is of all pairs: how many have to be solved for the near")
    assert not (tmp_path / "new").exists()
