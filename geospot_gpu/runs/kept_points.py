"""Points of regions that were made in Python, kept with the run: nothing else says where they are.

A file of a run's ``points/`` is named by the hash of its content, which proves it; that the regions
drawn from it are those of the run, their keys prove.
"""

from __future__ import annotations

from functools import reduce
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from geospot_gpu import files
from geospot_gpu.encoders import Encoder, GeoClip, NoEncoder
from geospot_gpu.encoders.base import checked_rows
from geospot_gpu.encoders.spaces import own_of
from geospot_gpu.errors import GeospotError
from geospot_gpu.files.places import Place
from geospot_gpu.points.labels import Labels
from geospot_gpu.points.table import Points
from geospot_gpu.regions import Regions
from geospot_gpu.regions.counts import union_of
from geospot_gpu.regions.drawing import Source
from geospot_gpu.regions.sampling import Sampling

_AGAIN = "sweep the same regions again: stored distances are kept"


class KeptFeatures(Encoder):
    """Features of the points of a run that an encoder in Python gave them.

    Args:
        version: of that encoder.
        reads_coordinates, unit_length: as it had them.
        points: the points of the run.
        features: of these points, [n, d]; NaN for points that are in no sample.
    """

    def __init__(
        self,
        version: str,
        *,
        reads_coordinates: bool,
        unit_length: bool,
        points: Points,
        features: NDArray[np.float32],
    ) -> None:
        self.reads_coordinates, self.unit_length = reads_coordinates, unit_length
        self._version, self._points, self._features = version, points, features

    @property
    def version(self) -> str:
        return self._version

    def encode(self, points: Points, rows: NDArray[np.int64], device: str) -> NDArray[np.float32]:
        rows = checked_rows(points, rows)
        if points is not self._points:
            raise GeospotError(
                f"{points.origin}: the run has features of its own points alone, for their encoder "
                f"({self.version}) was made in Python: use encoder=geoclip or none, or give "
                "regions in Python"
            )
        found = self._features[rows]
        if np.isnan(found).any():
            raise GeospotError(
                f"{points.origin}: the run keeps features of the points in its samples alone, and "
                "more are asked for: sweep with a larger max_points"
            )
        return found


def keep_points(regions: Regions, place: Place) -> list[dict[str, Any]]:
    """Write the points of regions into a place.

    Features are written of points in samples, where no encoder of geospot_gpu gives them again.

    Returns:
        What :func:`kept_regions` needs to have the regions again: one entry for each table of
        points.
    """
    tables = groupby(range(len(regions)), key=lambda k: id(regions.sources[k].points))
    return [_keep(regions, list(members), place) for _, members in tables]


def _keep(regions: Regions, members: list[int], place: Place) -> dict[str, Any]:
    sources = [regions.sources[k] for k in members]
    points, encoder = sources[0].points, own_of(sources[0].encoder)
    rows = np.concatenate([source.rows for source in sources])
    columns = {
        "region": np.repeat([regions.names[k] for k in members], [len(s.rows) for s in sources]),
        "row": points.attributes.index.to_numpy()[rows],
        "lon": points.lon[rows],
        "lat": points.lat[rows],
        "mass": np.concatenate([source.mass for source in sources]),
    }
    table = pa.table({**columns, "region": pa.array(columns["region"]).dictionary_encode()})
    if points.label is not None:
        label = pa.array(points.label[rows], from_pandas=True)
        table = table.append_column("label", label)
    if type(encoder) not in (GeoClip, NoEncoder):
        table = table.append_column("features", _features(regions, members, rows))
    content = pa.BufferOutputStream()
    pq.write_table(table, content, compression="zstd")
    part = content.getvalue().to_pybytes()
    name = files.content_hash(part)
    place.prepare()
    if _file_of(name) not in place.names(name):
        place.write(_file_of(name), part)
    return {
        "file": name,
        "origin": points.origin,
        "reads_coordinates": encoder.reads_coordinates,
        "unit_length": encoder.unit_length,
    }


