"""Readers: files and data frames of points."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.files import regular
from geospot_gpu.files.inputs import check_first_line, check_parquet, unpacked, why
from geospot_gpu.names import Names, name_key, name_of
from geospot_gpu.points.table import Invalid, Points

if TYPE_CHECKING:
    import geopandas

log = logging.getLogger("geospot_gpu")

LON_NAMES = ("lon", "longitude", "lng", "long", "decimallongitude", "x")
LAT_NAMES = ("lat", "latitude", "decimallatitude", "y")
_ADVICE = "give fewer rows, or only the columns that are needed"
SUFFIXES = (".csv", ".csv.gz", ".parquet", ".geoparquet", ".geojson", ".geojson.gz", ".json")


def read_points(
    source: str | Path | pd.DataFrame | geopandas.GeoDataFrame,
    *,
    lon: str | None = None,
    lat: str | None = None,
    weight: str | None = None,
    text: Iterable[str | None] = (),
    invalid: Invalid = "error",
) -> Points:
    """Points from a table.

    Args:
        source: a CSV (also .gz), Parquet, GeoParquet or GeoJSON file, or a data frame. Geometries
            must be points; those in another reference system are reprojected to WGS84.
        lon: longitude column; the usual spellings are found if not given.
        lat: latitude column, likewise.
        weight: column of positive masses; equal masses if not given.
        text: columns of a CSV file that hold names, where ``007`` is not the number 7.
        invalid: ``error`` refuses invalid rows, ``drop`` leaves them out and counts them.

    Raises:
        GeospotError: the file is missing or unreadable, a column is missing, a row is invalid.
    """
    frame = source if isinstance(source, pd.DataFrame) else None
    origin = "table" if frame is not None else str(checks.path(source, "points.path"))
    with out_of_memory(f"reading points of {origin}", _ADVICE):
        if frame is None:
            frame = read_table(Path(origin), checks.listed(text, "text"))
        return _points(frame, origin, lon, lat, weight, invalid)


def _points(
    frame: pd.DataFrame,
    origin: str,
    lon: str | None,
    lat: str | None,
    weight: str | None,
    invalid: Invalid,
) -> Points:
    """Points of a data frame; see :func:`read_points`."""
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise GeospotError(f"{origin}: column {twice[0]!r} occurs more than once: rename one")
    if has_geometry(frame) and lon is None and lat is None:
        longitudes, latitudes, frame = _from_geometry(frame, origin)
    else:
        longitudes = _numbers(_coordinate(frame, lon, LON_NAMES, "lon", origin))
        latitudes = _numbers(_coordinate(frame, lat, LAT_NAMES, "lat", origin))
    mass = None if weight is None else _numbers(column(frame, weight, "points.weight", origin))
    points = Points.build(
        lon=longitudes,
        lat=latitudes,
        weight=mass,
        attributes=pd.DataFrame(frame),
        origin=origin,
        invalid=invalid,
    )
    points.warn_of_zeros()
    return points


def read_table(path: Path, text: Iterable[str | None] = ()) -> pd.DataFrame:
    """The table in a file, as a GeoDataFrame where the file has geometries.

    In CSV files only empty fields are missing: ``NA`` is Namibia. The columns ``text`` of a CSV
    file are not read as numbers.
    """
    with out_of_memory(f"reading {path}", _ADVICE):
        return _table(path, text)


def _table(path: Path, text: Iterable[str | None]) -> pd.DataFrame:
    file, name = regular(path), path.name.lower()
    if not name.endswith(SUFFIXES):
        raise GeospotError(f"{path}: unknown kind of file; use one of {', '.join(SUFFIXES)}")
    try:
        if name.endswith((".csv", ".csv.gz")):
            return _read_csv(file, text)
        if name.endswith((".parquet", ".geoparquet")):
            return _read_parquet(file)
        return _read_geojson(file)
    except GeospotError:
        raise
    except Exception as error:  # every reader has its own exceptions for a broken file
        kind = type(error).__name__
        raise GeospotError(f"{path}: cannot be read ({kind}: {why(error)})") from error


def _read_csv(path: Path, text: Iterable[str | None]) -> pd.DataFrame:
    check_first_line(path)
    with unpacked(path) as file:
        header = pd.read_csv(file, nrows=0)
    wanted = {name_key(name_of(name, "column")) for name in text if name is not None}
    with warnings.catch_warnings(), unpacked(path) as file:
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(
            file,
            keep_default_na=False,
            na_values=[""],
            low_memory=False,
            # Spelled as the file spells them.
            dtype={label: "str" for label in header if name_key(str(label)) in wanted},
            index_col=False,  # or a field too many in each row would shift all columns
        )


def _read_parquet(path: Path) -> pd.DataFrame:
    import pyarrow.parquet

    check_parquet(path, str(path))
    if b"geo" in (pyarrow.parquet.read_schema(path).metadata or {}):
        frame: pd.DataFrame = require_geopandas().read_parquet(path)
        return frame
    return pd.read_parquet(path)


def _read_geojson(path: Path) -> pd.DataFrame:
    with unpacked(path) as file:
        content = file.read()
    # Other kinds of file that GDAL knows may name further files to read, and addresses to fetch.
    if not content.lstrip(b"\xef\xbb\xbf \t\r\n\x1e").startswith(b"{"):
        raise GeospotError(f"{path}: cannot be read (no GeoJSON): give GeoJSON or GeoParquet")
    frame: pd.DataFrame = require_geopandas().read_file(io.BytesIO(content))
    return frame


def require_geopandas() -> Any:
    """The geopandas module, or a clear error where it is not installed."""
    try:
        import geopandas
    except ImportError as error:
        raise GeospotError(
            "geometries need geopandas: install it with pip install 'geospot_gpu[geo]'"
        ) from error
    return geopandas


def has_geometry(frame: pd.DataFrame) -> bool:
    """Whether this is a GeoDataFrame with geometries, and not a table with such a column name."""
    return (
        hasattr(type(frame), "to_crs") and getattr(frame, "active_geometry_name", None) is not None
    )


def to_wgs84(frame: Any, origin: str) -> Any:
    """A GeoDataFrame in WGS84, reprojected with a word about it where it was in another system."""
    if frame.crs is None:
        log.warning("%s: no coordinate reference system given, taken as WGS84", origin)
        return frame.set_crs(4326)
    if not frame.crs.equals("EPSG:4326", ignore_axis_order=True):
        log.warning("%s: reprojected from %s to WGS84", origin, frame.crs.to_string())
        return frame.to_crs(4326)
    return frame


def _from_geometry(frame: Any, origin: str) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    frame = to_wgs84(frame, origin)
    kinds = set(frame.geometry.geom_type.dropna()) - {"Point"}
    if kinds:
        raise GeospotError(
            f"{origin}: geometries must be points, found {', '.join(sorted(kinds))}; "
            "polygons define regions: use them as regions=polygons regions.path=..."
        )
    longitudes, latitudes = frame.geometry.x.to_numpy(float), frame.geometry.y.to_numpy(float)
    return longitudes, latitudes, frame.drop(columns=frame.geometry.name)


def column(frame: pd.DataFrame, name: object, key: str, origin: str) -> pd.Series[Any]:
    """The named column, or an error that names the key and the columns there are."""
    if isinstance(name, Hashable) and name in frame.columns:
        return frame[name]
    at = Names([str(label) for label in frame.columns]).find(name, key)
    if at is None:
        raise GeospotError(f"{origin}: {key}={name!r} is not a column; {_columns(frame)}")
    return frame.iloc[:, at]


def _columns(frame: pd.DataFrame) -> str:
    there = ", ".join(map(str, frame.columns[:20]))
    return f"there are: {there}{', ...' if len(frame.columns) > 20 else ''}"


def _coordinate(
    frame: pd.DataFrame, given: str | None, spellings: Sequence[str], axis: str, origin: str
) -> pd.Series[Any]:
    """The column of an axis: the one that is named, or the first of the spellings."""
    if given is not None:
        return column(frame, given, f"points.{axis}", origin)
    labels = [str(label) for label in frame.columns]
    lower = [label.strip().lower() for label in labels]
    found = [lower.index(spelling) for spelling in spellings if spelling in lower]
    if not found:
        raise GeospotError(
            f"{origin}: no {axis} column found (looked for {', '.join(spellings)}); "
            f"name it with points.{axis}=...; {_columns(frame)}"
        )
    first = found[0]
    alike = [
        label
        for at, label in enumerate(labels)
        if at != first and (at in found or spellings[1] in lower[at])
    ]
    if alike:
        log.warning(
            "%s: took column %r for %s, not %s: name the right one with points.%s=...",
            *(origin, labels[first], axis, " or ".join(map(repr, alike[:3])), axis),
        )
    return frame.iloc[:, first]


def _numbers(values: pd.Series[Any]) -> np.ndarray:
    return pd.to_numeric(values, errors="coerce").to_numpy(float, na_value=np.nan)
