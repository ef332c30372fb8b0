"""Parquet files of features that geospot made: which model they are from stands in the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

KEY = b"geospot_embedding"
"""Of the metadata, beside those that Arrow and pandas have."""


def described(about: dict[str, Any]) -> dict[bytes, bytes]:
    """Metadata of a file, which :func:`maker` reads again.

    Args:
        about: of the model, in plain types; ``version`` names all that its vectors depend on.

    >>> described({"version": "rcf-1"})
    {b'geospot_embedding': b'{"version": "rcf-1"}'}
    """
    return {KEY: json.dumps(about, sort_keys=True).encode()}


def maker(path: Path) -> str | None:
    """The model that a file's features are from, as its ``version``; None where it does not say."""
    import pyarrow.parquet

    try:
        found = pyarrow.parquet.read_schema(path).metadata or {}
        about = json.loads(found[KEY])
    except (OSError, KeyError, ValueError):  # what is wrong with it is said when it is read
        return None
    version = about.get("version") if isinstance(about, dict) else None
    return version if isinstance(version, str) else None
