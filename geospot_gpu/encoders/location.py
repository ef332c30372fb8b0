"""Encoders that are models of coordinates: each place is encoded once, by all workers there are."""

from __future__ import annotations

import platform
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.cluster import LocalPool, Pool, open_pool
from geospot_gpu.devices import find_device
from geospot_gpu.encoders.base import Encoder, checked_places
from geospot_gpu.encoders.cache import EmbeddingCache
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.points.table import Points

MANY = 20_000
"""Points from which on a model is worth loading at every worker of a cluster."""

_LEAST = 64
"""Places that are given to a model together."""

LatLon = NDArray[np.float64]
Vectors = NDArray[np.float32]


class LocationEncoder(Encoder):
    """A model that makes vectors of coordinates and of nothing else.

    Vectors are cached on disk under a hash of their coordinates and the encoder's version. Within
    ``with engine.pool():`` of a cluster many points are encoded by its workers, each of which loads
    the model once; the cache is the caller's. Points are encoded in chunks that do not depend on
    how many workers there are, so that vectors are the same to the last bit on equal devices.

    Args:
        cache: folder of the cache; ``$GEOSPOT_CACHE`` or the user's cache folder if not given.
    """

    reads_coordinates = True

    dimension: int
    """How many features a point has."""

    def __init__(self, cache: str | Path | None = None) -> None:
        self._cache_root = checks.optional(checks.path)(cache, "encoder.cache")

    @abstractmethod
    def load(self, device: str) -> Callable[[LatLon], Vectors]:
        """The model on a device: gives vectors [k, d] of distinct coordinates [k, 2], lat first.

        It is called for some 2,000 of them at a time, and a vector should not depend on its
        company.
        """

    def encode(self, points: Points, rows: NDArray[np.int64], device: str) -> Vectors:
        rows, device = checked_places(self, points, rows), str(find_device(device))
        if len(rows) == 0:
            return np.zeros((0, self.dimension), np.float32)
        cache = EmbeddingCache(self.version, self.dimension, self._cache_root)
        coordinates = np.stack([points.lat[rows], points.lon[rows]], axis=1)
        unique, inverse = np.unique(coordinates, axis=0, return_inverse=True)
        job = EncodingJob(self, self.version)

        def compute(chunks: Sequence[LatLon]) -> Iterator[tuple[int, Vectors]]:
            costs = [float(len(chunk)) for chunk in chunks]
            with _pool(device, sum(map(len, chunks))) as pool:
                yield from pool.run(job, chunks, costs, job.name)

        return cache.lookup(unique, compute)[inverse.ravel()]


def in_company(lat_lon: LatLon) -> LatLon:
    """The places, repeated until they are some: to be cut off again after a model has run.

    Products of few rows are summed in another order: vectors would depend on their company.
    """
    return np.resize(lat_lon, (max(len(lat_lon), _LEAST), 2))


@dataclass(frozen=True)
class EncodingJob:
    """What all chunks share.

    Attributes:
        encoder: the encoder.
        version: of it, where the work comes from.
    """

    encoder: LocationEncoder
    version: str

    def worker(self, device: str) -> EncodingWorker:
        """One who encodes chunks."""
        if (own := self.encoder.version) != self.version:
            raise GeospotError(
                f"{platform.node()} has encoder {own}, and this process has {self.version}: "
                "install the same on all machines"
            )
        return EncodingWorker(self.encoder.load(device))

    def name(self, chunk: LatLon) -> str:
        """What a chunk is called in messages."""
        lat, lon = chunk[0].tolist()
        return f"encoding of {len(chunk):,} points from (lat, lon) ({lat:g}, {lon:g})"


class EncodingWorker:
    """Encodes chunks with one model."""

    def __init__(self, model: Callable[[LatLon], Vectors]) -> None:
        self._model = model

    def compute(self, chunk: LatLon) -> Vectors:
        """Vectors [k, d] of coordinates [k, 2]."""
        return self._model(chunk)

    def store(self, vectors: Vectors) -> Vectors:
        """The caller has the cache."""
        return vectors


def _pool(device: str, count: int) -> Pool:
    """Who encodes so many points."""
    shared = open_pool() if count >= MANY else None
    return LocalPool(device) if shared is None else shared
