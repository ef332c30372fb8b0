"""Files of geometries that GDAL reads: GeoPackage, shapefiles, FlatGeobuf."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from geospot_gpu.errors import GeospotError
from geospot_gpu.points.readers.arrow import frame_of, with_geometry
from geospot_gpu.points.readers.files import LAYER, File, Wanted
from geospot_gpu.points.readers.shapes import require_geopandas

log = logging.getLogger("geospot_gpu")

DRIVERS = ("GPKG", "ESRI Shapefile", "FlatGeobuf", "GeoJSON", "GeoJSONSeq")
"""GDAL's names of what it may take a file for: other kinds name further files to read, and
addresses to fetch."""

SQLITE = b"SQLite format 3\0"
_OWN_TABLES = ("using rtree", "using fts3", "using fts4", "using fts5")
"""Virtual tables that hold what they show."""


def is_geopackage(file: File) -> bool:
    """Whether it is a GeoPackage, and not another SQLite database."""
    return file.head.startswith(SQLITE) and (file.packed or b"gpkg_contents" in _names(file))


def is_shapefile(file: File) -> bool:
    """Whether it is the ``.shp`` of a shapefile, whose index begins likewise."""
    return file.head.startswith(b"\0\0\x27\x0a") and file.suffix != ".shx"


def is_flatgeobuf(file: File) -> bool:
    """Whether it is FlatGeobuf."""
    return file.head[:3] == b"fgb" and file.head[4:7] == b"fgb"


def read_geopackage(file: File, wanted: Wanted) -> pd.DataFrame:
    """A layer of a GeoPackage."""
    file.on_disk()
    for virtual in _names(file, "virtual"):
        if not any(own in virtual for own in _OWN_TABLES):
            raise GeospotError(
                f"{file.shown}: holds a table that reads from elsewhere: save its layer alone"
            )
    return read_vector(file, wanted)


def read_shapefile(file: File, wanted: Wanted) -> pd.DataFrame:
    """A shapefile, with the files beside it."""
    path = file.on_disk()
    beside = {other.name.lower() for other in path.parent.iterdir()}
    stem = path.name.lower().removesuffix(".shp")
    missing = [part for part in (".shx", ".dbf") if f"{stem}{part}" not in beside]
    if missing:
        raise GeospotError(
            f"{file.shown}: {path.stem}{missing[0]} is not beside it: a shapefile is .shp, .shx "
            "and .dbf together"
        )
    return read_vector(file, wanted)


def read_vector(file: File, wanted: Wanted) -> pd.DataFrame:
    """A file that GDAL reads, at its path."""
    return read_source(str(file.on_disk().resolve()), file, wanted)


def read_source(source: str | bytes, file: File, wanted: Wanted) -> pd.DataFrame:
    """What GDAL reads of a path, or of a content.

    Raises:
        GeospotError: GDAL takes it for a kind that is not allowed, or the layer is not clear.
    """
    require_geopandas()
    import pyogrio

    # A content has no name, and neither has its one layer.
    path = isinstance(source, str)
    layer = _layer(pyogrio.list_layers(source), file, wanted) if path else None
    driver = pyogrio.read_info(source, layer=layer)["driver"]
    if driver not in DRIVERS:
        raise GeospotError(f"{file.shown}: is {driver}: convert it to GeoPackage or GeoJSON")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        about, table = pyogrio.read_arrow(source, layer=layer)
    for message in {str(one.message) for one in said}:
        log.warning("%s: %s", file.shown, " ".join(message.split()))
    table = _decoded(table, file)
    if about["geometry_type"] is None:
        return frame_of(table)
    return with_geometry(table, about["geometry_name"] or "wkb_geometry", about["crs"])


def _decoded(table: Any, file: File) -> Any:
    """The table with texts in UTF-8, which GDAL hands on as they are written."""
    import pyarrow as pa

    try:
        table.validate(full=True)
        return table
    except pa.ArrowInvalid:
        log.warning("%s: is not UTF-8 and is read as Latin-1: check its names", file.shown)
    for at, field in enumerate(table.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            cells = table.column(at).cast(pa.large_binary()).to_pylist()
            table = table.set_column(at, field.with_type(pa.string()), [[*map(_text, cells)]])
    return table


def _text(cell: bytes | None) -> str | None:
    if cell is None:
        return None
    try:
        return cell.decode()
    except UnicodeDecodeError:
        return cell.decode("latin-1")


def _layer(layers: Any, file: File, wanted: Wanted) -> str:
    """The layer that is named, or the only one there is of the wanted shapes."""
    names = [str(name) for name, _ in layers]
    if file.layer is not None:
        if file.layer not in names:
            raise GeospotError(
                f"{file.shown}: there is no such layer; there are: {', '.join(names)}"
            )
        return file.layer
    located = [str(name) for name, shape in layers if shape is not None] or names
    of_shape = [str(name) for name, shape in layers if wanted.shape in str(shape)]
    found = of_shape or located
    if len(found) == 1:
        return found[0]
    if not found:
        raise GeospotError(f"{file.shown}: holds no layers: give a file that does")
    raise GeospotError(
        f"{file.shown}: has {len(found)} layers ({', '.join(found)}): name one, as in "
        f"'{file.shown}{LAYER}{found[0]}'"
    )


def _names(file: File, of: str = "all") -> Any:
    """Names of the tables of an SQLite database; or the statements that made virtual ones."""
    path = Path(file.path).resolve()
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(
            sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
        ) as database,
    ):
        rows = database.execute("select name, lower(sql) from sqlite_master").fetchall()
        if of == "virtual":
            made = [" ".join(sql.split()) for _, sql in rows if sql]
            return [sql for sql in made if sql.startswith("create virtual table")]
        return [str(name).encode() for name, _ in rows]
    return []
