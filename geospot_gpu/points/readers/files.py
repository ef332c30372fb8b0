"""A file as readers see it: where it is, what it is called, and how its content begins."""

from __future__ import annotations

import codecs
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO, NamedTuple

from geospot_gpu.errors import GeospotError
from geospot_gpu.files.inputs import GZIP, LONGEST_LINE, unpacked

LAYER = "|layername="
"""Between a file and the name of one of its layers, as QGIS writes it."""


class Wanted(NamedTuple):
    """What a table is read for."""

    text: Collection[str]
    """Keys (:func:`geospot_gpu.names.name_key`) of columns that hold names, not numbers."""
    shape: str
    """The shapes that are meant where a file has several layers: ``Point`` or ``Polygon``."""


class File(NamedTuple):
    """A file, and how its content begins once it is unpacked."""

    path: Path
    shown: str
    """What it is called in messages."""
    head: bytes
    layer: str | None = None
    packed: bool = False
    """Whether it is compressed by gzip."""

    def open(self) -> BinaryIO:
        """Its content, unpacked."""
        return unpacked(self.path)

    @property
    def suffix(self) -> str:
        """The last part of its name, without that of gzip."""
        name = self.path.name.lower().removesuffix(".gz")
        return Path(name).suffix

    @property
    def words(self) -> bytes:
        """How its text begins, without marks of order and blanks."""
        return self.head.removeprefix(codecs.BOM_UTF8).lstrip(b" \t\r\n\x1e")

    def on_disk(self) -> Path:
        """Its path, for libraries that open files themselves.

        Raises:
            GeospotError: it is compressed.
        """
        if self.packed:
            raise GeospotError(f"{self.shown}: is compressed by gzip: unpack it first")
        return self.path


def peeked(path: Path, shown: str, layer: str | None = None) -> File:
    """The file at a path.

    Raises:
        GeospotError: there is none, or it is empty.
    """
    with unpacked(path) as file:
        head = file.read(LONGEST_LINE + 1)
    if not head:
        raise GeospotError(f"{shown}: is empty: give a file with a table")
    with open(path, "rb") as raw:
        packed = raw.read(len(GZIP)) == GZIP
    return File(path, shown, head, layer, packed)
