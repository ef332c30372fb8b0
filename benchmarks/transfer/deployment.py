"""What ``geospot predict`` says of regions that have no scores, beside what was measured there.

    python -m benchmarks.transfer.deployment DATA [regions]

Each of some regions of a task in turn has no scores, neither as a source nor as a target; its
points are the table of targets, with the inputs of the task.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # processes share the cores

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

import geospot_gpu as gs
from benchmarks.record import save
from benchmarks.transfer.distances import INPUTS, PLACE, described
from benchmarks.transfer.tasks import ALL, MOST, Task, scores

REGIONS = 6
_MAIN = "from geospot_gpu.cli import main; main()"
_SPACES = f"{{{PLACE}:geoclip,{INPUTS}:{{name:precomputed,columns:[f*]}}}}"


class Deployed(NamedTuple):
    """What was said of one region, and of how many sources.

    Attributes:
        error: mean absolute error of what is expected there.
        of_constant: of the mean or the median of the scores that are known, whichever the predictor
            itself is measured by.
        covered: share of the scores inside their interval.
        extrapolates: share that is marked as unlike all that was seen.
    """

    error: float
    of_constant: float
    covered: float
    extrapolates: float


def deployed(
    task: Task, sweep: Path, points: pd.DataFrame, table: pd.DataFrame, name: str
) -> Deployed:
    """Predict the scores of all other regions' models in one without scores.

    Args:
        task: whose scores they are.
        sweep: folder of a sweep of all regions.
        points: of all regions, with their inputs.
        table: ``source``, ``target`` and ``score`` of all pairs.
        name: of the region without scores.
    """
    apart = (table["source"] != name) & (table["target"] != name)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        table[apart].to_csv(place / "scores.csv", index=False)
        points[points["region"] == name].to_csv(place / "targets.csv", index=False)
        said = {
            "sweep": sweep, "scores": place / "scores.csv", "scores.kind": task.kind,
            "targets": place / "targets.csv", "out": place / "out",
        }  # fmt: skip
        command("predict", said)
        found = pd.read_parquet(place / "out" / "predictions.parquet").set_index("source")
        constant = json.loads((place / "out" / "summary.json").read_text())["predictor"]["constant"]
    there = table[(table["target"] == name) & (table["source"] != name)].set_index("source")
    score = there["score"].reindex(found.index)
    known = table.loc[apart & (table["source"] != table["target"]), "score"]
    return Deployed(
        float((found["predicted"] - score).abs().mean()),
        float((known.agg(constant) - score).abs().mean()),
        float(score.between(found["lower"], found["upper"]).mean()),
        float(found["extrapolates"].mean()),
    )


def command(name: str, said: Mapping[str, object]) -> None:
    """Run a command with these settings."""
    arguments = [f"{key}={value}" for key, value in said.items()]
    quiet = subprocess.DEVNULL
    subprocess.run([sys.executable, "-c", _MAIN, name, *arguments], check=True, stdout=quiet)


def swept(points: pd.DataFrame, sweep: Path) -> list[str]:
    """Names of the regions, once all pairs are solved in both spaces."""
    table = sweep.with_suffix(".points.csv")
    points.to_csv(table, index=False)
    said = {
        "points": "table", "points.path": table, "points.region": "region",
        "encoder": "spaces", "encoder.spaces": _SPACES, "cost.geo_weight": 0,
        "regions.max_points": MOST, "device": "cpu", "out": sweep,
    }  # fmt: skip
    command("sweep", said)
    return list(gs.Run.open(sweep).names)


def row(task: str, found: list[Deployed]) -> dict[str, object]:
    """A line of the table."""
    error, of_constant, covered, extrapolates = np.mean(found, axis=0)
    return {
        "task": task,
        "regions": len(found),
        "mean absolute error": round(float(error), 4),
        "of the constant": round(float(of_constant), 4),
        "below it by": f"{1 - error / of_constant:.1%}",
        "better for": f"{sum(one.error < one.of_constant for one in found)} of {len(found)}",
        "90 % intervals hold": f"{covered:.1%}",
        "in the worst region": f"{min(one.covered for one in found):.1%}",
        "marked as unlike all": f"{extrapolates:.1%}",
    }


def main(folder: Path, regions: int) -> None:
    rows = []
    with tempfile.TemporaryDirectory() as out:
        for task in ALL:
            points, sweep = described(task, folder), Path(out) / Path(task.file).stem
            names = swept(points, sweep)
            table = scores(task, folder, 0).drop(columns="n")
            some = np.random.default_rng(0).permutation(names)[:regions]
            found = Parallel(os.cpu_count())(
                delayed(deployed)(task, sweep, points, table, str(name)) for name in sorted(some)
            )
            rows.append(row(task.name, found))
            save("transfer_deployed", {"regions without scores": {"methods": rows}})


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: python -m benchmarks.transfer.deployment DATA [regions]")
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else REGIONS)
