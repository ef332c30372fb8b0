"""Float32 numbers as pairs of float16: what matrix units multiply fastest, and lose little by."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

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


def split(values: Tensor) -> Halves:
    """Split float32 vectors [P, D] into halves.

    >>> halves = split(torch.tensor([[3.14159265]]))
    >>> numbers = halves.unit * (halves.high + halves.low.float() / STEP)
    >>> numbers.shape, round(float(numbers[0, 0]), 6)
    (torch.Size([1, 16]), 3.141593)
    """
    largest = float(values.abs().amax()) if values.numel() else 0.0
    unit = 2.0 ** math.ceil(math.log2(largest)) if largest > 0.0 else 1.0
    scaled = values.float() / unit
    high = scaled.half()
    low = scaled.sub_(high).mul_(STEP).half()
    square = torch.linalg.vector_norm(values, dim=1, dtype=torch.float32).square()
    high_square = torch.linalg.vector_norm(high, dim=1, dtype=torch.float32).square()
    return Halves(_padded(high), _padded(low), unit, square, high_square * unit**2)


def _padded(values: Tensor) -> Tensor:
    missing = -values.shape[1] % WIDTH
    return torch.nn.functional.pad(values, (0, missing)) if missing else values
