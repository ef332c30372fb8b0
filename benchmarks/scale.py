"""How a sweep grows with its regions: time, memory and disk around the solver.

    python -m benchmarks.scale [PART ...]

Regions of 10 points at random places of the Earth, by great circle. Every command runs in a process
of its own, as a user runs it; its peak memory is the system's figure. ``time in the solver`` is
what workers took for blocks of pairs, in the command's own words; everything else is start,
reading, planning, writing and summing up. Parts are measured again one by one; the others stay.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.record import RESULTS, save

POINTS = 10
SIZES = (2_500, 5_000, 10_000)
"""Beyond those that a matrix and a heatmap are drawn of, which take their own time."""
LARGEST = 10_000
FEW = "[divergence]"
"""Outputs of the sweeps whose growth is measured, and of the largest."""

Figures = dict[str, object]


class Ran(NamedTuple):
    """A process that ended."""

    seconds: float
    peak_gib: float
    output: str


def run(command: Sequence[str]) -> Ran:
    """Run a command, which has to succeed."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, output
    return Ran(time.perf_counter() - started, usage.ru_maxrss / 2**20, output)


def write_points(path: Path, count: int) -> None:
    """A table of ``count`` regions; those of a smaller one are the first of a larger one."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(LARGEST + 1, 1, 3))
    centres /= np.linalg.norm(centres, axis=2, keepdims=True)
    points = centres + 0.03 * random.normal(size=(LARGEST + 1, POINTS, 3))
    x, y, z = np.moveaxis(points[:count].reshape(-1, 3), 1, 0)
    lon, lat = np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))
    names = np.repeat([f"r{k:05d}" for k in range(count)], POINTS)
    table = pd.DataFrame({"lon": lon.round(5), "lat": lat.round(5), "region": names})
    table.to_csv(path, index=False)


def sweep(folder: Path, count: int, name: str = "", outputs: str | None = FEW) -> Ran:
    """A sweep of so many regions, into a folder of its own or one that is there."""
    points = folder / f"points{count}.csv"
    if not points.exists():
        write_points(points, count)
    command = [
        *("geospot", "sweep", "points=table", f"points.path={points}", "points.region=region"),
        *("regions.by=column", "regions.min_points=1", "encoder=none", "cost.geo_weight=1"),
        f"out={folder / (name or f'run{count}')}",
    ]
    return run([*command, *([] if outputs is None else [f"outputs={outputs}"])])


def in_solver(ran: Ran) -> float:
    """Seconds that workers took, as the command says."""
    found = re.search(r"([\d.]+) s of it by workers", ran.output)
    assert found, ran.output
    return float(found[1])


def of_sweep(ran: Ran) -> Figures:
    """What is shown of a sweep."""
    solver = in_solver(ran)
    return {
        "seconds": round(ran.seconds, 1),
        "in the solver": round(solver, 1),
        "around it": f"{(ran.seconds - solver) / solver:.0%}" if solver else "",
        "peak GiB": round(ran.peak_gib, 2),
    }


def bytes_of_pair(folder: Path) -> float:
    """Bytes on disk for each pair."""
    import pyarrow.parquet as pq

    blocks = list((folder / "distances").glob("block-*.parquet"))
    rows = sum(pq.read_metadata(path).num_rows for path in blocks)
    return round(float(sum(path.stat().st_size for path in blocks) / rows), 1)


def everything(folder: Path) -> Figures:
    """5,000 regions with all outputs: the sweep, again, one region more, and readers."""
    first = sweep(folder, 5_000, outputs=None)
    again = sweep(folder, 5_000, outputs=None)
    figures: Figures = {f"sweep, {key}": value for key, value in of_sweep(first).items()}
    figures["bytes a pair, all outputs"] = bytes_of_pair(folder / "run5000")
    for name, ran in (
        ("again", again),
        ("one region added", sweep(folder, 5_001, "run5000", outputs=None)),
    ):
        figures |= {f"{name}, seconds": round(ran.seconds, 1)}
        figures |= {f"{name}, peak GiB": round(ran.peak_gib, 2)}
    return figures | readers(folder / "run5000")


_READERS = """
import sys, time
import geospot_gpu as gs

from geospot_gpu.runs.run import Run  # and what it needs
gs.Run.open(sys.argv[1])
found = {}

def timed(name, function):
    started = time.perf_counter()
    result = function()
    found[name] = time.perf_counter() - started
    return result

