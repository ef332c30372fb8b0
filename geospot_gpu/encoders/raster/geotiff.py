"""GeoTIFF and COG files."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geospot_gpu.encoders.raster.grid import Grid, require
from geospot_gpu.encoders.raster.tile import (
    Pixels,
    Places,
    Storage,
    Tile,
    blocks,
    chosen_bands,
    picked,
)
from geospot_gpu.errors import GeospotError
from geospot_gpu.files import regular
from geospot_gpu.files.inputs import why


class GeoTiff(Tile):
    """A GeoTIFF, cloud-optimised or not, with rows that go south or north.

    Args:
        path: the file.
        bands: names or numbers of bands; all if not given.
        crs: its reference system, where the file names none.

    Raises:
        GeospotError: there is no such file, it is no GeoTIFF, has no reference system or lacks a
            band.
    """

    def __init__(self, path: Path, bands: Sequence[str] | None, crs: str | None) -> None:
        self.name, self._path = str(path), regular(path)
        with self._opened() as file:
            chosen = chosen_bands(bands, file.descriptions, self.name)
            if file.transform.is_identity:
                by = "is placed by ground control points" if file.gcps[0] else "says of no place"
                raise GeospotError(
                    f"{path}: {by}, and pixels cannot be found by an affine map: warp it onto a "
                    "grid first, as with gdalwarp"
                )
            if any("complex" in file.dtypes[k] for k in chosen):
                raise GeospotError(
                    f"{path}: has complex numbers: save their parts, or amplitudes, as bands"
                )
            known = file.crs.to_wkt() if file.crs else crs
            if known is None:
                raise GeospotError(
                    f"{path}: has no coordinate reference system: name it with encoder.crs=EPSG:..."
                )
            self.grid = Grid(known, tuple(file.transform)[:6], file.height, file.width)
            self._indexes = [k + 1 for k in chosen]
            self._block = file.block_shapes[chosen[0]]
            flags = file.mask_flag_enums[chosen[0]]
            self._masked = any(flag.name == "per_dataset" for flag in flags)
            self.bands, self.names = len(chosen), [file.descriptions[k] for k in chosen]
            self.storage = Storage(
                np.array([file.scales[k] for k in chosen], np.float64),
                np.array([file.offsets[k] for k in chosen], np.float64),
                np.array([file.nodatavals[k] for k in chosen], np.float64),
            )

    def pixels(self, rows: Places, columns: Places) -> Iterator[Pixels]:
        windows = require("rasterio.windows")
        with self._opened() as file:
            for index, down, along in blocks(rows, columns, *self._block):
                window = windows.Window.from_slices(down, along)
                values = file.read(self._indexes, window=window)
                mask = file.dataset_mask(window=window) == 0 if self._masked else None
                yield from picked(index, rows, columns, values, mask)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Any]:
        """The file, by the one driver for it: others follow names to further files."""
        rasterio = require("rasterio")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
                file = rasterio.open(self._path, driver="GTiff")
            with file:
                yield file
        except rasterio.errors.RasterioError as error:
            raise GeospotError(f"{self.name}: cannot be read ({why(error)})") from error
