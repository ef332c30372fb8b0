"""Parquet files whose names prove them, as a whole or as far as they are read.

The name has the hash of the footer, and the footer has hashes of pages of all that is before it, so
that damage anywhere is noticed by whoever reads there, and nobody has to read more than he needs.
(Parquet's own checksums leave the headers of its pages and the footer out.)
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from geospot_gpu import files

_PAGE = 2**16
_PAGES = b"geospot_pages"
_DIGITS = 16
"""Of the hash of a page."""
_END = 8
"""Bytes at the end of a Parquet file: the length of the footer before them, and a mark."""
_TAIL = 2**16


class DamagedFile(ValueError):
    """A file is not as it was written."""


def proven_file(table: pa.Table, metadata: Mapping[bytes, bytes], **options: Any) -> bytes:
    """The content of a Parquet file.

    Args:
        table: what it holds, as one row group.
        metadata: what its footer says besides.
        options: for :class:`pyarrow.parquet.ParquetWriter`.
    """
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, table.schema, store_schema=False, **options) as writer:
        writer.write_table(table, row_group_size=max(len(table), 1))
        writer.add_key_value_metadata({**metadata, _PAGES: _hashes(sink.getvalue())})
    return sink.getvalue()


def name_of(content: bytes) -> str:
    """What proves a file, or the footer of one: 32 hexadecimal digits."""
    return files.content_hash(content[max(len(content) - _length(content), 0) :])


def is_proven(content: bytes, name: str) -> bool:
    """Whether a file that is called by a name is as it was written."""
    try:
        if name_of(content) != name:
            return False
        body = content[: len(content) - _length(content)]
        return _pages(pq.read_metadata(io.BytesIO(content))) == _hashes(body)
    except (ValueError, pa.ArrowException):
        return False


def footer_of(read_tail: Any, size: int) -> bytes:
    """The footer of a file.

    Args:
        read_tail: gives as many bytes from the end as it is asked for.
        size: of the file.

    Raises:
        DamagedFile: there is none.
    """
    tail: bytes = read_tail(min(_TAIL, size))
    length = _length(tail)
    if not _END < length <= size:
        raise DamagedFile("it has no footer")
    return tail[-length:] if length <= len(tail) else read_tail(length)


class ProvenFile(io.RawIOBase):
    """A file of which every page is checked that is read.

    Args:
        file: the file.
        name: what proves it.

    Raises:
        DamagedFile: its footer is not as it was written; reading says the same of a page.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._size = file.seek(0, io.SEEK_END)
        self._at = 0
        self._footer = footer_of(self._tail, self._size)
        if name_of(self._footer) != name:
            raise DamagedFile("its footer is not that which it was named by")
        self._body = self._size - len(self._footer)
        self.metadata = pq.read_metadata(io.BytesIO(self._footer))
        self._known = _pages(self.metadata)
        if len(self._known) != _DIGITS * -(-self._body // _PAGE):
            raise DamagedFile("it has another length")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = start + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        stop = self._size if size < 0 else min(self._at + size, self._size)
        start, self._at = self._at, max(self._at, stop)
        if start >= self._body:
            return self._footer[start - self._body : max(stop - self._body, 0)]
        first, last = start // _PAGE, -(-min(stop, self._body) // _PAGE)
        self._file.seek(first * _PAGE)
        pages = self._file.read(min(last * _PAGE, self._body) - first * _PAGE)
        if _hashes(pages) != self._known[_DIGITS * first : _DIGITS * last]:
            raise DamagedFile(f"bytes {start} to {stop} are not as they were written")
        found = pages[start - first * _PAGE : stop - first * _PAGE]
        return found + self._footer[: max(stop - self._body, 0)]

    def close(self) -> None:
        self._file.close()
        super().close()

    def _tail(self, size: int) -> bytes:
        self._file.seek(-size, io.SEEK_END)
        return self._file.read(size)


def _length(tail: bytes) -> int:
    """Of a footer and what follows it, from the end of a file."""
    return int.from_bytes(tail[-_END:-4], "little") + _END


def _pages(metadata: pq.FileMetaData) -> bytes:
    """Hashes of the pages before a footer, as it has them."""
    found: bytes = (metadata.metadata or {}).get(_PAGES, b"")
    return found


def _hashes(body: bytes) -> bytes:
    view = memoryview(body)
    return b"".join(
        hashlib.blake2b(view[start : start + _PAGE], digest_size=_DIGITS // 2).hexdigest().encode()
        for start in range(0, len(body), _PAGE)
    )
