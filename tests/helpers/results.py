"""Folders of results, as commands write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geospot_gpu.files.outputs import OutputFolder
from geospot_gpu.files.record import RECORD

NAMES = ("table.csv", "map.png", "summary.json")
OLD, NEW = dict.fromkeys(NAMES, "old"), dict.fromkeys(NAMES, "new")


def command(folder: Path, text: str, names: tuple[str, ...] = NAMES, **options: Any) -> None:
    """What every command does, with results that say whose they are."""
    results = OutputFolder(folder, names, **options)
    results.check_writable()
    write(results, dict.fromkeys(names, text))


def write(results: OutputFolder, files: dict[str, str], error: Exception | None = None) -> None:
    with results.replacing() as staged:
        for name, text in files.items():
            (staged / name).write_text(text)
        if error is not None:
            raise error


def content(folder: Path) -> dict[str, str]:
    """All files of a folder by name; the record has only markers and its lock."""
    record = folder / RECORD
    if record.exists():
        markers = [path.name for path in record.iterdir() if path.name != "lock"]
        assert not [name for name in markers if name.endswith(".tmp")]
    return {path.name: path.read_text() for path in folder.iterdir() if path != record}
