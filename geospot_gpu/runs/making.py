"""Runs that are made in Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from geospot_gpu.cost import GroundCost
from geospot_gpu.distances.pairwise import joined
from geospot_gpu.distances.solve import chosen_outputs
from geospot_gpu.engine.method import Solver, method_for
from geospot_gpu.engine.settings import Engine, settled
from geospot_gpu.engine.warm import WarmStarts
from geospot_gpu.errors import checks
from geospot_gpu.progress import shows_progress
from geospot_gpu.regions import Regions
from geospot_gpu.runs.identity import run_identity
from geospot_gpu.runs.nearest import check_nearest, run_nearest
from geospot_gpu.runs.origin import keep
from geospot_gpu.runs.run import Run
from geospot_gpu.runs.shard import check_shard
from geospot_gpu.runs.spaces import in_each_space
from geospot_gpu.runs.store import Store
from geospot_gpu.runs.sweep import run_sweep


@shows_progress
def sweep(
    out: str | Path,
    regions: Regions,
    against: Regions | None = None,
    *,
    cost: GroundCost | None = None,
    solver: Solver | None = None,
    engine: Engine | None = None,
    outputs: Sequence[str] | None = None,
    target_error: float | None = None,
    shard: str | None = None,
    nearest: int | None = None,
    warm: WarmStarts | None = None,
    progress: bool = False,
) -> Run:
    """The distance between every two regions, stored in a folder that goes on where it ended.

    What the folder holds already is not computed again. It keeps the points of the regions, and
    their features where these are not GeoCLIP's, so that commands can go on from it.

    Args:
        out: folder of the run, or a URL of object storage as ``s3://bucket/prefix``; encoder, cost,
            solver and seed of what it holds must be the same.
        regions: the regions.
        against: compare every region of ``regions`` with every region of these instead.
        cost, solver, engine, outputs, target_error, warm, progress: as for
            :func:`~geospot_gpu.pairwise`.
        shard: ``"k/n"``: solve the k-th (from 1) of n shares of the pairs alone, about equal in
            work. Which pairs those are follows from the sizes of all regions and the kind of
            device (CPU or CUDA), whatever is there already. All n may run at once, in one folder;
            together they leave what one run without it does, to the last bit on equal devices.
        nearest: store so many regions of smallest divergence alone for each region, or for each of
            ``against`` among ``regions``: few pairs are solved then, and time and memory grow with
            the number of regions, as for the pairs of very many.

    Returns:
        The run; of a shard, with those pairs that are there when it ends. Of regions in several
        :class:`~geospot_gpu.Spaces`, that of the first, whose :attr:`~geospot_gpu.Run.spaces` has
        the others.

    Raises:
        GeospotError: as :func:`~geospot_gpu.pairwise`; or the folder holds another sweep, or
            cannot be written, or there is no such shard, or ``nearest`` goes with something that
            needs all pairs.

    >>> from tempfile import TemporaryDirectory
    >>> regions = Regions.from_points(lon=[0, 1, 9, 8], lat=[0] * 4, region=list("aabb"))
    >>> with TemporaryDirectory() as folder:
    ...     made = sweep(folder, regions)
    ...     Run.open(folder).regions.digests == made.regions.digests
    True
    """
    several = len(checks.instance(regions, Regions, "regions").spaces) > 1
    if several:
        options: dict[str, Any] = {
            "cost": cost, "solver": solver, "engine": engine, "outputs": outputs,
            "target_error": target_error, "shard": shard, "nearest": nearest, "warm": warm,
        }  # fmt: skip
        made = [sweep(folder, *sides, **options) for folder, _, sides in in_each_space(
            checks.location(out, "out"), regions, against)]  # fmt: skip
        return made[0]
    method, engine = method_for(regions, cost, solver), settled(engine)
    together = joined(regions, against)
    if nearest is None:
        check_shard(shard, target_error)
    else:
        check_nearest(nearest, chosen_outputs(outputs), method, target_error, shard)
    store = Store(checks.location(out, "out"))
    results = store.output_folder()
    store.check_identity(run_identity(together.encoder, together.sampling.seed, method))
    common: dict[str, Any] = {
        "method": method,
        "engine": engine,
        "outputs": outputs,
        "config": keep(store.folder, regions, against),
        "results": results,
    }
    if nearest is not None:
        manifest = run_nearest(store.folder, regions, against, k=nearest, **common).manifest
    else:
        special: dict[str, Any] = {"target_error": target_error, "shard": shard, "warm": warm}
        manifest = run_sweep(store.folder, regions, against, **common, **special).manifest
    return Run(store.folder, manifest, engine=engine, drawn=(regions, against))
