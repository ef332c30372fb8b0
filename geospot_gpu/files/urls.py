"""What people write for a place: the path of a folder, or a URL of object storage."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from geospot_gpu.errors import GeospotError
from geospot_gpu.files.objects import STORES, Bucket
from geospot_gpu.files.output_objects import OutputObjects
from geospot_gpu.files.outputs import OutputFolder, Outputs
from geospot_gpu.files.places import Folder, Place

_URL = re.compile(r"([A-Za-z][\w+.-]*)://([^/]*)/*(.*)", re.DOTALL)
_FORMER_URL = re.compile(rf"({'|'.join(STORES)}):/[^/]")


def place(where: str | Path) -> Place:
    """The place that a path or URL is of.

    Raises:
        GeospotError: there is no storage of this kind, or it is no URL.

    >>> print(place("runs/world").child("distances").file("a.parquet"))
    runs/world/distances/a.parquet
    >>> print(place("s3://bucket/runs/world/").child("distances").file("a.parquet"))
    s3://bucket/runs/world/distances/a.parquet
    """
    url = _URL.fullmatch(str(where))
    if url is None:
        if _FORMER_URL.match(str(where)):  # of which pathlib made one slash out of two
            raise GeospotError(f"{where}: give a URL as text, not as a path")
        return Folder(where)
    scheme, bucket, prefix = url.groups()
    if scheme.lower() not in STORES:
        raise GeospotError(
            f"{where}: there is no storage of this kind: give a folder, or a URL that begins with "
            f"{', '.join(f'{name}://' for name in STORES)}"
        )
    return Bucket(scheme.lower(), bucket, prefix.rstrip("/"))


def outputs_in(
    where: str | Path,
    names: Collection[str],
    *,
    inputs: Iterable[str | Path] = (),
    overwrite: bool = False,
    stale: Collection[str] = (),
) -> Outputs:
    """What a command may write into the place that a path or URL is of: see :class:`Outputs`.

    Args:
        where: of the files.
        names, overwrite, stale: as for :class:`Outputs`.
        inputs: files that the command reads, which no output may be.
    """
    found = place(where)
    if isinstance(found, Folder):
        return OutputFolder(found.path, names, inputs=inputs, overwrite=overwrite, stale=stale)
    return OutputObjects(found, names, overwrite=overwrite, stale=stale)  # inputs are all files
