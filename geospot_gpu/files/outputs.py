"""The folder of a command's results: what geospot wrote there it may replace, and nothing else."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pandas as pd

from geospot_gpu import files
from geospot_gpu.errors import GeospotError
from geospot_gpu.files import record
from geospot_gpu.files.places import Folder, Place
from geospot_gpu.files.record import RECORD, digest, locked
from geospot_gpu.outcome import plain, summarise

log = logging.getLogger("geospot_gpu")

_NUMBER = r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?"
_NUMBERS = re.compile(rf"\s*{_NUMBER}(,\s*{_NUMBER})*\s*")
_FORMULA = re.compile("\\s*[=+\\-@\uff1d\uff0b\uff0d\uff20]")


class Outputs(ABC):
    """Files of one command, replaced together.

    A file that is there already is replaced only if the record knows it, by name and content.

    Args:
        place: where the files go.
        names: all files that the command may write.
        overwrite: replace files that the record does not know.
        stale: files that the command writes with other settings.

    Raises:
        GeospotError: a file is there that geospot did not write, or that was changed since.
    """

    def __init__(
        self,
        place: Place,
        names: Collection[str],
        *,
        overwrite: bool = False,
        stale: Collection[str] = (),
    ) -> None:
        self.place, self._names, self._overwrite = place, tuple(names), overwrite
        self._every = tuple(dict.fromkeys((*self._names, *stale)))
        self._check()

    @abstractmethod
    def check_writable(self) -> None:
        """Raise where the files cannot be written, before anything is computed for them."""

    @abstractmethod
    def replacing(self, about: str = "") -> AbstractContextManager[Path]:
        """A folder to write the files into; they take their places when the block ends well.

        Files of an earlier time that were not written this time are removed.

        Args:
            about: what the files were made from, which :meth:`current` asks for.

        Raises:
            GeospotError: a file cannot be written, or was changed meanwhile.
        """

    def current(self, names: Collection[str], about: str) -> bool:
        """Whether these files and no others are there, as they were written from ``about``."""
        return all(
            record.about(self.place, name) == (about if name in names else None)
            for name in self._every
        )

    def _check(self) -> None:
        """Raise where a file is there that is not to be replaced or removed."""
        for name in self._names:
            if not self._overwrite and self._foreign(name):
                raise GeospotError(
                    f"{self.place.file(name)}: was not written by geospot, or changed since: "
                    "choose another folder with out=..., or replace it with overwrite=true"
                )

    def _foreign(self, name: str) -> bool:
        """Whether a file is there that the record does not know."""
        found = digest(self.place, name)
        while found is not None and f"{name}-{found}" not in record.markers(self.place, name):
            before, found = found, digest(self.place, name)
            if found == before:
                return True  # else another command has replaced it just now
        return False


class OutputFolder(Outputs):
    """Files of one command in a folder.

    Args:
        folder: where the files go.
        names, overwrite, stale: as for :class:`Outputs`.
        inputs: files that the command reads, which no output may be.

    Raises:
        GeospotError: as for :class:`Outputs`; or an output is an input.
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
        self.folder = Path(folder)
        self._record = self.folder / RECORD
        self._inputs = [files.expanded(path) for path in inputs]
        files.clear_leftovers(self.folder)
        files.clear_leftovers(self._record)
        super().__init__(Folder(folder), names, overwrite=overwrite, stale=stale)

    def check_writable(self) -> None:
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
        """As :meth:`Outputs.replacing`; after an error the earlier files are there as they were."""
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

    def _publish(self, staged: Path, about: str) -> None:
        made = {path.name: path for path in sorted(staged.iterdir())}
        assert made.keys() <= set(self._names), "an output that was not announced"
        for path in made.values():
            files.sync(path)  # what does not fit on the disk must not cost the earlier files
        # Two commands that end at once would mix their files. Nothing stored depends on this lock.
        with locked(self.place):
            self._check()
            markers = {
                name: self._record / f"{name}-{digest(Folder(staged), name)}" for name in made
            }
            fresh = [marker for marker in markers.values() if not marker.exists()]
            out = [
                name
                for name in self._every
                if (
                    os.path.lexists(self.folder / name)
                    if name in made
                    else record.marker(self.place, name)
                )
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
                for former in record.markers(self.place, name):
                    if self._record / former != markers.get(name):
                        with contextlib.suppress(OSError):  # it does no harm
                            (self._record / former).unlink()
        log.debug("%s: wrote %s", self.folder, ", ".join(made))

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
        super()._check()

    def _named(self, staged: Path, error: OSError) -> Path:
        """The file that could not be written, or the folder where the error does not say."""
        path = Path(error.filename) if isinstance(error.filename, str) else staged
        if path == staged or path.parent == self._record:
            return self.folder
        return self.folder / path.name if path.parent == staged else path


def write_summary(staged: Path, summary: dict[str, Any]) -> None:
    """Verdict and headline figures, as ``summary.json``; programs get them from ``--json``, too."""
    found = plain(summary)
    (staged / "summary.json").write_text(json.dumps(found, indent=2, allow_nan=False) + "\n")
    summarise(found)


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
