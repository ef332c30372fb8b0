"""Images of the kinds that people have, made on the spot."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.transform import from_origin


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """A picture of random colours, [height, width, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def png(values: NDArray[Any], mode: str | None = None) -> bytes:
    """A picture as PNG, in another mode of Pillow if one is given."""
    image, file = Image.fromarray(values), io.BytesIO()
    (image if mode is None else image.convert(mode)).save(file, "PNG")
    return file.getvalue()


def chip(path: Path, values: NDArray[Any]) -> Path:
    """A GeoTIFF of bands [bands, height, width]."""
    bands, height, width = values.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(
            *(path, "w"), driver="GTiff", count=bands, height=height, width=width,
            dtype=values.dtype, crs="EPSG:32631", transform=from_origin(500_000, 5e6, 10, 10),
        ) as file:  # fmt: skip
            file.write(values)
    return path
