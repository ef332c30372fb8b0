"""The sweep itself: what is missing is computed, batch by batch, and stored at once."""

from __future__ import annotations

import json
import logging
import platform
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import torch
from tqdm import tqdm

from geospot_gpu import checks
from geospot_gpu.cost import GroundCost
from geospot_gpu.dataset import to_dataset
from geospot_gpu.engine import Engine, Indices, PairEngine, Solver
from geospot_gpu.errors import GeospotError
from geospot_gpu.growth import Larger, above_target, grow
from geospot_gpu.pairs import all_pairs, joined, self_terms, solve_pairs
from geospot_gpu.regions import Regions
from geospot_gpu.sinkhorn.solver import Sinkhorn
from geospot_gpu.sweep.identity import Identity, pair_keys, region_keys, run_identity
from geospot_gpu.sweep.plan import plan_batches
from geospot_gpu.sweep.store import Store
from geospot_gpu.warm import WarmStarts

if TYPE_CHECKING:
    import xarray

log = logging.getLogger("geospot_gpu")

MANIFEST_FORMAT = 1
UNLIKE = 3
"""Ratio between the points of two regions beyond which a sweep warns."""
_SELF_COLUMNS = ["self_ot", "self_lower", "self_upper", "self_converged"]


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
) -> SweepResult:
    """Compute and store the distance of every pair of regions that ``out`` does not hold yet.

    Args:
        out: folder of the run; its identity (encoder, cost, solver, seed) must be the same.
        regions: the regions; each unordered pair is stored once, source before target by name.
        against: compare every region of ``regions`` with every one of these instead.
        cost: ground cost.
        solver: what solves a pair.
        engine: device, kernel and memory budget.
        config: the whole configuration, for the manifest.
        warm: potentials to start from and to keep, for sweeps of the same regions.

    Raises:
        GeospotError: the folder holds another sweep or cannot be written, there is only one
            region, or the regions do not fit the cost.
    """
    together = joined(regions, against)
    identity = run_identity(together, cost, solver)
    store = Store(out)
    store.check_identity(identity)
    left, right = all_pairs(len(regions), None if against is None else len(against))
    engine_of_pairs = PairEngine(together, cost, solver, engine, warm)
    keys = region_keys(together, identity)
    manifest = _manifest(identity, together, len(regions), keys, engine_of_pairs, config)
    manifest["points"] = [side.counts for side in (regions, against) if side is not None]
    _warn_of_sizes(together, left, right)
    started = time.perf_counter()
    store.prepare()
    pairs, missing = _solve(store, engine_of_pairs, keys, left, right, manifest)
    computed = np.isin(np.arange(len(left)), missing)
    if isinstance(solver, Sinkhorn) and solver.target_error is not None:

        def solve_larger(sample: Larger) -> pd.DataFrame:
            engine_of_pairs = PairEngine(sample.regions, cost, solver, engine, warm)
            keys = region_keys(sample.regions, identity)
            manifest["larger_samples"].append(_larger_sample(sample, keys))
            sides = sample.left, sample.right
            pairs, missing = _solve(store, engine_of_pairs, keys, *sides, manifest)
            computed[sample.pairs[missing]] = True
            return _in_order(pairs, pair_keys(keys, *sides))

        pairs = _in_order(pairs, pair_keys(keys, left, right))
        pairs = grow(together, left, right, pairs, solver.target_error, solve_larger)
    return SweepResult(
        pairs=pairs,
        value=str(manifest["value"]),
        total=len(pairs),
        computed=int(computed.sum()),
        reused=int((~computed).sum()),
        unconverged=int((~pairs["converged"].eq(True)).sum()),
        seconds=time.perf_counter() - started,
    )


