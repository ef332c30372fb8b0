"""One pair of 50,000 x 50,000 points within a memory budget of 1 GiB.

Two Sinkhorn iterations without bounds at D = 512, geo_weight 0.5: time and peak memory above what
it was before. The floor is the time of the four matrix products alone.

    python -m benchmarks.giant [points]
"""

from __future__ import annotations

import sys

import numpy as np
import torch

from benchmarks.record import PeakMemory, Stopwatch, save
from geospot_gpu import GroundCost
from geospot_gpu.kernels import choose_kernel, make_kernel
from geospot_gpu.kernels.contract import Cloud, Schedule
from geospot_gpu.sinkhorn.solver import iterate
from geospot_gpu.sphere import unit_vectors

BUDGET = 2**30
DIMENSION = 512
ITERATIONS = 2
EPSILON = 0.01


def random_cloud(points: int, seed: int) -> Cloud:
    generator = np.random.default_rng(seed)
    lon = generator.uniform(-180, 180, points)
    lat = np.degrees(np.arcsin(generator.uniform(-1, 1, points)))
    features = torch.randn(points, DIMENSION, generator=torch.Generator().manual_seed(seed))
    return Cloud.padded(
        torch.nn.functional.normalize(features)[None],
        torch.from_numpy(unit_vectors(lon=lon, lat=lat)).float()[None],
        torch.full((1, points), 1.0 / points),
    )


def product_rate() -> float:
    """Entries of a product of D-vectors per second, in tiles as large as the kernel's."""
    x, y = torch.randn(2048, DIMENSION), torch.randn(2048, DIMENSION)
    out = torch.empty(2048, 2048)
    torch.mm(x, y.T, out=out)
    with Stopwatch() as watch:
        for _ in range(10):
            torch.mm(x, y.T, out=out)
    return 10 * out.numel() / watch.seconds


def main(points: int) -> None:
    source, target = random_cloud(points, 0), random_cloud(points, 1)
    name = choose_kernel("auto", points * points, DIMENSION, 4, BUDGET, "cpu")
    floor = 2 * ITERATIONS * points * points / product_rate()
    with PeakMemory() as memory, Stopwatch() as watch:
        kernel = make_kernel(name, GroundCost(geo_weight=0.5), source, target, EPSILON, BUDGET)
        potentials = iterate(kernel, Schedule(1e-3, ITERATIONS))
    assert potentials.iterations.item() == ITERATIONS
    save(
        "giant",
        {
            "points": f"{points} x {points}",
            "kernel": name,
            "iterations": ITERATIONS,
            "seconds": round(watch.seconds, 1),
            "seconds per iteration": round(watch.seconds / ITERATIONS, 1),
            "floor: seconds of the matrix products alone": round(floor, 1),
            "time over floor": round(watch.seconds / floor, 2),
            "memory budget, GiB": BUDGET / 2**30,
            "peak memory above before, GiB": round(memory.gib, 3),
        },
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
