"""The folder of a command's results: what geospot wrote there it may replace, and nothing else."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from geospot_gpu import files
from geospot_gpu.errors import GeospotError

log = logging.getLogger("geospot_gpu")

RECORD = ".geospot"
"""Folder that says which files geospot wrote: a file ``NAME-HASH`` for each."""
_NUMBER = r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?"
_NUMBERS = re.compile(rf"\s*{_NUMBER}(,\s*{_NUMBER})*\s*")
_FORMULA = re.compile("\\s*[=+\\-@\uff1d\uff0b\uff0d\uff20]")


class OutputFolder:
    """Files of one command, replaced together.

    A file that is there already is replaced only if the record knows it, by name and content.

    Args:
        folder: where the files go.
        names: all files that the command may write.
        inputs: files that the command reads, which no output may be.
        overwrite: replace files that the record does not know.
        stale: files that the command writes with other settings.

    Raises:
        GeospotError: an output is an input, or a file is there that geospot did not write, or that
            was changed since.
    """

    def __init__(
        self,
        folder: str | Path,
        names: Collection[str],
        *,
        inputs: Iterable[str | Path] = (),
        overwrite: bool = False,
        stale: Collection[str] = (),
    ) -> None:
        self.folder, self._names, self._overwrite = Path(folder), tuple(names), overwrite
        self._every = tuple(dict.fromkeys((*self._names, *stale)))
        self._record = self.folder / RECORD
        self._inputs = [files.expanded(path) for path in inputs]
        files.clear_leftovers(self.folder)
        files.clear_leftovers(self._record)
        self._check()

    def check_writable(self) -> None:
        """Raise where the files cannot be written, before anything is computed for them."""
        folder = self.folder.absolute()
        there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
        try:
            for path in (there, self._record) if self._record.exists() else (there,):
                with tempfile.TemporaryFile(dir=path, prefix=".probe.", suffix=".tmp") as probe:
                    probe.write(bytes(4096))
        except OSError as error:
            if folder.is_dir():
                raise files.unwritable(self.folder, error) from error
            raise _no_folder(self.folder, error) from error

    @contextlib.contextmanager
    def replacing(self, about: str = "") -> Iterator[Path]:
        """A folder to write the files into; they take their places when the block ends well.

        Files of an earlier time that were not written this time are removed. After an error those
        of the earlier time are there as they were.

        Args:
            about: what the files were made from, which :meth:`current` asks for.

        Raises:
            GeospotError: a file cannot be written, or was changed meanwhile.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _no_folder(self.folder, error) from error
        staged = files.temporary_path(self.folder / "outputs")
        try:
            staged.mkdir()
            yield staged
            self._publish(staged, about)
        except OSError as error:
            raise files.unwritable(self._named(staged, error), error) from error
        finally:
            try:
                shutil.rmtree(staged, ignore_errors=True)
            except KeyboardInterrupt:  # a signal that comes while this is done already
                shutil.rmtree(staged, ignore_errors=True)
                raise

    def current(self, names: Collection[str], about: str) -> bool:
        """Whether these files and no others are there, as they were written from ``about``."""
        return all(self._about(name) == (about if name in names else None) for name in self._every)

    def _publish(self, staged: Path, about: str) -> None:
        made = {path.name: path for path in sorted(staged.iterdir())}
        assert made.keys() <= set(self._names), "an output that was not announced"
        for path in made.values():
            files.sync(path)  # what does not fit on the disk must not cost the earlier files
        # Two commands that end at once would mix their files. Nothing stored depends on this lock.
        with locked(self.folder):
            self._check()
            markers = {
                name: self._record / f"{name}-{_digest(path)}" for name, path in made.items()
            }
            fresh = [marker for marker in markers.values() if not marker.exists()]
            out = [
                name
                for name in self._every
                if (os.path.lexists(self.folder / name) if name in made else self._marker(name))
            ]
            # All old files go before a new one comes, so that a command that is killed here leaves
            # files out, but never old among new; and the record knows both until the end.
            moves = [(self.folder / name, staged / f"{name}.old") for name in out]
            moves += [(path, self.folder / name) for name, path in made.items()]
            try:
                for marker in markers.values():
                    with files.atomic_path(marker) as temporary:
                        temporary.write_text(about)
                for source, target in moves:
                    os.replace(source, target)
                files.sync(self.folder)
            except BaseException:
                for source, target in reversed(moves):
                    if os.path.lexists(target) and not os.path.lexists(source):
                        os.replace(target, source)
                for marker in fresh:
                    marker.unlink(missing_ok=True)
                raise
            for name in self._every:
                for marker in self._record.glob(f"{name}-{'?' * 32}"):
                    if marker != markers.get(name):
                        with contextlib.suppress(OSError):  # it does no harm
                            marker.unlink()

    def _check(self) -> None:
        """Raise where a file is there that is not to be replaced or removed."""
        for path in (self.folder / name for name in self._every):
            if any(_same(path, given) for given in self._inputs):
                raise GeospotError(
                    f"{path}: is an input of this command and would be overwritten: choose another "
                    "folder with out=..."
                )
        for name in self._names:
            path = self.folder / name
            if path.is_dir() and not path.is_symlink():
                raise GeospotError(f"{path}: is a folder: choose another one with out=...")
            if not self._overwrite and self._foreign(name):
                raise GeospotError(
                    f"{path}: was not written by geospot, or changed since: choose another folder "
                    "with out=..., or replace it with overwrite=true"
                )

    def _foreign(self, name: str) -> bool:
        """Whether a file is there that the record does not know."""
        digest = _digest(self.folder / name)
        while digest is not None and not (self._record / f"{name}-{digest}").exists():
            before, digest = digest, _digest(self.folder / name)
            if digest == before:
                return True  # else another command has replaced it just now
        return False

    def _marker(self, name: str) -> Path | None:
        """What the record has of the file that is there; None where it has nothing."""
        marker = self._record / f"{name}-{_digest(self.folder / name)}"
        return marker if marker.exists() else None

    def _about(self, name: str) -> str | None:
        marker = self._marker(name)
        return None if marker is None else marker.read_text(errors="replace")

    def _named(self, staged: Path, error: OSError) -> Path:
        """The file that could not be written, or the folder where the error does not say."""
        path = Path(error.filename) if isinstance(error.filename, str) else staged
        if path == staged or path.parent == self._record:
            return self.folder
        return self.folder / path.name if path.parent == staged else path


