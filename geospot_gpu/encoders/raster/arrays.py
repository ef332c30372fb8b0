"""Plain arrays whose place on the Earth is known from elsewhere: TESSERA and Copernicus-Embed."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.encoders.raster.geotiff import GeoTiff
from geospot_gpu.encoders.raster.grid import Grid
from geospot_gpu.encoders.raster.tile import Pixels, Places, Tile, chosen_bands, plain_storage
from geospot_gpu.encoders.weights import read_checkpoint
from geospot_gpu.errors import GeospotError
from geospot_gpu.files import regular
from geospot_gpu.files.inputs import why

LAND_MASKS = "global_0.1_degree_tiff_all"
"""Folder of TESSERA's GeoTIFFs of land, which say where the arrays of the same name lie."""
_PIECE = 1 << 12


class ScaledArray(Tile):
    """A tile of TESSERA: ``NAME.npy``, int8 [h, w, 128], and ``NAME_scales.npy``.

    A vector is the product of the two; scales are [h, w] or [h, w, 128]. Where the tile lies says
    ``NAME.tiff``, beside it or in the folder of land masks of one of the folders above, as the
    ``geotessera`` package downloads it.

    Raises:
        GeospotError: one of the three files is missing or of another shape.
    """

    def __init__(self, path: Path, bands: Sequence[str] | None) -> None:
        self.name, self._path = str(path), path
        self._scales = path.with_name(f"{path.stem}_scales.npy")
        values, scales = _mapped(path), _mapped(self._scales)
        beside = [path.with_suffix(".tiff"), path.with_suffix(".tif")]
        above = [folder / LAND_MASKS / f"{path.stem}.tiff" for folder in path.absolute().parents]
        place = next((one for one in (*beside, *above) if one.is_file()), None)
        if place is None:
            raise GeospotError(
                f"{path}: where it lies says {path.stem}.tiff, which is neither beside it nor in "
                f"{LAND_MASKS} above: download it, too"
            )
        self.grid = GeoTiff(place, None, None).grid
        size = (self.grid.height, self.grid.width)
        for one, shape in ((path, values.shape), (self._scales, scales.shape)):
            if shape[:2] != size or len(shape) not in (2, 3):
                raise GeospotError(f"{one}: is of shape {shape}, and {place.name} of {size}")
        if values.ndim != 3:
            raise GeospotError(f"{path}: is of shape {values.shape}: give rows, columns and bands")
        self._chosen = chosen_bands(bands, [None] * values.shape[2], self.name)
        self.bands = len(self._chosen)
        self.storage = plain_storage(self.bands)

    def pixels(self, rows: Places, columns: Places) -> Iterator[Pixels]:
        values, scales = _mapped(self._path), _mapped(self._scales)
        for index in _pieces(rows, columns):
            at = rows[index], columns[index]
            scale = scales[at].astype(np.float32)
            if scale.ndim == 1:
                scale = scale[:, None]
            yield Pixels(index, (values[at] * scale)[:, self._chosen])


class GlobalArray(Tile):
    """Copernicus-Embed: one array [rows, columns, bands] over the whole Earth.

    The first row is centred on the north pole and the last on the south pole, the first column on
    the antimeridian: of 721 x 1440 pixels each has 0.25 degrees, as ERA5 has them. Files are
    ``.npy``, ``.npz`` (an array ``arr_0``, or the only one) or ``.pt`` (a tensor); of none of them
    more is in memory than some rows.

    Raises:
        GeospotError: it cannot be read, or is of another shape.
    """

    def __init__(self, path: Path, bands: Sequence[str] | None) -> None:
        self.name, self._path = str(path), regular(path)
        shape = self._shape()
        if len(shape) != 3 or shape[1] != 2 * (shape[0] - 1) or shape[0] < 2:
            raise GeospotError(
                f"{path}: is of shape {shape}: give rows from pole to pole, twice as many columns "
                "less two, and bands, as 721 x 1440 x 768"
            )
        step = 360.0 / shape[1]
        transform = (step, 0.0, -180.0 - step / 2, 0.0, -step, 90.0 + step / 2)
        self.grid = Grid("EPSG:4326", transform, shape[0], shape[1])
        self._chosen = chosen_bands(bands, [None] * shape[2], self.name)
        self.bands = len(self._chosen)
        self.storage = plain_storage(self.bands)

    def pixels(self, rows: Places, columns: Places) -> Iterator[Pixels]:
        if self._path.suffix == ".npz":
            yield from self._streamed(rows, columns)
            return
        values = self._array()
        for index in _pieces(rows, columns):
            yield Pixels(index, np.asarray(values[rows[index], columns[index]])[:, self._chosen])

    def _shape(self) -> tuple[int, ...]:
        if self._path.suffix == ".npz":
            with zipfile.ZipFile(self._path) as archive, self._member(archive) as file:
                return _header(file)[0]
        return tuple(self._array().shape)

    def _array(self) -> NDArray[Any]:
        """The array, which stays on disk."""
        if self._path.suffix != ".pt":
            return _mapped(self._path)
        content = read_checkpoint(self._path)
        if not hasattr(content, "numpy"):
            raise GeospotError(f"{self._path}: holds no tensor: save it with torch.save")
        values: NDArray[Any] = content.numpy()
        return values

    def _member(self, archive: zipfile.ZipFile) -> Any:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        name = "arr_0.npy" if "arr_0.npy" in names or len(names) != 1 else names[0]
        if name not in names:
            raise GeospotError(f"{self._path}: holds no array arr_0; there are: {', '.join(names)}")
        return archive.open(name)

    def _streamed(self, rows: Places, columns: Places) -> Iterator[Pixels]:
        """Rows of a member of an archive, read from its beginning and one at a time."""
        with zipfile.ZipFile(self._path) as archive, self._member(archive) as file:
            shape, kind = _header(file)
            size, begin = shape[1] * shape[2] * kind.itemsize, file.tell()
            order = np.argsort(rows, kind="stable")
            edges = np.flatnonzero(np.diff(rows[order])) + 1
            for index in np.split(order, edges) if len(rows) else ():
                file.seek(begin + int(rows[index[0]]) * size)
                values = np.frombuffer(file.read(size), kind).reshape(shape[1:])
                yield Pixels(index, values[columns[index]][:, self._chosen])


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array in NumPy's format, whose values follow."""
    try:
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, kind = read(file)
    except (KeyError, ValueError) as error:
        raise GeospotError(f"{file.name}: is no array of NumPy ({why(error)})") from error
    if fortran or kind.hasobject:
        raise GeospotError(f"{file.name}: is no plain array in rows: save it with np.savez")
    return shape, kind


def _mapped(path: Path) -> NDArray[Any]:
    """An array that stays on disk."""
    try:
        values: NDArray[Any] = np.load(regular(path), mmap_mode="r", allow_pickle=False)
    except GeospotError:
        raise
    except Exception as error:  # a broken file is one in many ways
        raise GeospotError(f"{path}: cannot be read ({why(error)})") from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf":
        raise GeospotError(f"{path}: is no array of numbers")
    return values


def _pieces(rows: Places, columns: Places) -> Iterator[Places]:
    """Positions of pixels [n] in the order in which they lie on disk, some at a time."""
    order = np.lexsort((columns, rows))
    for low in range(0, len(order), _PIECE):
        yield order[low : low + _PIECE]
