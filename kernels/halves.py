"""Float32 numbers as pairs of float16: what matrix units multiply fastest, and lose little by."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from geospot_gpu.devices import row_pieces, streamed

STEP = 2048.0
"""The lower half counts for a 2048th: it begins where the 11 bits of the upper one end."""

ROUNDOFF = 2.0**-21
"""Relative error of a product of such pairs, the product of the two lower halves left out.

22 bits are kept of each factor, and sums are in float32; but matrix units cut sums off where others
round. This is twice what all of it comes to at 512 features.
"""


WIDTH = 16
"""Rows are padded with zeros to a multiple of this: a GPU reads 16 bytes of them at a time."""


class Halves(NamedTuple):
    """Vectors [P, D] as ``unit * (high + low / 2048)``, zeros after the last number of each."""

    high: Tensor
    """float16 [P, D'], where D' is D up to the next multiple of :data:`WIDTH`."""
    low: Tensor
    """float16 [P, D']."""
    unit: float
    """A power of two: the largest number is between 1/2 and 1 of it."""
    square: Tensor
    """Squared lengths of the vectors, float32 [P]."""
    high_square: Tensor
    """Squared lengths of ``unit * high``, float32 [P]."""
    dimension: int
    """D."""

    def whole(self, at: Tensor | slice = slice(None)) -> Tensor:
        """The vectors at rows ``at`` [...], in float32 to 22 bits, [..., D]."""
        vectors = self.low[at].float().mul_(1.0 / STEP)
        return vectors.add_(self.high[at]).mul_(self.unit)[..., : self.dimension]

    def take(self, rows: Tensor) -> Halves:
        """Those at ``rows`` [P']."""
        some = {
            name: getattr(self, name)[rows] for name in ("high", "low", "square", "high_square")
        }
        return self._replace(**some)


def split(values: Tensor, device: torch.device | None = None) -> Halves:
    """Split float32 vectors [P, D] into halves, piece by piece.

    Args:
        values: on the host or on a device. All of them are looked at once for the largest.
        device: where the halves are to be, if not there; float32 vectors are there in pieces only.

    >>> halves = split(torch.tensor([[3.14159265]]))
    >>> round(float(halves.whole()), 6)
    3.141593
    """
    device = values.device if device is None else device
    pieces = row_pieces(values)
    unit = _unit(max((float(values[piece].abs().amax()) for piece in pieces), default=0.0))
    count, dimension = values.shape
    width = -(-dimension // WIDTH) * WIDTH
    high, low = (torch.zeros(count, width, dtype=torch.float16, device=device) for _ in range(2))
    square, high_square = (torch.empty(count, device=device) for _ in range(2))
    blocks = ((values[piece],) for piece in pieces)
    for piece, (block,) in zip(pieces, streamed(blocks, device), strict=True):
        scaled, upper = block.float() / unit, high[piece, :dimension]
        upper.copy_(scaled)
        low[piece, :dimension] = scaled.sub_(upper).mul_(STEP)
        square[piece] = _square(block)
        high_square[piece] = _square(upper) * unit**2
    return Halves(high, low, unit, square, high_square, dimension)


def _unit(largest: float) -> float:
    return 2.0 ** math.ceil(math.log2(largest)) if largest > 0.0 else 1.0


def _square(vectors: Tensor) -> Tensor:
    """Squared lengths, float32."""
    length: Tensor = torch.linalg.vector_norm(vectors, dim=1, dtype=torch.float32)
    return length.square()
