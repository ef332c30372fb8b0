"""JSON that is a list of records, or one record a line."""

from __future__ import annotations

import json

import pandas as pd

from geospot_gpu.errors import GeospotError
from geospot_gpu.points.readers.arrow import frame_of_records
from geospot_gpu.points.readers.files import File, Wanted

_SHAPES = ("Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon")
_GEOJSON = ("Feature", "FeatureCollection", "GeometryCollection", *_SHAPES)
"""What ``type`` says in GeoJSON."""


def is_records(file: File) -> bool:
    """Whether it is a list, or begins with a whole object in one line that is no GeoJSON."""
    words = file.words
    if words.startswith(b"["):
        return True
    if not words.startswith(b"{"):
        return False
    line, _, rest = words.partition(b"\n")
    if not rest.strip():
        return False
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(first, dict) and first.get("type") not in _GEOJSON


def read_records(file: File, wanted: Wanted) -> pd.DataFrame:
    """A row for each record, a column for each key.

    Raises:
        GeospotError: it holds something else.
    """
    with file.open() as stream:
        text = stream.read().decode("utf-8-sig")
    if text.lstrip().startswith("["):
        records = json.loads(text)
    else:
        records = [json.loads(line) for line in text.splitlines() if line.strip()]
    if not records or not all(isinstance(record, dict) for record in records):
        raise GeospotError(
            f"{file.shown}: is JSON that is no list of records: write one object for each point"
        )
    return frame_of_records(records)
