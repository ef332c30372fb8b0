"""The regions most like one of them."""

from __future__ import annotations

import numpy as np

from geospot_gpu.cost import GroundCost
from geospot_gpu.distances.nearest.search import Neighbours, NeighbourSearch
from geospot_gpu.distances.solve import PairSolver
from geospot_gpu.engine.method import Solver, method_for
from geospot_gpu.engine.settings import Engine, settled
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.names import Name
from geospot_gpu.progress import shows_progress
from geospot_gpu.regions import Regions


@out_of_memory("finding neighbours", "lower regions.max_points, or take fewer regions")
@shows_progress
def nearest_regions(
    regions: Regions,
    target: Name,
    k: int = 10,
    *,
    against: Regions | None = None,
    cost: GroundCost | None = None,
    solver: Solver | None = None,
    engine: Engine | None = None,
    progress: bool = False,
) -> Neighbours:
    """The ``k`` regions of smallest Sinkhorn divergence from a target, exactly.

    Most pairs are left out by lower bounds; few are solved. For many targets over the same regions
    make a :class:`~geospot_gpu.distances.nearest.search.NeighbourSearch` once.

    Args:
        regions: the regions.
        target: name of one of them, which is not its own neighbour; of one of ``against`` where
            that is given.
        k: how many to find; all where there are fewer.
        against: a collection with the target, to look for its neighbours among ``regions``.
        cost: ground cost, on one scale; as for :func:`~geospot_gpu.pairwise` if not given.
        solver: :class:`~geospot_gpu.Sinkhorn` if not given.
        engine: device, backend, storage and memory budget.
        progress: draw how far it has come.

    Raises:
        GeospotError: there is no such region or no other, k is not positive, or the cost or solver
            does not fit.

    >>> regions = Regions.from_points(
    ...     lon=[0, 1, 5, 6, 90, 91], lat=[0] * 6, region=["a", "a", "b", "b", "c", "c"]
    ... )
    >>> nearest_regions(regions, "a", 1).table.region.tolist()
    ['b']
    """
    k = checks.whole(k, "k")
    if k < 1:
        raise GeospotError(f"k={k}: give how many regions to find, at least 1")
    method, engine = method_for(regions, cost, solver), settled(engine)
    together = regions if against is None else regions.concatenated(against)
    where = regions if against is None else against
    at = where.position(target, "target")
    candidates = np.arange(len(regions))
    if against is None:
        candidates = np.delete(candidates, at)
        if len(candidates) == 0:
            raise GeospotError(
                f"{where.names[at]} is the only region: there are no others to be near"
            )
    else:
        at += len(regions)
    return NeighbourSearch(PairSolver(together, method, engine)).nearest(at, candidates, k)
