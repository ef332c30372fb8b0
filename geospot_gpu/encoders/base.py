"""The contract of an encoder."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError
from geospot_gpu.points.table import Points


class Encoder(ABC):
    """Turns points into feature vectors.

    What an encoder wants its coordinates to be (order, units, precision) is its own business;
    it is always given :class:`~geospot_gpu.points.table.Points`.
    """

    reads_coordinates: bool
    """True where features are a function of the coordinates alone. Regions are then identified by
    their coordinates and the encoder's version; otherwise by their feature vectors too."""

    unit_length: bool = True
    """Whether the vectors it returns have length one, as the cosine cost needs."""

    @property
    @abstractmethod
    def version(self) -> str:
        """What the features depend on besides the points: name and version of the encoder."""

    @abstractmethod
    def encode(
        self, points: Points, rows: NDArray[np.int64], device: str
    ) -> NDArray[np.float32] | None:
        """Feature vectors [len(rows), d] of the given rows; None where there are none."""


def unit_rows(features: NDArray[np.floating], what: str) -> NDArray[np.float32]:
    """Rows [n, d] scaled to length one.

    Raises:
        GeospotError: a row is not finite or has length zero.
    """
    check_finite(features, what)
    length = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    if (length == 0).any():
        row = int(np.flatnonzero(length[:, 0] == 0)[0]) + 1
        raise GeospotError(
            f"{what}: feature vector of length zero in row {row}: it has no direction for the "
            "cosine cost; remove the point"
        )
    return (features / length).astype(np.float32)


def check_finite(features: NDArray[np.floating], what: str) -> None:
    """Raise where a feature vector has a missing or infinite entry."""
    bad = ~np.isfinite(features).all(axis=1)
    if bad.any():
        row = int(np.flatnonzero(bad)[0]) + 1
        raise GeospotError(f"{what}: feature vector in row {row} is not finite: mend or remove it")
