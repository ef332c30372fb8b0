"""Pairs of regions that are of no sweep: solved by the workers of a pool, and handed back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from geospot_gpu.arrays import Columns, Indices
from geospot_gpu.cluster.pool import Pool
from geospot_gpu.distances.growth import grow
from geospot_gpu.distances.pair_table import PairTable
from geospot_gpu.distances.solve import (
    PairSolver,
    check_target_error,
    chosen_outputs,
    needs_self_terms,
)
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.settings import Engine, settled
from geospot_gpu.progress import Progress
from geospot_gpu.regions import Regions
from geospot_gpu.runs.plan import plan_listed
from geospot_gpu.sinkhorn.divergence import SelfTerms


def solve(
    regions: Regions,
    left: Indices,
    right: Indices,
    method: Method,
    outputs: Sequence[str] | None = None,
    *,
    engine: Engine | None = None,
    target_error: float | None = None,
) -> PairTable:
    """What is asked of pairs of regions, by the workers of an engine's pool.

    Pairs are solved in blocks that do not depend on how many workers there are, nor do results.

    Args:
        regions: the regions.
        left, right: positions of the two regions of each pair, [K].
        method: cost and solver.
        outputs: names of the columns to compute; see
            :func:`~geospot_gpu.distances.solve.chosen_outputs`.
        engine: who computes, with which backend and memory budget.
        target_error: as for :func:`~geospot_gpu.pairwise`.

    Raises:
        GeospotError: an output is unknown, the cost needs features that the regions do not have,
            or the device does not exist.
    """
    engine, outputs = settled(engine), chosen_outputs(outputs, method.solver)
    if target_error is not None:
        target_error = check_target_error(target_error, outputs)
    with engine.pool() as pool:

        def solved(regions: Regions, left: Indices, right: Indices) -> PairTable:
            members = np.unique(np.concatenate([left, right]))
            sizes = regions.sizes[members]
            selves = [members[at] for at in plan_listed(sizes, sizes, pool.device_type)]
            return _solved(pool, PairJob(regions, method, engine, outputs, selves), left, right)

        pairs = solved(regions, left, right)
        if target_error is None:
            return pairs
        return grow(
            regions, pairs, target_error, lambda more: solved(more.regions, more.left, more.right)
        )


class Pairs(NamedTuple):
    """Pairs that are solved together."""

    left: Indices
    """Positions of the two regions of each, [K]."""
    right: Indices
    known: Indices
    """Positions of regions whose self terms are known, [R]."""
    selves: SelfTerms
    """These, [R]."""


class Selves(NamedTuple):
    """Regions whose self terms are solved together."""

    members: Indices


@dataclass(frozen=True, eq=False)
class PairJob:
    """What all blocks of pairs share.

    Attributes:
        regions: the regions.
        method: cost and solver.
        engine: backend, storage and memory budget; the device is the worker's own.
        outputs: names of the columns to compute.
        blocks: of regions whose self terms are solved together.
    """

    regions: Regions
    method: Method
    engine: Engine
    outputs: tuple[str, ...]
    blocks: list[Indices]

    def worker(self, device: str) -> PairWorker:
        """One who solves blocks; the same to whoever asks again in this process."""
        worker: PairWorker | None = vars(self).get("_worker")
        if worker is None:
            worker = vars(self)["_worker"] = PairWorker(self, device)
        return worker

    def __getstate__(self) -> dict[str, object]:
        """What other processes get: arrays, and nothing of the tables that they were drawn from."""
        plain = {name: value for name, value in vars(self).items() if name != "_worker"}
        return plain | {"regions": self.regions.bare()}

    def name(self, item: Pairs | Selves) -> str:
        """What a block is called in messages: by the regions that it begins and ends with."""
        names = self.regions.names
        if isinstance(item, Selves):
            return f"self terms of {names[item.members[0]]} to {names[item.members[-1]]}"
        first, last = (f"{names[item.left[k]]} - {names[item.right[k]]}" for k in (0, -1))
        return f"{len(item.left)} pairs, {first} to {last}" if len(item.left) > 1 else first


class PairWorker:
    """Solves blocks of pairs on one device."""

    def __init__(self, job: PairJob, device: str) -> None:
        self._job = job
        self._solver = PairSolver(job.regions, job.method, replace(job.engine, device=device))

    def compute(self, item: Pairs | Selves) -> Columns:
        """The columns of pairs, or those of the self terms of regions, each [K]."""
        solver, outputs = self._solver, self._job.outputs
        if isinstance(item, Selves):
            solver.know(item.members, outputs)
            return dict(solver.selves.at(item.members)._asdict())
        solver.selves.put(item.known, item.selves)
        unknown = solver.unknown_halves(item.left, item.right, outputs)
        if len(unknown):  # in the same blocks wherever they are, so that they have the same bits
            for members in self._job.blocks:
                if np.isin(members, unknown).any():
                    solver.know_halves(members, outputs)
        return solver.solve(item.left, item.right, outputs).columns

    def store(self, computed: Columns) -> Columns:
        """Nothing is stored."""
        return computed


def _solved(pool: Pool, job: PairJob, left: Indices, right: Indices) -> PairTable:
    sizes, selves = job.regions.sizes, SelfTerms.unknown(len(job.regions))
    if needs_self_terms(job.outputs):
        costs = [float((sizes[members] ** 2).sum()) for members in job.blocks]
        items = [Selves(members) for members in job.blocks]
        for k, terms in pool.run(job, items, costs, job.name):
            selves.put(job.blocks[k], SelfTerms(**terms))
    blocks = plan_listed(sizes[left], sizes[right], pool.device_type)
    pairs, costs = [], []
    for at in blocks:
        i, j = left[at], right[at]
        known = np.unique(np.concatenate([i, j]))
        known = known[~np.isnan(selves.ot[known])]
        pairs.append(Pairs(i, j, known, selves.at(known)))
        costs.append(float((sizes[i] * sizes[j]).sum()))
    parts: list[Columns] = [{}] * len(blocks)
    with Progress("solving", "pairs", total=len(left)) as counted:
        for k, columns in pool.run(job, pairs, costs, job.name):
            parts[k] = columns
            counted.update(len(blocks[k]))
    back = np.argsort(np.concatenate(blocks))
    together = {name: np.concatenate([part[name] for part in parts])[back] for name in parts[0]}
    return PairTable(left, right, together)
