"""Which program of a GPU reduces what: work lists over ragged batches, built once on the host."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geospot_gpu.devices import upload
from geospot_gpu.kernels.clouds import CloudBatch

Integers = NDArray[np.int64]

LINES = 256
"""Results that a program folds from their partial sums."""

# A program reduces at least so many tiles of columns, and a row has at most so many programs: few
# partial results, and still enough programs where one problem is large.
_LEAST_TILES, _MOST_CHUNKS = 4, 32
# Blocks of rows whose column sums wait to be folded at once: memory for them grows with m alone.
SLAB = 64
"""Blocks of rows of a slab."""


def ceil_div(values: Integers, by: Integers | int) -> Integers:
    """Quotients, rounded up."""
    return -(-values // by)


def begins(counts: Integers) -> Integers:
    """Where each of consecutive pieces of the given lengths begins."""
    return np.cumsum(counts) - counts


def pieces(counts: Integers) -> tuple[Integers, Integers]:
    """For every piece the problem it belongs to and its number there; ``counts`` is [B].

    >>> [values.tolist() for values in pieces(np.array([2, 1]))]
    [[0, 0, 1], [0, 1, 0]]
    """
    problem = np.repeat(np.arange(len(counts)), counts)
    return problem, np.arange(len(problem)) - begins(counts)[problem]


class Bands:
    """Problems in bands of rows, each of which has a program, and a partial sum of every column.

    Args:
        source: the clouds whose points are rows.
        target: the clouds whose points are columns.
        tile: rows and columns that a program has at once.
        least: rows of a band, at least; a multiple of those of the tile.
        most: bands of a problem.
    """

    def __init__(
        self,
        source: CloudBatch,
        target: CloudBatch,
        tile: tuple[int, int],
        least: int,
        most: int,
    ) -> None:
        self.tile = tile
        share = least * ceil_div(ceil_div(source.size, least), most)
        bands = ceil_div(source.size, share)
        sums = bands * target.size
        problem, band = pieces(bands)
        self.work = _ints(np.stack([problem, band, band], axis=1), source.device)
        """(problem, band, band), int32 [W, 3]."""
        self.share, self.slots = _ints(share, source.device), _ints(bands, source.device)
        """Rows of a band, and bands, of each problem, int32 [B]."""
        self.part = _longs(begins(sums), source.device)
        """Where sums of columns begin for each problem, int64 [B]."""
        self.sums = int(sums.sum())
        """How many there are."""


def _ints(values: Integers, device: torch.device) -> Tensor:
    """Values on the device, int32."""
    return upload(torch.from_numpy(values.astype(np.int32)), device)


def _longs(values: Integers, device: torch.device) -> Tensor:
    """Values on the device, int64."""
    return upload(torch.from_numpy(values), device)


class View:
    """A batch of problems seen from one side: that side's points are rows.

    Args:
        here: the clouds whose points are rows.
        there: the clouds whose points are columns.
        tile: rows and columns of a tile.
        exchanged: whether rows are points of the target.
    """

    def __init__(
        self, here: CloudBatch, there: CloudBatch, tile: tuple[int, int], *, exchanged: bool
    ) -> None:
        self.device, self.exchanged = here.device, exchanged
        self._n, self._m = here.size, there.size
        self._blocks = ceil_div(self._n, tile[0])
        share = ceil_div(ceil_div(self._m, tile[1]), _MOST_CHUNKS)
        chunk = tile[1] * np.maximum(share, _LEAST_TILES)
        self._chunks = ceil_div(self._m, chunk)
        self.n, self.m = self.ints(self._n), self.ints(self._m)
        self.chunk, self.slots = self.ints(chunk), self.ints(self._chunks)
        self.here, self.there = self.longs(here.start), self.longs(there.start)
        self.part = self.longs(begins(self._chunks * self._n))
        self.partials = int((self._chunks * self._n).sum())
        """How many partial results there are: one per row and chunk."""

    def ints(self, values: Integers) -> Tensor:
        """Values on the device, int32."""
        return _ints(values, self.device)

    def longs(self, values: Integers) -> Tensor:
        """Values on the device, int64."""
        return _longs(values, self.device)

    @cached_property
    def _tiles(self) -> Integers:
        """(problem, block of rows, chunk of columns) of every program, [W, 3]."""
        problem, piece = pieces(self._blocks * self._chunks)
        chunks = self._chunks[problem]
        return np.stack([problem, piece // chunks, piece % chunks], axis=1)

    @cached_property
    def work(self) -> Tensor:
        """The programs of a pass, int32 [W, 3]."""
        return self.ints(self._tiles)

    @cached_property
    def lines(self) -> Tensor:
        """Programs that fold a result per row: (problem, block of LINES rows), int32 [L, 2]."""
        return self.ints(np.stack(pieces(ceil_div(self._n, LINES)), axis=1))

    @cached_property
    def slabs(self) -> list[tuple[int, Tensor]]:
        """The programs of :attr:`work` by slabs of blocks: first block, and int32 [W', 3]."""
        if self._blocks.max() <= SLAB:
            return [(0, self.work)]
        block = self._tiles[:, 1]
        firsts = range(0, int(self._blocks.max()), SLAB)
        return [(k, self.ints(self._tiles[(block >= k) & (block < k + SLAB)])) for k in firsts]

    @cached_property
    def slab_parts(self) -> tuple[Tensor, int]:
        """Where sums per column and block of a slab begin, int64 [B], and their number."""
        counts = np.minimum(self._blocks, SLAB) * self._m
        return self.longs(begins(counts)), int(counts.sum())

    @cached_property
    def blocks(self) -> Tensor:
        """Blocks of rows of each problem, int32 [B]."""
        return self.ints(self._blocks)

    @cached_property
    def slot(self) -> tuple[Tensor, int]:
        """A place for each program of :attr:`work` in a table [B, W], int64, and its width W.

        W is even: of two tables of float64, one after the other, both begin at 16 bytes.
        """
        counts = self._blocks * self._chunks
        width = int(counts.max() + 1) // 2 * 2
        problem, piece = pieces(counts)
        return self.longs(problem * width + piece), width
