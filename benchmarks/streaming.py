"""Costs beyond the memory budget on a CPU: streamed tiles beside KeOps, for few features.

    python -m benchmarks.streaming

One iteration (both half-steps) between 5,000 and 5,000 random points within 16 MiB of costs, after
whatever is compiled has been; medians of interleaved rounds.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch

import geospot_gpu as gs
from benchmarks.record import Stopwatch, save
from benchmarks.workloads import EPSILON, random_cloud
from geospot_gpu.kernels import choose_kernel, make_kernel
from geospot_gpu.kernels.spec import Workload

POINTS = 5_000
BUDGET = 2**24
DIMENSIONS = (None, 3, 8, 32)
"""Lengths of a feature vector; None is geography alone."""
ROUNDS = 5
PRECISIONS = {"single": torch.float32, "high": torch.float64}


def one_iteration(dimension: int | None, kind: torch.dtype) -> dict[str, object]:
    """Seconds of each kernel, and what ``auto`` takes."""
    source, target = (random_cloud(POINTS, dimension, seed, kind) for seed in (0, 1))
    cost = gs.GroundCost(geo_weight=1.0 if dimension is None else 0.5)
    zero, one = torch.zeros(1, POINTS, dtype=kind), torch.ones(1, dtype=kind)
    problem = cost, source, target, EPSILON, BUDGET
    kernels = {
        "streamed": make_kernel(*problem, storage="streamed"),
        "keops": make_kernel(*problem, backend="keops"),
    }
    times: dict[str, list[float]] = {name: [] for name in kernels}
    for round_ in range(ROUNDS + 1):
        for name, kernel in kernels.items():
            with Stopwatch() as watch:
                kernel.step(zero, zero, one, 1.0)
            if round_:  # the first one compiles
                times[name].append(watch.seconds)
    seconds = {name: float(np.median(values)) for name, values in times.items()}
    chosen = choose_kernel(Workload.of(cost, source, BUDGET), POINTS * POINTS)
    return {f"{name}, seconds": round(value, 4) for name, value in seconds.items()} | {
        "KeOps over streamed": round(seconds["keops"] / seconds["streamed"], 1),
        "auto takes": chosen.name,
    }


def main() -> None:
    rows = []
    for precision, kind in PRECISIONS.items():
        for dimension in DIMENSIONS:
            cost = "geography alone" if dimension is None else f"{dimension} features"
            row = {"costs": cost, "precision": precision} | one_iteration(dimension, kind)
            rows.append(row)
    save("streaming", {f"{POINTS} x {POINTS} points": {"methods": rows}})


if __name__ == "__main__":
    main()
