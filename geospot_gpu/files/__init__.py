"""Reading and writing files so that nobody ever sees half of one, nor loses what another wrote.

Two operations carry everything: a file is replaced as a whole (:func:`atomic_path`), or it is
created once and then stands (:func:`create`). Local file systems, NFS, Lustre and GPFS rename and
link atomically; object storage has a put and a conditional put for the two.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from geospot_gpu.errors import GeospotError

_STALE_SECONDS = 3600.0
_TEMPORARY = re.compile(r"\..*\.[0-9a-f]{12}\.tmp", re.DOTALL)


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that replaces it when the block ends without an error.

    It is on disk before it has its name.
    """
    temporary = temporary_path(path)
    try:
        yield temporary
        replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def replace(temporary: Path, path: Path) -> None:
    """Give a temporary file of the same folder, or of one below, its name, once it is on disk."""
    sync(temporary)
    os.replace(temporary, path)
    sync(path.parent)


def create(path: Path, content: bytes) -> bool:
    """Write a file unless it is there, as a whole or not at all.

    Returns:
        Whether this process wrote it; of several that try, one does.
    """
    temporary = temporary_path(path)
    try:
        temporary.write_bytes(content)
        sync(temporary)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError:  # no links here, as on exFAT: whoever opens it first writes it
            try:
                with open(path, "xb") as file:
                    file.write(content)
            except FileExistsError:
                return False
        sync(path.parent)
        return True
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


@contextlib.contextmanager
def written(path: Path) -> Iterator[Path]:
    """As :func:`atomic_path`; where ``path`` cannot be written, say why.

    Raises:
        Unwritable: the disk is full, or the folder is not to be written.
    """
    try:
        with atomic_path(path) as temporary:
            yield temporary
    except OSError as error:
        raise unwritable(path, error) from error


class Unwritable(GeospotError):
    """A file cannot be written, as on a full or read-only disk."""


def unwritable(path: Path, error: OSError) -> Unwritable:
    """What to say of a file that cannot be written."""
    return Unwritable(f"{path}: cannot be written ({reason(error)})")


def unreadable(path: Path, error: OSError) -> GeospotError:
    """What to say of a file that cannot be read."""
    return GeospotError(f"{path}: cannot be read ({reason(error)})")


def reason(error: OSError) -> str:
    """Why the system refused."""
    return os.strerror(error.errno) if error.errno else str(error)


def expanded(path: str | Path) -> Path:
    """The path, with the home folder for ``~`` where there is one."""
    return Path(os.path.expanduser(path))  # Path.expanduser raises where there is none


def matched(path: Path) -> list[Path] | None:
    """The files that a pattern such as ``tiles/**/*.tif`` stands for; None where it is a path."""
    found = expanded(path)
    if found.exists() or not glob.has_magic(str(path)):
        return None
    return sorted(Path(one) for one in glob.glob(str(found), recursive=True))


def regular(path: str | Path) -> Path:
    """The path of an input, where it is that of a file: a pipe would be waited for for ever.

    Raises:
        GeospotError: there is no such file, or it is a folder, a pipe or a device.
    """
    found = expanded(path)
    try:
        mode = found.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise GeospotError(f"{path}: there is no such file") from None
    except ValueError as error:  # a null character in its name
        raise GeospotError(f"{path}: cannot be read ({error})") from error
    except OSError as error:
        raise unreadable(found, error) from error
    if stat.S_ISDIR(mode):
        raise GeospotError(f"{path}: is a folder: give a file")
    if not stat.S_ISREG(mode):
        raise GeospotError(
            f"{path}: is a pipe or a device, which cannot be read twice: save it as a file first"
        )
    return found


def stored(path: Path) -> bytes:
    """The content of a file that geospot wrote.

    Raises:
        FileNotFoundError: it is not there.
        GeospotError: it cannot be read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for for ever
            raise GeospotError(f"{path}: is no file: move it away")
        return path.read_bytes()
    except NotADirectoryError as error:
        raise FileNotFoundError(error.errno, error.strerror, str(path)) from error
    except FileNotFoundError:
        raise
    except OSError as error:
        raise unreadable(path, error) from error


def content_hash(content: bytes) -> str:
    """What names and proves a content, 32 hexadecimal digits."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def temporary_path(path: Path) -> Path:
    """A name beside ``path`` that nobody else uses."""
    # A process id alone would clash between threads, and between machines that share a folder.
    return path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.tmp")


def clear_leftovers(folder: Path, pattern: str = ".*.tmp") -> None:
    """Remove what was left half written in a folder when a process was killed, an hour ago.

    Only what has a name as :func:`temporary_path` gives them: the folder may be the user's own.
    """
    for leftover in folder.glob(pattern):
        if not _TEMPORARY.fullmatch(leftover.name):
            continue
        # Another process may be writing a recent one, or clearing up as well.
        with contextlib.suppress(OSError):
            if time.time() - leftover.stat().st_mtime > _STALE_SECONDS:
                if leftover.is_dir() and not leftover.is_symlink():
                    for part in leftover.iterdir():
                        part.unlink()
                    leftover.rmdir()
                else:
                    leftover.unlink()


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        # Some network file systems do not sync folders; what they rename is safe with the server.
        with contextlib.suppress(OSError) if path.is_dir() else contextlib.nullcontext():
            os.fsync(handle)
    finally:
        os.close(handle)
