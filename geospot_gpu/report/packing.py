"""Arrays as a page holds them: typed, compressed, as text."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

KEPT_BITS = 13
"""Of the 23 that a float32 has after its first: four digits are certain."""
_CUT = 23 - KEPT_BITS
_LEVEL = 9


@dataclass(frozen=True)
class Packed:
    """An array as text.

    Attributes:
        dtype: ``float32``, ``int32``, ``int16`` or ``uint8``.
        text: its little-endian bytes, the first ones of all values before the second ones, as
            bytes of a kind compress together; deflated, in base64.
        base: of what the values are differences: the name of another array whose bits, read as
            integers, are to be added; values themselves if "".
    """

    dtype: str
    text: str
    base: str = ""

    @property
    def about(self) -> dict[str, str]:
        """What has to be known to read it."""
        return {"dtype": self.dtype} | ({"base": self.base} if self.base else {})


def packed(values: NDArray[Any], base: str = "") -> Packed:
    """An array of any shape, flattened, as text.

    >>> packed(np.zeros(1000, np.float32)).text
    'eNrtwTEBAAAAwqD1T20MH6AAAACAtwEPoAAB'
    """
    plain = np.ascontiguousarray(values).ravel()
    planes = plain.view(np.uint8).reshape(len(plain), plain.itemsize).T
    text = base64.b64encode(zlib.compress(planes.tobytes(), _LEVEL)).decode("ascii")
    return Packed(plain.dtype.name, text, base)


def rounded(values: NDArray[Any], way: str = "nearest") -> Float:
    """Values of four digits at least, which compress: no more bits than are kept.

    Args:
        values: any numbers.
        way: ``nearest``, ``down`` or ``up``: bounds are rounded outwards, so that they stay bounds.

    >>> rounded(np.array([0.1234567, -0.1234567]), "down").tolist()
    [0.12345123291015625, -0.1234588623046875]
    """
    exact = np.ascontiguousarray(values, np.float32)
    bits = exact.view(np.int32)
    low = bits & ~((1 << _CUT) - 1)
    if way == "nearest":
        low = (bits + (1 << (_CUT - 1))) & ~((1 << _CUT) - 1)
    else:
        away = (exact < 0) == (way == "down")  # from zero, which is where magnitudes grow
        low = np.where(away & (low != bits), low + (1 << _CUT), low).astype(np.int32)
    found = low.view(np.float32)
    return np.where(np.isfinite(found), found, exact).astype(np.float32)


def difference(values: Float, base: Float) -> NDArray[np.int32]:
    """What has to be added to the bits of ``base`` to have those of ``values``, exactly.

    >>> a, b = np.array([1.0000001, np.nan], np.float32), np.ones(2, np.float32)
    >>> (b.view(np.int32) + difference(a, b)).view(np.float32).tolist()
    [1.0000001192092896, nan]
    """
    with np.errstate(over="ignore"):
        found: NDArray[np.int32] = values.view(np.int32) - base.view(np.int32)
    return found
