"""2,048 districts of 48 or 49 points, beside other implementations.

    python -m benchmarks.districts

The same comparison as that of countries, for many small problems.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from benchmarks.record import save
from benchmarks.side_by_side import compare, compare_published
from benchmarks.workloads import districts

PAIRS = 20_000
FEW = 1024

if __name__ == "__main__":
    regions = districts()
    figures: dict[str, object] = {
        "geo_weight 0.5": compare(regions, 0.5, PAIRS, FEW),
        "the paper's problem, geo_weight 0.5": compare_published(regions, 0.5, FEW),
    }
    save("districts", figures)
