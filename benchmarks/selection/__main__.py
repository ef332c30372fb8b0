"""Does it matter where training samples come from? The proof on real data, one table.

    python -m benchmarks.selection DATA [seeds]

DATA is a folder with climate_stations.csv.gz and airports_text.csv.gz. For every country as target,
each method chooses regions without a label; a model is trained on samples of them, as many for each
method, and scored on the target.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from tqdm import tqdm

import geospot_gpu as gs
from benchmarks.record import Stopwatch, save
from benchmarks.selection.models import Samples, Trainer
from benchmarks.selection.paper import greedy_union
from benchmarks.selection.statistics import compare
from benchmarks.transfer.tasks import MOST, TASKS, Task

COST = gs.GroundCost(geo_weight=0.0)
SETTINGS = ((1, 100), (2, 200), (5, 200), (5, 500))
"""Regions, and samples of all of them together."""
LARGEST = max(regions for regions, _ in SETTINGS)
DRAWS = 3
"""Random choices for each seed, whose scores are averaged."""
WAYS: dict[str, dict[str, Any]] = {
    "union": {"method": "union"},
    "nearest by great circle": {"method": "nearest", "by": "mean_great_circle_km"},
}
Chosen = dict[str, list[list[int]]]
"""For each method, the regions of every target, in order, for one quota."""


def chosen(regions: gs.Regions, quotas: list[int]) -> dict[int, Chosen]:
    """What each method chooses at samples of so many points of each region.

    All methods extend their choice region by region, so those of fewer regions begin alike; and
    only coverage looks at how many samples there will be.
    """

    def orders(settings: dict[str, Any], quota: int, title: str) -> list[list[int]]:
        titled = tqdm(regions.names, title, unit=" targets")
        return [_order(regions, target, quota, settings) for target in titled]

    common = {name: orders(settings, quotas[-1], name) for name, settings in WAYS.items()}
    assert regions.features is not None
    features = [x.double() for x in torch.split(regions.features, regions.sizes.tolist())]
    published = (delayed(_paper)(features, t) for t in range(len(regions)))
    common["the paper's union"] = Parallel(os.cpu_count())(published)
    return {q: common | {"coverage": orders({}, q, f"coverage, {q} samples")} for q in quotas}


def _order(regions: gs.Regions, target: str, quota: int, settings: dict[str, Any]) -> list[int]:
    selection = gs.select_regions(
        regions, target, quota * LARGEST, max_regions=LARGEST, cost=COST, **settings
    )
    assert selection.shortfall == 0, f"{target}: {selection.shortfall} samples are missing"
    return [regions.names.index(name) for name in selection.table["region"]]


def _paper(features: list[torch.Tensor], target: int) -> list[int]:
    torch.set_num_threads(1)
    return greedy_union(features, target, LARGEST)


def best_sources(scores: dict[Samples, np.ndarray], seed: int, quota: int) -> list[list[int]]:
    """For every target the regions whose own models do best on it: an oracle that reads labels."""
    alone = {
        samples.regions[0]: of_all
        for samples, of_all in scores.items()
        if samples.seed == seed and samples.quota == quota and len(samples.regions) == 1
    }
    table = np.stack([alone[r] for r in range(len(alone))])
    np.fill_diagonal(table, -np.inf)
    return [order[:LARGEST].tolist() for order in np.argsort(-table, axis=0, kind="stable").T]


def measure(task: Task, folder: Path, seeds: int, ready: dict[str, Any]) -> pd.DataFrame:
    """Scores, more being better: a row for every method, setting and target, means over seeds."""
    if task.file not in ready:
        regions = gs.Regions.from_table(folder / task.file, region=task.region, max_points=MOST)
        quotas = sorted({samples // count for count, samples in SETTINGS})
        ready[task.file] = regions.names, chosen(regions, quotas)
    names, by_quota = ready[task.file]
    trainer = Trainer(task, folder, names)
    count = len(names)
    scores = trainer.scores(
        [Samples(s, (r,), q) for s in range(seeds) for q in by_quota for r in range(count)]
    )
    wanted: list[tuple[str, int, int, int, Samples]] = []
    for seed, (k, samples) in itertools.product(range(seeds), SETTINGS):
        quota = samples // k
        generator = np.random.default_rng([seed, k, samples])
        choices = by_quota[quota] | {"oracle": best_sources(scores, seed, quota)}
        for target in range(count):
            others = np.delete(np.arange(count), target)
            orders = [(method, of_targets[target]) for method, of_targets in choices.items()]
            orders += [("random", generator.permutation(others).tolist()) for _ in range(DRAWS)]
            wanted += [
                (method, k, samples, target, Samples(seed, tuple(sorted(order[:k])), quota))
                for method, order in orders
            ]
            everything = Samples(0, tuple(others.tolist()), MOST)
            wanted.append(("all data", k, samples, target, everything))
    scores |= trainer.scores(sorted({row[-1] for row in wanted} - set(scores)))
    rows = [(*row[:-1], scores[row[-1]][row[3]]) for row in wanted]
    table = pd.DataFrame(rows, columns=["method", "regions", "samples", "target", "score"])
    return table.groupby(["method", "regions", "samples", "target"])["score"].mean().reset_index()


def main(folder: Path, seeds: int) -> None:
    ready: dict[str, Any] = {}
    measured = {}
    with Stopwatch() as watch:
        for task in TASKS:
            measured[task.name] = measure(task, folder, seeds, ready)
    found = compare(measured, {task.name: task.kind for task in TASKS})
    found["time"] = {"seeds": seeds, "minutes (limit 40)": round(watch.seconds / 60, 1)}
    save("selection", found)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: python -m benchmarks.selection DATA [seeds]")
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3)
