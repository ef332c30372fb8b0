"""Do distances predict transfer? The proof on real data, tables for each task.

    python -m benchmarks.transfer DATA [seeds]

DATA is a folder with climate_stations.csv.gz, airports_text.csv.gz and dams_us.csv.gz. Models are
trained per country or state and tested in every other; then every distance and baseline, in a space
of places and one of the task's inputs, is correlated with what they lose, and scores are predicted
for pairs both of whose regions were left out.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # processes share the cores

import itertools
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from joblib import Parallel, delayed

from benchmarks.record import Stopwatch, save
from benchmarks.transfer.correlations import Correlated, correlated
from benchmarks.transfer.distances import Known, described, run_of
from benchmarks.transfer.prediction import measured
from benchmarks.transfer.tables import summary
from benchmarks.transfer.tasks import ALL, Task, measured_scores


class Seed(NamedTuple):
    """Everything that is measured on the models of one seed."""

    correlations: Correlated
    predictor: dict[str, dict[str, float]]
    """Figures by which spaces are learned from."""


def one_seed(task: Task, folder: Path, seed: int, known: Known) -> Seed:
    """Train, test, correlate and predict."""
    scores = measured_scores(task, folder, seed, known.names)
    return Seed(correlated(known, scores, seed), measured(known, scores.score, scores.kind, seed))


def main(folder: Path, seeds: int) -> None:
    found: dict[str, object] = {}
    known: dict[str, Known] = {}
    with Stopwatch() as watch, tempfile.TemporaryDirectory() as out:
        for task in ALL:
            if task.file not in known:
                sweep = run_of(described(task, folder), Path(out) / Path(task.file).stem)
                known[task.file] = Known.of(sweep)
        done = Parallel(os.cpu_count(), return_as="generator")(
            delayed(one_seed)(task, folder, seed, known[task.file])
            for task in ALL
            for seed in range(seeds)
        )
        for task in ALL:
            measured_ = list(itertools.islice(done, seeds))
            found |= summary(
                task,
                [one.correlations for one in measured_],
                [one.predictor for one in measured_],
            )
            save("transfer", found)
    save("transfer", {**found, "time": {"minutes": round(watch.seconds / 60, 1)}})


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: python -m benchmarks.transfer DATA [seeds]")
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5)
