"""The sweep that stores the nearest regions of each region alone, for very many regions."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from geospot_gpu.arrays import Indices
from geospot_gpu.cluster.pool import Pool
from geospot_gpu.cost import check_one_scale, check_without_labels
from geospot_gpu.distances.nearest.candidates import KnownPairs, coded
from geospot_gpu.distances.nearest.lists import Groups
from geospot_gpu.distances.nearest.moments import MomentBounds
from geospot_gpu.distances.pairwise import joined
from geospot_gpu.distances.solve import chosen_outputs
from geospot_gpu.engine.method import Method, check_compatible, check_entropic
from geospot_gpu.engine.settings import Engine
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.kept import kept
from geospot_gpu.files.outputs import Outputs
from geospot_gpu.progress import Progress, shows_progress
from geospot_gpu.regions import Regions
from geospot_gpu.runs.held import Positions
from geospot_gpu.runs.identity import region_keys, run_identity
from geospot_gpu.runs.listed_pairs import ListedPairs, write_neighbours
from geospot_gpu.runs.listing import Listing, found_at, known_pairs
from geospot_gpu.runs.manifest import Manifest
from geospot_gpu.runs.missing import solve_blocks
from geospot_gpu.runs.nearest_work import NearestJob
from geospot_gpu.runs.neighbours import ListTable, NeighbourLists
from geospot_gpu.runs.overview import Overview, overview
from geospot_gpu.runs.plan import Grid
from geospot_gpu.runs.store import Store
from geospot_gpu.runs.sweep import ALWAYS, SHOWN, device_name, finish, manifest_of, warn_of_sizes
from geospot_gpu.runs.work import SweepJob

_NEAREST = "divergence"
_SPARE = 2
"""How many times the neighbours that are wanted of stored pairs are known to a search."""


@dataclass(frozen=True)
class NearestResult:
    """What a sweep for the nearest regions did.

    Attributes:
        manifest: what it was made from.
        pairs: the pairs of all regions with their neighbours.
        k: how many neighbours each has.
        total, computed, reused: numbers of these pairs.
        every: how many pairs of a region and a candidate there are.
        solved: how many of those were solved, or stored.
        half_steps: how many of the others were bounded by a half-step at least.
        overlaps: how many neighbours have an interval that overlaps with that of the next.
        neighbours: how many there are, of all regions.
        overview: what there is to say of the pairs.
        seconds: time that all took.
        solving: time that workers took, all together.
    """

    manifest: Manifest
    pairs: ListedPairs
    k: int
    total: int
    computed: int
    reused: int
    every: int
    solved: int
    half_steps: int
    overlaps: int
    neighbours: int
    overview: Overview
    seconds: float
    solving: float


def check_nearest(
    k: object,
    outputs: Sequence[str],
    method: Method,
    target_error: float | None,
    shard: str | None,
) -> int:
    """How many neighbours a sweep is asked for.

    Raises:
        GeospotError: none, or something that needs all pairs is asked for, too.
    """
    number = checks.whole(k, "k")
    if number < 1:
        raise GeospotError(f"k={number}: give how many regions to find of each, at least 1")
    if shard is not None:
        raise GeospotError(
            f"shard={shard} is of all pairs: leave it out where the nearest alone are stored, "
            "and share the work out with engine=ray"
        )
    if target_error is not None:
        raise GeospotError(
            f"target_error={target_error:g} is of all pairs, as larger samples have other "
            "neighbours: raise regions.max_points where the nearest alone are stored"
        )
    if _NEAREST not in outputs:
        raise GeospotError(f"the nearest are those by {_NEAREST}: add it to outputs")
    check_one_scale(method.cost)
    check_without_labels(method.cost, "the search for the nearest")
    check_entropic(method.solver, "the search for the nearest")
    return number


@shows_progress
def run_nearest(
    out: str | Path,
    regions: Regions,
    against: Regions | None = None,
    *,
    k: int,
    method: Method,
    engine: Engine,
    outputs: Sequence[str] | None = None,
    config: dict[str, object] | None = None,
    results: Outputs | None = None,
    progress: bool = False,
) -> NearestResult:
    """Find and store the ``k`` nearest regions of each, and what is asked of these pairs.

    Most pairs are never looked at; none is planned. What ``out`` holds already is not found again,
    and pairs that it holds are not solved again.

    Args:
        out: folder of the run; its identity (encoder, cost, solver, seed) must be the same.
        regions: the regions.
        against: find the nearest of ``regions`` for each of these instead.
        k: how many; all where there are fewer.
        method: cost and solver; one scale holds for all pairs.
        engine, outputs, config, results, progress: as for :func:`~.sweep.run_sweep`.

    Raises:
        GeospotError: as :func:`~.sweep.run_sweep`, or as :func:`check_nearest`.
    """
    outputs = chosen_outputs(outputs)
    k = check_nearest(k, outputs, method, None, None)
    together = joined(regions, against)
    store = Store(out)
    results = results or store.output_folder()
    store.check_identity(run_identity(together.encoder, together.sampling.seed, method))
    check_compatible(together, method.cost)
    started = time.perf_counter()
    with engine.pool() as pool:
        warn_of_sizes(regions, against)
        store.prepare()
        identity = store.settle(run_identity(together.encoder, together.sampling.seed, method))
        keys = tuple(region_keys(together, identity))
        name = device_name(pool.device_type, engine)
        manifest = manifest_of(identity, together, len(regions), list(keys), name, config)
        manifest |= {"value": _NEAREST, "outputs": list(outputs), "target_error": None}
        manifest |= {"points": [s.counts for s in (regions, against) if s is not None]}
        manifest |= {"nearest": k}
        grid = Grid(together.sizes, None, pool.device_type)
        sweep = SweepJob(store.place, together, keys, grid, method, engine, outputs)
        missing, before = _missing(store, sweep, len(regions), k)
        drafts: set[str] = set()
        solving = 0.0
        if len(missing):
            drafts.add(store.write_manifest(manifest))  # an unfinished run can be opened, too
        solve_blocks(pool, store, sweep, [], "", 0)
        known = KnownPairs(len(keys))
        if len(missing):
            positions = Positions.of(keys, len(regions), square=against is None)
            known = known_pairs(store.pairs, positions, len(keys), outputs, _SPARE * k)
            groups = Groups.of(MomentBounds(together, method.cost), len(regions))
            job = NearestJob(sweep, len(regions), k, groups, known)
            solving = _find(pool, job, missing, len(together) - len(regions) or len(regions))
    pairs = ListedPairs(store, manifest)
    table = pairs.table
    reused = known.find(*np.divmod(pairs.codes, len(keys)))[0] | (
        found_at(before, pairs.codes) >= 0
    )
    targets, candidates = len(table.there), len(regions) - (against is None)
    result = NearestResult(
        manifest=manifest,
        pairs=pairs,
        k=pairs.lists.k,
        total=len(pairs.codes),
        computed=len(pairs.codes) - int(reused.sum()),
        reused=int(reused.sum()),
        every=targets * candidates,
        solved=int(table.solved.sum()),
        half_steps=int(table.half_steps.sum()),
        overlaps=int(table.overlaps.sum()),
        neighbours=targets * pairs.lists.k,
        overview=overview(pairs, _NEAREST, SHOWN),
        seconds=time.perf_counter() - started,
        solving=solving,
    )

    def show(_: pd.DataFrame, folder: Path) -> None:
        write_neighbours(pairs, _NEAREST, folder / "neighbours.parquet")

    names = "neighbours.parquet", *ALWAYS
    finish(store, results, manifest, drafts, names, show, computed=len(missing) > 0)
    return result


def _missing(store: Store, sweep: SweepJob, n_sources: int, k: int) -> tuple[Indices, Indices]:
    """Positions of the targets whose lists or pairs are missing, and codes of pairs that are there.

    Blocks are proved, so that what is damaged is found again.
    """
    lists = NeighbourLists(store, sweep.keys, n_sources, k)
    table = lists.read()
    codes, count = lists.codes(table), len(sweep.keys)
    positions = Positions.of(sweep.keys, n_sources, square=lists.square)
    listing = Listing(store.pairs, positions, count, codes, sweep.outputs)
    if len(store.pairs.prove(listing.blocks)) < len(listing.blocks):
        listing = Listing(store.pairs, positions, count, codes, sweep.outputs)
    there = codes[listing.there]
    whole = _are_there(lists, table, there)
    return lists.first_target + np.flatnonzero(~whole), there


def _are_there(lists: NeighbourLists, table: ListTable, codes: Indices) -> np.ndarray:
    """Which targets have a list, and all of its pairs, [T]."""
    target, neighbour = lists.pairs(table)
    lacking = found_at(codes, coded(target, neighbour, lists.regions)) < 0
    whole = table.there.copy()
    whole[target[lacking] - lists.first_target] = False
    return whole


def _find(pool: Pool, job: NearestJob, missing: Indices, total: int) -> float:
    """Find the lists of all targets that have none; the time that workers took."""
    items = job.items(missing, pool.device_type, pool.shares)
    count = sum(map(job.targets, items))
    seconds = 0.0
    progress = Progress("nearest", "regions", total=total, done=total - count)
    with progress as counted, kept("lists", lambda: counted.done > total - count):
        for _, done in pool.run(job, items, [job.work(item) for item in items], job.name):
            counted.update(done.number)
            seconds += done.seconds
    return seconds
