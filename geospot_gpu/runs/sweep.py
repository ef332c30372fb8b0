"""The sweep itself: what is missing is computed, batch by batch, and stored at once."""

from __future__ import annotations

import json
import logging
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from geospot_gpu.arrays import Indices
from geospot_gpu.distances.columns import distances
from geospot_gpu.distances.pairwise import joined
from geospot_gpu.distances.solve import check_target_error, chosen_outputs
from geospot_gpu.engine.method import Method, check_compatible
from geospot_gpu.engine.settings import Engine
from geospot_gpu.engine.warm import WarmStarts
from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.kept import kept
from geospot_gpu.files import Unwritable, content_hash
from geospot_gpu.files.outputs import Outputs
from geospot_gpu.progress import shows_progress
from geospot_gpu.regions import Regions
from geospot_gpu.runs.catalogue import Catalogue
from geospot_gpu.runs.class_table import method_in
from geospot_gpu.runs.growth import grow_samples
from geospot_gpu.runs.identity import Identity, region_keys, run_identity
from geospot_gpu.runs.manifest import Manifest, seal
from geospot_gpu.runs.merging import merge
from geospot_gpu.runs.missing import missing_blocks, solve_blocks
from geospot_gpu.runs.overview import Overview, overview
from geospot_gpu.runs.plan import Grid
from geospot_gpu.runs.reading import dataset_of, stored_regions
from geospot_gpu.runs.shard import check_shard, share_of
from geospot_gpu.runs.spaces import of_encoder
from geospot_gpu.runs.store import MANIFEST, Store
from geospot_gpu.runs.stored_pairs import StoredPairs
from geospot_gpu.runs.work import SweepJob

if TYPE_CHECKING:
    import xarray

log = logging.getLogger("geospot_gpu")

UNLIKE = 3
"""Ratio between the points of two regions beyond which a sweep warns."""
_FROM_MANIFEST = ["n_points", "n_available", "n_distinct", "weight"]
_ABOUT = (
    "identity",
    "value",
    "outputs",
    "max_points",
    "sources",
    "targets",
    "target_error",
    "larger_samples",
    "nearest",
)
"""What outputs depend on."""
SHOWN = 5
"""How many of the nearest and of the farthest pairs are shown."""

ALWAYS = ("regions.parquet", MANIFEST)
"""What every run leaves to look at."""

Draw = Callable[["xarray.Dataset", Path], None]
"""Draws a dataset into a folder."""


@dataclass(frozen=True)
class SweepResult:
    """What a sweep did.

    Attributes:
        manifest: what it was made from.
        pairs: all pairs of the sweep that are there.
        value: the column that is the distance.
        total, computed, reused: numbers of pairs.
        overview: what there is to say of the pairs.
        seconds: time that all took.
        solving: time that workers took to solve pairs, all together.
        missing: how many pairs other shards still have to solve, by the number of the shard.
    """

    manifest: Manifest
    pairs: StoredPairs
    value: str
    total: int
    computed: int
    reused: int
    overview: Overview
    seconds: float
    solving: float
    missing: dict[int, int]


