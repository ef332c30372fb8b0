"""Where files of a run lie: a folder of a file system, or a prefix of a bucket of object storage.

What is asked of a place is what both do atomically: a file is put as a whole, or created unless it
is there, and read as a whole.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from geospot_gpu import files
from geospot_gpu.errors import GeospotError


class Stamp(NamedTuple):
    """What changes when a file does."""

    size: int
    version: str


class Place(ABC):
    """Holds files by their names, and places of its own. Its text is how people write it."""

    @abstractmethod
    def __str__(self) -> str: ...

    @abstractmethod
    def child(self, name: str) -> Place:
        """A place within this one."""

    def file(self, name: str) -> str:
        """A file of it, for messages."""
        return f"{self}/{name}"

    @abstractmethod
    def prepare(self) -> None:
        """Make it ready to be written to, and clear away what a killed process half wrote.

        Raises:
            Unwritable: it cannot be.
        """

    @abstractmethod
    def names(self, prefix: str = "", suffix: str = "") -> list[str]:
        """Names of its files with this beginning and end, in order; none where it is not there.

        Raises:
            GeospotError: it cannot be read.
        """

    @abstractmethod
    def stamps(self, prefix: str = "", suffix: str = "") -> dict[str, Stamp]:
        """Its files as :meth:`names` has them, each with its stamp."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            FileNotFoundError: it is not there.
            GeospotError: it cannot be read.
        """

    @abstractmethod
    def tail(self, name: str, size: int) -> bytes:
        """The last bytes of a file, which has as many.

        Raises:
            FileNotFoundError, GeospotError: as :meth:`read`.
        """

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """A file, to be read in parts.

        Raises:
            FileNotFoundError, GeospotError: as :meth:`read`.
        """

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Put a file, in place of what had its name.

        Raises:
            Unwritable: it cannot be.
        """

    @abstractmethod
    def create(self, name: str, content: bytes) -> bool:
        """Put a file unless there is one of this name; whether this did it.

        Raises:
            Unwritable: it cannot be.
        """

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file, where it is there.

        Raises:
            Unwritable: it cannot be.
        """

    @abstractmethod
    def newest(self, suffix: str = "") -> list[str]:
        """Names of its files with this end, the one that was put last first."""

    def set_aside(self, name: str) -> None:
        """Give a file a name that nobody reads, where that can be done: a reader may not write."""
        with contextlib.suppress(FileNotFoundError, files.Unwritable):
            self.write(f"{name.rpartition('.')[0]}.damaged", self.read(name))
            self.remove(name)


class Folder(Place):
    """A folder of a file system.

    Args:
        path: of the folder, which need not be there.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __getstate__(self) -> dict[str, object]:
        """What other processes get, which may be in another folder."""
        return {"path": self.path.absolute()}

    def __str__(self) -> str:
        return str(self.path)

    def child(self, name: str) -> Folder:
        return Folder(self.path / name)

    def file(self, name: str) -> str:
        return str(self.path / name)

    def prepare(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = files.reason(error)
            if isinstance(error, FileExistsError):  # it is a file
                reason = os.strerror(errno.ENOTDIR)
            raise files.Unwritable(f"{self.path}: cannot be created ({reason})") from error
        files.clear_leftovers(self.path)

    def names(self, prefix: str = "", suffix: str = "") -> list[str]:
        return list(self.stamps(prefix, suffix))

    def stamps(self, prefix: str = "", suffix: str = "") -> dict[str, Stamp]:
        found = {}
        try:
            with os.scandir(self.path) as entries:
                for entry in entries:
                    if entry.name.startswith(prefix) and entry.name.endswith(suffix):
                        try:
                            about = entry.stat()
                        except FileNotFoundError as error:
                            if entry.is_symlink():  # to nothing; others were removed meanwhile
                                raise files.unreadable(self.path / entry.name, error) from error
                            continue
                        found[entry.name] = Stamp(about.st_size, str(about.st_mtime_ns))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise files.unreadable(self.path, error) from error
        return dict(sorted(found.items()))

    def read(self, name: str) -> bytes:
        return files.stored(self.path / name)

    def tail(self, name: str, size: int) -> bytes:
        with self.open(name) as file, self._readable(name):
            file.seek(-size, os.SEEK_END)
            return file.read()

    def open(self, name: str) -> BinaryIO:
        path = self.path / name
        with self._readable(name):
            if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for for ever
                raise GeospotError(f"{path}: is no file: move it away")
            return path.open("rb")

    @contextlib.contextmanager
    def _readable(self, name: str) -> Iterator[None]:
        try:
            yield
        except NotADirectoryError as error:
            raise FileNotFoundError(error.errno, error.strerror, str(self.path / name)) from error
        except FileNotFoundError:
            raise
        except OSError as error:
            raise files.unreadable(self.path / name, error) from error

    def write(self, name: str, content: bytes) -> None:
        with files.written(self.path / name) as temporary:
            temporary.write_bytes(content)

    def create(self, name: str, content: bytes) -> bool:
        try:
            return files.create(self.path / name, content)
        except OSError as error:
            raise files.unwritable(self.path / name, error) from error

    def remove(self, name: str) -> None:
        try:
            (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise files.unwritable(self.path / name, error) from error

    def newest(self, suffix: str = "") -> list[str]:
        found = self.stamps(suffix=suffix)
        return sorted(found, key=lambda name: (int(found[name].version), name), reverse=True)

    def set_aside(self, name: str) -> None:
        with contextlib.suppress(OSError):
            (self.path / name).rename((self.path / name).with_suffix(".damaged"))
