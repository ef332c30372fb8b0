"""Arrays of a page, read as its scripts read them."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.report.packing import Packed


def unpacked(arrays: Mapping[str, Packed], name: str) -> NDArray[Any]:
    """Values, flat."""
    one = arrays[name]
    kind = np.dtype(one.dtype)
    raw = np.frombuffer(zlib.decompress(base64.b64decode(one.text)), np.uint8)
    planes = raw.reshape(kind.itemsize, -1)
    values = np.ascontiguousarray(planes.T).view(kind).ravel()
    if not one.base:
        return values
    with np.errstate(over="ignore"):
        bits: NDArray[Any] = unpacked(arrays, one.base).view(np.int32) + values
    return bits.view(np.float32)
