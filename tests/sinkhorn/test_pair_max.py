"""Intervals hold where each pair's costs are divided by their largest, however small that is."""

from __future__ import annotations

import numpy as np
import pytest

import geospot_gpu as gs

CPU = gs.Engine(device="cpu")


@pytest.mark.parametrize("geo_weight", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("spread", [1.0, 1e-2, 1e-3, 1e-4, 1e-6])
@pytest.mark.parametrize("storage", ["kept", "streamed"])
def test_single_and_high_precision_agree_within_their_intervals(
    geo_weight: float, spread: float, storage: str
) -> None:
    generator = np.random.default_rng(0)
    features = np.array([1.0, 0.0, 0.0]) + spread * generator.normal(size=(60, 3))
    regions = gs.Regions.from_points(
        lon=20.0 + spread * generator.normal(size=60),
        lat=40.0 + spread * generator.normal(size=60),
        features=features,
        region=np.repeat(["a", "b"], 30).tolist(),
    )
    cost = gs.GroundCost(geo_weight=geo_weight, scaling="pair_max")
    engine = gs.Engine("cpu", storage=storage)
    single, high = (
        gs.pairwise(
            regions, cost=cost, solver=gs.Sinkhorn(precision=precision, max_iterations=3000),
            outputs=["ot_value", "transport_cost"], engine=engine,
        ).sel(source="a", target="b")
        for precision in ("single", "high")
    )  # fmt: skip
    for lower, upper in (
        ("ot_lower", "ot_upper"),
        ("transport_cost_lower", "transport_cost_upper"),
    ):
        assert float(single[lower]) <= float(high[upper])
        assert float(high[lower]) <= float(single[upper])
    if spread == 1.0:
        assert float(single.ot_upper - single.ot_lower) < 1e-3, "and they are narrow"