@shows_progress
def run_sweep(
    out: str | Path,
    regions: Regions,
    against: Regions | None = None,
    *,
    method: Method,
    engine: Engine,
    outputs: Sequence[str] | None = None,
    target_error: float | None = None,
    shard: str | None = None,
    config: dict[str, object] | None = None,
    warm: WarmStarts | None = None,
    results: Outputs | None = None,
    draw: Draw | None = None,
    progress: bool = False,
) -> SweepResult:
    """Compute and store what is asked of every pair of regions and ``out`` does not hold yet.

    Args:
        out: folder of the run; its identity (encoder, cost, solver, seed) must be the same.
        regions: the regions; each unordered pair is stored once, source before target by name.
        against: compare every region of ``regions`` with every one of these instead.
        method: cost and solver.
        engine: device, kernel and memory budget.
        outputs, target_error: as for :func:`~geospot_gpu.pairwise`.
        shard: as for :func:`~geospot_gpu.sweep`.
        config: the whole configuration, for the manifest.
        warm: potentials to start from and to keep, for sweeps of the same regions.
        results: the folder's files to look at, as :meth:`Store.output_folder` gives them.
        draw: writes what there is to look at of the pairs.
        progress: draw how far it has come.

    Raises:
        GeospotError: the folder holds another sweep or cannot be written, there is only one
            region, the regions do not fit the cost, an output is unknown, or there is no such
            shard.
    """
    outputs = chosen_outputs(outputs, method.solver)
    value = value_of(outputs)
    if target_error is not None:
        target_error = check_target_error(target_error, outputs)
    part = check_shard(shard, target_error)
    together = joined(regions, against)
    store = Store(out)
    results = results or store.output_folder()
    started = time.perf_counter()
    method = method_in(store, together, method, engine)
    identity = run_identity(together.encoder, together.sampling.seed, method)
    check_compatible(together, method.cost)
    with engine.pool() as pool:
        others = None if against is None else against.sizes
        grid = Grid(regions.sizes, others, pool.device_type, pool.shares)
        share = None if part is None else share_of(part, grid)
        warn_of_sizes(regions, against)
        store.prepare()
        identity = store.settle(identity)
        keys = tuple(region_keys(together, identity))
        manifest = manifest_of(
            identity,
            together,
            len(regions),
            list(keys),
            device_name(pool.device_type, engine),
            config,
        )
        manifest |= {"value": value, "outputs": list(outputs), "target_error": target_error}
        manifest["points"] = [side.counts for side in (regions, against) if side is not None]
        job = SweepJob(store.place, together, keys, grid, method, engine, outputs, warm)
        catalogue = Catalogue(store.pairs, keys, grid, len(regions))
        if len(store.pairs.prove(catalogue.blocks)) < len(catalogue.blocks):
            catalogue.refresh()
        cells = grid.shuffled() if share is None else share.own
        blocks = missing_blocks(job, catalogue, cells, pool.device_type)
        drafts: set[str] = set()
        if blocks:
            drafts.add(store.write_manifest(manifest))  # an unfinished run can be opened, too
        what = f"solving, {together.sampling.max_points} points"
        what = "solving" if target_error is None else what
        what += "" if share is None else f" shard {share.shard}"
        found = solve_blocks(pool, store, job, blocks, what, sum(map(grid.count, cells)))
        grown = 0
        if target_error is not None:
            grown = grow_samples(pool, store, job, manifest, drafts, blocks)
    pairs = StoredPairs(store.pairs, manifest)
    merge(store.pairs, pairs.catalogue)
    missing: dict[int, int] = {}
    for cell, number in {} if share is None else share.owner.items():
        count = sum(map(len, pairs.catalogue.missing(cell, outputs).values()))
        if count:
            missing[number] = missing.get(number, 0) + count
    result = SweepResult(
        manifest=manifest,
        pairs=pairs,
        value=value,
        total=grid.total,
        computed=found.computed + grown,
        reused=grid.total - found.computed - grown - sum(missing.values()),
        overview=overview(pairs, value, SHOWN),
        seconds=time.perf_counter() - started,
        solving=found.seconds,
        missing=dict(sorted(missing.items())),
    )
    names = ALWAYS if draw is None else ("matrix.csv", "heatmap.png", *ALWAYS)

    def show(regions: pd.DataFrame, folder: Path) -> None:
        if draw is not None:
            draw(dataset_of(manifest, regions, pairs), folder)

    if not result.missing:
        finish(store, results, manifest, drafts, names, show, computed=result.computed > 0)
    return result


def value_of(outputs: Sequence[str]) -> str:
    """The column that is the distance of a run: the divergence, or what else comes first.

    Raises:
        GeospotError: there is no distance among the outputs.
    """
    known = [column.name for column in distances() if column.name in outputs]
    for name in ("divergence", "transport_cost", *known):
        if name in known:
            return name
    raise GeospotError(f"outputs={','.join(outputs)} has no distance: add divergence")


