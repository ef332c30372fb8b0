"""The repository, runs that are not as geospot left them, and disks that are small."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from geospot_gpu.files import record
from geospot_gpu.files.places import Folder
from geospot_gpu.runs.manifest import seal

ROOT = Path(__file__).parents[2]
"""Of the repository."""


def rewrite_manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest of a run as if geospot had written it so."""
    content = json.loads((folder / "manifest.json").read_text())
    change(content)
    del content["checksum"]
    (folder / "manifest.json").write_bytes(seal(content))
    for marker in (folder / record.RECORD).glob("manifest.json-*"):
        marker.unlink()
    record.adopt(Folder(folder), ["manifest.json"])


@contextmanager
def mounted_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of its own at a folder, where that is permitted; skips where it is not."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("no permission to mount a disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
