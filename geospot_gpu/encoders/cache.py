"""A disk cache of embeddings, whose files prove what they are."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from geospot_gpu.files import atomic_path, clear_leftovers, content_hash, reason

log = logging.getLogger("geospot_gpu")

MOST = 2048
"""Points of a cell, which are encoded together."""

_LEVELS = 40
"""How often the map is halved at most: cells are then 19 m high and 38 m wide."""

_PROOF = 32
"""Bytes of the hash that a file begins with."""

_LEFTOVERS = f"**/.{'[0-9a-f]' * _PROOF}.*.tmp"


class EmbeddingCache:
    """Embeddings of coordinates on disk, one file per cell of a map.

    The map is halved until no cell has more than :data:`MOST` points. Those of a cell are encoded
    together, so that features do not depend on what was stored before, and stored at once: a
    process that is killed loses one cell, and changed points renew the cells they are in. Files are
    replaced as a whole, so that several processes may share the cache.

    A file is named by a hash of the coordinates it is for, and begins with one of the encoder's
    version, these coordinates and the features that follow: where that does not agree, the cell is
    computed again. What encoders give is checked before it is stored, so that the values of a file
    that proves itself need no check.

    Args:
        version: name and version of the encoder.
        dimension: how many features it gives.
        root: folder of the cache; :func:`default_cache` if not given.
    """

    def __init__(self, version: str, dimension: int, root: str | Path | None = None) -> None:
        self._version, self._dimension = version, dimension
        folder = Path(root) if root is not None else default_cache()
        self._root = None if folder is None else folder / "embeddings"

    def lookup(
        self,
        lat_lon: NDArray[np.float64],
        compute: Callable[[NDArray[np.float64]], NDArray[np.float32]],
    ) -> NDArray[np.float32]:
        """Embeddings [n, d] of distinct coordinates, computing cell by cell what is missing.

        Args:
            lat_lon: the coordinates [n, 2], in the order of ``np.unique``.
            compute: embeddings [k, d] of some of them [k, 2].
        """
        result = np.empty((len(lat_lon), self._dimension), np.float32)
        missing = []
        for rows in _cells(lat_lon):
            features = self._load(lat_lon[rows])
            if features is None:
                missing.append(rows)
            else:
                result[rows] = features
        if missing:
            self._clear()
        with tqdm(
            desc="encoding",
            total=sum(map(len, missing)),
            unit=" points",
            unit_scale=True,
            leave=False,
            disable=not missing,
        ) as progress:
            for rows in missing:
                result[rows] = compute(lat_lon[rows])
                self._store(lat_lon[rows], result[rows])
                progress.update(len(rows))
        return result

    def _load(self, lat_lon: NDArray[np.float64]) -> NDArray[np.float32] | None:
        """What is stored for the points of a cell; None where nothing is that proves itself."""
        if self._root is None:
            return None
        path, shape = self._path(self._root, lat_lon), (len(lat_lon), self._dimension)
        try:
            status = path.stat()
        except OSError:  # absent or out of reach; where it matters, storing says so
            return None
        why = "it is damaged or of other points"
        try:
            # No pipe is opened, which would be waited for, nor a file that cannot be right.
            if stat.S_ISREG(status.st_mode) and status.st_size == _PROOF + 4 * np.prod(shape):
                content = path.read_bytes()
                features = content[_PROOF:]
                if content[:_PROOF] == self._proof(lat_lon, features):
                    return np.frombuffer(features, "<f4").reshape(shape)
        except OSError as error:
            why = reason(error)
        log.warning("%s: embeddings are computed again (%s)", path, why)
        return None

    def _store(self, lat_lon: NDArray[np.float64], features: NDArray[np.float32]) -> None:
        if self._root is None:
            _warn_once("there is no home folder to keep embeddings in: set GEOSPOT_CACHE")
            return
        path, content = self._path(self._root, lat_lon), features.astype("<f4").tobytes()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary:
                temporary.write_bytes(self._proof(lat_lon, content) + content)
        except OSError as error:  # the run does not need the cache to go on
            _warn_once(f"{path.parent}: embeddings are not cached ({reason(error)})")

    def _path(self, root: Path, lat_lon: NDArray[np.float64]) -> Path:
        return root / self._version / f"{content_hash(lat_lon.tobytes())}.f32"

    def _proof(self, lat_lon: NDArray[np.float64], features: bytes) -> bytes:
        version = self._version.encode() + b"\0"
        return content_hash(version + lat_lon.tobytes() + features).encode()

    def _clear(self) -> None:
        """Remove what killed processes left, and the files of version 0.1, which prove nothing."""
        if self._root is not None:
            with contextlib.suppress(OSError):
                clear_leftovers(self._root, _LEFTOVERS)
                for old in (self._root / self._version).glob("??/*.npz"):
                    old.unlink(missing_ok=True)


def default_cache() -> Path | None:
    """``$GEOSPOT_CACHE``, or ``geospot_gpu`` in the user's cache folder; None without a home."""
    if own := os.environ.get("GEOSPOT_CACHE"):
        return Path(own)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "geospot_gpu"
    try:
        return Path.home() / ".cache" / "geospot_gpu"
    except RuntimeError:  # HOME is not set, and the system does not know the user
        return None


def _cells(lat_lon: NDArray[np.float64]) -> Iterator[NDArray[np.int64]]:
    """Positions of the points of each cell."""
    # As whole numbers, whose bits say on which side of every border a point lies.
    halves = _LEVELS // 2
    grid = np.floor((lat_lon / [180.0, 360.0] + 0.5) * 2**halves).astype(np.int64)

    def divided(rows: NDArray[np.int64], level: int) -> Iterator[NDArray[np.int64]]:
        if len(rows) <= MOST or level == _LEVELS:
            yield from (rows[start : start + MOST] for start in range(0, len(rows), MOST))
        else:
            bits = grid[rows, level % 2] >> (halves - 1 - level // 2)
            for half in (0, 1):
                yield from divided(rows[bits & 1 == half], level + 1)

    yield from divided(np.arange(len(lat_lon)), 0)


@functools.cache
def _warn_once(text: str) -> None:
    log.warning(text)
