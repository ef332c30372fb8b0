"""Zarr stores, as xarray writes them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
from geospot_gpu.files.inputs import why

_AXES = {
    "row": ("y", "lat", "latitude", "northing"),
    "column": ("x", "lon", "longitude", "long", "easting"),
}
_METADATA = (".zmetadata", ".zarray", "zarr.json")
_LARGEST_METADATA = 1 << 24


def is_store(path: Path) -> bool:
    """Whether a folder is a Zarr store."""
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zmetadata"))


class ZarrStore(Tile):
    """A Zarr store with one array of bands, or a variable for each band.

    Rows and columns have coordinates called y and x, lat and lon, or northing and easting, of even
    steps. The reference system is that of its grid mapping (CF), or WGS84 where coordinates are
    called by words for longitude and latitude. Dimensions of length one are left out.

    Args:
        path: its folder.
        bands: names of variables or of labels of bands, or numbers; all if not given.
        variable: the array of bands, where there are several.
        crs: its reference system, where the store names none.

    Raises:
        GeospotError: it cannot be read as such.
    """

    def __init__(
        self, path: Path, bands: Sequence[str] | None, variable: str | None, crs: str | None
    ) -> None:
        self.name, self._path = str(path), path
        _refuse_pickles(path)
        data = self._opened()
        try:
            self._arrange(data, bands, variable, crs)
        finally:
            data.close()

    def pixels(self, rows: Places, columns: Places) -> Iterator[Pixels]:
        data = self._opened()
        try:
            arrays = [data[name].squeeze() for name in self._variables]
            for index, down, along in blocks(rows, columns, *self._block):
                window = {self._row: down, self._column: along}
                yield from picked(index, rows, columns, self._read(arrays, window))
        finally:
            data.close()

    def _read(self, arrays: list[Any], window: dict[str, slice]) -> NDArray[Any]:
        """A window [bands, h, w]."""
        try:
            if self._band is None:
                return np.stack([self._ordered(one.isel(window)).to_numpy() for one in arrays])
            found = arrays[0].isel({**window, self._band: self._chosen})
            values: NDArray[Any] = self._ordered(found).to_numpy()
            return values
        except Exception as error:  # every codec has its own exceptions for a broken chunk
            raise GeospotError(f"{self.name}: cannot be read ({why(error)})") from error

    def _ordered(self, array: Any) -> Any:
        axes = (self._row, self._column)
        return array.transpose(*axes if self._band is None else (self._band, *axes))

    def _opened(self) -> Any:
        """The store as xarray sees it, with values as they are stored."""
        require("zarr")
        import xarray as xr

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # without consolidated metadata
                return xr.open_zarr(
                    self._path, chunks=None, mask_and_scale=False, decode_times=False
                )
        except Exception as error:
            raise GeospotError(f"{self.name}: cannot be read as Zarr ({why(error)})") from error

    def _arrange(
        self, data: Any, bands: Sequence[str] | None, variable: str | None, crs: str | None
    ) -> None:
        """Find axes, variables and where they lie."""
        found = {
            axis: [dim for dim in data.dims if str(dim).lower() in names]
            for axis, names in _AXES.items()
        }
        if not all(len(dims) == 1 for dims in found.values()):
            raise GeospotError(
                f"{self.name}: needs one dimension y or lat and one x or lon; there are "
                f"{', '.join(map(str, data.dims)) or 'none: give the folder of one of its groups'}"
            )
        self._row, self._column = found["row"][0], found["column"][0]
        axes = {self._row, self._column}
        arrays = {
            str(name): one.squeeze()
            for name, one in sorted(data.data_vars.items(), key=lambda item: _counted(str(item[0])))
            if axes <= set(one.squeeze().dims) and one.dtype.kind in "iuf"
        }
        if variable is not None:
            if variable not in arrays:
                raise GeospotError(
                    f"{self.name}: encoder.variable={variable!r} is no array of numbers over "
                    f"{self._row} and {self._column}; there are: {', '.join(arrays) or 'none'}"
                )
            arrays = {variable: arrays[variable]}
        deep = [name for name, one in arrays.items() if one.ndim > 2]
        if not arrays or (deep and len(arrays) > 1) or any(arrays[k].ndim > 3 for k in deep):
            shapes = ", ".join(f"{k} {dict(one.sizes)}" for k, one in arrays.items())
            raise GeospotError(
                f"{self.name}: needs one array of bands, name it with encoder.variable; there are: "
                f"{shapes or 'none'}"
            )
        first = next(iter(arrays.values()))
        names: list[str | None] = list(arrays)
        self._band = None
        if deep:
            (self._band,) = set(first.dims) - axes
            labels = first[self._band].to_numpy()  # counted from 0 where there are none
            names = [str(label) if labels.dtype.kind in "OUT" else None for label in labels]
        self._chosen = chosen_bands(bands, names, self.name)
        self.bands, self.names = len(self._chosen), [names[k] for k in self._chosen]
        self._variables = list(arrays)
        if not deep:
            self._variables = [self._variables[k] for k in self._chosen]
        preferred = first.encoding.get("preferred_chunks", {})
        self._block = tuple(preferred.get(dim, 256) for dim in (self._row, self._column))
        known = self._crs(data, first) or crs
        if known is None:
            raise GeospotError(
                f"{self.name}: has no coordinate reference system: name it with "
                "encoder.crs=EPSG:..."
            )
        self.grid = Grid(
            known,
            self._transform(data),
            first.sizes[self._row],
            first.sizes[self._column],
        )
        self.storage = self._storage([data[name] for name in self._variables])

    def _storage(self, arrays: list[Any]) -> Storage:
        said = [
            [next((one.attrs[key] for key in keys if key in one.attrs), usual) for one in arrays]
            for *keys, usual in (
                ("scale_factor", 1.0),
                ("add_offset", 0.0),
                ("missing_value", "_FillValue", np.nan),  # the latter is 0 where nobody chose it
            )
        ]
        scale, offset, nodata = (
            np.broadcast_to(np.asarray(values, np.float64).ravel(), self.bands) for values in said
        )
        return Storage(scale, offset, nodata)

    def _transform(self, data: Any) -> tuple[float, ...]:
        steps = []
        for axis in (self._column, self._row):
            if axis not in data.coords:
                raise GeospotError(f"{self.name}: {axis} has no coordinates: add them")
            values = np.asarray(data[axis].to_numpy(), np.float64)
            step = (values[-1] - values[0]) / max(1, len(values) - 1)
            if len(values) < 2 or step == 0 or np.abs(np.diff(values) / step - 1).max() > 1e-3:
                raise GeospotError(f"{self.name}: coordinates of {axis} are not in even steps")
            steps.append((step, values[0] - step / 2))
        (a, c), (e, f) = steps
        return a, 0.0, c, 0.0, e, f

    def _crs(self, data: Any, array: Any) -> Any:
        mapping = array.attrs.get("grid_mapping") or array.encoding.get("grid_mapping")
        for name in (mapping, "spatial_ref", "crs"):
            if name in data.variables:
                attributes = data[name].attrs
                known = attributes.get("crs_wkt") or attributes.get("spatial_ref")
                if known:
                    return known
        if str(self._column).lower().startswith("lon"):
            return "EPSG:4326"
        return None


def _counted(name: str) -> list[tuple[int, str]]:
    """What names are sorted by so that A10 comes after A9.

    >>> sorted(["A10", "A9", "b"], key=_counted)
    ['A9', 'A10', 'b']
    """
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def _refuse_pickles(path: Path) -> None:
    """Raise where chunks are encoded by pickle, which would run what they hold."""
    for folder in (path, *filter(Path.is_dir, path.iterdir())):
        for found in filter(Path.is_file, (folder / name for name in _METADATA)):
            with found.open("rb") as file:
                if b"pickle" in file.read(_LARGEST_METADATA):
                    raise GeospotError(f"{found}: its chunks are pickles, which are not read")
