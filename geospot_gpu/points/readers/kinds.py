"""The register of the kinds of file that are read: a new kind is one entry, and its file."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from geospot_gpu.points.readers.delimited import is_text, read_delimited
from geospot_gpu.points.readers.files import File, Wanted
from geospot_gpu.points.readers.foreign import is_foreign, refuse
from geospot_gpu.points.readers.geojson import is_geojson, read_geojson
from geospot_gpu.points.readers.parquet import is_parquet, read_parquet
from geospot_gpu.points.readers.records import is_records, read_records
from geospot_gpu.points.readers.vector import (
    is_flatgeobuf,
    is_geopackage,
    is_shapefile,
    read_geopackage,
    read_shapefile,
    read_vector,
)


class Kind(NamedTuple):
    """A kind of file."""

    name: str
    is_one: Callable[[File], bool]
    """Whether a file is of this kind, by how its content begins."""
    read: Callable[[File, Wanted], pd.DataFrame]
    """The table in it: a GeoDataFrame where it has geometries. It may raise anything."""


KINDS = (
    Kind("Parquet", is_parquet, read_parquet),
    Kind("GeoPackage", is_geopackage, read_geopackage),
    Kind("Shapefile", is_shapefile, read_shapefile),
    Kind("FlatGeobuf", is_flatgeobuf, read_vector),
    Kind("another", is_foreign, refuse),
    Kind("JSON records", is_records, read_records),
    Kind("GeoJSON", is_geojson, read_geojson),
    Kind("CSV", is_text, read_delimited),
)
"""In the order in which they are tried; the last takes what is left."""


def kind_of(file: File) -> Kind:
    """The kind of a file."""
    return next((kind for kind in KINDS if kind.is_one(file)), KINDS[-1])
