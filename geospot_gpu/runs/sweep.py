"""The sweep itself: what is missing is computed, batch by batch, and stored at once."""

from __future__ import annotations

import json
import logging
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import torch
from tqdm import tqdm

from geospot_gpu.cost import GroundCost
from geospot_gpu.distances.dataset import to_dataset
from geospot_gpu.distances.pairwise import all_pairs, joined, self_terms, solve_pairs
from geospot_gpu.engine.engine import Engine, Indices, PairEngine, Solver
from geospot_gpu.engine.growth import Larger, above_target, grow
from geospot_gpu.engine.warm import WarmStarts
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.kept import kept
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.files import Unwritable, content_hash
from geospot_gpu.files.outputs import OutputFolder
from geospot_gpu.regions import Regions
from geospot_gpu.runs.identity import Identity, pair_keys, region_keys, run_identity
from geospot_gpu.runs.manifest import Manifest, entries, seal
from geospot_gpu.runs.plan import plan_batches
from geospot_gpu.runs.store import MANIFEST, OUTPUTS, Store
from geospot_gpu.sinkhorn.solver import Sinkhorn

if TYPE_CHECKING:
    import xarray

log = logging.getLogger("geospot_gpu")

UNLIKE = 3
"""Ratio between the points of two regions beyond which a sweep warns."""
_SELF_COLUMNS = ["self_ot", "self_lower", "self_upper", "self_converged"]
_FROM_MANIFEST = ["n_points", "n_available", "weight"]
_ABOUT = ("identity", "value", "max_points", "sources", "targets", "target_error", "larger_samples")
"""What outputs depend on."""

Draw = Callable[["xarray.Dataset", Path], None]
"""Draws a dataset into a folder."""


@dataclass(frozen=True)
class SweepResult:
    """What a sweep did.

    Attributes:
        pairs: all pairs of the sweep, stored columns.
        value: the column that is the distance.
        total, computed, reused: numbers of pairs.
        unconverged: how many are not known to have converged.
        seconds: time spent solving.
    """

    pairs: pd.DataFrame
    value: str
    total: int
    computed: int
    reused: int
    unconverged: int
    seconds: float


def run_sweep(
    out: str | Path,
    regions: Regions,
    against: Regions | None = None,
    *,
    cost: GroundCost,
    solver: Solver,
    engine: Engine,
    config: dict[str, object] | None = None,
    warm: WarmStarts | None = None,
    outputs: OutputFolder | None = None,
    draw: Draw | None = None,
) -> SweepResult:
    """Compute and store the distance of every pair of regions that ``out`` does not hold yet.

    Args:
        out: folder of the run; its identity (encoder, cost, solver, seed) must be the same.
        regions: the regions; each unordered pair is stored once, source before target by name.
        against: compare every region of ``regions`` with every one of these instead.
        cost: ground cost.
        solver: what solves a pair.
        engine: device, backend, storage and memory budget.
        config: the whole configuration, for the manifest.
        warm: potentials to start from and to keep, for sweeps of the same regions.
        outputs: of the folder, as :meth:`Store.output_folder` gives them.
        draw: writes what there is to look at of the pairs.

    Raises:
        GeospotError: the folder holds another sweep or cannot be written, there is only one
            region, or the regions do not fit the cost.
    """
    together = joined(regions, against)
    identity = run_identity(together.encoder, together.sampling.seed, cost, solver)
    store = Store(out)
    outputs = outputs or store.output_folder()
    store.check_identity(identity)
    left, right = all_pairs(len(regions), None if against is None else len(against))
    engine_of_pairs = PairEngine(together, cost, solver, engine, warm)
    keys = region_keys(together, identity)
    manifest = _manifest(identity, together, len(regions), keys, engine_of_pairs, config)
    manifest["points"] = [side.counts for side in (regions, against) if side is not None]
    _warn_of_sizes(together, left, right)
    started = time.perf_counter()
    store.prepare()
    store.settle(identity)
    drafts: set[Path] = set()
    pairs, missing = _solve(store, engine_of_pairs, keys, left, right, manifest, drafts)
    computed = np.isin(np.arange(len(left)), missing)
    if isinstance(solver, Sinkhorn) and solver.target_error is not None:

        def solve_larger(sample: Larger) -> pd.DataFrame:
            engine_of_pairs = PairEngine(sample.regions, cost, solver, engine, warm)
            keys = region_keys(sample.regions, identity)
            manifest["larger_samples"].append(_larger_sample(sample, keys))
            sides = sample.left, sample.right
            pairs, missing = _solve(store, engine_of_pairs, keys, *sides, manifest, drafts)
            computed[sample.pairs[missing]] = True
            return _in_order(pairs, pair_keys(keys, *sides))

        pairs = _in_order(pairs, pair_keys(keys, left, right))
        pairs = grow(together, left, right, pairs, solver.target_error, solve_larger)
    result = SweepResult(
        pairs=pairs,
        value=str(manifest["value"]),
        total=len(pairs),
        computed=int(computed.sum()),
        reused=int((~computed).sum()),
        unconverged=int((~pairs["converged"].eq(True)).sum()),
        seconds=time.perf_counter() - started,
    )
    _finish(store, outputs, manifest, drafts, result, draw)
    return result


