"""What a sweep would do and take, found before it starts from a few of its pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import psutil

from geospot_gpu.distances.columns import bounds_stored_in, schema
from geospot_gpu.distances.pair_table import PairTable
from geospot_gpu.distances.pairwise import joined
from geospot_gpu.distances.solve import (
    PairSolver,
    check_target_error,
    chosen_outputs,
    needs_self_terms,
)
from geospot_gpu.engine.method import Method, check_compatible
from geospot_gpu.engine.settings import Engine
from geospot_gpu.files.read_only import ReadOnly
from geospot_gpu.progress import Progress
from geospot_gpu.regions import Regions
from geospot_gpu.runs.block import Contents, Side, encoded, in_stored_form
from geospot_gpu.runs.catalogue import Catalogue
from geospot_gpu.runs.class_table import method_in
from geospot_gpu.runs.identity import region_keys, run_identity
from geospot_gpu.runs.missing import missing_blocks
from geospot_gpu.runs.plan import Cell, Grid
from geospot_gpu.runs.sample import drawn_from, sampled, seconds_of
from geospot_gpu.runs.shard import check_shard, share_of
from geospot_gpu.runs.store import Store
from geospot_gpu.runs.sweep import value_of
from geospot_gpu.runs.work import PairBlock, SweepJob, known_selves

_ENTRY, _PAIR = 4, 3_500
"""Bytes of memory for a cost, and for a pair besides: its potentials, halves, columns, and those of
the pairs that are stored meanwhile (measured, regions of 10 to 1,000 points)."""


class Estimate(NamedTuple):
    """What a sweep would do and take."""

    regions: int
    pairs: int
    """Of the sweep, or of the shard."""
    missing: int
    blocks: int
    largest: int
    """Pairs of the block that has most."""
    seconds: float | None
    """That it takes; None where the devices of its workers are not here to be measured."""
    workers: int
    device: str
    """What they compute on: ``cpu`` or ``cuda``."""
    sampled: int
    """Pairs that this is estimated from."""
    memory: tuple[int, int]
    """Bytes of memory in use now, and that a block takes."""
    bytes: int
    """On disk."""


def estimate(
    store: Store,
    regions: Regions,
    against: Regions | None = None,
    *,
    method: Method,
    engine: Engine,
    outputs: Sequence[str] | None = None,
    target_error: float | None = None,
    shard: str | None = None,
) -> Estimate:
    """What :func:`~geospot_gpu.runs.sweep.run_sweep` would do; nothing is stored.

    Some of the missing pairs are solved for about a second. Larger samples, which follow from the
    results, are not in it.

    Args:
        store: of the run.
        regions, against, method, engine, outputs, target_error, shard: of the sweep.

    Raises:
        GeospotError: the sweep would.
    """
    outputs = chosen_outputs(outputs, method.solver)
    value_of(outputs)
    if target_error is not None:
        check_target_error(target_error, outputs)
    part = check_shard(shard, target_error)
    together = joined(regions, against)
    store = Store(ReadOnly(store.place))
    method = method_in(store, together, method, engine)
    identity = store.check_identity(run_identity(together.encoder, together.sampling.seed, method))
    check_compatible(together, method.cost)
    with engine.pool() as pool:
        device, workers = pool.device_type, pool.workers
        others = None if against is None else against.sizes
        grid = Grid(regions.sizes, others, device, pool.shares)
    cells = grid.shuffled() if part is None else share_of(part, grid).own
    keys = tuple(region_keys(together, identity))
    job = SweepJob(store.place, together, keys, grid, method, engine, outputs)
    blocks = missing_blocks(job, Catalogue(store.pairs, keys, grid, len(regions)), cells, device)
    sizes = [job.size(block) for block in blocks]
    found = Estimate(
        regions=len(together),
        pairs=sum(map(grid.count, cells)),
        missing=sum(sizes),
        blocks=len(blocks),
        largest=max(sizes, default=0),
        seconds=0.0,
        workers=workers,
        device=device,
        sampled=0,
        memory=(psutil.Process().memory_info().rss, 0),
        bytes=0,
    )
    if not blocks:
        return found
    solver = PairSolver(together, method, engine)
    drawn = drawn_from(job, blocks, sizes)
    with Progress("sampling", "pairs", total=0):  # seconds are no matter of waiting
        sample = sampled(solver, job, drawn)
    known = known_selves(store, keys)
    selves = np.flatnonzero(~(known.there if needs_self_terms(outputs) else known.listed))
    seconds = seconds_of(solver, job, blocks, drawn, sample, selves)
    work = max(job.work(block) for block in blocks)
    costs = min(_ENTRY * int(work), engine.budget_bytes())
    return found._replace(
        seconds=seconds / workers if solver.engine.device.type == device else None,
        sampled=len(sample.pairs),
        memory=(psutil.Process().memory_info().rss, costs + _PAIR * max(sizes)),
        bytes=_stored_bytes(job, blocks, sizes, sample.pairs),
    )


def _stored_bytes(
    job: SweepJob, blocks: Sequence[PairBlock], sizes: Sequence[int], pairs: PairTable
) -> int:
    """Size of the files of blocks, as the sample's would be if it were a block."""
    count = len(pairs)
    n = min(len(job.regions), int(np.ceil(np.sqrt(count))))
    values = in_stored_form(pairs.columns, schema("pairs"), bounds_stored_in("pairs"))
    at = np.arange(count)

    def size(regions: int, rows: int) -> int:
        side = Side(
            job.regions.names[:regions],
            job.keys[:regions],
            tuple(job.regions.n_points[:regions].tolist()),
        )
        places = at[:rows] // n % n, at[:rows] % n
        contents = Contents(side, side, "all", job.outputs, rows)
        return len(encoded(contents, places, values.slice(0, rows)))

    one, with_regions, whole = size(1, 1), size(n, 1), size(n, count)
    per_region = (with_regions - one) / max(1, 2 * (n - 1))
    per_pair = (whole - with_regions) / max(1, count - 1)
    regions = sum(_regions_in(job, block) for block in blocks)
    return int(per_pair * sum(sizes) + per_region * regions + one * len(blocks))


def _regions_in(job: SweepJob, block: PairBlock) -> int:
    """How many regions a block names."""
    if not isinstance(block.pairs, Cell):
        return sum(len(np.unique(side)) for side in block.pairs)
    left, right = map(len, job.grid.ends(block.pairs))
    return left if job.grid.is_triangle(block.pairs) else left + right
