"""A static share of a sweep: the blocks of one of several runs that fill a folder together."""

from __future__ import annotations

import heapq
import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.arrays import Indices
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.runs.plan import plan_blocks


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
    """Which pairs of a sweep are a shard's."""

    shard: Shard
    owner: NDArray[np.int32]
    """The number of the shard that every pair of the sweep is of, [K]."""

    @property
    def own(self) -> NDArray[np.bool_]:
        """Which pairs are this shard's, [K]."""
        own: NDArray[np.bool_] = self.owner == self.shard.number
        return own

    def counted(self, pairs: Indices) -> dict[int, int]:
        """How many of the pairs at these positions are whose, by the number of the shard."""
        numbers, counts = np.unique(self.owner[pairs], return_counts=True)
        return dict(zip(numbers.tolist(), counts.tolist(), strict=True))


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


def share_of(shard: Shard, n: Indices, m: Indices, device_type: str) -> Share:
    """The pairs of a shard: whole blocks of the plan of all pairs, whatever is there already.

    The largest block that is left goes to the shard with the least work so far (Graham 1969, Bounds
    on multiprocessing timing anomalies), so that shards differ by one block's work at most.

    Args:
        shard: which.
        n, m: sizes of the two regions of each pair of the sweep, [K].
        device_type: ``cpu`` or ``cuda``, of all shards: their blocks differ.

    Raises:
        GeospotError: there are more shards than blocks.
    """
    blocks = plan_blocks(n, m, device_type)
    if shard.of > len(blocks):
        most = f"use at most {len(blocks)} shards" if len(blocks) > 1 else "leave shard out"
        raise GeospotError(
            f"shard={shard}: the {len(n)} pairs of this sweep are {len(blocks)} block"
            f"{'s' * (len(blocks) > 1)} of work on {device_type}: {most}"
        )
    work = np.array([(n[block] * m[block]).sum() for block in blocks])
    owner = np.zeros(len(n), np.int32)
    loads = [(0, number) for number in range(1, shard.of + 1)]
    for k in np.argsort(-work, kind="stable"):
        load, number = heapq.heappop(loads)
        owner[blocks[k]] = number
        heapq.heappush(loads, (load + int(work[k]), number))
    return Share(shard, owner)
