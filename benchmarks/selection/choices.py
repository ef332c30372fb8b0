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
from geospot_gpu.selection.scatter import scattered
from geospot_gpu.selection.target_distances import solved_distances

COST = gs.GroundCost(geo_weight=0.0)
METHOD, ENGINE = Method(COST, gs.Sinkhorn()), gs.Engine(device="cpu")
NEIGHBOURS = 256
"""Points of the pool that each target point may take from, for importance."""


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
        self._union = cache(self._chosen_union)

    def _regions_for(self, target: int, count: int, samples: int) -> dict[str, list[int]]:
        """Regions in order, by method."""
        costs = self._costs(target, samples, max_regions=count)
        found = {"union": self._union(target, count)}
        for method in ("coverage", "nearest"):  # nearest by great circle
            found[method] = costs.problem.candidates[METHODS[method](costs).order].tolist()
        return found

    def _chosen_union(self, target: int, count: int) -> list[int]:
        """Regions of equally many samples in order: how many they are changes no union."""
        costs = self._costs(target, count, max_regions=count)
        order: list[int] = costs.problem.candidates[METHODS["union"](costs).order].tolist()
        return order

    def _points_for(self, target: int, samples: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """Rows of the table that are chosen one by one, and samples of regions, by method.

        Samples are scattered as ``method=scatter`` does, and in proportion to regions' points.
        """
        assert self._pool.region is not None
        others = np.flatnonzero(self._pool.region != self.names[target])
        pool = self._pool.take(others)
        pool.__dict__["features"] = self._features[others]  # encoded once for all targets
        choose = partial(
            gs.select_points, self.regions, self.names[target], samples,
            pool=pool, cost=COST, engine=ENGINE,
        )  # fmt: skip
        rows: dict[str, gs.PointSelection] = {
            "points by coverage": choose(),
            "points by importance": choose(method="importance", neighbours=NEIGHBOURS),
        }
        costs = self._costs(target, samples)
        problem = costs.problem
        quotas = {
            "scatter": scattered(problem, costs.taken),
            "scatter, by size": scattered(problem, problem.available.astype(float)),
        }
        chosen = {name: found.table["id"].to_numpy(np.int64) - 1 for name, found in rows.items()}
        return chosen, {
            name: {int(r): int(q) for r, q in zip(problem.candidates, quota, strict=True) if q}
            for name, quota in quotas.items()
        }

    def _costs(self, target: int, samples: int, **settings: Any) -> CandidateCosts:
        problem = pose(self.regions, target=self.names[target], budget=samples, **settings)
        engine = PairEngine(problem.regions, METHOD, ENGINE)
        distances = partial(solved_distances, METHOD, ENGINE, by="mean_great_circle_km")
        return CandidateCosts(problem, engine, distances, False, 0)
