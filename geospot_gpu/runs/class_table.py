"""The table of distances between classes of a run: the first to come finds it, others take it."""

from __future__ import annotations

from geospot_gpu.distances.class_costs import with_table
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.settings import Engine
from geospot_gpu.regions import Regions
from geospot_gpu.runs.identity import method_of, run_identity
from geospot_gpu.runs.store import Store


def method_in(store: Store, regions: Regions, method: Method, engine: Engine) -> Method:
    """The method with the table that the folder of a run has, or that regions give.

    Args:
        store: the folder, whose encoder, cost, solver and seed are checked.
        regions: all of the run.
        method: cost and solver.
        engine: who solves.

    Raises:
        GeospotError: the folder holds another sweep, or regions do not suit the cost.
    """
    stored = store.check_identity(run_identity(regions.encoder, regions.sampling.seed, method))
    if method.cost.label_weight is None or method.cost.class_costs is not None:
        return method
    known = stored["cost"]
    if isinstance(known, dict) and "class_costs" in known:
        return method_of(stored)
    return with_table(method, regions, engine)