def _solve(
    store: Store,
    engine: PairEngine,
    keys: list[str],
    left: Indices,
    right: Indices,
    manifest: dict[str, Any],
) -> tuple[pd.DataFrame, Indices]:
    """Solve and store the pairs that the store lacks.

    Returns:
        All pairs in any order, and the positions of those that were missing.
    """
    wanted = pair_keys(keys, left, right)
    selves = _stored_self_terms(store, engine, keys)
    store.write_manifest(manifest)  # after its regions: it never names one that is not stored
    stored = store.read_pairs(wanted)
    found = pc.is_in(wanted, value_set=pa.array(stored["key"], pa.large_string()))
    missing = np.flatnonzero(pc.invert(found))
    _compute(store, engine, left, right, wanted, missing, selves)
    return store.read_pairs(wanted) if len(missing) else stored, missing


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
    table = engine.regions.table()
    table.insert(0, "key", keys)
    stored = store.read_regions()
    if stored is None:
        stored = table.iloc[:0].assign(**dict.fromkeys(_SELF_COLUMNS))
    known = stored.set_index("key")[_SELF_COLUMNS].reindex(keys)
    known.index = table.index
    missing = np.flatnonzero(known["self_converged"].isna())
    selves = known.astype(object)
    selves.iloc[missing] = self_terms(engine, missing).to_numpy(object)
    selves = selves.astype(dict.fromkeys(_SELF_COLUMNS, float) | {"self_converged": bool})
    # Regions that left the sweep stay: they may come back, and the manifest says who counts.
    absent = stored[~stored["key"].isin(keys)]
    rows = [table.join(selves), absent] if len(absent) else [table.join(selves)]
    store.write_regions(pd.concat(rows).drop_duplicates("key"))
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
    with tqdm(
        desc=f"solving, {regions.sampling.max_points} points" if grows else "solving",
        unit=" pairs",
        total=len(keys),
        initial=len(keys) - len(missing),
        disable=len(missing) == 0,
    ) as progress:
        for batch in plan_batches(n[missing], m[missing], engine.device.type):
            chosen = missing[batch]
            i, j = left[chosen], right[chosen]
            pairs = solve_pairs(engine, i, j, selves)
            store.write_shard(
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
) -> dict[str, Any]:
    entries = [{"name": name, "key": key} for name, key in zip(together.names, keys, strict=True)]
    debiased = isinstance(engine.solver, Sinkhorn) and engine.solver.debias
    packages = ("geospot_gpu", "torch", "numpy", "geomloss", "pykeops", "geoclip")
    device = engine.device
    return {
        "format": MANIFEST_FORMAT,
        "identity": identity,
        "value": "divergence" if debiased else "transport_cost",
        "seed": together.sampling.seed,
        "max_points": together.sampling.max_points,
        "sources": entries[:n_sources],
        "targets": entries[n_sources:] or None,
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
    sources, targets = manifest["sources"], manifest["targets"]
    keys = [region["key"] for region in [*sources, *(targets or [])]]
    regions = store.read_regions()
    if regions is None or not set(keys) <= set(regions["key"]):
        raise GeospotError(
            f"{store.regions_path}: is missing or damaged; run the sweep again: stored distances "
            "are kept"
        )
    table = regions.set_index("key").loc[keys].reset_index(drop=True)
    pairs = stored_pairs(store, manifest)
    if targets is None:
        dataset = to_dataset(pairs, table)
    else:
        dataset = to_dataset(pairs, table[: len(sources)], table[len(sources) :])
    dataset.attrs = {"value": manifest["value"], "manifest": json.dumps(manifest)}
    return dataset


def required_manifest(store: Store) -> dict[str, Any]:
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


def stored_pairs(store: Store, manifest: dict[str, Any]) -> pd.DataFrame:
    """The pairs of a sweep that are computed, each from the last samples that it needed."""
    sources, targets = manifest["sources"], manifest["targets"]
    keys = [region["key"] for region in [*sources, *(targets or [])]]
    left, right = all_pairs(len(sources), None if targets is None else len(targets))
    pairs = store.read_pairs(pair_keys(keys, left, right))
    for sample in manifest.get("larger_samples", []):
        larger = np.full(len(keys), "", object)
        larger[sample["positions"]] = sample["keys"]
        has = np.flatnonzero((larger[left] != "") & (larger[right] != ""))
        solved = store.read_pairs(pair_keys(larger.tolist(), left[has], right[has]))
        above = pairs[above_target(pairs, manifest["target_error"])]
        solved = solved.merge(above[["source", "target"]])
        pairs = pd.concat([pairs, solved]).drop_duplicates(["source", "target"], keep="last")
    return pairs
