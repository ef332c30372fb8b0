"""The 20 nearest of 2,048 districts, beside solving all of them.

    python -m benchmarks.nearest

Self terms are known to both. The row is the divergences with their standard errors; the search
finds its 20 smallest divergences, in the same order, which is checked.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from tqdm import tqdm

import geospot_gpu as gs
from benchmarks.record import Stopwatch, save
from benchmarks.workloads import districts
from geospot_gpu.distances.nearest.search import NeighbourSearch
from geospot_gpu.distances.solve import PairSolver
from geospot_gpu.engine.method import Method

NEAREST = 20
OUTPUTS = ("divergence", "std_error", "bias")
TARGETS = 100
ROUNDS = 3


def measure(regions: gs.Regions, geo_weight: float) -> dict[str, object]:
    """Medians over targets, each timed in interleaved rounds."""
    method, cpu = Method(gs.GroundCost(geo_weight=geo_weight), gs.Sinkhorn()), gs.Engine("cpu")
    everything = np.arange(len(regions))
    PairSolver(regions, method, cpu).know(everything, OUTPUTS)  # compiles
    solver = PairSolver(regions, method, cpu)
    with Stopwatch() as of_selves:
        solver.know(everything, OUTPUTS)
    NeighbourSearch(solver)
    with Stopwatch() as preparing:
        search = NeighbourSearch(solver)
    targets = np.random.default_rng(0).choice(len(regions), TARGETS, replace=False)
    ratios, rows, searches, solved, halved = [], [], [], [], []
    for target in tqdm(targets.tolist(), f"geo_weight {geo_weight}", unit=" targets"):
        others = np.delete(everything, target)
        left = np.full(len(others), target)
        times = np.empty((ROUNDS, 2))
        for k in range(ROUNDS):
            with Stopwatch() as watch:
                row = solver.solve(left, others, OUTPUTS)
            times[k, 0] = watch.seconds
            with Stopwatch() as watch:
                found = search.nearest(target, others, NEAREST)
            times[k, 1] = watch.seconds
        ordered = row.to_pandas(regions.names).sort_values(["divergence", "target"])
        assert ordered["target"][:NEAREST].tolist() == found.table["region"].tolist()
        seconds = np.median(times, axis=0)
        rows.append(seconds[0])
        searches.append(seconds[1])
        ratios.append(seconds[0] / seconds[1])
        solved.append(found.solved / len(others))
        halved.append(found.half_steps / len(others))
    return {
        "order as in the full row": f"{TARGETS} of {TARGETS} targets",
        "share of the row solved, mean (limit 5 %)": f"{np.mean(solved):.1%}",
        "share of the row solved, largest": f"{np.max(solved):.1%}",
        "share of the row with a half-step, mean": f"{np.mean(halved):.1%}",
        "row, milliseconds": round(1e3 * float(np.median(rows)), 1),
        "search, milliseconds": round(1e3 * float(np.median(searches)), 1),
        "row over search, median (limit 2)": round(float(np.median(ratios)), 2),
        "row over search, tenth and ninetieth percentile": ", ".join(
            f"{x:.2f}" for x in np.percentile(ratios, [10, 90])
        ),
        "self terms of all regions, milliseconds": round(1e3 * of_selves.seconds, 1),
        "moments of all regions, milliseconds": round(1e3 * preparing.seconds, 1),
    }


if __name__ == "__main__":
    regions = districts()
    save("nearest", {f"geo_weight {w:g}": measure(regions, w) for w in (0.0, 0.5)})
