"""What a folder lacks of pairs and regions is solved, block by block, and stored meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from geospot_gpu.arrays import Indices
from geospot_gpu.distances.columns import outputs_by_default
from geospot_gpu.distances.pair_table import PairTable
from geospot_gpu.distances.solve import PairSolver, needs_self_terms
from geospot_gpu.errors.kept import kept
from geospot_gpu.progress import Progress
from geospot_gpu.runs.identity import pair_keys
from geospot_gpu.runs.manifest import Manifest
from geospot_gpu.runs.plan import missing_blocks, plan_blocks
from geospot_gpu.runs.shard import Share
from geospot_gpu.runs.store import Store, has
from geospot_gpu.runs.writer import Writer
from geospot_gpu.sinkhorn.divergence import SelfTerms

_SELF_COLUMNS = ["self_ot", "self_lower", "self_upper", "self_converged"]


class Found(NamedTuple):
    """What a folder holds of the pairs of a sweep, once what was to be solved is."""

    pairs: PairTable
    """Those that are there, all of a sweep that is not shared out."""
    computed: Indices
    """Positions, among all pairs, of those that were solved now."""
    missing: Indices
    """Positions of those that are not there, of other shards."""


def solve_missing(
    store: Store,
    solver: PairSolver,
    keys: list[str],
    left: Indices,
    right: Indices,
    manifest: Manifest,
    drafts: set[Path],
    share: Share | None = None,
) -> Found:
    """Solve and store what the store lacks of pairs; of a shard's own where there is one."""
    outputs, wanted = manifest["outputs"], pair_keys(keys, left, right)
    stored = store.read_pairs(wanted)
    missing, lacking = _missing(stored, wanted, outputs)
    own = np.ones(len(left), np.bool_) if share is None else share.own
    todo = missing & own
    _know_self_terms(store, solver, keys, outputs, left[todo], right[todo])
    if todo.any():
        drafts.add(store.write_manifest(manifest))  # an unfinished run can be opened, too
        what = f"solving, {solver.regions.sampling.max_points} points"
        what = "solving" if manifest["target_error"] is None else what
        what += "" if share is None else f" shard {share.shard}"
        pairs, total = PairTable(left, right, {}), int(own.sum())
        _compute(store, solver, pairs, wanted, todo, outputs, lacking, what, total)
        stored = store.read_pairs(wanted)
    if share is not None:
        missing, _ = _missing(stored, wanted, outputs)  # others store theirs meanwhile
    store.pairs.tidy()
    there = np.flatnonzero(~missing) if share is not None else np.arange(len(left))
    ordered = stored.loc[wanted.take(there).to_pylist()].reset_index()
    columns = {name: ordered[name].to_numpy() for name in ordered}
    found = PairTable(left[there], right[there], columns)
    return Found(found, np.flatnonzero(todo), np.setdiff1d(np.arange(len(left)), there))


def _missing(
    stored: pd.DataFrame, wanted: pa.Array, outputs: Sequence[str]
) -> tuple[NDArray[np.bool_], dict[str, str]]:
    """Which pairs [K] are not stored with all outputs, and which outputs some are stored with."""
    there: dict[str, str] = dict(zip(stored.index, stored["outputs"], strict=True))
    lacking = {key: known for key, known in there.items() if not has(known, outputs)}
    found = pc.is_in(wanted, value_set=pa.array(there.keys() - lacking.keys(), pa.large_string()))
    return ~np.asarray(found), lacking


