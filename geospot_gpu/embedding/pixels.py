"""Pixels of image files: pictures through Pillow, GeoTIFF with any bands through rasterio."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.embedding.base import Item, Unusable
from geospot_gpu.embedding.packages import package
from geospot_gpu.errors import GeospotError
from geospot_gpu.files import regular
from geospot_gpu.files.inputs import why

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_RGB = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV")
"""Modes of Pillow that are pictures of eight bits a colour, which RGB stands for."""


def pixels(item: Item) -> NDArray[Any]:
    """All bands of an image, [bands, height, width], of the type that they are stored in.

    A picture has three bands, red, green and blue, also where it is grey or has a palette; what is
    transparent in it is not told apart.

    Raises:
        Unusable: it cannot be read, or has pixels without a value.
    """
    content = _content(item)
    try:
        found = _of_tiff(content) if content.startswith(_TIFF) else _of_picture(content)
    except (Unusable, GeospotError):
        raise
    except Exception as error:  # decoders fail in as many ways as files can be broken
        raise Unusable(f"cannot be read ({why(error)})") from error
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise Unusable("has pixels without a value")
    return found


def picture(item: Item) -> Any:
    """The image as an RGB picture of Pillow, for models that look at pictures.

    Raises:
        Unusable: it cannot be read, or is no picture of three bands and eight bits.
    """
    found = pixels(item)
    if found.shape[0] != 3 or found.dtype != np.uint8:
        raise Unusable(
            f"has {found.shape[0]} bands of {found.dtype}, and the model wants RGB of 8 bits: "
            "embed.model=rcf takes any"
        )
    image = package("PIL.Image", "embed=image", "image")
    return image.fromarray(np.ascontiguousarray(found.transpose(1, 2, 0)), "RGB")


def _content(item: Item) -> bytes:
    if isinstance(item, bytes):
        return item
    try:
        return regular(Path(item)).read_bytes()
    except (GeospotError, OSError) as error:
        raise Unusable(why(error).removeprefix(f"{item}: ")) from error


def _of_picture(content: bytes) -> NDArray[Any]:
    pillow = package("PIL", "embed=image", "image")
    image = package("PIL.Image", "embed=image", "image")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large pictures, and of what cameras write beside them
        try:
            opened = image.open(io.BytesIO(content))
        except pillow.UnidentifiedImageError as error:
            raise Unusable("is no image of a kind that is known") from error
        with opened:
            if opened.mode in _RGB:
                return np.asarray(opened.convert("RGB")).transpose(2, 0, 1)
            found = np.asarray(opened)  # one band of sixteen bits, or of floating point
    if found.ndim != 2 or found.dtype.kind not in "uif":
        raise Unusable("is of a kind that is not known: save it as PNG, JPEG or GeoTIFF")
    return found[None]


def _of_tiff(content: bytes) -> NDArray[Any]:
    try:
        rasterio = package("rasterio", "a GeoTIFF image", "raster")
    except GeospotError as error:
        try:
            return _of_picture(content)
        except Exception:
            raise error from None  # it has bands that Pillow does not know
    with (
        warnings.catch_warnings(),
        rasterio.MemoryFile(content) as file,
    ):
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with file.open() as opened:
            if opened.colorinterp[0].name == "palette":  # numbers of colours, no quantity
                return _of_picture(content)
            found: NDArray[Any] = opened.read()
            nodata = np.array(opened.nodatavals, np.float64)[:, None, None]
    # NaN is looked for by all formats; 0 is a value of what is dark, too.
    if ((found == nodata) & (nodata != 0)).any():
        raise Unusable("has pixels without a value")
    return found
