"""The folder of a command's results, and its summary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from geospot_gpu.errors import GeospotError
from geospot_gpu.files import written


def make_folder(out: str) -> Path:
    """The folder of results."""
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GeospotError(f"{folder}: cannot be created ({error.strerror})") from error
    return folder


def write_summary(out: Path, summary: dict[str, Any]) -> None:
    """Verdict and headline figures, as JSON."""
    with written(out / "summary.json") as temporary:
        temporary.write_text(json.dumps(summary, indent=2) + "\n")
