"""Small rasters of vectors in the formats that Earth embeddings are published in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import xarray as xr
from numpy.typing import NDArray
from rasterio.transform import Affine

Transform = tuple[float, float, float, float, float, float]


def vectors(height: int, width: int, bands: int, dtype: Any = np.float32) -> NDArray[Any]:
    """Values [bands, h, w], none of them twice in a row or zero."""
    found = np.random.default_rng(height * width + bands).uniform(1, 100, (bands, height, width))
    values: NDArray[Any] = found.astype(dtype)
    return values


def save_tiff(
    path: Path,
    values: NDArray[Any],
    transform: Transform,
    crs: str | None = "EPSG:4326",
    *,
    names: list[str] | None = None,
    scales: list[float] | None = None,
    offsets: list[float] | None = None,
    mask: NDArray[np.bool_] | None = None,
    **profile: Any,
) -> Path:
    """A GeoTIFF in blocks of 16 x 16, its bands side by side in a pixel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bands, height, width = values.shape
    usual = {
        "driver": "GTiff", "dtype": values.dtype, "count": bands, "height": height,
        "width": width, "crs": crs, "transform": Affine(*transform), "tiled": True,
        "blockxsize": 16, "blockysize": 16, "interleave": "pixel", "compress": "deflate",
    }  # fmt: skip
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", **usual | profile) as f,
    ):
        f.write(values)
        if names:
            f.descriptions = names
        if scales:
            f.scales = scales
        if offsets:
            f.offsets = offsets
        if mask is not None:
            f.write_mask(mask)
    return path


def save_alphaearth(path: Path, transform: Transform, crs: str) -> NDArray[np.int8]:
    """A tile as in AlphaEarth's bucket: int8, 64 channels A00 to A63, rows that go north.

    The first column of pixels is masked.
    """
    values = np.random.default_rng(0).integers(-127, 128, (64, 40, 40)).astype(np.int8)
    values[:, :, 0] = -128
    names = [f"A{k:02}" for k in range(64)]
    save_tiff(path, values, transform, crs, names=names, nodata=-128)
    return values


def save_tessera(
    folder: Path, lon: float, lat: float, transform: Transform, crs: str, year: int = 2024
) -> NDArray[np.float32]:
    """A tile as geotessera downloads it; its vectors [h, w, 128]. The first row is water."""
    name = f"grid_{lon:.2f}_{lat:.2f}"
    generator = np.random.default_rng(1)
    values = generator.integers(-127, 128, (30, 20, 128)).astype(np.int8)
    scales = generator.uniform(0.01, 0.1, (30, 20)).astype(np.float32)
    scales[0] = np.nan
    place = folder / "global_0.1_degree_representation" / str(year) / name
    place.mkdir(parents=True, exist_ok=True)
    np.save(place / f"{name}.npy", values)
    np.save(place / f"{name}_scales.npy", scales)
    land = np.ones((1, 30, 20), np.uint8)
    save_tiff(folder / "global_0.1_degree_tiff_all" / f"{name}.tiff", land, transform, crs)
    return values.astype(np.float32) * scales[:, :, None]


def copernicus(rows: int = 9) -> NDArray[np.float32]:
    """The map of Copernicus-Embed, [rows, 2 rows - 2, 768], on coarser pixels; row 2 is ocean."""
    values = np.random.default_rng(2).normal(size=(rows, 2 * rows - 2, 768)).astype(np.float32)
    values[2] = 0
    return values


def cube(
    values: NDArray[Any], x: NDArray[Any], y: NDArray[Any], names: tuple[str, str]
) -> xr.DataArray:
    """An array [bands, h, w] with coordinates of the centres of its pixels, y before x."""
    labels = [f"A{k:02}" for k in range(len(values))]
    coords: dict[str, Any] = {"band": labels, names[0]: y, names[1]: x}
    return xr.DataArray(values, coords=coords, dims=("band", *names), name="embedding")
