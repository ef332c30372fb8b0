"""Does it matter where training samples come from? The proof on real data, one table.

    python -m benchmarks.selection DATA [seeds] [targets]

DATA is a folder with climate_stations.csv.gz, airports_text.csv.gz and dams_us.csv.gz. For every
country or state as target, or some of them, each method chooses without a label; a model is trained
on as many samples for each method, and scored on the target.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray
from tqdm import tqdm

import geospot_gpu as gs
from benchmarks.record import Stopwatch, show, write
from benchmarks.selection.choices import ENGINE, METHOD, Choices
from benchmarks.selection.models import Samples, Trainer
from benchmarks.selection.statistics import compare
from benchmarks.transfer.tasks import DAMS, MOST, TASKS, Task
from geospot_gpu.distances.pairwise import all_pairs
from geospot_gpu.runs.solving import solve
from geospot_gpu.transfer.correlation.correlate import correlate
from geospot_gpu.transfer.evidence import matrices
from geospot_gpu.transfer.scores.scores import read_scores

SETTINGS = ((5, 200), (5, 500))
"""Regions, and samples of all of them together."""
UNIONS = 8
"""Random choices of regions of which a target is scored by those without it, for each seed."""
FOLDS = 5
"""Groups of targets that are left out of all data together, so that few models see them."""
ALONE = 100
"""Samples of one region in the models that the verdict and the oracle are made of."""
Row = tuple[str, int, int, int, Samples]


def wanted_of(choices: Choices, trainer: Trainer, seeds: int, targets: list[int]) -> list[Row]:
    """Method, regions, samples, target and what the model is trained on."""
    rows: list[Row] = []
    count = len(choices.names)
    fold = np.random.default_rng(0).permutation(count) % FOLDS
    for k, samples in SETTINGS:
        for seed in range(seeds):
            generator = np.random.default_rng([seed, k, samples])
            for _ in range(UNIONS):
                members = generator.choice(count, k, replace=False).tolist()
                drawn = trainer.drawn(seed, dict.fromkeys(members, samples // k))
                rows += [("random", k, samples, t, drawn) for t in targets if t not in members]
        for t in tqdm(targets, f"{k} regions, {samples} samples", unit=" targets"):
            orders = choices.regions_for(t, k, samples)
            points, quotas = choices.points_for(t, samples)
            for seed in range(seeds):
                of = {
                    name: trainer.drawn(seed, dict.fromkeys(order, samples // k))
                    for name, order in orders.items()
                }
                of |= {name: trainer.drawn(seed, of_each) for name, of_each in quotas.items()}
                of |= {name: trainer.of_rows(seed, chosen) for name, chosen in points.items()}
                rows += [(name, k, samples, t, one) for name, one in of.items()]
            others = dict.fromkeys(np.flatnonzero(fold != fold[t]).tolist(), MOST)
            rows.append(("all data", k, samples, t, trainer.drawn(0, others)))
    return rows


def scored(trainer: Trainer, rows: list[Row]) -> pd.DataFrame:
    """Scores, more being better: a row for every method, setting and target, means over seeds."""
    wanted: dict[Samples, set[int]] = defaultdict(set)
    for *_, target, samples in rows:
        wanted[samples].add(target)
    known = trainer.scores(wanted)
    table = pd.DataFrame(
        [(*row[:-1], known[row[-1], row[3]]) for row in rows],
        columns=["method", "regions", "samples", "target", "score"],
    )
    return table.groupby(["method", "regions", "samples", "target"])["score"].mean().reset_index()


def alone(trainer: Trainer, count: int) -> np.ndarray:
    """Scores of the model of each region in every region, [R, R], more being better."""
    models = [trainer.drawn(0, {r: ALONE}) for r in range(count)]
    scores = trainer.scores({key: set(range(count)) for key in models})
    return np.array([[scores[model, t] for t in range(count)] for model in models])


def oracle(trainer: Trainer, table: np.ndarray, seeds: int, targets: list[int]) -> list[Row]:
    """The regions whose own models do best on a target, which takes its labels."""
    table = np.where(np.eye(len(table), dtype=bool), -np.inf, table)
    return [
        (
            "oracle",
            k,
            samples,
            t,
            trainer.drawn(seed, dict.fromkeys(best[:k].tolist(), samples // k)),
        )
        for k, samples in SETTINGS
        for t in targets
        for best in [np.argsort(-table[:, t], kind="stable")]
        for seed in range(seeds)
    ]


def verdict_of(task: Task, regions: gs.Regions, table: np.ndarray) -> str:
    """Whether distances predict transfer, as ``geospot transfer`` would say of these models."""
    names = list(regions.names)
    pairs = pd.DataFrame(
        {
            "source": np.repeat(names, len(names)),
            "target": names * len(names),
            "score": np.abs(table).ravel(),
        }
    )
    change = "difference" if task.kind == "error" else "relative"
    loss = read_scores(pairs, kind=task.kind, change=change, regions=regions.names).loss  # type: ignore[arg-type]
    left, right = all_pairs(len(regions), None)
    solved = solve(regions, left, right, METHOD, ["divergence", "coverage"], engine=ENGINE)
    distances = matrices(solved.to_pandas(regions.names), names)
    labelled = {
        name: xarray.DataArray(values, dict.fromkeys(loss.dims, names), loss.dims)
        for name, values in distances.items()
    }
    return correlate(labelled, loss)[1].verdict


def main(folder: Path, seeds: int, most: int | None) -> None:
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    ready: dict[str, Choices] = {}
    measured: dict[str, pd.DataFrame] = {}
    verdicts: dict[str, str] = {}
    kinds: dict[str, str] = {}
    found: dict[str, Any] = {}
    with Stopwatch() as watch:
        for task in (*TASKS, DAMS):
            if task.file not in ready:
                regions = gs.Regions.from_table(
                    folder / task.file, region=task.region, max_points=MOST
                )
                ready[task.file] = Choices(regions)
            choices = ready[task.file]
            count = len(choices.names)
            # The last ones: what scatter is was decided on some of the first.
            targets = np.random.default_rng(0).permutation(count)[-(most or count) :].tolist()
            trainer = Trainer(task, folder, choices.names)
            table = alone(trainer, count)
            verdicts[task.name] = verdict_of(task, choices.regions, table)
            rows = wanted_of(choices, trainer, seeds, targets)
            rows += oracle(trainer, table, seeds, targets)
            measured[task.name], kinds[task.name] = scored(trainer, rows), task.kind
            found = compare(measured, kinds, verdicts)
            # As far as it has come: an interruption loses one task.
            write("selection", found)
            print(task.name, verdicts[task.name], flush=True)
    found["time"] = {
        "seeds": seeds,
        "targets of each task at most": most or "all",
        "minutes": round(watch.seconds / 60, 1),
    }
    write("selection", found)
    show(found)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: python -m benchmarks.selection DATA [seeds] [targets]")
    given = [int(value) for value in sys.argv[2:4]]
    main(Path(sys.argv[1]), given[0] if given else 3, given[1] if len(given) > 1 else None)
