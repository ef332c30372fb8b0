"""The contract of an encoder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError
from geospot_gpu.points.table import Points


class Features(Protocol):
    """Feature vectors of many points, read when they are asked for; an array is one, too."""

    def __getitem__(self, index: NDArray[np.int64], /) -> NDArray[np.float32]:
        """Vectors [k, d] of the points at ``index`` [k]."""


class Encoder(ABC):
    """Turns points into feature vectors.

    What an encoder wants its coordinates to be (order, units, precision) is its own business;
    it is always given :class:`~geospot_gpu.points.table.Points`.
    """

    reads_coordinates: bool
    """True where features are a function of the coordinates alone. Regions are then identified by
    their coordinates and the encoder's version; otherwise by their feature vectors too."""

    id: str | None = None
    """Column of the table that the encoder aligns features by, where it does."""

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
        """Feature vectors [len(rows), d] of the given rows; None where there are none.

        Args:
            points: the table of points.
            rows: positions in it [len(rows)].
            device: where a model should run, as in ``cpu`` or ``cuda:1``.
        """

    def open(self, points: Points, rows: NDArray[np.int64], device: str) -> Features | None:
        """The same vectors, for encoders that need not hold all of them in memory at once."""
        return self.encode(points, rows, device)


def unit_rows(features: NDArray[np.floating], place: Callable[[int], str]) -> NDArray[np.float32]:
    """Rows [n, d] scaled to length one.

    Args:
        features: the vectors.
        place: says where the vector at a position comes from, for messages.

    Raises:
        GeospotError: a row is not finite or has length zero.
    """
    check_finite(features, place)
    length = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    if (length == 0).any():
        raise GeospotError(
            f"{place(int(np.argmin(length)))}: feature vector of length zero: it has no direction "
            "for the cosine cost; remove the point, or set encoder.normalize=false and another cost"
        )
    unit: NDArray[np.float32] = (features / length).astype(np.float32)
    return unit


def check_finite(features: NDArray[np.floating], place: Callable[[int], str]) -> None:
    """Raise where a vector [n, d] has a missing or infinite entry; ``place`` says where it is."""
    bad = ~np.isfinite(features).all(axis=1)
    if bad.any():
        raise GeospotError(
            f"{place(int(np.argmax(bad)))}: feature vector with an entry that is missing, infinite "
            "or not a number: mend it or remove the point"
        )
