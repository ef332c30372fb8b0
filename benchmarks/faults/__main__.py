"""Nothing lost, nothing overwritten, nothing believed that is damaged.

    python -m benchmarks.faults [races=100] [kills=100] [damages=1000] [seed=0]

``kills`` are of each command (``commands=sweep,select`` for some), ``races`` are of sweeps; a
quarter as many of other commands are added. ``failed=FOLDER`` is for the folders of trials that
failed; ``save=false`` leaves results/ as it is.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from benchmarks import record
from benchmarks.faults import damages, kills, races, world
from benchmarks.faults.trials import Server
from benchmarks.page import compared
from benchmarks.record import Stopwatch

T = TypeVar("T", races.Raced, kills.Killed)
Row = dict[str, object]
DEFAULTS = {
    "races": "100",
    "kills": "100",
    "damages": "1000",
    "seed": "0",
    "commands": ",".join(world.COMMANDS),
    "failed": "",
    "save": "true",
}
_MOST_SHOWN = 40


def spread(title: str, work: Callable[..., T], jobs: list[tuple[Any, ...]]) -> list[T]:
    """Do jobs on all cores, with a line of progress."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = []
        for one in tqdm(pool.map(lambda job: work(*job), jobs), title, len(jobs), unit=" trials"):
            results.append(one)
            for problem in one.problems:
                tqdm.write(f"{one.kind}, {one.how}: {problem}")
        return results


def measure(root: Path, settings: dict[str, str]) -> tuple[list[Row], Counter[str]]:
    """Run the experiments; returns their table, and what failed how often."""
    counts = {name: int(settings[name]) for name in ("races", "kills", "damages", "seed")}
    seed, failed, rows = counts["seed"], Counter[str](), list[Row]()
    with Server() as server:
        place = world.make_world(root, server)
        if counts["races"]:
            raced = races.races(place, counts["races"], seed, spread)
            rows += races.table(raced)
            failed.update(
                f"{r.kind}, {r.commands}: {p} [{r.how}]" for r in raced for p in r.problems
            )
        if counts["kills"]:
            commands = settings["commands"].split(",")
            killed = kills.kills(place, counts["kills"], seed, commands, spread)
            rows += kills.table(killed)
            failed.update(f"{k.kind} killed ({k.how}): {p}" for k in killed for p in k.problems)
        if counts["damages"]:
            with tqdm(desc="damages", total=counts["damages"], unit=" trials") as progress:
                read = damages.damages(place, counts["damages"], seed, progress.update)
            rows += damages.table(read)
            failed.update(
                f"{d.outcome}: {d.reader} after {d.how}: {d.said}"
                for d in read
                if d.outcome in damages.FAILURES
            )
    return rows, failed


def main(settings: dict[str, str]) -> int:
    """Print the table and what failed; returns how many things did."""
    root = Path(settings["failed"] or tempfile.mkdtemp(prefix="geospot-faults-"))
    with Stopwatch() as watch:
        rows, failed = measure(root, settings)
    figures = {"trials": {"methods": rows}}
    print(f"\n{compared(figures['trials'])}")
    for text, times in failed.most_common(_MOST_SHOWN):
        print(f"\n{times} times: {text}")
    if failed:
        print(f"\n{failed.total()} failures; the folders of those trials are in {root / 'trials'}")
    else:
        shutil.rmtree(root)
    print(f"\nfailures={failed.total()} minutes={watch.seconds / 60:.1f}")
    if settings["save"] == "true":
        record.write("faults", figures)
    return failed.total()


if __name__ == "__main__":
    given = dict(argument.partition("=")[::2] for argument in sys.argv[1:])
    if unknown := given.keys() - DEFAULTS.keys():
        raise SystemExit(f"there is no setting {unknown.pop()!r}: {' '.join(DEFAULTS)}")
    sys.exit(1 if main(DEFAULTS | given) else 0)
