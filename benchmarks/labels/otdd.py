"""Distances that know labels: beside POT, beside distances that do not, and beside losses.

    python -m benchmarks.labels.otdd DATA

DATA is a folder with climate_stations.csv.gz, airports_text.csv.gz and dams_us.csv.gz. Features are
what the models of a task read, ``cost.label_weight=1``, epsilon 0.01.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # processor seconds are those of one core

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import geospot_gpu as gs
from benchmarks.labels.correlation import correlations
from benchmarks.labels.peer import Augmented, exact, loosest, problem, transport_costs
from benchmarks.record import save
from benchmarks.transfer.distances import described
from benchmarks.transfer.tasks import ALL, Task, inputs, read
from benchmarks.workloads import sampled_pairs
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine

PLAIN = gs.GroundCost(geo_weight=0.0)
LABELLED = gs.GroundCost(geo_weight=0.0, label_weight=1.0)
PAIRS, ROUNDS = 20, 7
TABLES = 10
"""Random tables of classes that a region has to be zero from itself in."""
BACKENDS = ("compiled", "torch")


def regions_of(task: Task, folder: Path) -> gs.Regions:
    """Regions of a task in the space of its inputs, with labels."""
    table = described(task, folder).assign(label=inputs(task, read(task, folder))[1])
    encoder = gs.Precomputed(columns=["f*"])
    return gs.Regions.from_table(
        table, region="region", label="label", encoder=encoder, max_points=500
    )


def seconds(*works: Callable[[], object]) -> list[float]:
    """Processor seconds of the fastest of some rounds, each of which has all works in turn."""
    found = np.zeros((ROUNDS, len(works)))
    for times in found:
        for k, work in enumerate(works):
            begun = time.process_time()
            work()
            times[k] = time.process_time() - begun
    least: list[float] = found.min(0).tolist()
    return least


def beside_pot(regions: gs.Regions, cost: gs.GroundCost) -> dict[str, object]:
    """Values of pairs and their times, ours and POT's over the whole augmented cost."""
    left, right = sampled_pairs(len(regions), PAIRS)
    engine = PairEngine(regions, Method(cost, gs.Sinkhorn()), gs.Engine("cpu"))
    ours = engine.pairs(left, right)
    problems: list[Augmented] = [
        problem(regions, cost, i, j) for i, j in zip(left.tolist(), right.tolist(), strict=True)
    ]
    truth = np.array([exact(one) for one in problems])
    inside = (ours["ot_lower"] <= truth[:, 0]) & (truth[:, 0] <= ours["ot_upper"])
    stop, kind, worst = loosest(problems, truth[:, 1])
    own, theirs = seconds(
        lambda: engine.pairs(left, right), lambda: transport_costs(problems, stop, kind)
    )
    return {
        "pairs": PAIRS,
        "OT value, largest relative error (limit 1e-3)": f"{_error(ours['ot_value'], truth):.1e}",
        "float64 value inside the interval": f"{int(inside.sum())} of {PAIRS}",
        "ours, ms a pair": round(1e3 * own / PAIRS, 2),
        "POT tuned, ms a pair": round(1e3 * theirs / PAIRS, 2),
        "POT's accuracy, of transport costs": f"{worst:.1e}",
        "POT over ours": round(theirs / own, 2),
    }


def _error(found: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    return float(np.abs(found / truth[:, 0] - 1.0).max())


def beside_plain(regions: gs.Regions, cost: gs.GroundCost) -> dict[str, object]:
    """Time of pairs with and without labels on every kernel of a CPU, an iteration and in all."""
    left, right = sampled_pairs(len(regions), PAIRS)
    found: dict[str, object] = {}
    solvers = {
        "100 iterations, over plain (limit 1.3)": gs.Sinkhorn(tolerance=1e-12, max_iterations=100),
        "to the tolerance, over plain": gs.Sinkhorn(),
    }
    for backend in BACKENDS:
        for name, solver in solvers.items():
            engines = [
                PairEngine(regions, Method(one, solver), gs.Engine("cpu", backend))
                for one in (PLAIN, cost)
            ]
            solved = [engine.pairs(left, right) for engine in engines]  # and compiled
            plain, labelled = seconds(
                *(lambda engine=engine: engine.pairs(left, right) for engine in engines)
            )
            found[f"{backend}, {name}"] = round(labelled / plain, 2)
        found[f"{backend}, iterations, plain and labelled"] = " and ".join(
            f"{one['iterations'].mean():.0f}" for one in solved
        )
    return found


def zero_from_itself(regions: gs.Regions, cost: gs.GroundCost) -> dict[str, object]:
    """How many regions are zero from a copy of themselves, within their intervals."""
    some = regions.take(range(min(len(regions), 10)))
    copies = replace(some, names=tuple(f"{name} again" for name in some.names))
    both = some.concatenated(copies)
    left = np.arange(len(some))
    generator = np.random.default_rng(0)
    assert cost.classes is not None
    count = len(cost.classes)
    zero = tried = 0
    for k in range(TABLES + 1):
        table = np.array(cost.class_costs)
        if k:
            drawn = np.triu(generator.exponential(size=(count, count)), 1)
            table = drawn + drawn.T
        one = replace(cost, class_costs=tuple(map(tuple, table.tolist())))
        solved = gs.pairwise(both, cost=one, outputs=["divergence"])
        low, high = (solved[name].to_numpy()[left, left + len(some)] for name in ("lower", "upper"))
        zero += int(((low <= 0.0) & (high >= 0.0)).sum())
        tried += len(some)
    return {"zero from itself within the interval": f"{zero} of {tried}", "tables": TABLES + 1}


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    found: dict[str, object] = {}
    rows: list[dict[str, object]] = []
    for task in ALL:
        regions = regions_of(task, folder)
        cost = gs.with_class_costs(LABELLED, regions)
        found[task.name] = (
            beside_pot(regions, cost)
            | beside_plain(regions, cost)
            | zero_from_itself(regions, cost)
        )
        rows += correlations(task, folder, regions, PLAIN, cost)
        save("labels_otdd", {**found, "Spearman's rho with the loss": {"methods": rows}})


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: python -m benchmarks.labels.otdd DATA")
    main(Path(sys.argv[1]))
