"""Which files a path stands for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from geospot_gpu.encoders.raster.arrays import LAND_MASKS, GlobalArray, ScaledArray
from geospot_gpu.encoders.raster.geotiff import GeoTiff
from geospot_gpu.encoders.raster.presets import PRESETS
from geospot_gpu.encoders.raster.tile import Tile
from geospot_gpu.encoders.raster.zarr_store import ZarrStore, is_store
from geospot_gpu.errors import GeospotError
from geospot_gpu.files import expanded, matched

_TIFF = (".tif", ".tiff")
_ARRAYS = {"": (), "scaled": (".npy",), "global": (".npy", ".npz", ".pt")}


def open_tiles(
    path: Path,
    preset: str | None,
    bands: Sequence[str] | None,
    variable: str | None,
    crs: str | None,
) -> list[Tile]:
    """All rasters of a file, a folder or a pattern such as ``tiles/*.tif``, by name.

    Args:
        path: where they are.
        preset: whose plain arrays are known, too.
        bands, variable, crs: as in :class:`~geospot_gpu.encoders.raster.Raster`.

    Raises:
        GeospotError: there is none, one cannot be read, they have different bands, or two have the
            same pixels.
    """
    kind = PRESETS[preset].arrays if preset else ""
    files = _files(path, _ARRAYS[kind])
    if not files:
        suffixes = ", ".join((*_TIFF, ".zarr", *_ARRAYS[kind]))
        raise GeospotError(f"{path}: there is no raster there: give one of {suffixes}")
    tiles: list[Tile] = []
    places: dict[tuple[object, ...], str] = {}
    for file in files:
        if file.is_dir():
            tile: Tile = ZarrStore(file, bands, variable, crs)
        elif file.suffix.lower() in _TIFF:
            tile = GeoTiff(file, bands, crs)
        elif file.suffix.lower() in _ARRAYS[kind]:
            tile = ScaledArray(file, bands) if kind == "scaled" else GlobalArray(file, bands)
        elif file.suffix.lower() in (".npy", ".npz", ".pt"):
            raise GeospotError(
                f"{file}: an array has no place on the Earth: name what it is with encoder.preset="
                "tessera or copernicus, or save it as GeoTIFF or Zarr"
            )
        else:
            tile = GeoTiff(file, bands, crs)  # whatever it is called
        if (other := places.setdefault(tile.grid.key, tile.name)) != tile.name:
            raise GeospotError(
                f"{path}: {other} and {tile.name} are of the same pixels, as of two years or two "
                "bands: name one of them, the folder of one year, or one file of all bands"
            )
        if tiles and tile.bands != tiles[0].bands:
            raise GeospotError(
                f"{path}: {tile.name} has {tile.bands} bands and {tiles[0].name} "
                f"{tiles[0].bands}: give rasters of one kind"
            )
        if tiles and all(tile.names) and all(names := tiles[0].names) and tile.names != names:
            raise GeospotError(
                f"{path}: {tile.name} has other bands than {tiles[0].name}, or in another order: "
                f"name those to take with encoder.bands=[{names[0]},...]"
            )
        tiles.append(tile)
    return tiles


def _files(path: Path, arrays: Sequence[str]) -> list[Path]:
    """Files and Zarr stores; in a folder of several formats plain arrays before GeoTIFFs."""
    if (several := matched(path)) is not None:
        return several
    found = expanded(path)
    if not found.is_dir() or is_store(found):
        return [found]
    inside = sorted(found.rglob("*"))
    stores = [one for one in inside if one.suffix == ".zarr" and one.is_dir()]
    plain = [
        one
        for one in inside
        if one.suffix.lower() in arrays and not one.stem.endswith("_scales") and one.is_file()
    ]
    images = [one for one in inside if one.suffix.lower() in _TIFF and LAND_MASKS not in one.parts]
    return stores or plain or images
