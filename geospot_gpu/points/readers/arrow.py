"""Tables of Arrow become data frames, with the numbers and geometries that they hold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from geospot_gpu.errors import GeospotError
from geospot_gpu.points.readers.shapes import require_geopandas

_EXACT = 2**53
"""Whole numbers up to this are exact in float64."""


def frame_of(table: Any) -> pd.DataFrame:
    """The data frame of a table of Arrow, with its named index, if it has one, as columns.

    Whole numbers with gaps become floating-point numbers, as pandas has them, unless this would
    round them.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    frame: pd.DataFrame = table.to_pandas()
    for name, field in zip(table.schema.names, table.schema, strict=True):
        if pa.types.is_integer(field.type) and table.schema.names.count(name) == 1:
            values = table[name]
            if not values.null_count or name not in frame.columns:
                continue
            ends = pc.min_max(values).as_py()
            if ends["max"] is not None and max(abs(ends["min"]), abs(ends["max"])) > _EXACT:
                kind: Any = "UInt64" if ends["max"] >= 2**63 else "Int64"
                frame[name] = pd.array(values.to_pylist(), dtype=kind).copy()
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    return frame


def frame_of_records(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The data frame of records as JSON has them; whole numbers stay such beside gaps.

    >>> frame_of_records([{"id": 2**63}, {"id": None}])["id"].tolist()
    [9223372036854775808, <NA>]
    """
    frame = pd.DataFrame([*records], dtype=object)
    for name in frame.columns:
        known = frame[name].dropna()
        whole = len(known) and all(type(value) is int for value in known)
        if whole and len(known) < len(frame) and known.abs().max() > _EXACT:
            kind: Any = "UInt64" if known.max() >= 2**63 else "Int64"
            frame[name] = pd.array(frame[name].to_numpy(), dtype=kind)
        else:
            frame[name] = pd.Series(frame[name].tolist(), index=frame.index)
    return frame


def geo_frame_of(table: Any, origin: str) -> pd.DataFrame:
    """As :func:`frame_of`, with geometries where the table says that it has some.

    Raises:
        GeospotError: the geometries are not written as WKB.
    """
    geo = (table.schema.metadata or {}).get(b"geo")
    if geo is not None:
        said = json.loads(geo)
        name = said["primary_column"]
        about = said["columns"][name]
        if str(about.get("encoding")).upper() != "WKB":
            raise GeospotError(
                f"{origin}: its geometries are written as {about.get('encoding')}: write them as "
                "WKB, as in GeoParquet 1.0"
            )
        return with_geometry(table, name, about.get("crs", "OGC:CRS84"))
    if any(
        (field.metadata or {}).get(b"ARROW:extension:name", b"").startswith((b"geoarrow", b"ogc"))
        or str(getattr(field.type, "extension_name", "")).startswith(("geoarrow", "ogc"))
        for field in table.schema
    ):
        frame: pd.DataFrame = require_geopandas().GeoDataFrame.from_arrow(table)
        return frame
    return frame_of(table)


def with_geometry(table: Any, name: str, crs: Any) -> pd.DataFrame:
    """A GeoDataFrame of a table of Arrow, one column of which is WKB."""
    geopandas = require_geopandas()
    import shapely  # type: ignore[import-untyped]

    geometry = shapely.from_wkb(table[name].to_numpy(zero_copy_only=False))
    frame: pd.DataFrame = geopandas.GeoDataFrame(
        frame_of(table.drop_columns([name])), geometry=geometry, crs=crs
    )
    return frame