def _finish(
    store: Store,
    outputs: OutputFolder,
    manifest: Manifest,
    drafts: set[Path],
    result: SweepResult,
    draw: Draw | None,
) -> None:
    """Write the manifest and what there is to look at, where that is not what is there already."""
    about = content_hash(json.dumps([manifest[key] for key in _ABOUT]).encode())
    there = result.computed == 0 and outputs.current(OUTPUTS if draw else OUTPUTS[2:], about)
    if there and store.holds(manifest):
        return
    try:
        final = store.write_manifest(manifest)
        with kept("all distances", lambda: True), outputs.replacing(about) as staged:
            regions = _regions(store, manifest)
            regions.to_parquet(staged / "regions.parquet", index=False)
            if draw is not None:
                draw(_dataset(manifest, regions, result.pairs), staged)
            (staged / MANIFEST).write_bytes(seal(manifest))
        for draft in drafts - {final}:
            draft.unlink(missing_ok=True)
    except Unwritable as error:
        if not there:
            raise
        log.warning("nothing was to be computed, and what is there is kept: %s", error)


def _solve(
    store: Store,
    engine: PairEngine,
    keys: list[str],
    left: Indices,
    right: Indices,
    manifest: Manifest,
    drafts: set[Path],
) -> tuple[pd.DataFrame, Indices]:
    """Solve and store the pairs that the store lacks.

    Returns:
        All pairs in any order, and the positions of those that were missing.
    """
    wanted = pair_keys(keys, left, right)
    stored = store.pairs.read(wanted)
    found = pc.is_in(wanted, value_set=pa.array(stored["key"], pa.large_string()))
    missing = np.flatnonzero(pc.invert(found))
    selves = _stored_self_terms(store, engine, keys)
    if len(missing):
        drafts.add(store.write_manifest(manifest))  # an unfinished run can be opened, too
        _compute(store, engine, left, right, wanted, missing, selves)
        stored = store.pairs.read(wanted)
    store.pairs.tidy()
    return stored, missing


def _in_order(pairs: pd.DataFrame, keys: pa.Array) -> pd.DataFrame:
    ordered: pd.DataFrame = pairs.set_index("key").loc[keys.to_pylist()].reset_index()
    return ordered


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


def _stored_self_terms(store: Store, engine: PairEngine, keys: list[str]) -> pd.DataFrame:
    """Self terms of all regions; those that the store does not have are computed and stored."""
    wanted = pa.array(keys, pa.large_string())
    stored = store.regions.read(wanted)
    missing = np.flatnonzero(~pd.Series(keys).isin(stored["key"]))
    sizes = engine.regions.sizes[missing]
    table = engine.regions.table().assign(key=keys)
    batches = plan_batches(sizes, sizes, engine.device.type)
    with (
        tqdm(
            desc="self terms", unit=" regions", total=len(missing), disable=len(batches) < 2
        ) as progress,
        kept("finished self terms", lambda: progress.n > 0),
    ):
        for batch in batches:
            chosen = missing[batch]
            selves = self_terms(engine, chosen).add_prefix("self_").set_index(chosen)
            store.regions.write(table.iloc[chosen].join(selves))
            progress.update(len(chosen))
    if len(missing):
        stored = store.regions.read(wanted)
    store.regions.tidy()
    selves = stored.set_index("key").loc[keys, _SELF_COLUMNS].reset_index(drop=True)
    return selves.rename(columns=lambda name: name.removeprefix("self_"))


def _compute(
    store: Store,
    engine: PairEngine,
    left: Indices,
    right: Indices,
    keys: pa.Array,
    missing: Indices,
    selves: pd.DataFrame,
) -> None:
    """Solve the pairs at ``missing`` and store them, batch by batch."""
    regions = engine.regions
    names = np.array(regions.names, dtype=object)
    n, m = regions.sizes[left], regions.sizes[right]
    grows = getattr(engine.solver, "target_error", None) is not None
    with (
        tqdm(
            desc=f"solving, {regions.sampling.max_points} points" if grows else "solving",
            unit=" pairs",
            total=len(keys),
            initial=len(keys) - len(missing),
            disable=len(missing) == 0,
        ) as progress,
        kept("finished batches", lambda: progress.n > 0),
    ):
        for batch in plan_batches(n[missing], m[missing], engine.device.type):
            chosen = missing[batch]
            i, j = left[chosen], right[chosen]
            pairs = solve_pairs(engine, i, j, selves)
            store.pairs.write(
                pairs.assign(
                    key=keys.take(chosen),
                    source=names[i],
                    target=names[j],
                    n_source=regions.n_points[i],
                    n_target=regions.n_points[j],
                    geo_weight=engine.cost.geo_weight,
                    epsilon=engine.solver.epsilon,
                )
            )
            progress.update(len(chosen))


