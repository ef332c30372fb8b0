"""Which tiles a pass over costs takes, from what it computes and the card it runs on.

A program holds a tile of costs in registers. A wide tile reads each feature vector for more costs,
and from 128 x 128 on matrix units rather than the cache set the pace; but all that an entry of the
tile needs at once has to fit 255 registers of a thread, or is moved to memory and back. The choices
are those that the compiler finds room for on every architecture (docs/benchmarks/gpu.md has what
each pass takes of them); nothing is tuned at run time, and values do not depend on it beyond
rounding.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, NamedTuple

import torch

Pass = Literal["softmin", "keep", "plan"]

_SMALL = 64  # widest cloud for which 64 x 64 wastes less than 128 x 128 gains
_SCRATCH = 3 << 10  # shared memory for sums across warps, and what the system takes of a block
_HALF_BYTES = 2


class Card(NamedTuple):
    """What a choice has to know of a GPU."""

    shared: int
    """Bytes of shared memory that a block may have."""
    tensor_memory: bool
    """Whether matrix units keep their sums in a memory of their own (compute capability 10)."""


_ELSEWHERE = Card(227 << 10, False)  # a CPU, where programs are interpreted: any will do


class Tiling(NamedTuple):
    """Tiles of a pass, and the threads and buffers of a program."""

    rows: int
    columns: int
    depth: int
    """Features that one step of a product multiplies."""
    warps: int
    stages: int
    """Steps of a product that are in shared memory at once, on their way or in use."""

    @property
    def tile(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.columns

    @property
    def shared(self) -> int:
        """Bytes of shared memory that a program takes at most."""
        return self.stages * (self.rows + self.columns) * self.depth * _HALF_BYTES + _SCRATCH

    def constants(self) -> dict[str, int]:
        """As passes and Triton's compiler name them."""
        return {
            "BM": self.rows,
            "BN": self.columns,
            "BK": self.depth,
            "num_warps": self.warps,
            "num_stages": self.stages,
        }


@cache
def card(device: torch.device) -> Card:
    """What a choice has to know of a device."""
    if device.type != "cuda":
        return _ELSEWHERE
    properties: Any = torch.cuda.get_device_properties(device)
    return Card(properties.shared_memory_per_block_optin, properties.major == 10)


def choose(which: Pass, features: int, widest: int, card: Card) -> Tiling:
    """The tiles of a pass.

    Args:
        which: the pass.
        features: numbers of a feature vector, a multiple of 16; zero where the cost has none.
        widest: points of the largest cloud.
        card: the GPU.

    >>> choose("softmin", 512, 1000, Card(227 << 10, False))
    Tiling(rows=128, columns=128, depth=64, warps=8, stages=4)
    >>> choose("softmin", 0, 1000, Card(99 << 10, False)).tile
    (16, 256)
    """
    small = widest <= _SMALL
    if not features:
        # Nothing is shared by a tile but coordinates: few rows, whose 12 numbers stay in registers,
        # and columns enough to pay for sums across a warp.
        return Tiling(16, 64 if small else 256, 16, 4, 1)
    rows, columns, warps = (64, 64, 4) if small else (128, 128, 8)
    if card.tensor_memory and which != "keep":
        # A thread takes whole rows from there, and with them all that is known of every column.
        columns = 64
    depth = _depth(features)
    for stages in (4, 3, 2):
        tiling = Tiling(rows, columns, depth, warps, stages)
        if tiling.shared <= card.shared:
            return tiling
    return Tiling(64, 64, min(depth, 32), 4, 2)


def _depth(features: int) -> int:
    """Features of a step: many, but two steps at least, and few of them padding.

    A product of one step is no loop: all its factors would be in shared memory at once.
    """
    for depth in (64, 32):
        padded = -(-features // depth) * depth
        if features >= 2 * depth and 8 * padded <= 9 * features:
            return depth
    return 16
