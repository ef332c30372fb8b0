"""The nearest regions by brute force, and costs to find them by."""

from __future__ import annotations

import numpy as np

import geospot_gpu as gs

COSTS = [
    gs.GroundCost(geo_weight=0.0),
    gs.GroundCost(geo_weight=0.3),
    gs.GroundCost(geo_weight=1.0),
    gs.GroundCost(feature="sqeuclidean", geo_weight=0.2, feature_scale=3.0),
    gs.GroundCost(feature="euclidean", geo_weight=0.4),
]


def towns_on_earth(count: int, *, points: int = 3, seed: int = 0) -> gs.Regions:
    """Regions of some points within a degree or so, of which some are near each other."""
    generator = np.random.default_rng(seed)
    lon, lat = generator.uniform(-60, 60, count), generator.uniform(-50, 50, count)
    return gs.Regions.from_points(
        lon=np.repeat(lon, points) + generator.normal(0, 1, count * points),
        lat=np.repeat(lat, points) + generator.normal(0, 1, count * points),
        region=[f"r{k:02d}" for k in np.repeat(np.arange(count), points)],
    )


def brute_force(
    regions: gs.Regions, k: int, cost: gs.GroundCost, against: gs.Regions | None = None
) -> dict[str, list[str]]:
    """The nearest regions of each target, of all pairs; equal divergences as float32 by name."""
    every = gs.pairwise(regions, against, cost=cost, outputs=["divergence"])
    found = {}
    for target in every.target.to_numpy():
        row = every.divergence.sel(target=target).to_pandas().astype(np.float32)
        row = row.drop(target) if against is None else row
        frame = row.rename("d").rename_axis("name").reset_index()
        found[str(target)] = frame.sort_values(["d", "name"])["name"][:k].tolist()
    return found
