"""One pair, solved as far as it takes to compare it with an oracle."""

from __future__ import annotations

import geospot_gpu as gs

CPU = gs.Engine(device="cpu")
GEOGRAPHY = gs.GroundCost(geo_weight=1.0)
POT_ERROR = 1e-9
"""What the oracle itself may be off by."""
HIGH = gs.Sinkhorn(precision="high", tolerance=1e-8, max_iterations=20_000)


def one_pair(
    regions: gs.Regions, cost: gs.GroundCost, solver: gs.Sinkhorn, engine: gs.Engine = CPU
) -> dict[str, float]:
    dataset = gs.pairwise(regions, cost=cost, solver=solver, engine=engine)
    return {str(name): float(values[0, 1]) for name, values in dataset.data_vars.items()}
