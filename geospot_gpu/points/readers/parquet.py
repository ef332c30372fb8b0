"""Parquet and GeoParquet: files, and folders of them."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from geospot_gpu.errors import GeospotError
from geospot_gpu.files.inputs import check_parquet
from geospot_gpu.names import name_key
from geospot_gpu.points.readers.arrow import frame_of, geo_frame_of
from geospot_gpu.points.readers.files import File, Wanted
from geospot_gpu.points.readers.numerals import numbers_of_text
from geospot_gpu.points.readers.shapes import require_geopandas

log = logging.getLogger("geospot_gpu")

MAGIC = b"PAR1"


def is_parquet(file: File) -> bool:
    """Whether it is Parquet."""
    return file.head.startswith(MAGIC)


def read_parquet(file: File, wanted: Wanted) -> pd.DataFrame:
    """A Parquet file; a GeoDataFrame where its metadata say that it is GeoParquet."""
    import pyarrow.parquet as pq

    path = file.on_disk()
    check_parquet(path, file.shown)
    if b"geo" in (pq.read_schema(path).metadata or {}):
        frame: pd.DataFrame = require_geopandas().read_parquet(path)
        return frame
    # The file alone: the path may have a folder with an equal sign in its name.
    return frame_of(pq.ParquetFile(path).read())


def read_folder(folder: Path, wanted: Wanted) -> pd.DataFrame:
    """All Parquet files of a folder as one table; ``region=FR/`` is a column ``region``.

    Raises:
        GeospotError: there are none, or they are too large for the memory that is free.
    """
    import pyarrow as pa
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    given = [path for path in sorted(folder.rglob("*")) if _is_given(path, folder)]
    files = [path for path in given if _is_parquet(path)]
    if not files:
        raise _no_table(folder)
    if len(files) < len(given):
        others = [str(path.relative_to(folder)) for path in sorted({*given} - {*files})]
        more = ", ..." if len(others) > 3 else ""
        log.warning(
            "%s: left out %d files that are no Parquet: %s%s",
            *(folder, len(others), ", ".join(others[:3]), more),
        )
    schemas = []
    for path in files:
        check_parquet(path, str(path))
        schemas.append(pq.read_schema(path))
    keys = [part.split("=")[0] for part in files[0].relative_to(folder).parts[:-1] if "=" in part]
    schema = pa.unify_schemas([_plain(one) for one in schemas], promote_options="permissive")
    keys = [key for key in keys if key not in schema.names]
    texts = pa.schema([(key, pa.string()) for key in keys])
    geo = _geometry(schemas, files)
    data = ds.dataset(
        [str(path) for path in files],
        schema=pa.schema([*schema, *texts]),
        format="parquet",
        partitioning=ds.partitioning(texts, flavor="hive"),
        partition_base_dir=str(folder),
    )
    if data.count_rows() * len(schema) > psutil.virtual_memory().available:
        raise GeospotError(f"{folder}: has more rows than fit in memory: give fewer files")
    table = data.to_table().replace_schema_metadata({} if geo is None else {b"geo": geo})
    table = numbers_of_text(table, [key for key in keys if name_key(key) not in wanted.text])
    return geo_frame_of(table, str(folder))


def _plain(schema: Any) -> Any:
    """A schema with texts where pandas had categories, which other files need not have."""
    import pyarrow as pa

    return pa.schema(
        [
            field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
            for field in schema
        ]
    )


def _geometry(schemas: list[Any], files: list[Path]) -> bytes | None:
    """What the files of a folder say of their geometries, if they have some.

    Raises:
        GeospotError: they say different things.
    """
    said = [json.loads((one.metadata or {}).get(b"geo", b"null")) for one in schemas]
    about = [None if one is None else _about(one) for one in said]
    for other, path in zip(about, files, strict=True):
        if other != about[0] and not _same(other, about[0]):
            raise GeospotError(
                f"{path}: has another column of geometries or another reference system than "
                f"{files[0].name}: write them alike, or give one of them"
            )
    return (schemas[0].metadata or {}).get(b"geo")


def _about(geo: Any) -> tuple[Any, ...]:
    name = geo["primary_column"]
    about = geo["columns"][name]
    return name, about.get("encoding"), about.get("crs", "OGC:CRS84")


def _same(one: tuple[Any, ...] | None, other: tuple[Any, ...] | None) -> bool:
    """Whether both mean the same, though they write their reference systems otherwise."""
    if one is None or other is None or one[:2] != other[:2] or None in (one[2], other[2]):
        return False
    require_geopandas()
    from pyproj import CRS

    first, second = CRS.from_user_input(one[2]), CRS.from_user_input(other[2])
    return first.equals(second, ignore_axis_order=True)


def _is_given(path: Path, folder: Path) -> bool:
    """Whether it is a file that no program keeps for itself."""
    hidden = any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
    return not hidden and path.is_file()


def _is_parquet(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def _no_table(folder: Path) -> GeospotError:
    names = {path.name for path in folder.iterdir()}
    what, advice = "a folder", "give a file, or a folder of Parquet files"
    if folder.suffix == ".gdb" or any(name.endswith(".gdbtable") for name in names):
        what, advice = "a geodatabase", "convert it: ogr2ogr points.gpkg FOLDER"
    elif names & {".zgroup", ".zarray", "zarr.json", ".zmetadata"}:
        what, advice = "a Zarr store, not a table", "give a table of points"
    elif names & {"dataset_info.json", "dataset_dict.json"}:
        what = "a data set of Hugging Face"
        advice = "save it as Parquet: datasets.load_from_disk(FOLDER).to_parquet(FILE)"
    else:
        tables = sorted(n for n in names if n.lower().endswith((".shp", ".gpkg", ".csv", ".tsv")))
        if tables:
            advice = f"give a file of it, such as {tables[0]}, or a folder of Parquet files"
    return GeospotError(f"{folder}: is {what}: {advice}")
