"""A disk cache of embeddings, keyed by content."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.files import atomic_path

log = logging.getLogger("geospot_gpu")

_CELL_DEGREES = 5.0


class EmbeddingCache:
    """Embeddings of coordinates on disk, one ``.npz`` file per map cell and set of points in it.

    The name of a file hashes the coordinates it is for, so a file never goes stale; a changed
    set of points renews only the cells that changed. Files are written to a temporary name and
    renamed, so that several processes may share the cache, and carry a checksum.

    Args:
        version: name and version of the encoder.
        root: folder of the cache; ``$GEOSPOT_CACHE``, or ``geospot_gpu`` in the user's cache
            folder, if not given.
    """

    def __init__(self, version: str, root: str | Path | None = None) -> None:
        self.folder = Path(root) if root is not None else default_cache()
        self.folder = self.folder / "embeddings" / version

    def lookup(
        self,
        lat_lon: NDArray[np.float64],
        compute: Callable[[NDArray[np.float64]], NDArray[np.float32]],
    ) -> NDArray[np.float32]:
        """Embeddings [n, d] of distinct coordinates [n, 2], computing in one go what is missing."""
        cells = np.floor(lat_lon / _CELL_DEGREES) @ [1000.0, 1.0]
        order = np.argsort(cells, kind="stable")
        starts = np.flatnonzero(np.diff(cells[order], prepend=-np.inf))
        groups = np.split(order, starts[1:])
        found = [self._load(lat_lon[rows]) for rows in groups]
        missing = [rows for rows, features in zip(groups, found, strict=True) if features is None]
        computed = np.empty((0, 0), np.float32)
        if missing:
            computed = compute(lat_lon[np.concatenate(missing)])
            self._store(lat_lon, missing, computed)
        pieces = iter(np.split(computed, np.cumsum([len(rows) for rows in missing])[:-1]))
        parts = [next(pieces) if features is None else features for features in found]
        result = np.empty((len(lat_lon), parts[0].shape[1]), np.float32)
        result[np.concatenate(groups)] = np.concatenate(parts)
        return result

    def _path(self, lat_lon: NDArray[np.float64]) -> Path:
        digest = hashlib.blake2b(np.ascontiguousarray(lat_lon).tobytes(), digest_size=16)
        return self.folder / digest.hexdigest()[:2] / f"{digest.hexdigest()}.npz"

    def _load(self, lat_lon: NDArray[np.float64]) -> NDArray[np.float32] | None:
        path = self._path(lat_lon)
        try:
            with np.load(path, allow_pickle=False) as file:
                features: NDArray[np.float32] = file["features"]
        except OSError:  # absent or out of reach; where it matters, storing says so once
            return None
        except Exception as error:  # bytes can be damaged in many ways
            log.warning("%s: damaged embeddings are computed again (%s)", path, error)
            return None
        return features

    def _store(
        self,
        lat_lon: NDArray[np.float64],
        groups: list[NDArray[np.int64]],
        features: NDArray[np.float32],
    ) -> None:
        start = 0
        try:
            for rows in groups:
                path = self._path(lat_lon[rows])
                path.parent.mkdir(parents=True, exist_ok=True)
                with atomic_path(path) as temporary, open(temporary, "wb") as file:
                    np.savez(file, features=features[start : start + len(rows)])
                start += len(rows)
        except OSError as error:  # the run does not need the cache to go on
            log.warning("%s: embeddings are not cached (%s)", self.folder, error.strerror or error)


def default_cache() -> Path:
    """``$GEOSPOT_CACHE``, or ``geospot_gpu`` in the user's cache folder."""
    if own := os.environ.get("GEOSPOT_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "geospot_gpu"