def _features(regions: Regions, members: list[int], rows: NDArray[np.int64]) -> pa.Array:
    """Vectors of the rows, null where a row is in no sample."""
    sources, sampling = [regions.sources[k] for k in members], regions.sampling
    sampled = union_of(
        sampling.draw(regions.names[k], source.rows, source.mass)[0]
        for k, source in zip(members, sources, strict=True)
    )
    points, encoder, device = sources[0].points, sources[0].encoder, sources[0].device
    vectors = encoder.encode(points, sampled, device)
    if vectors is None:
        return pa.nulls(len(rows), pa.list_(pa.float32()))
    inside = np.isin(rows, sampled)
    flat = pa.array(vectors[np.searchsorted(sampled, rows[inside])].ravel())
    ends = np.concatenate([[0], np.cumsum(inside)]).astype(np.int32) * vectors.shape[1]
    return pa.ListArray.from_arrays(pa.array(ends), flat, mask=pa.array(~inside))


def kept_regions(
    kept: list[dict[str, Any]], place: Place, identity: dict[str, Any], max_points: int | None,
    device: str,
) -> Regions:  # fmt: skip
    """The regions whose points :func:`keep_points` wrote into a place.

    Args:
        kept: what it returned.
        place: where it wrote them.
        identity: of the run.
        max_points: of their samples.
        device: where the regions will live.

    Raises:
        GeospotError: a file is missing or damaged, or its encoder is not here.
    """
    try:
        parts = [_drawn(entry, place, identity, max_points, device) for entry in kept]
        return reduce(Regions.concatenated, parts)
    except (KeyError, TypeError) as error:
        raise GeospotError(f"{place}: the manifest of its run is damaged: {_AGAIN}") from error


def _drawn(
    entry: dict[str, Any], place: Place, identity: dict[str, Any], max_points: int | None,
    device: str,
) -> Regions:  # fmt: skip
    table = _read(place, str(entry["file"]))
    names, row = table["region"].to_numpy(), table["row"].to_numpy()
    rows, first, at = np.unique(row, return_index=True, return_inverse=True)
    mass = table["mass"].to_numpy()
    lon, lat = (table[key].to_numpy()[first] for key in ("lon", "lat"))
    attributes = pd.DataFrame(index=pd.Index(rows))
    label = _labels(table)
    points = Points(
        lon, lat, mass[first], attributes, str(entry["origin"]),
        label=None if label is None else label[first],
    )  # fmt: skip
    encoder = _encoder(entry, identity["encoder"], points, table, first)
    starts = np.flatnonzero(np.concatenate([[True], names[1:] != names[:-1]]))
    sources = [
        Source(points, at[some], mass[some], encoder, device)
        for some in np.split(np.arange(len(row)), starts[1:])
    ]
    sampling = Sampling(max_points, identity["seed"])
    return Regions.from_sources([str(names[k]) for k in starts], sources, sampling)


def _labels(table: pa.Table) -> Labels | None:
    """Those that were kept: text of classes, or numbers."""
    if "label" not in table.column_names:
        return None
    column = table["label"]
    if pa.types.is_floating(column.type):
        return np.asarray(column.to_numpy())
    found = np.empty(len(column), object)
    found[:] = column.to_pylist()
    return found


def _encoder(
    entry: dict[str, Any], version: str, points: Points, table: pa.Table, first: NDArray[np.int64]
) -> Encoder:
    if "features" not in table.column_names:
        encoder: Encoder = NoEncoder() if version == NoEncoder().version else GeoClip()
        if encoder.version != version:
            raise GeospotError(
                f"its features are from {version}, and the encoder here is {encoder.version}: "
                "sweep again in a new folder"
            )
        return encoder
    column = table["features"].combine_chunks()
    known = column.is_valid().to_numpy(zero_copy_only=False)
    vectors = column.flatten().to_numpy().reshape(int(known.sum()), -1)
    features = np.full((len(column), vectors.shape[1]), np.nan, np.float32)
    features[known] = vectors
    return KeptFeatures(
        version,
        reads_coordinates=bool(entry["reads_coordinates"]),
        unit_length=bool(entry["unit_length"]),
        points=points,
        features=features[first],
    )


def _read(place: Place, name: str) -> pa.Table:
    where = place.file(_file_of(name))
    try:
        content = place.read(_file_of(name))
    except FileNotFoundError:
        raise GeospotError(f"{where}: the points of this run are not there: {_AGAIN}") from None
    if files.content_hash(content) != name:
        place.set_aside(_file_of(name))  # what is there is not written again
        raise GeospotError(f"{where}: is damaged: {_AGAIN}")
    return pq.read_table(pa.BufferReader(content))


def _file_of(name: str) -> str:
    return f"{name}.parquet"