def has_record(folder: Path, name: str) -> bool:
    """Whether the record of a folder knows a file of this name, whatever its content."""
    return any((folder / RECORD).glob(f"{name}-{'?' * 32}"))


def knows(folder: Path, name: str) -> bool:
    """Whether the record of a folder knows the file of this name that is there."""
    return (folder / RECORD / f"{name}-{_digest(folder / name)}").exists()


def adopt(folder: Path, names: Collection[str]) -> None:
    """Take files for geospot's own that it wrote before there was a record."""
    for name in names:
        digest = _digest(folder / name)
        if digest and not has_record(folder, name):
            (folder / RECORD).mkdir(exist_ok=True)
            (folder / RECORD / f"{name}-{digest}").touch()


def write_summary(staged: Path, summary: dict[str, Any]) -> None:
    """Verdict and headline figures, as ``summary.json``."""
    (staged / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")


def write_csv(table: pd.DataFrame, path: Path, **options: Any) -> None:
    """A table as CSV whose names no spreadsheet takes for formulas.

    Names that begin as a formula does get an apostrophe before them, as spreadsheets write text.
    """
    plain = table.rename(columns=_plain, index=_plain).apply(
        lambda cells: cells if pd.api.types.is_numeric_dtype(cells) else cells.map(_plain)
    )
    plain.to_csv(path, **options)


def _plain(value: Any) -> Any:
    r"""A cell that is no formula.

    >>> [_plain(name) for name in ("=1+1", "-10,20", "-x", "\t+A1", "FR", 7)]
    ["'=1+1", '-10,20', "'-x", "'\t+A1", 'FR', 7]
    """
    if not isinstance(value, str):
        return value
    # A lone carriage return, which is not quoted, begins a row for a spreadsheet.
    value = value.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{value}" if _FORMULA.match(value) and not _NUMBERS.fullmatch(value) else value


def _no_folder(folder: Path, error: OSError) -> GeospotError:
    return GeospotError(f"{folder}: cannot be created ({files.reason(error)})")


def _same(path: Path, other: Path) -> bool:
    """Whether two paths are of one file, or will be."""
    if path.absolute() == other.absolute():
        return True
    return path.exists() and other.exists() and path.samefile(other)


def _digest(path: Path) -> str | None:
    """Hash of a file's content; None where there is nothing, blank for a link, pipe or folder."""
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
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, where the file system has locks; others go on without."""
    (folder / RECORD).mkdir(exist_ok=True)
    lock = FileLock(folder / RECORD / "lock")
    try:
        lock.acquire(timeout=60)
    except (OSError, NotImplementedError) as error:  # a timeout is an OSError
        log.warning("%s: cannot be locked (%s): results of commands that end at the same time "
                    "may mix", folder, error)  # fmt: skip
    try:
        yield
    finally:
        lock.release()
