"""A ground cost of one's own: solved, certified and searched like those that are there.

usage: python examples/own_cost.py
"""

import numpy as np
import torch
from torch import Tensor

import geospot_gpu as gs


def manhattan(x: Tensor, y: Tensor) -> Tensor:
    """Sums of absolute differences [B, n, m] between features [B, n, D] and [B, m, D]."""
    return torch.cdist(x, y, p=1.0)


gs.register_feature_cost(
    gs.FeatureCost(
        name="manhattan",
        function=manhattan,
        largest=lambda x, y, dimension: dimension**0.5 * (x + y),  # |v|_1 <= sqrt(D) |v|_2
        roundings=lambda dimension: dimension + 2,
    )
)

names = ["Lima", "Oslo", "Rome", "Suva"]
generator = np.random.default_rng(0)
centres = np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 1.0], [2.0, 0.5, 1.0], [0.0, 3.0, 0.0]])
spread = generator.normal(0, 2, (2, 200))
regions = gs.Regions.from_points(
    lon=np.repeat([-77.0, 10.7, 12.5, 178.4], 50) + spread[0],
    lat=np.repeat([-12.0, 59.9, 41.9, -18.1], 50) + spread[1],
    region=np.repeat(names, 50),
    features=np.repeat(centres, 50, axis=0) + generator.normal(0, 0.5, (200, 3)),
)
cost = gs.GroundCost(feature="manhattan", geo_weight=0.2, feature_scale=3.0)
distances = gs.pairwise(regions, cost=cost, solver=gs.Sinkhorn(epsilon=0.05))
print(distances.divergence.to_pandas().round(3))
print("certified to", float((distances.upper - distances.lower).max()))

found = gs.nearest_regions(regions, "Rome", 2, cost=cost, solver=gs.Sinkhorn(epsilon=0.05))
print(found.table[["rank", "region", "divergence"]].round(3).to_string(index=False))
