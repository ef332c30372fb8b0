"""Selection on a GPU: checked against float64, then the nearest regions beside the whole row."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch

import geospot_gpu as gs
from benchmarks.record import Stopwatch
from geospot_gpu.distances.nearest.search import NeighbourSearch
from geospot_gpu.distances.solve import PairSolver
from geospot_gpu.engine.method import Method

NEAREST = 20
BUDGET = 12


def check_selection(regions: gs.Regions, device: str) -> dict[str, object]:
    """Coverage, unions, neighbours and points on the device, beside float64 on the CPU."""
    cost = gs.GroundCost(geo_weight=0.3)
    exact: dict[str, Any] = {
        "cost": cost,
        "solver": gs.Sinkhorn(precision="high", tolerance=1e-6),
        "engine": gs.Engine("cpu"),
    }
    ours = exact | {"solver": gs.Sinkhorn(), "engine": gs.Engine(device)}
    target = regions.names[-1]
    found: dict[str, object] = {}
    methods: tuple[Literal["coverage", "union"], ...] = ("coverage", "union")
    for method in methods:
        one, other = (
            gs.select_regions(regions, target, BUDGET, max_regions=2, method=method, **settings)
            for settings in (ours, exact)
        )
        away = float((one.table["distance"] - other.table["distance"]).abs().max())
        same = one.table["region"].tolist() == other.table["region"].tolist()
        if not same or away > 1e-3:
            raise SystemExit(f"{method}: off by {away:.1e}, same regions {same}")
        found[method] = away
    near, nearer = (gs.nearest_regions(regions, target, 3, **s).table for s in (ours, exact))
    if near["region"].tolist() != nearer["region"].tolist():
        raise SystemExit("the nearest regions differ")
    found["nearest"] = float((near["divergence"] - nearer["divergence"]).abs().max())
    points = [gs.select_points(regions, target, BUDGET, **s).distance for s in (ours, exact)]
    if abs(points[0] - points[1]) > 1e-4:
        raise SystemExit(f"points: mean costs {points}")
    found["points"] = abs(points[0] - points[1])
    return found


def nearest_on(regions: gs.Regions, device: str, geo_weight: float) -> dict[str, object]:
    """Seconds of the row and of the search, self terms known to both."""
    method = Method(gs.GroundCost(geo_weight=geo_weight), gs.Sinkhorn())
    solver = PairSolver(regions, method, gs.Engine(device))
    everything, outputs = np.arange(len(regions)), ("divergence", "std_error", "bias")
    solver.know(everything, outputs)
    search = NeighbourSearch(solver)
    others, times, solved = everything[1:], np.empty((5, 2)), 0
    for k in range(len(times)):
        with Stopwatch() as row:
            solver.solve(np.zeros_like(others), others, outputs)
            _wait(device)
        with Stopwatch() as nearest:
            solved = search.nearest(0, others, NEAREST).solved
            _wait(device)
        times[k] = row.seconds, nearest.seconds
    seconds = np.median(times, axis=0)
    return {
        "row, seconds": round(float(seconds[0]), 4),
        "search, seconds": round(float(seconds[1]), 4),
        "row over search": round(float(seconds[0] / seconds[1]), 2),
        "solved": solved,
    }


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
