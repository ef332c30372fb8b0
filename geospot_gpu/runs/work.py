"""The work of a sweep, as plain data that any worker of a pool can do: blocks of pairs."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from geospot_gpu.arrays import Indices
from geospot_gpu.distances.pair_table import PairTable
from geospot_gpu.distances.solve import PairSolver, members, needs_self_terms
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.settings import Engine
from geospot_gpu.engine.warm import WarmStarts
from geospot_gpu.errors import GeospotError
from geospot_gpu.files.places import Place
from geospot_gpu.regions import Regions
from geospot_gpu.runs.block import Shape, Side
from geospot_gpu.runs.plan import Cell, Grid, plan_listed
from geospot_gpu.runs.store import Store
from geospot_gpu.sinkhorn.divergence import SelfTerms

SELF_COLUMNS = ["self_ot", "self_lower", "self_upper", "self_converged"]


class SelfBlock(NamedTuple):
    """Regions whose self terms are solved together, and stored."""

    members: Indices
    missing: NDArray[np.bool_]
    """Which of them are not stored, [K]."""


class PairBlock(NamedTuple):
    """Pairs that are solved together, and stored in one file."""

    pairs: Cell | tuple[Indices, Indices]
    """A block of the grid, or positions of the two regions of each pair, [K] each."""
    asked: tuple[str, ...]
    """Names of the columns to compute."""


class Done(NamedTuple):
    """What came of a block."""

    number: int
    """Of regions or pairs."""
    unconverged: int
    seconds: float
    """That it took to solve."""


class _Solved(NamedTuple):
    block: SelfBlock | PairBlock
    pairs: PairTable | None
    seconds: float


@dataclass(frozen=True, eq=False)
class SweepJob:
    """What all blocks of a sweep share.

    Attributes:
        place: of the run.
        regions: its regions, those of the second table last.
        keys: what these are stored under.
        grid: its pairs.
        method: cost and solver.
        engine: backend, storage and memory budget; the device is the worker's own.
        outputs: names of the columns that are asked for.
        warm: potentials to start from and to keep, where the work stays in this process.
    """

    place: Place
    regions: Regions
    keys: tuple[str, ...]
    grid: Grid
    method: Method
    engine: Engine
    outputs: tuple[str, ...]
    warm: WarmStarts | None = None

    def worker(self, device: str) -> SweepWorker:
        """One who solves blocks; the same to whoever asks again in this process."""
        worker: SweepWorker | None = vars(self).get("_worker")
        if worker is None or worker.device != device:
            worker = vars(self)["_worker"] = SweepWorker(self, device)
        return worker

    def __getstate__(self) -> dict[str, object]:
        """What other processes get: arrays, and nothing of the tables that they were drawn from."""
        plain = {name: value for name, value in vars(self).items() if name != "_worker"}
        return plain | {"regions": self.regions.bare(), "warm": None}

    def size(self, block: SelfBlock | PairBlock) -> int:
        """How many regions or pairs a block has."""
        if isinstance(block, SelfBlock):
            return int(block.missing.sum())
        return (
            self.grid.count(block.pairs) if isinstance(block.pairs, Cell) else len(block.pairs[0])
        )

    def work(self, block: SelfBlock | PairBlock) -> float:
        """Cost entries of a block."""
        sizes = self.regions.sizes
        if isinstance(block, SelfBlock):
            return float((sizes[block.members] ** 2).sum())
        if isinstance(block.pairs, Cell):
            return float(self.grid.work(block.pairs))
        return float((sizes[block.pairs[0]] * sizes[block.pairs[1]]).sum())

    def name(self, block: SelfBlock | PairBlock) -> str:
        """What a block is called in messages: by the regions that it begins and ends with."""
        names = self.regions.names
        if isinstance(block, SelfBlock):
            return f"self terms of {names[block.members[0]]} to {names[block.members[-1]]}"
        left, right = self.positions(block)
        first, last = (f"{names[left[k]]} - {names[right[k]]}" for k in (0, -1))
        return f"{len(left)} pairs, {first} to {last}" if len(left) > 1 else first

    def positions(self, block: PairBlock) -> tuple[Indices, Indices]:
        """Positions of the two regions of each pair of a block, [K]."""
        return self.grid.pairs(block.pairs) if isinstance(block.pairs, Cell) else block.pairs

    def self_blocks(self, missing: NDArray[np.bool_], device_type: str) -> list[SelfBlock]:
        """Blocks of all regions of which the self terms of some are missing, [R]."""
        sizes = self.regions.sizes
        blocks = plan_listed(sizes, sizes, device_type)
        return [SelfBlock(block, missing[block]) for block in blocks if missing[block].any()]


class SweepWorker:
    """Solves blocks of a sweep on one device, and stores them.

    Args:
        job: what the blocks share.
        device: on which it solves.

    Raises:
        GeospotError: the place of the run cannot be seen from here.
    """

    def __init__(self, job: SweepJob, device: str) -> None:
        self.job, self.device = job, device
        engine = replace(job.engine, device=device)
        self.solver = PairSolver(job.regions, job.method, engine, job.warm)
        self._store = Store(job.place)
        # Read from the device here: storing goes on in another thread.
        self._table = job.regions.table().assign(key=list(job.keys))
        if not job.place.names():
            raise GeospotError(
                f"{job.place} is not there on {platform.node()}: give out=... where all machines "
                "of the cluster see it, on a file system that they share or in a bucket"
            )

    def compute(self, block: SelfBlock | PairBlock) -> _Solved:
        """Solve the pairs or self terms of a block."""
        started = time.perf_counter()
        if isinstance(block, SelfBlock):
            self._know(block.members, block.missing)
            return _Solved(block, None, time.perf_counter() - started)
        left, right = self.job.positions(block)
        self.know_selves(left, right, block.asked)
        pairs = self.solver.solve(left, right, block.asked)
        return _Solved(block, pairs, time.perf_counter() - started)

    def store(self, solved: _Solved) -> Done:
        """Write what was solved."""
        block, pairs, seconds = solved
        if isinstance(block, SelfBlock):
            chosen = block.members[block.missing]
            selves = self.solver.selves._asdict()
            found = {f"self_{name}": values[chosen] for name, values in selves.items()}
            self._store.regions.write(self._table.iloc[chosen].assign(**found))
            return Done(len(chosen), 0, seconds)
        assert pairs is not None, "pairs were solved"
        self.write(block, pairs)
        return Done(len(pairs), int((~pairs["converged"]).sum()), seconds)

    def write(self, block: PairBlock, pairs: PairTable) -> None:
        """Write the solved pairs of a block, as they are or those that it lists."""
        shape: Shape = "listed"
        if isinstance(block.pairs, Cell):
            shape = "triangle" if self.job.grid.is_triangle(block.pairs) else "all"
            sides = tuple(np.arange(e.start, e.stop) for e in self.job.grid.ends(block.pairs))
            places = pairs.left - sides[0][0], pairs.right - sides[1][0]
        else:
            found_ = [np.unique(side, return_inverse=True) for side in block.pairs]
            sides = tuple(index for index, _ in found_)
            places = found_[0][1], found_[1][1]
        named = self._side(sides[0]), self._side(sides[1])
        self._store.pairs.write(named, shape, block.asked, places, pairs.columns)

    def _side(self, index: Indices) -> Side:
        regions, keys = self.job.regions, self.job.keys
        some = index.tolist()
        return Side(
            tuple(regions.names[k] for k in some),
            tuple(keys[k] for k in some),
            tuple(regions.n_points[index].tolist()),
        )

    def know_selves(self, left: Indices, right: Indices, asked: Sequence[str]) -> None:
        """Know the self terms that pairs need: stored ones are read, half samples solved again.

        What the store does not keep of half samples is solved in the blocks in which the self terms
        were, so that it has the same bits.
        """
        needed = members(left, right, len(self.job.regions))
        if needs_self_terms(asked) and np.isnan(self.solver.selves.ot[needed]).any():
            known = known_selves(self._store, self.job.keys)
            there = known.there & np.isnan(self.solver.selves.ot)
            self.solver.selves.put(np.flatnonzero(there), known.taken(there))
        unknown = self.solver.unknown_halves(left, right, asked)
        if len(unknown):
            wanted = np.isin(np.arange(len(self.job.regions)), unknown)
            for block in self.job.self_blocks(wanted, self.solver.engine.device.type):
                self.solver.know_halves(block.members, asked)

    def _know(self, index: Indices, missing: NDArray[np.bool_]) -> None:
        outputs = self.job.outputs
        if len(self.solver.unknown_halves(index, index, outputs)):
            self.solver.know_halves(index, outputs)
        else:
            self.solver.know(index[missing], outputs)


class KnownSelves(NamedTuple):
    """Self terms that a store has of regions, [R] each."""

    there: NDArray[np.bool_]
    listed: NDArray[np.bool_]
    """Whether the store has anything of them."""
    terms: SelfTerms

    def taken(self, chosen: NDArray[np.bool_]) -> SelfTerms:
        """Those of some regions."""
        ot, lower, upper, converged = self.terms
        return SelfTerms(ot[chosen], lower[chosen], upper[chosen], converged[chosen])


def known_selves(store: Store, keys: Sequence[str]) -> KnownSelves:
    """The self terms that are stored of the regions with these keys."""
    stored = store.regions.read(pa.array(keys, pa.large_string())).set_index("key")
    rows = stored.reindex(list(keys))
    ot, lower, upper = (rows[name].to_numpy(np.float64) for name in SELF_COLUMNS[:3])
    converged = rows["self_converged"].eq(True).to_numpy()
    listed = np.asarray(rows["name"].notna())
    return KnownSelves(~np.isnan(ot), listed, SelfTerms(ot, lower, upper, converged))
