"""The command sweep on the four towns, and what it prints."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

TOWNS = (
    "points=table",
    "points.path=towns.csv",
    "points.region=town",
    "encoder=none",
    "regions.min_points=1",
    "device=cpu",
)
LAST_LINE = re.compile(r"pairs total=(\d+) computed=(\d+) reused=(\d+) unconverged=(\d+)")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def counts(done: subprocess.CompletedProcess[str]) -> tuple[int, ...]:
    """Total, computed, reused and unconverged from the last line of stdout."""
    assert done.returncode == 0, done.stderr
    match = LAST_LINE.fullmatch(done.stdout.rstrip("\n").split("\n")[-1])
    assert match, done.stdout
    return tuple(int(number) for number in match.groups())


def messages(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What stands on stderr; the progress bar, drawn again and again, as so many lines."""
    return [line for line in re.split(r"[\r\n]+", done.stderr) if line]


def the_error(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr of a command that failed."""
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = messages(done)
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


LEAST = 10_000
"""Costs of a block of :func:`slow_sweep`."""
_SLOW = f"""
import time
from geospot_gpu import cli
from geospot_gpu.distances.solve import PairSolver
from geospot_gpu.runs import plan
plan._LEAST_ENTRIES["cpu"] = {LEAST}
solve = PairSolver.solve
def slow(*arguments):
    time.sleep(0.3)
    return solve(*arguments)
PairSolver.solve = slow
cli.main()
"""


def slow_sweep(*arguments: str) -> list[str]:
    """The command as a process, with small blocks that take a while."""
    return [sys.executable, "-c", _SLOW, "sweep", *arguments]
