"""Parquet files of features that geospot made: which model they are from stands in the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from geospot_gpu.errors import GeospotError
from geospot_gpu.files import regular

KEY = b"geospot_embedding"
"""Of the file's metadata, beside those that Arrow and pandas have."""


def described(about: dict[str, Any]) -> dict[bytes, bytes]:
    """Metadata of a file, which :func:`about` reads again.

    Args:
        about: of the model and what it made, in plain types; ``version`` names all that its
            vectors depend on.

    >>> described({"version": "rcf-1"})
    {b'geospot_embedding': b'{"version": "rcf-1"}'}
    """
    return {KEY: json.dumps(about, sort_keys=True).encode()}


def about(path: Path) -> dict[str, Any]:
    """What a file says of the model that made it; nothing where it is of another kind."""
    import pyarrow.parquet

    try:
        found = json.loads(pyarrow.parquet.read_metadata(regular(path)).metadata[KEY])
    except (GeospotError, OSError, KeyError, TypeError, ValueError):  # readers say what is wrong
        return {}
    return found if isinstance(found, dict) else {}


def maker(path: Path) -> str | None:
    """The model that a file's features are from, as its ``version``; None where it does not say."""
    version = about(path).get("version")
    return version if isinstance(version, str) else None
