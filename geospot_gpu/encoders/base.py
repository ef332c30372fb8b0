"""The contract of an encoder."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.say import warn_once
from geospot_gpu.points.table import Points

log = logging.getLogger("geospot_gpu")

_SMALLEST, _LARGEST = 1e-37, 1e17
"""Entries of vectors that are not scaled to length one lie between."""


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

    taken: tuple[str, ...] | None = None
    """Columns that the encoder chose to make features of, once it has; None where it chose none."""

    @property
    def learned(self) -> object:
        """What it knows of the points it met first, as JSON, which a run keeps; None of nothing."""
        return None

    @property
    def learns(self) -> bool:
        """Whether the points it meets next are those it learns from, and its version has yet to."""
        return False

    def relearn(self, learned: object) -> None:  # noqa: B027, most learn nothing
        """Know what was :attr:`learned` before; what does not fit is left, as its version tells."""

    def fit(self, points: Points, rows: NDArray[np.int64]) -> None:  # noqa: B027, likewise
        """Learn from rows of a table [m] before any of them is encoded, unless it has learned."""

    @property
    def ids(self) -> tuple[str, ...]:
        """All columns of the table that features are aligned by, which hold text."""
        return () if self.id is None else (self.id,)

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

    def usable(self, points: Points, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the rows have features, [len(rows)]; all of them unless said otherwise."""
        return np.ones(len(checked_rows(points, rows)), bool)


class LazyEncoder(Encoder):
    """An encoder whose vectors are read when they are asked for."""

    @abstractmethod
    def open(self, points: Points, rows: NDArray[np.int64], device: str) -> Features: ...

    def encode(self, points: Points, rows: NDArray[np.int64], device: str) -> NDArray[np.float32]:
        rows = checked_rows(points, rows)
        return self.open(points, rows, device)[np.arange(len(rows))]


def checked_rows(points: object, rows: object) -> NDArray[np.int64]:
    """The rows, where they are rows of points.

    Raises:
        GeospotError: they are not, or the points are none.
    """
    table: Points = checks.instance(points, Points, "points", "as read_points gives them")
    return checks.positions(rows, len(table), "rows")


def checked_places(encoder: Encoder, points: object, rows: object) -> NDArray[np.int64]:
    """The rows, where they are rows of points that have the coordinates that an encoder reads.

    Raises:
        GeospotError: they are not, or the points are none, or have no coordinates.
    """
    found = checked_rows(points, rows)
    assert isinstance(points, Points)
    points.check_located(
        f"encoder {encoder.version}", "use features of your own, encoder=precomputed"
    )
    return found


def usable_rows(encoder: Encoder, points: Points, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows that the encoder has features for, where invalid points are dropped; else all.

    What is left out is said.

    Raises:
        GeospotError: the encoder reads coordinates, and the points have none.
    """
    if encoder.reads_coordinates:
        checked_places(encoder, points, rows)
    if points.invalid == "error":
        return rows
    usable = encoder.usable(points, rows)
    lost = points.attributes.index[rows[~usable]]
    if len(lost):
        log.warning(
            "%s: dropped %d points without usable features: rows %s%s",
            *(points.origin, len(lost), ", ".join(map(str, lost[:5])), ", ..." * (len(lost) > 5)),
        )
    return rows[usable]


def unit_rows(features: NDArray[np.floating], place: Callable[[int], str]) -> NDArray[np.float32]:
    """Rows [n, d] scaled to length one, whatever their lengths are.

    Args:
        features: the vectors.
        place: says where the vector at a position comes from, for messages.

    Raises:
        GeospotError: a row is not finite or has length zero.

    >>> unit_rows(np.array([[3e300, 4e300], [3e-310, 4e-310]]), str).round(6).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.6000000238418579, 0.800000011920929]]
    """
    exact = _finite(features, place)
    if exact.shape[1] == 1:
        warn_once(
            "points have one feature, of which the cosine cost sees the sign alone: set "
            "encoder.normalize=false and cost=sqeuclidean"
        )
    largest = np.abs(exact).max(axis=1, initial=0.0)
    if (largest == 0).any():
        raise GeospotError(
            f"{place(int(np.argmin(largest)))}: feature vector of length zero: it has no direction "
            "for the cosine cost; remove the point, or set encoder.normalize=false and another cost"
        )
    # Scaling by powers of two is exact, so that vectors of usual lengths keep all their bits.
    scaled = np.ldexp(exact, -np.frexp(largest)[1][:, None])
    unit: NDArray[np.float32] = (scaled / np.linalg.norm(scaled, axis=1, keepdims=True)).astype(
        np.float32
    )
    return unit


def single_rows(features: NDArray[np.floating], place: Callable[[int], str]) -> NDArray[np.float32]:
    """Rows [n, d] in float32, as they are.

    Args:
        features: the vectors.
        place: says where the vector at a position comes from, for messages.

    Raises:
        GeospotError: a row is not finite, or too large or small for float32 and its squares.
    """
    exact = _finite(features, place)
    largest = np.abs(exact).max(axis=1, initial=0.0)
    unfit = ~_fits(largest)
    if unfit.any():
        k = int(np.argmax(unfit))
        raise GeospotError(
            f"{place(k)}: feature vector with entries up to {largest[k]:.3g}, whose squares float32"
            " cannot hold: scale the features, or set encoder.normalize=true"
        )
    return exact.astype(np.float32)


def is_usable(features: NDArray[np.floating], unit: bool) -> NDArray[np.bool_]:
    """Which rows [n, d] have what :func:`unit_rows` or :func:`single_rows` needs, [n]."""
    largest = np.abs(features.astype(np.float64)).max(axis=1, initial=0.0)
    fits = (largest > 0) if unit else _fits(largest)
    usable: NDArray[np.bool_] = np.isfinite(largest) & fits
    return usable


def _fits(largest: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where sums of squares of entries up to ``largest`` neither overflow float32 nor vanish."""
    fits: NDArray[np.bool_] = (largest == 0) | ((largest > _SMALLEST) & (largest < _LARGEST))
    return fits


def _finite(features: NDArray[np.floating], place: Callable[[int], str]) -> NDArray[np.float64]:
    """The vectors [n, d] in float64; raises where one has a missing or infinite entry."""
    exact = features.astype(np.float64)
    bad = ~np.isfinite(exact).all(axis=1)
    if bad.any():
        raise GeospotError(
            f"{place(int(np.argmax(bad)))}: feature vector with an entry that is missing, infinite "
            "or not a number: mend it, remove the point, or drop such points with "
            "points.invalid=drop"
        )
    return exact