def _know_self_terms(
    store: Store,
    solver: PairSolver,
    keys: list[str],
    outputs: Sequence[str],
    left: Indices,
    right: Indices,
) -> None:
    """Self terms of all regions; those that the store does not have are computed and stored.

    They are few beside the pairs, so that every shard has all of them: whichever comes first, the
    same blocks give the same parts. What the store does not keep of half samples, and the pairs at
    ``left`` and ``right`` [K] need, is computed again in the same blocks.
    """
    regions, wanted = solver.regions, pa.array(keys, pa.large_string())
    stored = store.regions.read(wanted)
    if needs_self_terms(outputs):
        stored = stored[stored["self_ot"].notna()]
    missing = ~pd.Series(keys).isin(stored["key"]).to_numpy()
    known = np.flatnonzero(~missing)
    rows = stored.set_index("key").loc[[keys[k] for k in known], _SELF_COLUMNS]
    solver.selves.put(known, SelfTerms(*(rows[name].to_numpy() for name in _SELF_COLUMNS)))
    again = np.isin(np.arange(len(keys)), solver.unknown_halves(left, right, outputs))
    blocks = plan_blocks(regions.sizes, regions.sizes, solver.engine.device.type)
    blocks = [block for block in blocks if (missing | again)[block].any()]
    table = regions.table().assign(key=keys)
    total = int(missing.sum()) if len(blocks) > 1 else 0  # one block is no matter of waiting
    with (
        Progress("self terms", "regions", total=total) as counted,
        kept("finished self terms", lambda: counted.done > 0),
        Writer(counted.update) as writer,
    ):
        for block in blocks:
            chosen = block[missing[block]]
            if again[block].any():
                solver.know_halves(block, outputs)
            else:
                solver.know(chosen, outputs)
            if len(chosen):
                selves = {f"self_{k}": v[chosen] for k, v in solver.selves._asdict().items()}
                solved = table.iloc[chosen].assign(**selves)
                writer.put(len(chosen), partial(store.regions.write, solved))
    store.regions.tidy()


def _compute(
    store: Store,
    solver: PairSolver,
    pairs: PairTable,
    keys: pa.Array,
    missing: NDArray[np.bool_],
    outputs: Sequence[str],
    lacking: Mapping[str, str],
    what: str,
    total: int,
) -> None:
    """Solve the pairs that are missing and store them, block by block.

    Args:
        store: where.
        solver: their solver.
        pairs: positions of all pairs, [K].
        keys: of all pairs, [K].
        missing: which of the pairs, [K].
        outputs: what is asked of them.
        lacking: outputs that are there of some of them, by key; these are computed again, so that
            a row has all that is known.
        what: of the work, for people who wait.
        total: how many pairs there are for them, those that are there among them.
    """
    regions, method = solver.regions, solver.engine.method
    n, m = regions.sizes[pairs.left], regions.sizes[pairs.right]
    names = np.array(regions.names, dtype=object)

    def write(solved: PairTable, chosen: Indices, asked: Sequence[str]) -> None:
        store.pairs.write(
            pd.DataFrame(solved.columns).assign(
                key=keys.take(chosen),
                source=names[solved.left],
                target=names[solved.right],
                geo_weight=method.cost.geo_weight,
                epsilon=method.epsilon,
                outputs=",".join(asked),
            )
        )

    with (
        Progress(what, "pairs", total=total, done=total - int(missing.sum())) as counted,
        kept("finished batches", lambda: counted.done > 0),
        Writer(counted.update) as writer,
    ):
        for asked, some in _by_outputs(keys, missing, outputs, lacking).items():
            for chosen in missing_blocks(n, m, solver.engine.device.type, some):
                solved = solver.solve(pairs.left[chosen], pairs.right[chosen], asked)
                writer.put(len(chosen), partial(write, solved, chosen, asked))


def _by_outputs(
    keys: pa.Array, missing: NDArray[np.bool_], outputs: Sequence[str], lacking: Mapping[str, str]
) -> dict[tuple[str, ...], NDArray[np.bool_]]:
    """Which pairs are missing, by what is computed of them: what is asked, and what is there."""
    if not lacking:
        return {tuple(outputs): missing}
    positions = np.flatnonzero(missing)
    groups: dict[tuple[str, ...], list[int]] = {}
    for at, key in zip(positions.tolist(), keys.take(positions).to_pylist(), strict=True):
        known = (*outputs, *lacking.get(key, "").split(","))
        asked = tuple(name for name in outputs_by_default() if name in known)
        groups.setdefault(asked, []).append(at)
    return {asked: np.isin(np.arange(len(keys)), some) for asked, some in groups.items()}
