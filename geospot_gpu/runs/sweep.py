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
from geospot_gpu.distances.growth import Larger, grow
from geospot_gpu.distances.pair_table import PairTable
from geospot_gpu.distances.pairwise import all_pairs, joined
from geospot_gpu.distances.solve import (
    PairSolver,
    check_target_error,
    chosen_outputs,
)
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.settings import Engine
from geospot_gpu.engine.warm import WarmStarts
from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.kept import kept
from geospot_gpu.files import Unwritable, content_hash
from geospot_gpu.files.outputs import OutputFolder
from geospot_gpu.progress import shows_progress
from geospot_gpu.regions import Regions
from geospot_gpu.runs.identity import Identity, region_keys, run_identity
from geospot_gpu.runs.manifest import Manifest, seal
from geospot_gpu.runs.missing import solve_missing
from geospot_gpu.runs.reading import dataset_of, stored_regions
from geospot_gpu.runs.shard import check_shard, share_of
from geospot_gpu.runs.store import MANIFEST, OUTPUTS, Store

if TYPE_CHECKING:
    import xarray

log = logging.getLogger("geospot_gpu")

UNLIKE = 3
"""Ratio between the points of two regions beyond which a sweep warns."""
_FROM_MANIFEST = ["n_points", "n_available", "weight"]
_ABOUT = (
    "identity",
    "value",
    "outputs",
    "max_points",
    "sources",
    "targets",
    "target_error",
    "larger_samples",
)
"""What outputs depend on."""

Draw = Callable[["xarray.Dataset", Path], None]
"""Draws a dataset into a folder."""


@dataclass(frozen=True)
class SweepResult:
    """What a sweep did.

    Attributes:
        manifest: what it was made from.
        pairs: all pairs of the sweep that are there, stored columns.
        value: the column that is the distance.
        total, computed, reused: numbers of pairs.
        unconverged: how many are not known to have converged.
        seconds: time spent solving.
        missing: how many pairs other shards still have to solve, by the number of the shard.
    """

    manifest: Manifest
    pairs: pd.DataFrame
    value: str
    total: int
    computed: int
    reused: int
    unconverged: int
    seconds: float
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
    results: OutputFolder | None = None,
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
    outputs = chosen_outputs(outputs)
    value = value_of(outputs)
    if target_error is not None:
        target_error = check_target_error(target_error, outputs)
    part = check_shard(shard, target_error)
    together = joined(regions, against)
    identity = run_identity(together.encoder, together.sampling.seed, method)
    store = Store(out)
    results = results or store.output_folder()
    store.check_identity(identity)
    left, right = all_pairs(len(regions), None if against is None else len(against))
    solver = PairSolver(together, method, engine, warm)
    sizes = together.sizes[left], together.sizes[right]
    share = None if part is None else share_of(part, *sizes, solver.engine.device.type)
    _warn_of_sizes(together, left, right)
    started = time.perf_counter()
    store.prepare()
    identity = store.settle(identity)
    keys = region_keys(together, identity)
    manifest = _manifest(identity, together, len(regions), keys, solver, config)
    manifest |= {"value": value, "outputs": list(outputs), "target_error": target_error}
    manifest["points"] = [side.counts for side in (regions, against) if side is not None]
    drafts: set[Path] = set()
    found = solve_missing(store, solver, keys, left, right, manifest, drafts, share)
    pairs = found.pairs
    computed = np.isin(np.arange(len(left)), found.computed)
    if target_error is not None:

        def solve_larger(sample: Larger) -> PairTable:
            larger = PairSolver(sample.regions, method, engine, warm)
            keys = region_keys(sample.regions, identity)
            manifest["larger_samples"].append(_larger_sample(sample, keys))
            found = solve_missing(store, larger, keys, sample.left, sample.right, manifest, drafts)
            computed[sample.pairs[found.computed]] = True
            return found.pairs

        pairs = grow(together, pairs, target_error, solve_larger)
    table = pd.DataFrame(pairs.columns)
    result = SweepResult(
        manifest=manifest,
        pairs=table,
        value=value,
        total=len(left),
        computed=int(computed.sum()),
        reused=len(pairs) - int(computed.sum()),
        unconverged=int((~table["converged"].eq(True)).sum()),
        seconds=time.perf_counter() - started,
        missing={} if share is None else share.counted(found.missing),
    )
    if not result.missing:
        _finish(store, results, manifest, drafts, result, draw)
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


def _finish(
    store: Store,
    results: OutputFolder,
    manifest: Manifest,
    drafts: set[Path],
    result: SweepResult,
    draw: Draw | None,
) -> None:
    """Write the manifest and what there is to look at, where that is not what is there already."""
    about = content_hash(json.dumps([manifest[key] for key in _ABOUT]).encode())
    there = result.computed == 0 and results.current(OUTPUTS if draw else OUTPUTS[2:], about)
    if there and store.holds(manifest):
        return
    try:
        final = store.write_manifest(manifest)
        with kept("all distances", lambda: True), results.replacing(about) as staged:
            regions = stored_regions(store, manifest)
            regions.to_parquet(staged / "regions.parquet", index=False)
            if draw is not None:
                draw(dataset_of(manifest, regions, result.pairs), staged)
            (staged / MANIFEST).write_bytes(seal(manifest))
        for draft in drafts - {final}:
            draft.unlink(missing_ok=True)
    except Unwritable as error:
        if not there:
            raise
        log.warning("nothing was to be computed, and what is there is kept: %s", error)


def _larger_sample(sample: Larger, keys: list[str]) -> dict[str, object]:
    """What the manifest says of larger samples: which regions of the sweep have which key."""
    return {
        "max_points": sample.regions.sampling.max_points,
        "positions": sample.members.tolist(),
        "keys": keys,
    }


def _warn_of_sizes(regions: Regions, left: Indices, right: Indices) -> None:
    """Say that bias does not cancel where one region has many more points than the other."""
    n, m = regions.n_points[left], regions.n_points[right]
    sampled = regions.n_points < regions.n_available
    unlike = np.maximum(n, m) > UNLIKE * np.minimum(n, m)
    pairs = np.flatnonzero(unlike & (sampled[left] | sampled[right]))
    if len(pairs):
        i, j = left[pairs[0]], right[pairs[0]]
        log.warning(
            f"regions differ more than {UNLIKE} times in points in {len(pairs)} of {len(n)} pairs, "
            f"such as {regions.names[i]} ({n[pairs[0]]}) and {regions.names[j]} ({m[pairs[0]]}): "
            "distances are larger the fewer points there are; see the column bias, or lower "
            "regions.max_points"
        )


def _manifest(
    identity: Identity,
    together: Regions,
    n_sources: int,
    keys: list[str],
    solver: PairSolver,
    config: dict[str, object] | None,
) -> Manifest:
    table = together.table().assign(key=keys)
    regions = table[["name", "key", *_FROM_MANIFEST]].to_dict("records")
    packages = ("geospot_gpu", "torch", "numpy", "geomloss", "pykeops", "geoclip")
    device = solver.engine.device
    return {
        "identity": identity,
        "seed": together.sampling.seed,
        "max_points": together.sampling.max_points,
        "sources": regions[:n_sources],
        "targets": regions[n_sources:] or None,
        "larger_samples": [],
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "versions": {"python": platform.python_version()}
        | {name: _version(name) for name in packages},
        "features": None
        if together.sources[0].encoder.taken is None
        else list(together.sources[0].encoder.taken),
        "config": config,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
