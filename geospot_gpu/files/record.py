"""Which files of a place geospot wrote: ``.geospot/NAME-HASH`` is there for each of them."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from filelock import FileLock

from geospot_gpu import files
from geospot_gpu.files.places import Folder, Place

log = logging.getLogger("geospot_gpu")

RECORD = ".geospot"
"""Place of the markers, which hold what their file was made from."""


def markers(place: Place, name: str) -> list[str]:
    """Markers of a file of this name, whatever its content."""
    found = place.child(RECORD).names(f"{name}-")
    return [marker for marker in found if len(marker) == len(name) + 33]


def marker(place: Place, name: str) -> str | None:
    """The marker of the file that is there; None where the record has none."""
    found = f"{name}-{digest(place, name)}"
    return found if found in place.child(RECORD).names(found) else None


def about(place: Place, name: str) -> str | None:
    """What the file that is there was made from; None where the record does not know it."""
    with contextlib.suppress(FileNotFoundError):
        known = marker(place, name)
        return None if known is None else place.child(RECORD).read(known).decode(errors="replace")
    return None


def adopt(place: Place, names: Collection[str]) -> None:
    """Take files for geospot's own that it wrote before there was a record."""
    for name in names:
        found = digest(place, name)
        if found and not markers(place, name):
            place.child(RECORD).prepare()
            place.child(RECORD).write(f"{name}-{found}", b"")


def digest(place: Place, name: str) -> str | None:
    """Hash of a file's content; None where there is nothing, blank for a link, pipe or folder."""
    if isinstance(place, Folder):
        return _digest(place.path / name)
    try:
        return files.content_hash(place.read(name))
    except FileNotFoundError:
        return None


def _digest(path: Path) -> str | None:
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return ""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise files.unreadable(path, error) from error
    return digest.hexdigest()


@contextlib.contextmanager
def locked(place: Place) -> Iterator[None]:
    """Hold a folder's lock, where the file system has locks; buckets and others go on without."""
    if not isinstance(place, Folder):  # object storage has none
        yield
        return
    record = place.path / RECORD
    record.mkdir(exist_ok=True)
    lock = FileLock(record / "lock")
    try:
        lock.acquire(timeout=60)
    except (OSError, NotImplementedError) as error:  # a timeout is an OSError
        log.warning("%s: cannot be locked (%s): results of commands that end at the same time "
                    "may mix", place, error)  # fmt: skip
    try:
        yield
    finally:
        lock.release()