def _manifest(
    identity: Identity,
    together: Regions,
    n_sources: int,
    keys: list[str],
    engine: PairEngine,
    config: dict[str, object] | None,
) -> Manifest:
    table = together.table().assign(key=keys)
    regions = table[["name", "key", *_FROM_MANIFEST]].to_dict("records")
    debiased = isinstance(engine.solver, Sinkhorn) and engine.solver.debias
    packages = ("geospot_gpu", "torch", "numpy", "geomloss", "pykeops", "geoclip")
    device = engine.device
    return {
        "identity": identity,
        "value": "divergence" if debiased else "transport_cost",
        "seed": together.sampling.seed,
        "max_points": together.sampling.max_points,
        "sources": regions[:n_sources],
        "targets": regions[n_sources:] or None,
        "target_error": getattr(engine.solver, "target_error", None),
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


def open_run(out: str | Path) -> xarray.Dataset:
    """A finished or unfinished sweep as an xarray.Dataset over ``source`` and ``target``.

    Only pairs of the regions in the manifest are read. Pairs that are not computed yet are NaN,
    and not converged.

    Args:
        out: folder of the run.

    Returns:
        The variables of :func:`geospot_gpu.pairwise`, with attributes ``value`` (the variable
        that the matrix shows) and ``manifest`` (the manifest as JSON).

    Raises:
        GeospotError: the folder holds no sweep, or a damaged one.
    """
    store = Store(checks.path(out, "out"))
    manifest = required_manifest(store)
    pairs = stored_pairs(store, manifest)
    n, targets = len(manifest["sources"]), manifest["targets"]
    total = n * (n - 1) // 2 if targets is None else n * len(targets)
    if len(pairs) < total:
        log.warning("%s: %d of %d pairs are missing: run the same geospot sweep again to have them",
                    out, total - len(pairs), total)  # fmt: skip
    dataset = _dataset(manifest, _regions(store, manifest), pairs)
    dataset.attrs = {"value": manifest["value"], "manifest": json.dumps(manifest)}
    return dataset


@out_of_memory("putting pairs into matrices", "take fewer regions")
def _dataset(manifest: Manifest, regions: pd.DataFrame, pairs: pd.DataFrame) -> xarray.Dataset:
    """Pairs of a run over its regions."""
    n_sources = len(manifest["sources"])
    if manifest["targets"] is None:
        dataset = to_dataset(pairs, regions)
    else:
        dataset = to_dataset(pairs, regions[:n_sources], regions[n_sources:])
    dataset.attrs["value"] = manifest["value"]
    return dataset


def _regions(store: Store, manifest: Manifest) -> pd.DataFrame:
    """What is known of the regions of a run, one row each, those of the second table last."""
    own = pd.DataFrame(entries(manifest))
    known = store.regions.read(pa.array(own["key"], pa.large_string())).set_index("key")
    if "n_points" not in own or not own["key"].isin(known.index).all():
        raise GeospotError(
            f"{store.folder}: what is stored of its regions is missing, damaged or of version 0.1: "
            "run the same geospot sweep again: stored distances are kept"
        )
    return own.join(known.drop(columns="name"), on="key")


def required_manifest(store: Store) -> Manifest:
    """The manifest of a sweep.

    Raises:
        GeospotError: there is none, or it is damaged.
    """
    manifest = store.read_manifest()
    if manifest is None:
        raise GeospotError(
            f"{store.folder}: holds no sweep; make one with geospot sweep out={store.folder}"
        )
    return manifest


def stored_pairs(store: Store, manifest: Manifest) -> pd.DataFrame:
    """The pairs of a sweep that are computed, each from the last samples that it needed."""
    sources, targets = manifest["sources"], manifest["targets"]
    keys = [region["key"] for region in entries(manifest)]
    left, right = all_pairs(len(sources), None if targets is None else len(targets))
    pairs = store.pairs.read(pair_keys(keys, left, right))
    for sample in manifest.get("larger_samples", []):
        larger = np.full(len(keys), "", object)
        larger[sample["positions"]] = sample["keys"]
        has = np.flatnonzero((larger[left] != "") & (larger[right] != ""))
        solved = store.pairs.read(pair_keys(larger.tolist(), left[has], right[has]))
        above = pairs[above_target(pairs, manifest["target_error"])]
        solved = solved.merge(above[["source", "target"]])
        pairs = pd.concat([pairs, solved]).drop_duplicates(["source", "target"], keep="last")
    return pairs
