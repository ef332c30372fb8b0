"""The 63 countries of the gallery, beside other implementations.

    python -m benchmarks.countries

On one scale for all pairs, ours computes divergences: self terms, costs, certified intervals and
standard errors included. A peer computes one balanced problem per pair on the same cost, which it
computes too, at the loosest setting within 1e-3 of float64. The paper's problem, where each pair's
costs are divided by their largest, is timed by itself: POT as published, and ours on that cost.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

import geospot_gpu as gs
from benchmarks.record import save
from benchmarks.side_by_side import compare, compare_published, ours
from benchmarks.workloads import countries

PAIRS = 300
FEW = 30
"""Pairs for peers that take longer than :data:`benchmarks.side_by_side.PATIENCE` for all."""
PUBLISHED = 60
"""Pairs on which POT as published is timed."""


def everything(regions: gs.Regions, geo_weight: float) -> float:
    """Seconds for all pairs, ours alone."""
    left, right = np.triu_indices(len(regions), 1)
    seconds, selves, _ = ours(regions, left, right, gs.GroundCost(geo_weight=geo_weight))
    return round(seconds + selves, 2)


def main() -> None:
    regions = countries()
    figures: dict[str, object] = {}
    for geo_weight in (0.5, 0.0):
        of_all = {"all 1,953 pairs, seconds": everything(regions, geo_weight)}
        figures[f"geo_weight {geo_weight:g}"] = compare(regions, geo_weight, PAIRS, FEW) | of_all
    for geo_weight in (0.5, 0.0):
        title = f"the paper's problem, geo_weight {geo_weight:g}"
        figures[title] = compare_published(regions, geo_weight, PUBLISHED)
    save("countries", figures)


if __name__ == "__main__":
    main()
