"""The sweep itself: what is missing is computed, batch by batch, and stored at once."""

from __future__ import annotations

import errno
import platform
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from geospot_gpu.cost import GroundCost
from geospot_gpu.dataset import to_dataset
from geospot_gpu.engine import Engine, Indices, PairEngine, Solver
from geospot_gpu.errors import GeospotError
from geospot_gpu.pairs import all_pairs, self_terms, solve_pairs
from geospot_gpu.regions import Regions
from geospot_gpu.sinkhorn.solver import Sinkhorn
from geospot_gpu.sweep.identity import Identity, pair_keys, region_keys, run_identity
from geospot_gpu.sweep.plan import plan_batches
from geospot_gpu.sweep.store import Store

if TYPE_CHECKING:
    import xarray

MANIFEST_FORMAT = 1
_SELF_COLUMNS = ["self_ot", "self_lower", "self_upper", "self_converged"]


@dataclass(frozen=True)
class SweepResult:
    """What a sweep did.

    Attributes:
        pairs: all pairs of the sweep, stored columns.
        total, computed, reused, unconverged: numbers of pairs.
        seconds: time spent solving.
    """

    pairs: pd.DataFrame
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

    Raises:
        GeospotError: the folder holds another sweep or cannot be written, there is only one
            region, or the regions do not fit the cost.
    """
    if against is None and len(regions) < 2:
        raise GeospotError(
            f"only one region ({regions.names[0]}): distances need two; group the points differently"
        )
    together = regions if against is None else regions.concatenated(against)
    identity = run_identity(together, cost, solver)
    store = Store(out)
    store.check_identity(identity)
    pair_engine = PairEngine(together, cost, solver, engine)
    keys = np.array(region_keys(together, identity))
    left, right = all_pairs(len(regions), None if against is None else len(against))
    wanted = pair_keys(keys[left], keys[right])
    started = time.perf_counter()
    try:
        store.prepare()
        store.write_manifest(_manifest(identity, together, len(regions), keys, pair_engine, config))
        selves = _stored_self_terms(store, pair_engine, keys)
        stored = store.read_pairs()
        missing = np.flatnonzero(~np.isin(wanted, stored["key"].to_numpy(str)))
        _compute(store, pair_engine, left, right, wanted, missing, selves)
        pairs = store.read_pairs()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS):
            raise
        raise GeospotError(
            f"{out}: cannot be written ({error.strerror}); finished batches are kept: make room "
            "and run the same command again"
        ) from error
    pairs = pairs[pairs["key"].isin(wanted)].reset_index(drop=True)
    return SweepResult(
        pairs=pairs,
        total=len(wanted),
        computed=len(missing),
        reused=len(wanted) - len(missing),
        unconverged=int((~pairs["converged"].astype(bool)).sum()),
        seconds=time.perf_counter() - started,
    )


def _stored_self_terms(store: Store, engine: PairEngine, keys: np.ndarray) -> pd.DataFrame:
    """Self terms of all regions, computed where the store has none, which then has them."""
    table = engine.regions.table()
    table.insert(0, "key", keys)
    stored = store.read_regions()
    if stored is None or not set(_SELF_COLUMNS) <= set(stored.columns):
        stored = pd.DataFrame({"key": pd.Series(dtype=str)} | dict.fromkeys(_SELF_COLUMNS, np.nan))
    known = stored.drop_duplicates("key").set_index("key")[_SELF_COLUMNS].reindex(keys)
    missing = np.flatnonzero(known["self_converged"].isna())
    fresh = self_terms(engine, missing)
    for name in _SELF_COLUMNS:
        values = known[name].astype(float).to_numpy(copy=True)
        values[missing] = fresh[name.removeprefix("self_")].to_numpy(float)
        table[name] = values
    table["self_converged"] = table["self_converged"].astype(bool)
    store.write_regions(table)
    return table[_SELF_COLUMNS].rename(columns=lambda name: name.removeprefix("self_"))


def _compute(
    store: Store,
    engine: PairEngine,
    left: Indices,
    right: Indices,
    keys: np.ndarray,
    missing: Indices,
    selves: pd.DataFrame,
) -> None:
    regions = engine.regions
    names = np.array(regions.names, dtype=object)
    n, m = regions.sizes[left], regions.sizes[right]
    with tqdm(
        total=len(missing), desc="solving", unit=" pairs", disable=len(missing) == 0
    ) as progress:
        for batch in plan_batches(n[missing], m[missing], engine.device.type):
            chosen = missing[batch]
            i, j = left[chosen], right[chosen]
            pairs = solve_pairs(engine, i, j, selves)
            store.write_shard(
                pairs.assign(
                    key=keys[chosen],
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
    keys: np.ndarray,
    engine: PairEngine,
    config: dict[str, object] | None,
) -> dict[str, object]:
    entries = [
        {"name": name, "key": str(key)} for name, key in zip(together.names, keys, strict=True)
    ]
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
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in packages},
        "config": config,
    }


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
        GeospotError: the folder holds no sweep.
    """
    import json

    store = Store(out)
    manifest, table = store.read_manifest(), store.read_regions()
    if manifest is None or table is None:
        raise GeospotError(f"{out}: holds no sweep; make one with geospot sweep out={out}")
    sources, targets = manifest["sources"], manifest["targets"]
    assert isinstance(sources, list)
    by_key = table.drop_duplicates("key").set_index("key", drop=False)

    def rows(entries: list[dict[str, str]]) -> pd.DataFrame:
        return by_key.loc[[entry["key"] for entry in entries]].reset_index(drop=True)

    source_table = rows(sources)
    target_table = rows(targets) if isinstance(targets, list) else None
    keys = table_keys(source_table, target_table)
    pairs = store.read_pairs()
    dataset = to_dataset(pairs[pairs["key"].isin(keys)], source_table, target_table)
    dataset.attrs = {"value": manifest["value"], "manifest": json.dumps(manifest)}
    return dataset


def table_keys(sources: pd.DataFrame, targets: pd.DataFrame | None) -> np.ndarray:
    """Keys of all pairs of the regions in one table, or between two."""
    left, right = all_pairs(len(sources), None if targets is None else len(targets))
    keys = sources["key"] if targets is None else pd.concat([sources["key"], targets["key"]])
    values = keys.to_numpy(str)
    return pair_keys(values[left], values[right])
