"""What a folder lacks of pairs and regions is solved, batch by batch, and stored at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from geospot_gpu.arrays import Indices
from geospot_gpu.distances.columns import outputs_by_default
from geospot_gpu.distances.pair_table import PairTable
from geospot_gpu.distances.solve import PairSolver, needs_self_terms
from geospot_gpu.errors.kept import kept
from geospot_gpu.progress import Progress
from geospot_gpu.runs.identity import pair_keys
from geospot_gpu.runs.manifest import Manifest
from geospot_gpu.runs.plan import plan_batches
from geospot_gpu.runs.store import Store, has
from geospot_gpu.sinkhorn.divergence import SelfTerms

_SELF_COLUMNS = ["self_ot", "self_lower", "self_upper", "self_converged"]


def solve_missing(
    store: Store,
    solver: PairSolver,
    keys: list[str],
    left: Indices,
    right: Indices,
    manifest: Manifest,
    drafts: set[Path],
) -> tuple[PairTable, Indices]:
    """Solve and store what the store lacks of pairs.

    Returns:
        All pairs, and the positions of those that something was missing of.
    """
    outputs, wanted = manifest["outputs"], pair_keys(keys, left, right)
    stored = store.read_pairs(wanted)
    there: dict[str, str] = dict(zip(stored.index, stored["outputs"], strict=True))
    lacking = {key: known for key, known in there.items() if not has(known, outputs)}
    found = pc.is_in(wanted, value_set=pa.array(there.keys() - lacking.keys(), pa.large_string()))
    missing = np.flatnonzero(pc.invert(found))
    _know_self_terms(store, solver, keys, outputs)
    if len(missing):
        drafts.add(store.write_manifest(manifest))  # an unfinished run can be opened, too
        what = f"solving, {solver.regions.sampling.max_points} points"
        what = "solving" if manifest["target_error"] is None else what
        pairs = PairTable(left, right, {})
        _compute(store, solver, pairs, wanted, missing, outputs, lacking, what)
        stored = store.read_pairs(wanted)
    store.pairs.tidy()
    ordered = stored.loc[wanted.to_pylist()].reset_index()
    return PairTable(left, right, {name: ordered[name].to_numpy() for name in ordered}), missing


def _know_self_terms(
    store: Store, solver: PairSolver, keys: list[str], outputs: Sequence[str]
) -> None:
    """Self terms of all regions; those that the store does not have are computed and stored."""
    regions, wanted = solver.regions, pa.array(keys, pa.large_string())
    stored = store.regions.read(wanted)
    if needs_self_terms(outputs):
        stored = stored[stored["self_ot"].notna()]
    missing = np.flatnonzero(~pd.Series(keys).isin(stored["key"]))
    sizes = regions.sizes[missing]
    table = regions.table().assign(key=keys)
    batches = plan_batches(sizes, sizes, solver.engine.device.type)
    total = len(missing) if len(batches) > 1 else 0  # one batch is no matter of waiting
    with (
        Progress("self terms", "regions", total=total) as counted,
        kept("finished self terms", lambda: counted.done > 0),
    ):
        for batch in batches:
            chosen = missing[batch]
            solver.know(chosen, outputs)
            selves = {f"self_{k}": v[chosen] for k, v in solver.selves._asdict().items()}
            store.regions.write(table.iloc[chosen].assign(**selves))
            counted.update(len(chosen))
    known = np.setdiff1d(np.arange(len(keys)), missing)
    rows = stored.set_index("key").loc[[keys[k] for k in known], _SELF_COLUMNS]
    solver.selves.put(known, SelfTerms(*(rows[name].to_numpy() for name in _SELF_COLUMNS)))
    store.regions.tidy()


def _compute(
    store: Store,
    solver: PairSolver,
    pairs: PairTable,
    keys: pa.Array,
    missing: Indices,
    outputs: Sequence[str],
    lacking: Mapping[str, str],
    what: str,
) -> None:
    """Solve the pairs at ``missing`` and store them, batch by batch.

    Args:
        store: where.
        solver: their solver.
        pairs: positions of all pairs, [K].
        keys: of all pairs, [K].
        missing: positions among the pairs.
        outputs: what is asked of them.
        lacking: outputs that are there of some of them, by key; these are computed again, so that
            a row has all that is known.
        what: of the work, for people who wait.
    """
    regions, method = solver.regions, solver.engine.method
    n, m = regions.sizes[pairs.left], regions.sizes[pairs.right]
    names = np.array(regions.names, dtype=object)
    with (
        Progress(what, "pairs", total=len(keys), done=len(keys) - len(missing)) as counted,
        kept("finished batches", lambda: counted.done > 0),
    ):
        for asked, some in _by_outputs(keys, missing, outputs, lacking).items():
            for batch in plan_batches(n[some], m[some], solver.engine.device.type):
                chosen = some[batch]
                i, j = pairs.left[chosen], pairs.right[chosen]
                solved = solver.solve(i, j, asked)
                store.pairs.write(
                    pd.DataFrame(solved.columns).assign(
                        key=keys.take(chosen),
                        source=names[i],
                        target=names[j],
                        geo_weight=method.cost.geo_weight,
                        epsilon=method.epsilon,
                        outputs=",".join(asked),
                    )
                )
                counted.update(len(chosen))


def _by_outputs(
    keys: pa.Array, missing: Indices, outputs: Sequence[str], lacking: Mapping[str, str]
) -> dict[tuple[str, ...], Indices]:
    """Positions of missing pairs by what is computed of them: what is asked, and what is there."""
    if not lacking:
        return {tuple(outputs): missing}
    groups: dict[tuple[str, ...], list[int]] = {}
    for at, key in zip(missing.tolist(), keys.take(missing).to_pylist(), strict=True):
        known = (*outputs, *lacking.get(key, "").split(","))
        asked = tuple(name for name in outputs_by_default() if name in known)
        groups.setdefault(asked, []).append(at)
    return {asked: np.array(some, np.int64) for asked, some in groups.items()}
