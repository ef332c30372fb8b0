"""What each method chooses for a target, without a label: regions, or single points."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

import geospot_gpu as gs
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.selection.candidates import CandidateCosts
from geospot_gpu.selection.methods import METHODS
from geospot_gpu.selection.pool import Pool
from geospot_gpu.selection.problem import pose
from geospot_gpu.selection.scatter import apportion, scattered
from geospot_gpu.selection.target_distances import solved_distances

COST = gs.GroundCost(geo_weight=0.0)
METHOD, ENGINE = Method(COST, gs.Sinkhorn()), gs.Engine(device="cpu")
WAYS: dict[str, tuple[str, str]] = {
    "coverage": ("coverage", "divergence"),
    "union": ("union", "divergence"),
    "nearest": ("nearest", "mean_great_circle_km"),
}
"""Methods that choose regions, and the distance of the one that takes any."""
NEIGHBOURS = 256
"""Points of the pool that each target point may take from."""


class Choices:
    """Choices for the regions of a table; what all of them share is found once.

    Args:
        regions: of one table, with features.
    """

    def __init__(self, regions: gs.Regions) -> None:
        self.regions, self.names = regions, list(regions.names)
        self._pool = Pool.of_regions(regions, np.arange(len(regions)))
        assert self._pool.features is not None
        self._features = np.asarray(self._pool.features[np.arange(len(self._pool))])
        # Several tasks are of one table.
        self.regions_for, self.points_for = cache(self._regions_for), cache(self._points_for)

    def _regions_for(self, target: int, count: int, samples: int) -> dict[str, list[int]]:
        """Regions in order, by method."""
        problem = self._problem(target, samples, max_regions=count)
        engine = PairEngine(problem.regions, METHOD, ENGINE)
        found = {}
        for name, (method, by) in WAYS.items():
            distances = partial(solved_distances, METHOD, ENGINE, by=by)
            costs = CandidateCosts(problem, engine, distances, False, 0)
            order = METHODS[method](costs).order
            found[name] = [int(problem.candidates[r]) for r in order]
        return found

    def _points_for(self, target: int, samples: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """Rows of the table that are chosen one by one, and samples of regions, by method.

        Samples are scattered as ``method=scatter`` does, equally, and by what the plan of coverage
        takes of each region.
        """
        assert self._pool.region is not None
        others = np.flatnonzero(self._pool.region != self.names[target])
        pool = self._pool.take(others)
        pool.__dict__["features"] = self._features[others]  # encoded once for all targets
        choose = partial(
            gs.select_points, self.regions, self.names[target], pool=pool, cost=COST, engine=ENGINE
        )
        weights = choose(method="importance", neighbours=NEIGHBOURS).table
        rows = {
            "points by coverage": choose(samples).table["id"].to_numpy(np.int64) - 1,
            "points by importance": weights["id"].to_numpy(np.int64)[:samples] - 1,
        }
        problem = self._problem(target, samples)
        names = [problem.name(r) for r in range(len(problem.candidates))]
        taken = weights.groupby("region")["weight"].sum().reindex(names, fill_value=0.0)
        quotas = {
            "scatter": scattered(problem),
            "scatter, equally": apportion(np.ones(len(names)), problem.available, samples),
            "scatter, by the plan": apportion(taken.to_numpy(), problem.available, samples),
        }
        return rows, {
            name: {int(r): int(q) for r, q in zip(problem.candidates, quota, strict=True) if q}
            for name, quota in quotas.items()
        }

    def _problem(self, target: int, samples: int, **settings: Any) -> Any:
        return pose(self.regions, target=self.names[target], budget=samples, **settings)
