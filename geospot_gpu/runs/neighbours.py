"""Lists of the nearest regions of each region, as a store keeps them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from geospot_gpu.arrays import Indices
from geospot_gpu.distances.nearest.candidates import coded
from geospot_gpu.distances.nearest.lists import Lists
from geospot_gpu.runs.manifest import Manifest, entries
from geospot_gpu.runs.parts import Parts
from geospot_gpu.runs.store import Store

NEIGHBOURS = pa.schema(
    [
        ("key", pa.string()),
        ("neighbours", pa.list_(pa.int32())),
        ("overlaps", pa.list_(pa.bool_())),
        ("solved", pa.int32()),
        ("half_steps", pa.int32()),
    ]
)
"""Columns of lists: of the neighbours, nearest first, where their keys stand in order among those
of all candidates, and whether the interval of each overlaps with that of the next; how many
candidates were solved, and bounded by a half-step of Sinkhorn's algorithm."""


class ListTable(NamedTuple):
    """The nearest regions of targets [T]; those of a target that has no list are -1."""

    neighbours: NDArray[np.int32]
    """Positions in the sweep, nearest first, [T, k]."""
    overlaps: Indices
    """How many of them have an interval that overlaps with that of the next, [T]."""
    solved: Indices
    """How many candidates were solved, [T]."""
    half_steps: Indices
    """How many were bounded by a half-step, [T]."""

    @property
    def there(self) -> NDArray[np.bool_]:
        """Which of the targets have a list, [T]."""
        found: NDArray[np.bool_] = self.neighbours[:, 0] >= 0
        return found


class NeighbourLists:
    """The lists of a store, of one set of candidates.

    A list depends on its region and on all candidates, which its key is a hash of: with others, it
    is found anew. One that is longer than asked for is cut.

    Args:
        store: where they are.
        keys: of the regions of the sweep, those of the targets last where they are others.
        n_sources: how many of the regions are candidates.
        k: how many neighbours are wanted.
        of: position of the one target whose list is wanted; all if not given.
    """

    def __init__(
        self, store: Store, keys: Sequence[str], n_sources: int, k: int, of: int | None = None
    ) -> None:
        self.square = len(keys) == n_sources
        self.k = min(k, n_sources - self.square)
        self.first_target = 0 if self.square else n_sources
        targets = keys[self.first_target :]
        if of is not None:
            self.first_target, targets = of, [keys[of]]
        self._parts = Parts(store.place.child("neighbours"), NEIGHBOURS, "lists", _lengths)
        self.regions = len(keys)
        order = np.argsort(np.array(keys[:n_sources]))
        self._order = order.astype(np.int32)
        self._place = np.argsort(order).astype(np.int32)
        every = hashlib.blake2b(json.dumps([keys[k] for k in order]).encode(), digest_size=12)
        common = [every.hexdigest(), self.square]
        self._keys = [
            hashlib.blake2b(json.dumps([key, *common]).encode(), digest_size=12).hexdigest()
            for key in targets
        ]

    @classmethod
    def of(cls, store: Store, manifest: Manifest, target: int | None = None) -> NeighbourLists:
        """Those of a run that stores the nearest alone, or that of one target."""
        keys = [entry["key"] for entry in entries(manifest)]
        return cls(store, keys, len(manifest["sources"]), manifest["nearest"], target)

    def read(self) -> ListTable:
        """The lists that are there and long enough."""
        rows = self._parts.read(pa.array(self._keys, pa.large_string()))
        rows = rows[_lengths(rows) >= self.k]
        count = len(self._keys)
        found = ListTable(
            np.full((count, self.k), -1, np.int32),
            *(np.zeros(count, np.int64) for _ in range(3)),
        )
        if len(rows):
            at = pd.Index(self._keys).get_indexer(pd.Index(rows["key"]))
            cut = [[part[: self.k] for part in rows[name]] for name in ("neighbours", "overlaps")]
            found.neighbours[at] = self._order[np.stack(cut[0])]
            found.overlaps[at] = np.stack(cut[1]).sum(1)
            found.solved[at], found.half_steps[at] = rows["solved"], rows["half_steps"]
        self._parts.tidy()
        return found

    def write(self, lists: Lists) -> None:
        """Store lists for good, after their pairs.

        Raises:
            Unwritable: the place cannot be written.
        """
        self._parts.write(
            pd.DataFrame(
                {
                    "key": [self._keys[k] for k in lists.targets - self.first_target],
                    "neighbours": list(self._place[lists.neighbours]),
                    "overlaps": list(lists.overlaps),
                    "solved": lists.solved,
                    "half_steps": lists.halved,
                }
            )
        )

    def codes(self, table: ListTable) -> Indices:
        """Of all pairs of targets and their neighbours, each once, ascending."""
        target, neighbour = self.pairs(table)
        return np.unique(coded(target, neighbour, self.regions))

    def pairs(self, table: ListTable) -> tuple[Indices, Indices]:
        """Positions of the targets, and of their neighbours, list by list."""
        there = np.flatnonzero(table.there)
        neighbours = table.neighbours[there].astype(np.int64)
        return np.repeat(self.first_target + there, neighbours.shape[1]), neighbours.ravel()


def _lengths(rows: pd.DataFrame) -> NDArray[np.int64]:
    return np.array([len(part) for part in rows["neighbours"]], np.int64)