run = timed("open", lambda: gs.Run.open(sys.argv[1]))
rows = [f"r{k:05d}" for k in (300, 1200, 2100, 3000, 3900)]
timed("first row", lambda: run.row("r04800"))
times = []
for name in rows:
    started = time.perf_counter()
    assert len(run.row(name)) >= 4999
    times.append(time.perf_counter() - started)
found["one row"] = sorted(times)[2]
count = timed("one column of all", lambda: sum(
    len(batch) for batch in run.distances(["divergence"]).batches()))
assert count >= 4999 * 2500
timed("as a matrix", lambda: run.matrix("divergence"))
print(found)
"""


def readers(folder: Path) -> Figures:
    """Opening a run, one row, and one column of all pairs, in a process of their own."""
    ran = run([sys.executable, "-c", _READERS, str(folder)])
    found = json.loads(ran.output.strip().splitlines()[-1].replace("'", '"'))
    times = {f"{name}, seconds": round(value, 3) for name, value in found.items()}
    return times | {"readers, peak GiB": round(ran.peak_gib, 2)}


def growth(folder: Path) -> Figures:
    """Divergences of more and more regions, and the exponents of time and memory."""
    figures: Figures = {}
    regions, seconds, around, peaks = [], [], [], []
    for count in SIZES:
        ran = sweep(folder, count)
        figures |= {f"{count:,} regions, {key}": value for key, value in of_sweep(ran).items()}
        regions.append(count)
        seconds.append(ran.seconds)
        around.append(ran.seconds - in_solver(ran))
        peaks.append(ran.peak_gib)
    figures["bytes a pair, divergence"] = bytes_of_pair(folder / f"run{SIZES[-1]}")
    pairs = np.array(regions, float) * (np.array(regions) - 1) / 2
    for name, values in (("time", seconds), ("time around", around), ("memory", peaks)):
        for unit, base in (("pairs", pairs), ("regions", np.array(regions, float))):
            slope = np.polyfit(np.log(base), np.log(values), 1)[0]
            figures[f"exponent of {name} in {unit}"] = round(float(slope), 2)
    return figures


def cluster(folder: Path) -> Figures:
    """The countries of the gallery by two workers of one core, beside the loop on two cores.

    Solving begins when there are workers with a device that is warm: what a sweep of two regions
    takes in its place is start-up, and is taken off.
    """
    ways = {
        "in process": [],
        "two workers": ["engine=ray", "engine.address=local", "engine.workers=2"],
    }
    sizes = {"start": (1, ["regions.include=[FR,DE]"]), "all": (1953, [])}
    took: dict[tuple[str, str], list[float]] = {}
    for k in range(3):
        for way, settings in ways.items():
            for size, (_, some) in sizes.items():
                out = folder / f"{way.replace(' ', '_')}_{size}{k}"
                ran = run(["geospot", "sweep", f"out={out}", "outputs=[divergence]",
                           *settings, *some])  # fmt: skip
                found = re.search(r"([\d.]+) s solving", ran.output)
                assert found
                took.setdefault((way, size), []).append(float(found[1]))
    figures: Figures = {}
    rates = []
    for way in ways:
        start, whole = (float(np.median(took[way, size])) for size in sizes)
        rates.append(1953 / (whole - start))
        figures[f"{way}, start-up, seconds"] = round(start, 1)
        figures[f"{way}, pairs a second"] = round(rates[-1], 1)
    figures["two workers over in process"] = round(rates[1] / rates[0], 2)
    return figures


def nearest(folder: Path) -> Figures:
    """The 10 nearest of one among 10,000 regions."""
    points = folder / f"points{LARGEST}.csv"
    if not points.exists():
        write_points(points, LARGEST)
    command = [
        *("geospot", "nearest", "points=table", f"points.path={points}", "points.region=region"),
        *("regions.by=column", "regions.min_points=1", "encoder=none", "cost.geo_weight=1"),
        *("target=r00000", "k=10", f"out={folder / 'nearest'}"),
    ]
    ran = run(command)
    summary = json.loads((folder / "nearest" / "summary.json").read_text())
    return {
        "seconds in all": round(ran.seconds, 1),
        "seconds of the search": summary["seconds"],
        "solved": summary["solved"],
        "peak GiB": round(ran.peak_gib, 2),
    }


PARTS: dict[str, Callable[[Path], Figures]] = {
    "everything": everything,
    "growth": growth,
    "cluster": cluster,
    "nearest": nearest,
}


def main() -> None:
    path = RESULTS / "scale.json"
    figures = json.loads(path.read_text())["figures"] if path.exists() else {}
    for name in sys.argv[1:] or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            figures[name] = PARTS[name](Path(folder))
        save("scale", figures)


if __name__ == "__main__":
    main()
