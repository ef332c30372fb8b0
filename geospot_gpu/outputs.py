"""The folder of a command's results: what geospot wrote there it may replace, and nothing else."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import shutil
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from geospot_gpu import files
from geospot_gpu.errors import GeospotError

log = logging.getLogger("geospot_gpu")

RECORD = ".geospot"
"""Folder that says which files geospot wrote: an empty file ``NAME-HASH`` for each."""
_FORMULA = re.compile(r"\s*([=@\uff1d\uff20]|[+\-\uff0b\uff0d](?![\d.,;:eE+\s-]*$))")


class OutputFolder:
    """Files of one command, replaced together.

    A file that is there already is replaced only if the record knows it, by name and content.

    Args:
        folder: where the files go; it is created.
        names: all files that the command may write. Those that it did not write this time, but an
            earlier time, are removed.
        inputs: files that the command reads, which no output may be.
        overwrite: replace files that the record does not know.

    Raises:
        GeospotError: the folder cannot be created, an output is an input, or a file is there that
            geospot did not write, or that was changed since.
    """

    def __init__(
        self,
        folder: str | Path,
        names: Collection[str],
        *,
        inputs: Iterable[str | Path] = (),
        overwrite: bool = False,
    ) -> None:
        self.folder, self._names, self._overwrite = Path(folder), tuple(names), overwrite
        self._record = self.folder / RECORD
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GeospotError(
                f"{self.folder}: cannot be created ({files.reason(error)})"
            ) from error
        files.clear_leftovers(self.folder)
        self._inputs = [Path(path).expanduser() for path in inputs]
        for name in self._names:
            self._check(name)

    @contextlib.contextmanager
    def replacing(self, about: str = "") -> Iterator[Path]:
        """A folder to write the files into; they take their places when the block ends well.

        Args:
            about: what the files were made from, which :meth:`current` asks for.

        Raises:
            GeospotError: a file cannot be written, or was changed meanwhile.
        """
        staged = files.temporary_path(self.folder / "outputs")
        try:
            staged.mkdir()
            yield staged
            self._publish(staged, about)
        except OSError as error:
            path = Path(error.filename) if error.filename else self.folder
            name = self.folder / path.name if path.parent == staged else path
            raise files.unwritable(name, error) from error
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def current(self, names: Collection[str], about: str) -> bool:
        """Whether these files and no others are there, as they were written from ``about``."""
        return all(
            self._known(name) == about if name in names else not (self.folder / name).exists()
            for name in self._names
        )

    def _publish(self, staged: Path, about: str) -> None:
        self._record.mkdir(exist_ok=True)
        made = {name: staged / name for name in self._names if (staged / name).exists()}
        # Two commands that end at once would mix their files. Nothing stored depends on this lock.
        with locked(self.folder):
            for name in self._names:
                self._check(name)
            old = {name: marker for name in self._names if (marker := self._marker(name))}
            new = {
                name: self._remember(name, files.content_hash(path.read_bytes()), about)
                for name, path in made.items()
            }
            # A command that is killed here leaves some of its files out, but never old among new.
            for name in reversed(self._names):
                (self.folder / name).unlink(missing_ok=True)
            for name, path in made.items():
                files.replace(path, self.folder / name)
            for name, marker in old.items():
                if marker != new.get(name):
                    marker.unlink(missing_ok=True)

    def _check(self, name: str) -> None:
        """Raise where an output is not to be written."""
        path = self.folder / name
        for given in self._inputs:
            if given.absolute() == path.absolute() or (
                path.exists() and given.exists() and path.samefile(given)
            ):
                raise GeospotError(
                    f"{path}: is an input of this command and would be overwritten: choose another "
                    "folder with out=..."
                )
        if path.is_dir():
            raise GeospotError(f"{path}: is a folder: choose another one with out=...")
        if path.exists() and not self._overwrite and self._marker(name) is None:
            raise GeospotError(
                f"{path}: was not written by geospot, or changed since: choose another folder with "
                "out=..., or replace it with overwrite=true"
            )

    def _marker(self, name: str) -> Path | None:
        """What the record has of the file that is there; None where it has nothing."""
        try:
            digest = files.content_hash((self.folder / name).read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise files.unreadable(self.folder / name, error) from error
        marker = self._record / f"{name}-{digest}"
        return marker if marker.exists() else None

    def _known(self, name: str) -> str | None:
        marker = self._marker(name)
        return None if marker is None else marker.read_text(errors="replace")

    def _remember(self, name: str, digest: str, about: str) -> Path:
        marker = self._record / f"{name}-{digest}"
        with files.atomic_path(marker) as temporary:
            temporary.write_text(about)
        return marker


def adopt(folder: Path, names: Collection[str]) -> None:
    """Take files for geospot's own that it wrote before there was a record."""
    there = [name for name in names if (folder / name).is_file()]
    if there and not (folder / RECORD).exists():
        (folder / RECORD).mkdir()
        for name in there:
            digest = files.content_hash((folder / name).read_bytes())
            (folder / RECORD / f"{name}-{digest}").touch()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, where the file system has locks; others go on without."""
    (folder / RECORD).mkdir(exist_ok=True)
    lock = FileLock(folder / RECORD / "lock")
    try:
        lock.acquire(timeout=60)
    except (OSError, NotImplementedError) as error:  # a timeout is an OSError
        log.warning("%s: cannot be locked (%s): what commands write that end at the same time "
                    "may mix", folder, error)  # fmt: skip
    try:
        yield
    finally:
        lock.release()


def write_summary(staged: Path, summary: dict[str, Any]) -> None:
    """Verdict and headline figures, as ``summary.json``."""
    (staged / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")


def write_csv(table: pd.DataFrame, path: Path, **options: Any) -> None:
    """A table as CSV whose names no spreadsheet takes for formulas.

    Names that begin as a formula does get an apostrophe before them, as spreadsheets write text.
    """
    table = table.rename(columns=_plain, index=_plain)
    text = table.select_dtypes(include=["object", "string"]).columns
    table.assign(**{str(name): table[name].map(_plain) for name in text}).to_csv(path, **options)


def _plain(value: Any) -> Any:
    r"""A cell that is no formula.

    >>> [_plain(name) for name in ("=1+1", "-10,20", "-x", "+A1", "FR", 7)]
    ["'=1+1", '-10,20', "'-x", "'+A1", 'FR', 7]
    """
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value
