"""Zip archives: the one table in them."""

from __future__ import annotations

import contextlib
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from geospot_gpu.errors import GeospotError
from geospot_gpu.files.inputs import check_zip
from geospot_gpu.points.readers.files import File, peeked

ZIP = b"PK\x03\x04"
_PARTS = (".shx", ".dbf", ".prj", ".cpg", ".qpj", ".sbn", ".sbx", ".qix", ".qmd", ".shp.xml")
"""What lies beside the ``.shp`` of a shapefile."""
_ABOUT = (".md", ".html", ".htm", ".pdf", ".xml", ".rtf", ".doc", ".docx", ".png", ".jpg", ".lyr")
_CORE = "occurrence.txt"
"""The table of occurrences in a Darwin Core archive."""


def is_zip(file: File) -> bool:
    """Whether it is an archive, and not a workbook or arrays, which are written as such."""
    return file.head.startswith((ZIP, b"PK\x05\x06")) and (file.packed or not _other(file))


@contextlib.contextmanager
def unzipped(file: File) -> Iterator[File]:
    """The table in an archive, unpacked to a folder that goes when the block ends.

    Raises:
        GeospotError: it holds none or several, or claims to hold far more than it can.
    """
    check_zip(file.on_disk())
    with zipfile.ZipFile(file.path) as archive, tempfile.TemporaryDirectory() as folder:
        members = [
            info.filename
            for info in archive.infolist()
            if not info.is_dir() and not PurePosixPath(info.filename).name.startswith((".", "_"))
            if not info.filename.startswith("__MACOSX/")
        ]
        table = _table(members, file)
        stem = table.rsplit(".", 1)[0].lower()
        beside = [
            name
            for name in members
            if table.lower().endswith(".shp") and name.lower().startswith(f"{stem}.")
        ]
        # It stays within the folder, whatever the name says.
        paths = {name: archive.extract(name, folder) for name in (table, *beside)}
        inside = peeked(Path(paths[table]), f"{file.shown}/{table}", file.layer)
        if is_zip(inside):
            raise GeospotError(f"{inside.shown}: is an archive in an archive: unpack it first")
        yield inside


def _table(members: list[str], file: File) -> str:
    tables = [name for name in members if not name.lower().endswith(_PARTS + _ABOUT)]
    core = [name for name in tables if PurePosixPath(name).name == _CORE]
    if any(PurePosixPath(name).name == "meta.xml" for name in members) and core:
        tables = core
    telling = [name for name in tables if not name.lower().endswith(".txt")]
    if len(tables) > 1 and len(telling) == 1:  # beside a README.txt or the like
        tables = telling
    if len(tables) == 1:
        return tables[0]
    if not tables:
        raise GeospotError(f"{file.shown}: the archive holds no table: give one that does")
    shown = ", ".join(sorted(tables)[:5]) + (", ..." if len(tables) > 5 else "")
    raise GeospotError(
        f"{file.shown}: the archive holds {len(tables)} files ({shown}): unpack it, and give the "
        "one with the points"
    )


def _other(file: File) -> bool:
    try:
        with zipfile.ZipFile(file.path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return True
    return "[Content_Types].xml" in names or any(
        name.endswith((".npy", ".kml")) or name == "mimetype" for name in names
    )
