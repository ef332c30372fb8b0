"""Earth embeddings as they are published: their bands, and how their values are stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]


class Preset(NamedTuple):
    """A published set of embeddings."""

    bands: int
    decode: Callable[[NDArray[Any]], Values]
    """Vectors [k, d] of stored values [k, d], those that are empty aside."""
    nodata: float
    """Stored in the bands of an empty pixel; NaN where nothing is."""
    arrays: str = ""
    """Name of the class of plain arrays that it comes in, too."""


def as_stored(values: NDArray[Any]) -> Values:
    """The values themselves.

    >>> as_stored(np.array([[1, -2]], np.int8)).tolist()
    [[1.0, -2.0]]
    """
    return values.astype(np.float32)


def alphaearth(values: NDArray[Any]) -> Values:
    """sign(v) (|v| / 127.5)^2 of integers; exports of Earth Engine hold the result itself.

    >>> alphaearth(np.array([[127, -51, 0]], np.int8)).round(4).tolist()
    [[0.9922000169754028, -0.1599999964237213, 0.0]]
    """
    if values.dtype.kind == "f":
        return as_stored(values)
    found: Values = values.astype(np.float32) / np.float32(127.5)
    return found * np.abs(found)


PRESETS = {
    # developers.google.com/earth-engine/guides/aef_on_gcs_readme
    "alphaearth": Preset(64, alphaearth, -128.0),
    # geotessera: downloads as npy with scales, or as GeoTIFF of float32
    "tessera": Preset(128, as_stored, np.nan, "scaled"),
    # Copernicus-Embed-025deg: oceans are 0
    "copernicus": Preset(768, as_stored, 0.0, "global"),
}
"""By name."""