def finish(
    store: Store,
    results: Outputs,
    manifest: Manifest,
    drafts: set[str],
    names: Sequence[str],
    show: Callable[[pd.DataFrame, Path], None],
    *,
    computed: bool,
) -> None:
    """Write the manifest and what there is to look at, where that is not what is there already.

    Args:
        store: of the run.
        results: its files to look at.
        manifest: of the run.
        drafts: manifests of the run while it was not finished.
        names: of the files that it leaves.
        show: writes those that not every run leaves, from the table of its regions.
        computed: whether anything was computed now.
    """
    about = content_hash(json.dumps([manifest[key] for key in _ABOUT]).encode())
    there = not computed and results.current(names, about)
    if there and store.holds(manifest):
        return
    try:
        final = store.write_manifest(manifest)
        with kept("all distances", lambda: True), results.replacing(about) as staged:
            regions = stored_regions(store, manifest)
            regions.to_parquet(staged / "regions.parquet", index=False)
            show(regions, staged)
            (staged / MANIFEST).write_bytes(seal(manifest))
        for draft in drafts - {final}:
            store.manifests.remove(draft)
    except Unwritable as error:
        if not there:
            raise
        log.warning("nothing was to be computed, and what is there is kept: %s", error)


def warn_of_sizes(regions: Regions, against: Regions | None) -> None:
    """Say that bias does not cancel where one region has many more points than the other."""
    sides = regions, regions if against is None else against
    n, m = (side.n_points for side in sides)
    sampled = [side.n_points < side.n_available for side in sides]
    count = _unlike(n, m) - _unlike(n[~sampled[0]], m[~sampled[1]])
    if against is None:
        count //= 2
    if count == 0:
        return
    for i in range(len(n)):
        unlike = np.maximum(n[i], m) > UNLIKE * np.minimum(n[i], m)
        unlike &= sampled[0][i] | sampled[1]
        found = np.flatnonzero(unlike)
        if len(found):
            break
    j = found[0]
    total = len(n) * (len(n) - 1) // 2 if against is None else len(n) * len(m)
    log.warning(
        f"regions differ more than {UNLIKE} times in points in {count} of {total} pairs, "
        f"such as {sides[0].names[i]} ({n[i]}) and {sides[1].names[j]} ({m[j]}): "
        "distances are larger the fewer points there are; see the column bias, or lower "
        "regions.max_points"
    )


def _unlike(n: Indices, m: Indices) -> int:
    """How many of all n x m pairs have one side that is more than so many times the other."""
    n, m = np.sort(n), np.sort(m)
    larger = len(m) * len(n) - np.searchsorted(m, UNLIKE * n, side="right").sum()
    smaller = len(m) * len(n) - np.searchsorted(n, UNLIKE * m, side="right").sum()
    return int(larger + smaller)


def manifest_of(
    identity: Identity,
    together: Regions,
    n_sources: int,
    keys: list[str],
    device: str,
    config: dict[str, object] | None,
) -> Manifest:
    """What a run is made from; what is asked of it comes on top."""
    table = together.table().assign(key=keys)
    regions = table[["name", "key", *_FROM_MANIFEST]].to_dict("records")
    packages = ("geospot_gpu", "torch", "numpy", "geomloss", "pykeops", "geoclip")
    return {
        "identity": identity,
        "seed": together.sampling.seed,
        "max_points": together.sampling.max_points,
        "sources": regions[:n_sources],
        "targets": regions[n_sources:] or None,
        "larger_samples": [],
        "nearest": None,
        **of_encoder(together.sources[0].encoder),
        "device": device,
        "versions": {"python": platform.python_version()}
        | {name: _version(name) for name in packages},
        "features": None
        if together.sources[0].encoder.taken is None
        else list(together.sources[0].encoder.taken),
        "learned": together.sources[0].encoder.learned,
        "config": config,
    }


def device_name(kind: str, engine: Engine) -> str:
    """What computes: ``cpu``, or the GPU by its name where it is one of this machine."""
    if kind == "cuda" and engine.cluster is None:
        return str(torch.cuda.get_device_name(engine.torch_device()))
    return kind


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
