"""Runs of several spaces: that of the first is the run itself, those of the others lie in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from geospot_gpu.encoders import Encoder, Spaces
from geospot_gpu.errors import GeospotError
from geospot_gpu.files.urls import place
from geospot_gpu.regions import Regions
from geospot_gpu.runs.manifest import Manifest
from geospot_gpu.runs.store import Store

_FOLDER = "spaces"

Sides = tuple[Regions, Regions | None]
"""The regions of a sweep, and those of the second table where there is one."""


def folder_of(out: str | Path, name: str, spaces: Sequence[str]) -> str | Path:
    """Where the run of one space is.

    Args:
        out: where that of the first is.
        name: of the space.
        spaces: all names, in order.

    >>> print(folder_of("runs/a", "place", ["place", "inputs"]))
    runs/a
    >>> print(folder_of("runs/a", "inputs", ["place", "inputs"]))
    runs/a/spaces/inputs
    """
    if name == spaces[0]:
        return out
    inner = str(place(out).child(_FOLDER).child(name))
    return Path(inner) if isinstance(out, Path) else inner


def in_each_space(
    out: str | Path, regions: Regions, against: Regions | None
) -> Iterator[tuple[str | Path, str | None, Sides]]:
    """Folder, name and regions of each space; once, without a name, where there is one alone.

    Regions are encoded when their turn comes: features of one space are in memory at a time.
    """
    names = regions.spaces
    if len(names) < 2:
        yield out, None, (regions, against)
        return
    for name in names:
        other = None if against is None else against.space(name)
        yield folder_of(out, name, names), name, (regions.space(name), other)


def stores_of_others(store: Store) -> list[Store]:
    """Those of the further spaces of a run; none where its manifest cannot be read."""
    try:
        manifest = store.read_manifest() or {}
    except GeospotError:
        return []  # of which whoever looks at the run itself speaks
    names = manifest.get("spaces") or []
    return [Store(folder_of(store.folder, name, names)) for name in others(manifest)]


def of_encoder(encoder: Encoder) -> dict[str, Any]:
    """What a manifest says of spaces: which one its run is of, and which others there are."""
    if not isinstance(encoder, Spaces):
        return {"space": None, "spaces": None}
    return {"space": encoder.names[0], "spaces": list(encoder.encoders)}


def others(manifest: Manifest) -> list[str]:
    """Names of the further spaces of a run whose space is the first."""
    names: list[str] = manifest.get("spaces") or []
    return names[1:] if names[:1] == [manifest.get("space")] else []
