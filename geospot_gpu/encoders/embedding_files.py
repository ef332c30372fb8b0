"""Parquet files with a place and a vector in each row, of which no more is read than is needed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError
from geospot_gpu.files import expanded, matched, regular
from geospot_gpu.files.inputs import why
from geospot_gpu.points.readers import require_geopandas

SUFFIXES = (".parquet", ".geoparquet", ".gpq")
_PAIRS = (
    ("centre_lon", "centre_lat"),
    ("center_lon", "center_lat"),
    ("lon", "lat"),
    ("lng", "lat"),
    ("longitude", "latitude"),
)
_VECTORS = ("embedding", "embeddings")
_BATCH = 1 << 16
_WIDE_BATCH = 1 << 12


class Places(NamedTuple):
    """Places of some rows."""

    first: int
    """Number of the first of them in the file."""
    lon: NDArray[np.float64]
    """Degrees [k]; NaN where a row has no place."""
    lat: NDArray[np.float64]


def embedding_files(path: Path) -> list[Path]:
    """The files of a file, a folder or a pattern, by name.

    Raises:
        GeospotError: there is none.
    """
    found, files = expanded(path), matched(path)
    if files is None and found.is_dir():
        files = sorted(one for one in found.rglob("*") if one.suffix.lower() in SUFFIXES)
    elif files is None:
        files = [regular(path)]
    if not files:
        raise GeospotError(f"{path}: there is no file of embeddings: give {', '.join(SUFFIXES)}")
    return files


class EmbeddingFile:
    """One file, as Major TOM and Clay publish them.

    Args:
        path: the file.
        column: its column of vectors; found if not given.
        lon, lat: its columns of coordinates in degrees; found if not given, or else the centres of
            its geometries are taken.

    Raises:
        GeospotError: it cannot be read, or has no such columns.
    """

    def __init__(self, path: Path, column: str | None, lon: str | None, lat: str | None) -> None:
        self.path = path
        with self._opened() as file:
            schema, self.rows = file.schema_arrow, file.metadata.num_rows
        names = [str(name) for name in schema.names]
        self.column = self._vectors(schema, column)
        self._lon_lat = self._coordinates(names, lon, lat)
        geo = json.loads((schema.metadata or {}).get(b"geo", b"{}"))
        self._geometry = geo.get("primary_column") or "geometry"
        self._about = geo.get("columns", {}).get(self._geometry, {})
        if self._lon_lat is None:
            if self._geometry not in names:
                raise GeospotError(
                    f"{path}: has neither coordinates nor geometries: name them with encoder.lon "
                    f"and encoder.lat; there are: {', '.join(names[:20])}"
                )
            require_geopandas()

    def places(self) -> Iterator[Places]:
        """Places of all rows, a batch at a time."""
        wanted = [self._geometry] if self._lon_lat is None else list(self._lon_lat)
        first = 0
        with self._opened() as file:
            for batch in file.iter_batches(batch_size=_BATCH, columns=wanted):
                if self._lon_lat is None:
                    lon, lat = self._centres(batch.column(0))
                else:
                    lon, lat = (self._numbers(batch, name) for name in self._lon_lat)
                lon, lat = self._degrees(lon, lat)
                yield Places(first, lon, lat)
                first += len(batch)

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Vectors [k, d] of distinct rows in order [k]; row groups without any are not read."""
        found: list[NDArray[np.float32]] = []
        with self._opened() as file:
            begin = 0
            for group in range(file.metadata.num_row_groups):
                end = begin + file.metadata.row_group(group).num_rows
                low, high = np.searchsorted(rows, [begin, end])
                if low < high:
                    found += self._group(file, group, rows[low:high] - begin)
                begin = end
        return self.joined(found)

    def joined(self, parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Vectors, one after another; those that have no width are missing, and NaN."""
        width = self._check_widths(part.shape[1] for part in parts if part.shape[1])
        whole = [part if part.shape[1] else _none(len(part), width) for part in parts]
        return np.concatenate([_none(0, width), *whole])

    def _numbers(self, batch: Any, name: str) -> NDArray[np.float64]:
        """A column of coordinates, NaN where they are missing."""
        try:
            found: NDArray[Any] = batch.column(name).to_numpy(zero_copy_only=False)
            return found.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise GeospotError(
                f"{self.path}: column {name!r} has coordinates that are no numbers "
                f"({why(error)}): name another with encoder.lon and encoder.lat"
            ) from error

    def _group(
        self, file: Any, group: int, rows: NDArray[np.int64]
    ) -> Iterator[NDArray[np.float32]]:
        """Vectors of rows of one row group."""
        begin = 0
        for batch in file.iter_batches(
            batch_size=_WIDE_BATCH, row_groups=[group], columns=[self.column]
        ):
            low, high = np.searchsorted(rows, [begin, begin + len(batch)])
            if low < high:
                yield self._matrix(batch.column(0).take(_arrow(rows[low:high] - begin)))
            begin += len(batch)

    def _matrix(self, lists: Any) -> NDArray[np.float32]:
        """Lists as a matrix; NaN where one is missing."""
        import pyarrow.compute as pc

        lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
        there = np.asarray(lists.is_valid()) & (lengths > 0)
        width = self._check_widths(lengths[there].tolist())
        matrix = _none(len(lists), width)
        flat = lists.filter(_arrow(there)).flatten().to_numpy(zero_copy_only=False)
        matrix[there] = flat.reshape(int(there.sum()), width)
        return matrix

    def _check_widths(self, widths: Iterable[int]) -> int:
        """The one length that vectors have; 0 where there are none."""
        found = sorted({*widths})
        if len(found) > 1:
            raise GeospotError(
                f"{self.path}: vectors of {self.column!r} have different lengths: "
                f"{', '.join(map(str, found))}"
            )
        return found[0] if found else 0

    def _opened(self) -> Any:
        import pyarrow.parquet as pq

        try:
            return pq.ParquetFile(regular(self.path))
        except GeospotError:
            raise
        except Exception as error:  # a broken file is one in many ways
            raise GeospotError(f"{self.path}: cannot be read as Parquet ({why(error)})") from error

    def _vectors(self, schema: Any, given: str | None) -> str:
        """Name of the column of vectors."""
        import pyarrow.types as kinds

        known = [
            str(field.name)
            for field in schema
            if hasattr(field.type, "value_type")
            and any(kind(field.type.value_type) for kind in (kinds.is_floating, kinds.is_integer))
        ]
        if given is not None:
            if given not in known:
                raise GeospotError(
                    f"{self.path}: encoder.column={given!r} is no column of lists of numbers; "
                    f"there are: {', '.join(known) or 'none'}"
                )
            return given
        usual = [name for name in known if name.lower() in _VECTORS]
        found = usual if len(usual) == 1 else known
        if len(found) != 1:
            raise GeospotError(
                f"{self.path}: needs one column of vectors, lists of numbers: name it with "
                f"encoder.column; there are: {', '.join(known) or 'none'}"
            )
        return found[0]

    def _coordinates(
        self, names: list[str], lon: str | None, lat: str | None
    ) -> tuple[str, str] | None:
        for key, name in (("lon", lon), ("lat", lat)):
            if name is not None and name not in names:
                raise GeospotError(
                    f"{self.path}: encoder.{key}={name!r} is not a column; there are: "
                    f"{', '.join(names[:20])}"
                )
        if lon is not None and lat is not None:
            return lon, lat
        spelled = {name.lower(): name for name in names}
        for x, y in _PAIRS:
            if x in spelled and y in spelled:
                return lon or spelled[x], lat or spelled[y]
        return None

    def _centres(self, geometries: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Centres of geometries, also of those that cross the antimeridian."""
        import pyarrow.types
        import shapely  # type: ignore[import-untyped]

        if pyarrow.types.is_struct(geometries.type):  # points as GeoParquet 1.1 writes them
            x, y = (
                geometries.field(axis).to_numpy(zero_copy_only=False).astype(np.float64)
                for axis in ("x", "y")
            )
            return x, y
        try:
            shapes = shapely.from_wkb(geometries.to_numpy(zero_copy_only=False))
        except Exception as error:
            raise GeospotError(
                f"{self.path}: geometries cannot be read as WKB ({why(error)})"
            ) from error
        if self._crs is None:
            points, index = shapely.get_coordinates(shapes, return_index=True)
            _, first = np.unique(index, return_index=True)
            start = np.repeat(points[first, 0], np.diff([*first, len(index)]))
            points[:, 0] = start + np.mod(points[:, 0] - start + 180.0, 360.0) - 180.0
            shapes = shapely.set_coordinates(shapes, points)
        middle = shapely.centroid(shapes)
        middle[shapely.is_empty(middle)] = None
        return shapely.get_x(middle), shapely.get_y(middle)

    @property
    def _crs(self) -> Any:
        """Reference system of the geometries; None where it is WGS84."""
        given = self._about.get("crs")
        if not given or self._lon_lat is not None:
            return None
        import pyproj

        crs = pyproj.CRS.from_user_input(given)
        return None if crs.equals("EPSG:4326", ignore_axis_order=True) else crs

    def _degrees(
        self, lon: NDArray[np.float64], lat: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Coordinates in WGS84, NaN where they are none."""
        if self._crs is not None:
            import pyproj

            to_degrees = pyproj.Transformer.from_crs(self._crs, "EPSG:4326", always_xy=True)
            lon, lat = to_degrees.transform(lon, lat)
        there = np.isfinite(lon) & (np.abs(lat) <= 90.0) & (np.abs(lon) <= 540.0)
        return np.where(there, lon, np.nan), np.where(there, lat, np.nan)


def _none(count: int, width: int) -> NDArray[np.float32]:
    """Vectors [count, width] that are missing."""
    return np.full((count, width), np.nan, np.float32)


def _arrow(rows: NDArray[Any]) -> Any:
    import pyarrow as pa

    return pa.array(rows)
