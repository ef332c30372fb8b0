"""What a store lacks of the pairs and regions of a sweep is solved, and stored meanwhile."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from geospot_gpu.arrays import Indices
from geospot_gpu.cluster.pool import Pool
from geospot_gpu.distances.columns import outputs_by_default
from geospot_gpu.distances.solve import needs_self_terms
from geospot_gpu.errors.kept import kept
from geospot_gpu.progress import Progress
from geospot_gpu.runs.catalogue import Catalogue
from geospot_gpu.runs.plan import Cell, plan_listed
from geospot_gpu.runs.store import Store
from geospot_gpu.runs.work import Done, PairBlock, SelfBlock, SweepJob, known_selves


class Found(NamedTuple):
    """What was done of a sweep."""

    computed: int
    """Pairs that were solved now."""
    seconds: float
    """That workers took to solve them, all together."""


def missing_blocks(
    job: SweepJob, catalogue: Catalogue, cells: Iterable[Cell], device_type: str
) -> list[PairBlock]:
    """Blocks of the pairs that are missing.

    Blocks of the grid of which nothing is there stay as they are, so that a sweep that goes on, or
    is shared out, gives the bits of one that was never stopped. What is missing of the others is
    planned anew. A row has all that is known: what is there of it is computed again.

    Args:
        job: the sweep.
        catalogue: what its store holds.
        cells: blocks of the grid to look into, in order.
        device_type: ``cpu`` or ``cuda``.
    """
    whole: list[PairBlock] = []
    rest: dict[tuple[str, ...], list[tuple[Indices, Indices]]] = defaultdict(list)
    for cell in cells:
        for known, at in catalogue.missing(cell, job.outputs).items():
            asked = _with(job.outputs, known)
            if len(at) == job.grid.count(cell):
                whole.append(PairBlock(cell, asked))
            else:
                left, right = job.grid.pairs(cell)
                rest[asked].append((left[at], right[at]))
    listed = []
    for asked, parts in rest.items():
        left, right = (np.concatenate(side) for side in zip(*parts, strict=True))
        listed += listed_blocks(job, left, right, asked, device_type)
    return [*whole, *listed]


def listed_blocks(
    job: SweepJob, left: Indices, right: Indices, asked: tuple[str, ...], device_type: str
) -> list[PairBlock]:
    """Blocks of pairs of regions [K] that are no block of the grid."""
    sizes = job.regions.sizes
    planned = plan_listed(sizes[left], sizes[right], device_type)
    return [PairBlock((left[at], right[at]), asked) for at in planned]


def _with(outputs: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Outputs that are asked for, and those that are there, in order."""
    every = {*outputs, *known}
    ordered = [name for name in outputs_by_default() if name in every]
    return tuple(outputs) if every == set(outputs) else tuple(ordered)


def solve_blocks(
    pool: Pool, store: Store, job: SweepJob, blocks: Sequence[PairBlock], what: str, total: int
) -> Found:
    """Solve and store blocks of pairs, and the self terms of all regions before.

    Self terms are few beside the pairs, so that every shard has all of them: whichever comes first,
    the same blocks give the same bits.

    Args:
        pool: who does the work.
        store: where it is stored.
        job: what the blocks share.
        blocks: of pairs that are missing.
        what: of the work, for people who wait.
        total: how many pairs there are for them, those that are there among them.
    """
    known = known_selves(store, job.keys)
    missing = ~(known.there if needs_self_terms(job.outputs) else known.listed)
    selves = job.self_blocks(missing, pool.device_type)
    if selves:
        # One block is no matter of waiting.
        progress = Progress("self terms", "regions", total=int(missing.sum()) * (len(selves) > 1))
        _run(pool, job, selves, progress, "finished self terms")
    store.regions.tidy()
    if not blocks:
        return Found(0, 0.0)
    count = sum(map(job.size, blocks))
    done = _run(
        pool, job, blocks, Progress(what, "pairs", total=total, done=total - count),
        "finished batches",
    )  # fmt: skip
    return Found(count, sum(block.seconds for block in done))


def _run(
    pool: Pool,
    job: SweepJob,
    blocks: Sequence[SelfBlock | PairBlock],
    progress: Progress,
    what: str,
) -> list[Done]:
    before, found = progress.done, []
    with progress as counted, kept(what, lambda: counted.done > before):
        for _, done in pool.run(job, blocks, [job.work(b) for b in blocks], job.name):
            counted.update(done.number)
            found.append(done)
    return found
