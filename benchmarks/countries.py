"""The 63 countries of the gallery, beside other implementations.

    python -m benchmarks.countries

Ours computes divergences: self terms, costs and certified intervals included. A peer computes one
balanced problem per pair, its cost included, at the loosest setting within 1e-3 of float64.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

import geospot_gpu as gs
from benchmarks.record import save
from benchmarks.side_by_side import compare, ours
from benchmarks.workloads import countries

PAIRS = 300
FEW = 30
"""Pairs for peers that take longer than :data:`benchmarks.side_by_side.PATIENCE` for all."""


def everything(regions: gs.Regions, geo_weight: float) -> float:
    """Seconds for all pairs, ours alone."""
    left, right = np.triu_indices(len(regions), 1)
    seconds, selves, _ = ours(regions, left, right, geo_weight)
    return round(seconds + selves, 2)


if __name__ == "__main__":
    regions = countries()
    save(
        "countries",
        {
            f"geo_weight {geo_weight:g}": compare(regions, geo_weight, PAIRS, FEW)
            | {"all 1,953 pairs, seconds": everything(regions, geo_weight)}
            for geo_weight in (0.5, 0.0)
        },
    )
