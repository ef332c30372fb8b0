"""Kinds of file that are not read: what each is, and what to do instead."""

from __future__ import annotations

import re
from typing import NoReturn

from geospot_gpu.errors import GeospotError
from geospot_gpu.points.readers.files import File, Wanted

_TABLE = "save the table as CSV or Parquet"
_VECTOR = "convert it: ogr2ogr points.gpkg FILE"
_UNPACK = "unpack it first"
_RASTER = "give a table of points; rasters are sampled at these by an encoder"

BEGINNINGS: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs", "a git-lfs pointer, not the file itself", "run git lfs pull"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook", "save its sheet as CSV"),
    (b"\x89HDF\r\n\x1a\n", "a netCDF or HDF5 file", _TABLE),
    (b"CDF\x01", "a netCDF file", _TABLE),
    (b"CDF\x02", "a netCDF file", _TABLE),
    (b"CDF\x05", "a netCDF file", _TABLE),
    (b"GRIB", "a GRIB file", _TABLE),
    (b"II*\0", "a TIFF raster", _RASTER),
    (b"MM\0*", "a TIFF raster", _RASTER),
    (b"II+\0", "a TIFF raster", _RASTER),
    (b"\x89PNG", "a picture", "give a table of points"),
    (b"\xff\xd8\xff", "a picture", "give a table of points"),
    (b"%PDF", "a PDF document", _TABLE),
    (b"ARROW1", "an Arrow or Feather file", "save it as Parquet"),
    (b"\xff\xff\xff\xff", "an Arrow stream", "save it as Parquet"),
    (b"Obj\x01", "an Avro file", "save it as Parquet"),
    (b"ORC", "an ORC file", "save it as Parquet"),
    (b"\x93NUMPY", "a NumPy array", f"{_TABLE}; features go into encoder.path"),
    (b"SQLite format 3\0", "an SQLite database without layers", "save the table as GeoPackage"),
    (b"$FL", "an SPSS file", _TABLE),
    (b"<stata_dta>", "a Stata file", _TABLE),
    (b"RDX", "an R file", _TABLE),
    (b"RDA", "an R file", _TABLE),
    (b"X\n\0\0\0", "an R file", _TABLE),
    (b"PMTiles", "a set of map tiles", _VECTOR),
    (b"BZh", "compressed by bzip2", _UNPACK),
    (b"\xfd7zXZ\0", "compressed by xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
)
"""How their content begins."""

_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_PAGE = re.compile(rb"<(!doctype\s+html|html|head|body)", re.IGNORECASE)
_SUFFIXES = {
    (".parquet", ".geoparquet", ".gpq"): "Parquet",
    (".gpkg",): "a GeoPackage",
    (".shp",): "a shapefile",
    (".fgb",): "FlatGeobuf",
    (".xlsx", ".xls", ".ods"): "a workbook",
}
_PARTS = (".shx", ".dbf", ".prj", ".cpg", ".qpj", ".sbn", ".sbx")


def is_foreign(file: File) -> bool:
    """Whether it is of a kind that is known, but not read."""
    return _known(file) is not None


def refuse(file: File, wanted: Wanted) -> NoReturn:
    """Say what a file is, and what to do."""
    what, advice = _known(file) or ("of an unknown kind", _TABLE)
    raise GeospotError(f"{file.shown}: is {what}: {advice}")


def _known(file: File) -> tuple[str, str] | None:
    """What a file is and what to do; None where it may be a table in text."""
    head = file.head
    for begins, what, advice in BEGINNINGS:
        if head.startswith(begins):
            return what, advice
    if file.suffix in _PARTS:
        return "a part of a shapefile", f"give {file.path.stem}.shp, with this file beside it"
    if head.startswith(b"PK"):
        return _archive(head)
    if _PICKLE.match(head):
        return "a pickle, which can run any code when it is opened", _TABLE
    if head[257:262] == b"ustar":
        return "a tar archive", _UNPACK
    if _PAGE.match(file.words):
        return "a web page, as of a login or an error", "download the file itself"
    if file.words.startswith(b"<"):
        return "XML, as KML, GML and GPX are", _VECTOR
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")) and _binary(head):
        return "neither text nor of a kind that is known", _TABLE
    if head.startswith((b"\xff\xfe{", b"\xff\xfe[", b"\xfe\xff\0{", b"\xfe\xff\0[")):
        return "JSON in UTF-16", "save it in UTF-8"
    for suffixes, kind in _SUFFIXES.items():
        if file.suffix in suffixes:
            return f"not {kind}, though it is called so", "give the file as it was made"
    return None


def _archive(head: bytes) -> tuple[str, str]:
    if b"[Content_Types].xml" in head or b"xl/" in head:
        return "an Excel workbook", "save its sheet as CSV"
    if b"opendocument" in head:
        return "a workbook", "save its sheet as CSV"
    if b".kml" in head:
        return "KMZ", "convert it: ogr2ogr points.gpkg FILE"
    if b".npy" in head:
        return "an archive of NumPy arrays", f"{_TABLE}; features go into encoder.path"
    return "an archive that is damaged", "download it again"


def _binary(head: bytes) -> bool:
    """Whether zeros are not what UTF-16 without a mark of order has in every other byte."""
    half = len(head[:4000]) // 2 or 1
    return max(head[0:4000:2].count(0), head[1:4000:2].count(0)) < 0.7 * half or b"\0\0" in head
