"""Objects of other libraries that hold a table, in Python."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd

from geospot_gpu.errors import GeospotError
from geospot_gpu.points.readers.arrow import frame_of, geo_frame_of
from geospot_gpu.points.readers.shapes import has_geometry

log = logging.getLogger("geospot_gpu")

_HEAVY = ("Image", "Audio", "Video", "Pdf", "Nifti")
"""Features of Hugging Face whose bytes no table of points needs."""


def frame_of_object(source: object, origin: str) -> pd.DataFrame | None:
    """The data frame that an object holds, or None where it is no table.

    These are data frames of pandas, geopandas and polars, tables of Arrow and whatever else has
    the interface of Arrow's streams, data sets of Hugging Face, and those of torchgeo that have
    their index of files in a GeoDataFrame.

    Args:
        source: the object.
        origin: what it is called, for messages.

    Raises:
        GeospotError: it is no table as it is, but holds one.
    """
    if isinstance(source, pd.DataFrame):
        return _with_index(source)
    if isinstance(source, str | bytes) or hasattr(source, "__fspath__"):
        return None
    index = getattr(source, "index", None)
    if isinstance(index, pd.DataFrame) and has_geometry(index):  # torchgeo's GeoDataset
        return index.reset_index(drop=True)
    home = type(source).__module__.partition(".")[0]
    if home == "datasets":
        return _hugging_face(source, origin)
    if home == "polars" and hasattr(source, "collect"):
        raise GeospotError(f"{origin}: is lazy: give what .collect() returns")
    if hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__"):
        import pyarrow as pa

        try:
            return geo_frame_of(pa.table(source), origin)
        except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError) as error:
            kind = type(source).__name__
            raise GeospotError(f"{origin}: a {kind} that is no table: give a data frame") from error
    return None


def _with_index(frame: pd.DataFrame) -> pd.DataFrame:
    """The data frame with its named index, if it has one, as columns, as in a file of it."""
    names = [name for name in frame.index.names if name is not None and name not in frame.columns]
    return frame.reset_index(level=names) if names else frame


def _hugging_face(source: Any, origin: str) -> pd.DataFrame:
    if isinstance(source, dict):
        splits = ", ".join(map(str, source))
        raise GeospotError(f"{origin}: has several splits ({splits}): give one of them")
    if not hasattr(source, "with_format") or not hasattr(source, "__len__"):
        raise GeospotError(f"{origin}: is a stream: load the data set without streaming=True")
    heavy = [name for name, kind in source.features.items() if type(kind).__name__ in _HEAVY]
    if heavy:
        log.warning("%s: left out columns of pictures and the like: %s", origin, ", ".join(heavy))
        source = source.remove_columns(heavy)
    frame = frame_of(source.with_format("arrow")[:])
    for name, kind in source.features.items():
        if type(kind).__name__ == "ClassLabel":  # numbers that stand for names
            names = dict(enumerate(kind.names))
            frame[name] = frame[name].map(names)
    return frame
