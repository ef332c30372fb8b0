"""A disk cache of embeddings, whose files prove what they are."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.errors.kept import kept
from geospot_gpu.errors.say import warn_once
from geospot_gpu.files import atomic_path, clear_leftovers, content_hash, reason
from geospot_gpu.progress import Progress

log = logging.getLogger("geospot_gpu")

MOST = 2048
"""Points that are encoded together."""

_CELL_DEGREES = 15.0

_PROOF = 32
"""Bytes of the hash that a file begins with."""

_LEFTOVERS = f"**/.{'[0-9a-f]' * _PROOF}.*.tmp"


class EmbeddingCache:
    """Embeddings of coordinates on disk, in a folder for each cell of a map.

    What is known of one set of points serves any other that shares some of them. A file holds
    points that were encoded together and is stored at once, so that a process that is killed loses
    no more than the running ones. Files are never changed: several processes may share the cache.

    A file begins with a hash of the encoder's version, the coordinates and the features that
    follow: where that does not agree, it goes, and its points are computed again. What encoders
    give is checked before it is stored, so that a file that proves itself needs no check of values.

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
        compute: Callable[
            [Sequence[NDArray[np.float64]]], Iterable[tuple[int, NDArray[np.float32]]]
        ],
    ) -> NDArray[np.float32]:
        """Embeddings [n, d] of distinct coordinates [n, 2], computing what is missing.

        Args:
            lat_lon: the coordinates.
            compute: gives the embeddings [k, d] of chunks of them [k, 2], in any order, each with
                the number of the chunk.
        """
        at = lat_lon @ np.array([1.0, 1.0j])  # complex numbers can be sorted and compared
        features = np.empty((len(at), self._dimension), np.float32)
        missing = []
        for cell, members in _cells(lat_lon):
            members = members[~self._load(cell, at, features, members)]
            pieces = range(0, len(members), MOST)
            missing += [(cell, members[start : start + MOST]) for start in pieces]
        if missing:
            self._clear()
        batches = list(_batches(missing))
        new = sum(len(few) for _, few in missing)
        log.debug("%s: %d embeddings were kept, %d are new", self._version, len(at) - new, new)
        chunks = [np.concatenate([few for _, few in batch]) for batch in batches]
        stored = False
        with (
            Progress("encoding", "points", total=sum(map(len, chunks))) as progress,
            kept("encoded points", lambda: stored),
        ):
            for k, found in compute([lat_lon[chunk] for chunk in chunks]) if chunks else ():
                features[chunks[k]] = found
                for cell, few in batches[k]:
                    stored = self._store(cell, at[few], features[few])
                progress.update(len(chunks[k]))
        return features

    def _load(
        self,
        cell: str,
        at: NDArray[np.complex128],
        features: NDArray[np.float32],
        members: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """Fill in the features that are stored of the points of a cell, and say of which."""
        found, wanted = np.zeros(len(members), bool), at[members]
        if self._root is None:
            return found
        for path in sorted((self._root / self._version / cell).glob("*.f32")):
            stored = self._read(path, wanted)
            if stored is not None:
                there, vectors = stored
                order = np.argsort(there)
                place = np.searchsorted(there, wanted, sorter=order)
                place = order[np.minimum(place, len(order) - 1)]
                here = there[place] == wanted
                features[members[here]] = vectors[place[here]]
                found |= here
        return found

    def _read(
        self, path: Path, wanted: NDArray[np.complex128]
    ) -> tuple[NDArray[np.complex128], NDArray[np.float32]] | None:
        """Coordinates [k] and features [k, d] of a file that has some of those that are wanted."""
        why = "it is damaged"
        try:
            status = path.lstat()
            count, rest = divmod(status.st_size - _PROOF, 16 + 4 * self._dimension)
            if stat.S_ISREG(status.st_mode) and count > 0 and rest == 0:  # no pipe is waited for
                with path.open("rb") as file:
                    proof, places = file.read(_PROOF), file.read(16 * count)
                    there = np.frombuffer(places, "<c16")
                    if not np.isin(there, wanted).any():
                        return None
                    vectors = file.read()
                if proof == self._proof(places, vectors):
                    return there, np.frombuffer(vectors, "<f4").reshape(count, -1)
        except FileNotFoundError:  # another process removed it
            return None
        except OSError as error:
            why = reason(error)
        log.warning("%s: embeddings are computed again (%s)", path, why)
        with contextlib.suppress(OSError):
            path.unlink()
        return None

    def _store(self, cell: str, at: NDArray[np.complex128], features: NDArray[np.float32]) -> bool:
        """Store features of points of a cell, where that is possible; whether it was."""
        if self._root is None:
            warn_once("there is no home folder to keep embeddings in: set GEOSPOT_CACHE")
            return False
        places, vectors = at.astype("<c16").tobytes(), features.astype("<f4").tobytes()
        folder = self._root / self._version
        path = folder / cell / f"{content_hash(places)}.f32"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary:
                temporary.write_bytes(self._proof(places, vectors) + places + vectors)
        except OSError as error:  # the run does not need the cache to go on
            warn_once(f"{folder}: embeddings are not cached ({reason(error)})")
            return False
        return True

    def _proof(self, places: bytes, vectors: bytes) -> bytes:
        return content_hash(self._version.encode() + b"\0" + places + vectors).encode()

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


def _cells(lat_lon: NDArray[np.float64]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Names of cells, and the positions of their points."""
    cells = np.floor(lat_lon / _CELL_DEGREES).astype(np.int64)
    order = np.lexsort(cells.T)
    edges = np.flatnonzero(np.diff(cells[order], axis=0).any(axis=1)) + 1
    for members in np.split(order, edges):
        lat, lon = cells[members[0]]
        yield f"{lat}_{lon}", np.sort(members)


def _batches(
    missing: list[tuple[str, NDArray[np.int64]]],
) -> Iterator[list[tuple[str, NDArray[np.int64]]]]:
    """Points of as many cells as make a batch worth encoding."""
    batch: list[tuple[str, NDArray[np.int64]]] = []
    for cell, few in missing:
        if batch and sum(len(own) for _, own in batch) + len(few) > MOST:
            yield batch
            batch = []
        batch.append((cell, few))
    if batch:
        yield batch
