"""Larger samples of the pairs of a sweep whose error is too large, solved and stored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from geospot_gpu.arrays import Indices
from geospot_gpu.cluster.pool import Pool
from geospot_gpu.distances.growth import Larger, grow
from geospot_gpu.distances.pair_table import PairTable
from geospot_gpu.errors import GeospotError
from geospot_gpu.runs.catalogue import Catalogue
from geospot_gpu.runs.identity import region_keys
from geospot_gpu.runs.manifest import Manifest
from geospot_gpu.runs.missing import listed_blocks, solve_blocks
from geospot_gpu.runs.plan import Grid
from geospot_gpu.runs.store import Store
from geospot_gpu.runs.stored_pairs import GROWTH, StoredPairs
from geospot_gpu.runs.work import PairBlock, SweepJob


def grow_samples(
    pool: Pool,
    store: Store,
    job: SweepJob,
    manifest: Manifest,
    drafts: set[str],
    now: Sequence[PairBlock],
) -> int:
    """Solve the pairs of a sweep again whose error is above its target, from larger samples.

    Args:
        pool: who does the work.
        store: which has all pairs of the sweep.
        job: the sweep.
        manifest: of the sweep, which then says which larger samples there are.
        drafts: manifests of the unfinished run, which are added to.
        now: blocks of the sweep that were solved now.

    Returns:
        How many pairs were solved again that are in none of these.
    """
    solved: set[int] = set()
    n_sources = len(manifest["sources"])

    def solve_larger(sample: Larger) -> PairTable:
        keys = tuple(region_keys(sample.regions, manifest["identity"]))
        manifest["larger_samples"].append(
            {
                "max_points": sample.regions.sampling.max_points,
                "positions": sample.members.tolist(),
                "keys": list(keys),
            }
        )
        sizes, split = sample.regions.sizes, len(keys)
        if not job.grid.square:
            split = int(np.searchsorted(sample.members, n_sources))
        grid = Grid(sizes[:split], None if job.grid.square else sizes[split:], pool.device_type)
        larger = SweepJob(
            *(job.place, sample.regions, keys, grid, job.method, job.engine, job.outputs),
            warm=job.warm,
        )
        catalogue = Catalogue(store.pairs, keys, grid, split)
        there, _ = catalogue.find(sample.left, sample.right, [], job.outputs)
        missing = np.flatnonzero(~there)
        if len(missing):
            drafts.add(store.write_manifest(manifest))
        left, right = sample.left[missing], sample.right[missing]
        blocks = listed_blocks(larger, left, right, job.outputs, pool.device_type)
        what = f"solving, {sample.regions.sampling.max_points} points"
        solve_blocks(pool, store, larger, blocks, what, len(sample.left))
        solved.update(sample.pairs[missing].tolist())
        catalogue.refresh()
        there, columns = catalogue.find(sample.left, sample.right, GROWTH, job.outputs)
        if not there.all():
            raise GeospotError(
                f"{store.place}: {int((~there).sum())} pairs are gone that were stored just now: "
                "run the same geospot sweep again"
            )
        return PairTable(sample.left, sample.right, columns)

    parts = list(StoredPairs(store.pairs, manifest).parts(GROWTH))
    left = np.concatenate([part.left for part in parts])
    right = np.concatenate([part.right for part in parts])
    columns = {name: np.concatenate([part[name] for part in parts]) for name in GROWTH}
    grow(job.regions, PairTable(left, right, columns), manifest["target_error"], solve_larger)
    again = np.array(sorted(solved), np.int64)
    codes = [_code(*job.positions(block), job) for block in now]
    return int(
        (~np.isin(_code(left[again], right[again], job), np.concatenate([[], *codes]))).sum()
    )


def _code(left: Indices, right: Indices, job: SweepJob) -> Indices:
    """A number for each pair."""
    return left * len(job.regions) + right
