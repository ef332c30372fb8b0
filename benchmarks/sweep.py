"""The default sweep, as a user runs it, and a sample of its pairs beside POT as published.

    python -m benchmarks.sweep

Figures: wall time and peak memory of `geospot sweep` on the gallery with empty caches; then, in
one process on the same 150 random pairs, the time for our divergences (self terms, costs and
intervals included) against a loop over POT as the paper configures it (one balanced problem per
pair, cost included).
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import ot
import torch

import geospot_gpu as gs
from benchmarks.record import Stopwatch, save
from geospot_gpu.engine import PairEngine
from geospot_gpu.pairs import self_terms, solve_pairs

PAIRS = 150
COST = gs.GroundCost(geo_weight=0.5)
SOLVER = gs.Sinkhorn()


def command() -> dict[str, object]:
    """The default sweep in a process of its own, nothing cached."""
    with tempfile.TemporaryDirectory() as folder, Stopwatch() as watch:
        script = Path(sys.executable).with_name("geospot")
        ran = subprocess.run(
            [str(script), "sweep", f"out={folder}/world"],
            env=os.environ | {"GEOSPOT_CACHE": f"{folder}/cache"},
            capture_output=True,
            text=True,
            check=True,
        )
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return {
        "default sweep": ran.stdout.splitlines()[-1],
        "default sweep, seconds (limit 180)": round(watch.seconds, 1),
        "default sweep, limit over time": round(180 / watch.seconds, 1),
        "default sweep, peak memory, GiB (limit 6)": round(peak, 2),
    }


def costs(regions: gs.Regions, i: int, j: int) -> torch.Tensor:
    """The ground cost as a POT user would compute it: whole, in float32."""
    x, y = (slice(*regions.offsets[k : k + 2].tolist()) for k in (i, j))
    assert regions.features is not None
    feature = 1.0 - regions.features[x] @ regions.features[y].T
    lon, lat = (torch.from_numpy(np.radians(v)).float() for v in (regions.lon, regions.lat))
    haversine = (
        torch.sin((lat[x][:, None] - lat[y]) / 2) ** 2
        + torch.cos(lat[x])[:, None]
        * torch.cos(lat[y])
        * torch.sin((lon[x][:, None] - lon[y]) / 2) ** 2
    )
    km = 2 * 6371.0088 * torch.arcsin(torch.sqrt(haversine.clamp(max=1.0)))
    return 0.5 * feature + 0.5 * km / COST.geo_scale


def weight(regions: gs.Regions, i: int) -> torch.Tensor:
    return regions.weight[slice(*regions.offsets[i : i + 2].tolist())]


def published(regions: gs.Regions, i: int, j: int) -> float:
    a, b = weight(regions, i).float(), weight(regions, j).float()
    return float(ot.sinkhorn2(a, b, costs(regions, i, j), 0.01, numItermax=1000, stopThr=1e-8))


def beside_pot() -> dict[str, object]:
    regions = gs.Regions.from_gallery()
    left, right = np.triu_indices(len(regions), 1)
    chosen = np.random.default_rng(0).choice(len(left), PAIRS, replace=False)
    left, right = left[chosen], right[chosen]
    engine = PairEngine(regions, COST, SOLVER, gs.Engine(device="cpu"))
    times: dict[str, list[float]] = {"ours": [], "POT": []}
    for _ in range(3):
        with Stopwatch() as watch:
            selves = self_terms(engine, np.arange(len(regions)))
            ours = solve_pairs(engine, left, right, selves)
        times["ours"].append(watch.seconds)
        with Stopwatch() as watch:
            for i, j in zip(left.tolist(), right.tolist(), strict=True):
                published(regions, i, j)
        times["POT"].append(watch.seconds)
    our_seconds, pot_seconds = (float(np.median(times[who])) for who in ("ours", "POT"))
    return {
        "sample": f"{PAIRS} random pairs and {len(regions)} self terms, medians of 3",
        "ours, divergences with intervals, seconds": round(our_seconds, 2),
        "POT as published, one problem per pair, seconds": round(pot_seconds, 2),
        "POT over ours": round(pot_seconds / our_seconds, 2),
        "widest certified interval": f"{(ours['upper'] - ours['lower']).max():.1e}",
        "not converged": int((~ours["converged"]).sum()),
    }


if __name__ == "__main__":
    save("sweep", command() | beside_pot())
