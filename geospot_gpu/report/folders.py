"""What the folders of commands hold, read back as data."""

from __future__ import annotations

import base64
import io
import json
import logging
from pathlib import Path
from typing import Any

import pandas as pd

from geospot_gpu.errors import GeospotError
from geospot_gpu.files.places import Place
from geospot_gpu.files.urls import place

log = logging.getLogger("geospot_gpu")

MOST_BYTES = 2_000_000
"""Of a picture."""


class Results:
    """The folder of a command's results.

    Args:
        where: the folder, or its URL on object storage.
        setting: what names it, for messages.
        command: whose results it should hold.

    Raises:
        GeospotError: it holds no summary of results.
    """

    def __init__(self, where: str | Path, setting: str, command: str) -> None:
        self._place, self._setting, self._command = place(where), setting, command
        found = self._json("summary.json")
        if found is None:
            raise self._wrong("holds no summary.json")
        self.summary = found

    def __str__(self) -> str:
        return str(self._place)

    def required(self, name: str) -> Any:
        """A figure of the summary that has to be there."""
        if name not in self.summary:
            raise self._wrong(f"summary.json has no {name}")
        return self.summary[name]

    def table(self, name: str, columns: tuple[str, ...]) -> pd.DataFrame | None:
        """A table of Parquet or CSV; None where there is none of this name.

        Args:
            name: of the file.
            columns: that it has to have.

        Raises:
            GeospotError: it is no such table.
        """
        content = self._read(name)
        if content is None:
            return None
        try:
            if name.endswith(".csv"):
                found = pd.read_csv(io.BytesIO(content), keep_default_na=False, na_values=[""])
            else:
                found = pd.read_parquet(io.BytesIO(content))
        except (ValueError, OSError) as error:  # ArrowInvalid is a ValueError
            raise self._wrong(f"{name} cannot be read") from error
        missing = [column for column in columns if column not in found]
        if missing:
            raise self._wrong(f"{name} has no column {missing[0]}")
        return found

    def needed(self, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
        """The same of a table that has to be there."""
        found = self.table(name, columns)
        if found is None:
            raise self._wrong(f"holds no {name}")
        return found

    def picture(self, name: str) -> str | None:
        """A picture as a ``data:`` URL; None where there is none of this name."""
        return picture(self._place, name)

    def _json(self, name: str) -> dict[str, Any] | None:
        content = self._read(name)
        if content is None:
            return None
        try:
            found = json.loads(content)
        except (RecursionError, ValueError) as error:
            raise self._wrong(f"{name} is no JSON") from error
        if not isinstance(found, dict):
            raise self._wrong(f"{name} is no summary")
        return found

    def _read(self, name: str) -> bytes | None:
        try:
            return self._place.read(name)
        except FileNotFoundError:
            return None

    def _wrong(self, what: str) -> GeospotError:
        return GeospotError(
            f"{self._setting}={self._place}: {what}: give the folder that geospot {self._command} "
            "wrote, or run it again"
        )


def picture(where: Place, name: str) -> str | None:
    """A PNG of a place as a ``data:`` URL; None where there is none, or it is too large."""
    try:
        content = where.read(name)
    except FileNotFoundError:
        return None
    if len(content) > MOST_BYTES:
        log.warning(
            "%s: is larger than %d MB, and not put into the report, where it would be seen without "
            "scripts alone",
            *(where.file(name), MOST_BYTES // 10**6),
        )
        return None
    return f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"
