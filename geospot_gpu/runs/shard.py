"""A static share of a sweep: the blocks of one of several runs that fill a folder together."""

from __future__ import annotations

import heapq
import re
from typing import NamedTuple

import numpy as np

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.runs.plan import Cell, Grid


class Shard(NamedTuple):
    """The ``number``-th of ``of`` shares, from 1."""

    number: int
    of: int

    @classmethod
    def parsed(cls, value: object) -> Shard:
        """A shard as it is written.

        Raises:
            GeospotError: it is not of the form k/n, with k from 1 to n.

        >>> Shard.parsed("2/4")
        Shard(number=2, of=4)
        """
        found = (
            re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", value) if isinstance(value, str) else None
        )
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise GeospotError(
                f"shard={checks.shown(value)}: give k/n, with k from 1 to n, as in 1/4"
            )
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


class Share(NamedTuple):
    """Which blocks of the grid of a sweep are a shard's."""

    shard: Shard
    owner: dict[Cell, int]
    """The number of the shard that each block is of."""

    @property
    def own(self) -> list[Cell]:
        """The blocks of this shard."""
        return [cell for cell, number in self.owner.items() if number == self.shard.number]


def check_shard(value: object, target_error: float | None) -> Shard | None:
    """The shard that a sweep is asked for, if it is.

    Raises:
        GeospotError: it is not of the form k/n, or larger samples are asked for, too: which pairs
            need them follows from all shards.
    """
    if value is None:
        return None
    shard = Shard.parsed(value)
    if target_error is not None:
        raise GeospotError(
            f"shard={shard} and target_error do not go together: which pairs need larger samples "
            "follows from all shards; run the shards without target_error, then the sweep with it "
            "and without shard"
        )
    return shard


def share_of(shard: Shard, grid: Grid) -> Share:
    """The blocks of a shard, whatever is there already.

    The largest block that is left goes to the shard with the least work so far (Graham 1969, Bounds
    on multiprocessing timing anomalies), so that shards differ by one block's work at most.

    Args:
        shard: which.
        grid: of the sweep; blocks for CPU and CUDA differ, so that all shards solve on one of them.

    Raises:
        GeospotError: there are more shards than blocks.
    """
    cells = grid.shuffled()
    if shard.of > len(cells):
        most = f"use at most {len(cells)} shards" if len(cells) > 1 else "leave shard out"
        raise GeospotError(
            f"shard={shard}: the {grid.total} pairs of this sweep are {len(cells)} block"
            f"{'s' * (len(cells) > 1)} of work on {grid.device_type}: {most}"
        )
    work = np.array([grid.work(cell) for cell in cells])
    owner = dict.fromkeys(cells, 0)
    loads = [(0, number) for number in range(1, shard.of + 1)]
    for k in np.argsort(-work, kind="stable"):
        load, number = heapq.heappop(loads)
        owner[cells[k]] = number
        heapq.heappush(loads, (load + int(work[k]), number))
    return Share(shard, owner)
