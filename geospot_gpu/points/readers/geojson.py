"""GeoJSON: collections of features, and features line by line."""

from __future__ import annotations

import json
import re
from typing import Any

import pandas as pd

from geospot_gpu.errors import GeospotError
from geospot_gpu.points.readers.arrow import frame_of_records
from geospot_gpu.points.readers.files import File, Wanted
from geospot_gpu.points.readers.shapes import require_geopandas
from geospot_gpu.points.readers.vector import read_source

_PIPELINE = b"gdal_streamed_alg"
"""What begins a file of GDAL's own, which names others to read."""
_TEXT = re.compile(rb'"coordinates"\s*:\s*\[\s*\[*\s*"')
"""Coordinates in quotes, which GDAL takes for none."""
_LARGE = re.compile(rb"[:\s]-?\d{19,}\s*[,}\]]")
"""Whole numbers that GDAL may refuse or round."""


def is_geojson(file: File) -> bool:
    """Whether it is a JSON object."""
    return file.words.startswith(b"{")


def read_geojson(file: File, wanted: Wanted) -> pd.DataFrame:
    """GeoJSON, as a collection, or one feature a line or after each separator of records."""
    require_geopandas()
    with file.open() as stream:
        content = stream.read()
    if _PIPELINE in content:
        raise GeospotError(
            f"{file.shown}: cannot be read (no GeoJSON): it names other files: give these"
        )
    if _TEXT.search(content) or _LARGE.search(content):
        return _by_hand(content, file)
    try:
        return read_source(content, file, wanted)
    except Exception as error:
        if "not recognized as being in a supported" not in str(error):
            raise
        raise GeospotError(
            f"{file.shown}: is JSON, but no GeoJSON: write features, or a list of records"
        ) from error


def _by_hand(content: bytes, file: File) -> pd.DataFrame:
    """A data frame of features that GDAL does not read as they are."""
    geopandas = require_geopandas()
    import shapely  # type: ignore[import-untyped]

    text = content.decode("utf-8-sig")
    try:
        whole = json.loads(text)
        features = whole.get("features", [whole])
    except json.JSONDecodeError:
        whole, lines = {}, re.split("[\n\x1e]", text)
        features = [json.loads(line) for line in lines if line.strip()]
    shapes = []
    for row, feature in enumerate(features, 1):
        shape = feature.get("geometry")
        try:
            shapes.append(None if shape is None else json.dumps(_with_numbers(shape)))
        except ValueError as error:
            raise GeospotError(
                f"{file.shown}: the coordinates of feature {row} are text: write them as numbers"
            ) from error
    named = (whole.get("crs") or {}).get("properties", {}).get("name", "OGC:CRS84")
    frame: pd.DataFrame = geopandas.GeoDataFrame(
        frame_of_records([feature.get("properties") or {} for feature in features]),
        geometry=shapely.from_geojson(shapes),
        crs=named,
    )
    return frame


def _with_numbers(value: Any) -> Any:
    """A geometry whose coordinates, if they are text, are numbers."""
    if isinstance(value, dict):
        changed = {"coordinates": _numbers, "geometries": _with_numbers}
        return {key: changed.get(key, lambda same: same)(part) for key, part in value.items()}
    return [_with_numbers(part) for part in value]


def _numbers(value: Any) -> Any:
    return [_numbers(part) for part in value] if isinstance(value, list) else float(value)
