"""Files that others made: read no further than they can be meant, whatever they claim to hold."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, cast

import psutil

from geospot_gpu.errors import GeospotError
from geospot_gpu.files import regular

GZIP = b"\x1f\x8b"
LEAST_LIMIT = 1 << 28
"""Bytes that any archive may unpack to; a larger one to :data:`MOST_TIMES` its own size, in memory
that is free."""
MOST_TIMES = 100
LONGEST_LINE = 1 << 20
"""Bytes of the first line of a table of text, 50,000 columns or more."""
_LONGEST_REASON = 200


def unpacked(path: Path) -> BinaryIO:
    """The content of a file, unpacked where it is compressed by gzip, whatever it is called.

    Raises:
        GeospotError: there is no such file; and when more is read than an archive may unpack to.
    """
    path = regular(path)
    file = open(path, "rb")  # noqa: SIM115
    if file.peek(len(GZIP))[: len(GZIP)] != GZIP:
        return file
    return io.BufferedReader(_Bounded(path, file), 1 << 16)


def position(file: BinaryIO) -> int:
    """Bytes on disk that were read so far of a file from :func:`unpacked`."""
    raw = getattr(file, "raw", None)
    return raw.position() if isinstance(raw, _Bounded) else file.tell()


def check_first_line(path: Path) -> None:
    """Raise where the first line of a table of text is longer than any header."""
    with unpacked(path) as file:
        begins = file.read(LONGEST_LINE + 1)
    if len(begins) > LONGEST_LINE and not {*b"\r\n"} & {*begins}:
        raise GeospotError(
            f"{path}: its first line is longer than {_size(LONGEST_LINE)}, and no header: give a "
            "table with a line for each row, or Parquet for one with so many columns"
        )


def check_zip(path: Path) -> None:
    """Raise where a zip archive, as ``.npz`` is one, claims to hold far more than it can."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        claimed = sum(member.file_size for member in archive.infolist())
    if claimed > _limit(path):
        raise _too_much(path)


def check_parquet(file: Path | BinaryIO, where: str) -> None:
    """Raise where the rows that a Parquet file claims to have would not fit in memory."""
    import pyarrow.parquet

    claimed = pyarrow.parquet.read_metadata(file)
    rows, width = claimed.num_rows, sum(map(_width, claimed.schema.to_arrow_schema().types))
    free = psutil.virtual_memory().available
    if rows * width > free:
        raise GeospotError(
            f"{where}: claims {rows:,} rows of at least {width} bytes, and {_size(free)} of memory "
            "are free: give a smaller file"
        )


def why(error: Exception) -> str:
    """What another package says of a broken file, which may quote much of it."""
    said = " ".join((str(error).strip() or type(error).__name__).split("\n")[0].split())
    return said if len(said) <= _LONGEST_REASON else f"{said[:_LONGEST_REASON]}..."


class _Bounded(io.RawIOBase):
    """What a gzip archive unpacks to, up to its limit."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._archive, self._file = path, file, gzip.GzipFile(fileobj=file)
        self._left = _limit(path)

    def readable(self) -> bool:
        return True

    def position(self) -> int:
        """Bytes of the archive that were read."""
        return self._archive.tell()

    def readinto(self, buffer: Any) -> int:
        found = self._file.read(len(buffer))
        self._left -= len(found)
        if self._left < 0:
            raise _too_much(self._path)
        buffer[: len(found)] = found
        return len(found)

    def close(self) -> None:
        self._archive.close()
        super().close()


def _limit(path: Path) -> int:
    free = int(psutil.virtual_memory().available)
    return max(LEAST_LIMIT, min(MOST_TIMES * path.stat().st_size, free))


def _too_much(path: Path) -> GeospotError:
    return GeospotError(
        f"{path}: unpacks to more than {_size(_limit(path))}, which its size of "
        f"{_size(path.stat().st_size)} or memory does not allow for: unpack it first if it is right"
    )


def _width(kind: Any) -> int:
    """Bytes of a value in memory, at least."""
    try:
        return max(1, cast(int, kind.bit_width) // 8)
    except ValueError:  # text, and lists
        return 8


def _size(count: int) -> str:
    return f"{count / (1 << 30):.3g} GiB" if count >= 1 << 30 else f"{count / (1 << 20):.3g} MiB"
