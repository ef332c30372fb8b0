"""What cards are: limits of a multiprocessor, and rates (NVIDIA's programming guide and sheets)."""

from __future__ import annotations

from typing import NamedTuple

REGISTERS = 1 << 16
"""Of a multiprocessor, 32 bits each."""

ARCHITECTURES = (80, 86, 89, 90, 100, 120)


class Limits(NamedTuple):
    """Of an architecture."""

    block: int
    """Bytes of shared memory that a block can have."""
    multiprocessor: int
    """Bytes of shared memory of a multiprocessor."""
    warps: int
    """That a multiprocessor can hold."""

    def blocks(self, registers: int, shared: int, warps: int) -> int:
        """How many blocks a multiprocessor holds at once.

        >>> LIMITS[90].blocks(registers=128, shared=64 * 1024, warps=8)
        2
        """
        of_registers = REGISTERS // max(1, -(-registers // 8) * 8 * 32 * warps)
        of_shared = self.multiprocessor // (shared + 1024)  # the system takes one KB of each block
        return min(of_registers, of_shared, self.warps // warps)


LIMITS = {
    80: Limits(163 << 10, 164 << 10, 64),
    86: Limits(99 << 10, 100 << 10, 48),
    89: Limits(99 << 10, 100 << 10, 48),
    90: Limits(227 << 10, 228 << 10, 64),
    100: Limits(227 << 10, 228 << 10, 64),
    120: Limits(99 << 10, 100 << 10, 48),
}


class Card(NamedTuple):
    """A card by its data sheet; of matrix units and memory, what good kernels reach of it."""

    architecture: int
    multiprocessors: int
    hertz: float
    float_lanes: int
    """Operations on float32 that a multiprocessor begins in a cycle."""
    bytes_per_second: float
    products_per_cycle: float
    """Operations of a multiprocessor's matrix units on float16, sums in float32."""


CARDS = {
    "A100": Card(80, 108, 1.41e9, 64, 1.75e12, 0.85 * 2048),
    "L40S": Card(89, 142, 2.52e9, 128, 0.78e12, 0.85 * 1024),
    "H100": Card(90, 132, 1.755e9, 128, 3.0e12, 0.8 * 4096),
    "H200": Card(90, 132, 1.755e9, 128, 4.3e12, 0.8 * 4096),
}
