"""One pair too large for the cache, and one too large for memory.

    python -m benchmarks.giants [points]

The United States and Great Britain at all their points of the gallery, within 2 GiB of costs,
beside peers; then two iterations between 50,000 and 50,000 random points within 1 GiB.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import sys
from dataclasses import replace

import numpy as np
import torch

import geospot_gpu as gs
from benchmarks.floor import floor, rates
from benchmarks.peers import pot_numpy
from benchmarks.record import PeakMemory, Stopwatch, save
from benchmarks.workloads import EPSILON, problem, random_cloud
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.kernels import choose_kernel, make_kernel
from geospot_gpu.kernels.contract import IterationSettings
from geospot_gpu.kernels.iterate import iterate
from geospot_gpu.kernels.spec import Workload

DIMENSION = 512
ITERATIONS = 2
KEOPS_POINTS = 2000
"""Points on either side whose costs KeOps reduces once: it would take minutes for all."""
LOOSE = 3e-3
"""Tolerance of POT: the loosest that meets 1e-3 on the countries."""


def two_countries() -> dict[str, object]:
    regions = gs.Regions.from_gallery(max_points=None, include=["US", "GB"])
    cost, engine = gs.GroundCost(geo_weight=0.5), gs.Engine(device="cpu", memory_budget="2GiB")
    pair_engine = PairEngine(regions, Method(cost, gs.Sinkhorn()), engine)
    left, right = np.array([1]), np.array([0])
    pair_engine.self_terms(right)  # compiles
    with PeakMemory() as memory, Stopwatch() as watch:
        found = pair_engine.pairs(left, right)
    solved = {name: values[0] for name, values in found.items()}
    n, m = (int(size) for size in regions.sizes[[1, 0]])
    rate = rates(4096, 4096, DIMENSION, 2**30)
    least = floor(rate, n * m, 2.0 * solved["iterations"])
    one = problem(regions, 1, 0, 0.5)
    with PeakMemory() as pot_memory, Stopwatch() as pot_watch:
        transport = pot_numpy([one], LOOSE)[0]
    few = np.array([KEOPS_POINTS])
    source, target = (replace(pair_engine.clouds(side), size=few) for side in (left, right))
    lazy = make_kernel(cost, source, target, EPSILON, 2**31, backend="keops")
    zero = torch.zeros(1, KEOPS_POINTS)
    lazy.softmin(zero, "source")  # compiles
    with Stopwatch() as keops_watch:
        lazy.softmin(zero, "source")
    keops = keops_watch.seconds / KEOPS_POINTS**2 * n * m * 2 * solved["iterations"]
    return {
        "points": f"{n} x {m}",
        "kernel": solved["kernel"],
        "iterations": int(solved["iterations"]),
        "ours, seconds (interval included)": round(watch.seconds, 2),
        "ours, peak memory, GiB (budget 2)": round(memory.gib, 2),
        "floor, seconds": round(float(least), 2),
        "time over floor": round(float(watch.seconds / least), 2),
        "POT tuned (NumPy, float32), seconds": round(pot_watch.seconds, 2),
        "POT, peak memory, GiB": round(pot_memory.gib, 2),
        "POT over ours": round(pot_watch.seconds / watch.seconds, 2),
        "POT, transport cost against ours": f"{transport / solved['transport_cost'] - 1.0:.1e}",
        f"KeOps, seconds of a half-iteration of {KEOPS_POINTS} x {KEOPS_POINTS}": round(
            keops_watch.seconds, 2
        ),
        "KeOps at that rate for our half-iterations, over ours": round(keops / watch.seconds, 1),
    }


def beyond_memory(points: int, budget: int = 2**30) -> dict[str, object]:
    source, target = (random_cloud(points, DIMENSION, seed) for seed in (0, 1))
    cost = gs.GroundCost(geo_weight=0.5)
    spec = choose_kernel(Workload.of(cost, source, budget), points * points)
    rate = rates(2048, 2048, DIMENSION, 2**26)
    least = floor(rate, points * points, 2.0 * ITERATIONS, products=ITERATIONS)
    with PeakMemory() as memory, Stopwatch() as watch:
        kernel = spec.build(cost, source, target, EPSILON, budget)
        potentials = iterate(kernel, IterationSettings(1e-3, ITERATIONS))
    assert potentials.iterations.item() == ITERATIONS
    return {
        "points": f"{points} x {points}",
        "kernel": spec.name,
        "iterations": ITERATIONS,
        "seconds per iteration": round(watch.seconds / ITERATIONS, 1),
        "floor, seconds per iteration (one product)": round(least / ITERATIONS, 1),
        "time over floor": round(float(watch.seconds / least), 2),
        "memory budget, GiB": budget / 2**30,
        "peak memory above before, GiB": round(memory.gib, 3),
    }


if __name__ == "__main__":
    points = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    save("giants", {"US x GB": two_countries(), "random": beyond_memory(points)})
