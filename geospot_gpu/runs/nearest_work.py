"""The work of finding the nearest regions of many, as plain data that any worker can do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from geospot_gpu.arrays import Indices
from geospot_gpu.distances.nearest.candidates import KnownPairs
from geospot_gpu.distances.nearest.lists import Groups, Lists, ListSearch
from geospot_gpu.distances.nearest.search import NeighbourSearch
from geospot_gpu.distances.pair_table import PairTable
from geospot_gpu.runs.neighbours import NeighbourLists
from geospot_gpu.runs.store import Store
from geospot_gpu.runs.work import PairBlock, SweepJob

_PAIRS = {"cpu": 20_000, "cuda": 200_000}
"""Neighbours that are found together: a few seconds of work at most, and enough for a batch."""

Item = tuple[int, ...]
"""Numbers of groups of targets."""


class FoundLists(NamedTuple):
    """What came of some groups of targets."""

    number: int
    """Of targets."""
    seconds: float
    """That it took to find their lists."""


class _Computed(NamedTuple):
    lists: Lists
    seconds: float


@dataclass(frozen=True, eq=False)
class NearestJob:
    """What all groups of targets share.

    Attributes:
        sweep: the regions, their method and where the pairs go.
        n_sources: how many of the regions are candidates.
        k: how many neighbours are wanted of each target.
        groups: of the regions.
        known: pairs that are stored.
    """

    sweep: SweepJob
    n_sources: int
    k: int
    groups: Groups
    known: KnownPairs

    def worker(self, device: str) -> NearestWorker:
        """One who finds lists."""
        return NearestWorker(self, device)

    def targets(self, item: Item) -> int:
        """How many targets an item has."""
        return sum(len(self.groups.targets[number]) for number in item)

    def work(self, item: Item) -> float:
        """In proportion to the time that an item takes: cost entries of all its points."""
        sizes = self.sweep.regions.sizes
        return float(sum((sizes[self.groups.targets[number]] ** 2).sum() for number in item))

    def name(self, item: Item) -> str:
        """What an item is called in messages."""
        names = self.sweep.regions.names
        first, last = self.groups.targets[item[0]][0], self.groups.targets[item[-1]][-1]
        return f"neighbours of {self.targets(item)} regions, {names[first]} to {names[last]}"

    def items(self, missing: Indices, device_type: str, least: int) -> list[Item]:
        """Groups of targets that have one of which the list is missing, some at a time.

        Args:
            missing: positions of the targets without a list.
            device_type: ``cpu`` or ``cuda``.
            least: how many items there should be, so that every worker has some.
        """
        groups = self.groups.targets
        most = max(map(len, groups)) * min(self.k, self.n_sources)
        size = max(1, min(_PAIRS[device_type] // most, len(groups) // least))
        lacking = np.zeros(len(self.sweep.regions), np.bool_)
        lacking[missing] = True
        wanted = [lacking[group].any() for group in groups]
        found = []
        for first in range(0, len(groups), size):
            item = tuple(k for k in range(first, min(first + size, len(groups))) if wanted[k])
            if item:
                found.append(item)
        return found


class NearestWorker:
    """Finds the nearest regions of groups of targets, and stores them.

    Args:
        job: what the groups share.
        device: on which pairs are solved.
    """

    def __init__(self, job: NearestJob, device: str) -> None:
        self._job, self._sweep = job, job.sweep.worker(device)
        everything = np.arange(len(job.sweep.regions))
        self._sweep.know_selves(everything, everything, ("divergence",))
        search = NeighbourSearch(self._sweep.solver, self._solved)
        self._search = ListSearch(search, job.groups, job.known)
        self._lists = NeighbourLists(Store(job.sweep.place), job.sweep.keys, job.n_sources, job.k)

    def compute(self, item: Item) -> _Computed:
        """Find the lists of the targets of an item."""
        started = time.perf_counter()
        found = self._search(item, self._job.k)
        return _Computed(found, time.perf_counter() - started)

    def store(self, computed: _Computed) -> FoundLists:
        """Write them, and before them the pairs that they consist of."""
        lists = computed.lists
        if lists.pairs and len(table := _joined(lists.pairs)):
            block = PairBlock((table.left, table.right), self._job.sweep.outputs)
            self._sweep.write(block, table)
        self._lists.write(lists)
        return FoundLists(len(lists.targets), computed.seconds)

    def _solved(self, left: Indices, right: Indices) -> PairTable:
        outputs = self._job.sweep.outputs
        self._sweep.know_selves(left, right, outputs)
        return self._sweep.solver.solve(left, right, outputs)


def _joined(tables: Sequence[PairTable]) -> PairTable:
    """All pairs of several tables with the same columns."""
    left, right = (np.concatenate([getattr(t, side) for t in tables]) for side in ("left", "right"))
    columns = {name: np.concatenate([t[name] for t in tables]) for name in tables[0].columns}
    return PairTable(left, right, columns)
