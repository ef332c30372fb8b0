"""Means and deviations of features: what gives columns in units of their own the same weight."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.encoders.columns import in_a_row
from geospot_gpu.errors import GeospotError
from geospot_gpu.names import name_key

log = logging.getLogger("geospot_gpu")

UNLIKE = 10.0
"""Ratio between the deviations of two columns beyond which a warning says that one decides."""


class Scaling(NamedTuple):
    """Features of a run less their means over their standard deviations.

    Every usable point counts once, whatever its weight. A feature that is the same in all of them
    is left out: it is 0 wherever it is asked for.
    """

    columns: tuple[str, ...] | None
    """Names of the features, where they have some, [d]."""
    mean: NDArray[np.float64]
    """In units of each feature, [d]."""
    deviation: NDArray[np.float64]
    """Likewise, [d]; 0 where the feature is the same in all points."""

    @classmethod
    def of(
        cls, pieces: Iterable[NDArray[np.floating]], columns: Sequence[str] | None, origin: str
    ) -> Self | None:
        """That of points; what is constant is said.

        Args:
            pieces: their features, a few rows at a time, [k, d]. Rows that are not finite do not
                count.
            columns: names of the features.
            origin: where they are from, for messages.

        Returns:
            None where no row is finite.

        Raises:
            GeospotError: no feature varies, or squares of one are too large for float64.
        """
        found = _moments(pieces)
        if found is None:
            return None
        mean, deviation = found
        if not np.isfinite(deviation).all():
            raise GeospotError(
                f"{origin}: features are too large to be standardised: scale them, or leave out "
                "encoder.standardize"
            )
        constant = np.flatnonzero(deviation == 0)
        if len(constant) == len(deviation):
            raise GeospotError(
                f"{origin}: features are the same for all points, so that nothing is left of them "
                "by encoder.standardize=true: name others in encoder.columns"
            )
        if len(constant):
            many = columns is not None and len(columns) == len(deviation)
            named = (
                ""
                if not many or columns is None
                else f": {in_a_row([columns[int(k)] for k in constant])}"
            )
            log.warning(
                "%s: left out %d of %d features that are the same for all points%s",
                *(origin, len(constant), len(deviation), named),
            )
        return cls(None if columns is None else tuple(columns), mean, deviation)

    @classmethod
    def of_kept(cls, kept: object) -> Self | None:
        """The one that :meth:`kept` gave, or None where that is none of a scaling."""
        try:
            found: dict[str, Any] = dict(kept)  # type: ignore[call-overload]
            names, (mean, deviation) = (
                found["columns"],
                (np.array(found[key], np.float64) for key in ("mean", "deviation")),
            )
            columns = None if names is None else tuple(map(str, names))
        except (KeyError, TypeError, ValueError):
            return None
        fits = mean.ndim == 1 and mean.shape == deviation.shape
        return cls(columns, mean, deviation) if fits else None

    @property
    def kept(self) -> dict[str, Any]:
        """All of it as JSON has it, from which :meth:`of_kept` makes it again to the last bit."""
        return {
            "columns": None if self.columns is None else list(self.columns),
            "mean": self.mean.tolist(),
            "deviation": self.deviation.tolist(),
        }

    @property
    def digest(self) -> str:
        """A hash of all of it, 12 hexadecimal digits."""
        content = json.dumps(self.kept, sort_keys=True).encode()
        return hashlib.blake2b(content, digest_size=6).hexdigest()

    def check(self, columns: Sequence[str] | None, dimension: int, origin: str) -> None:
        """Raise where features are not those that the scaling is of, in their order.

        Raises:
            GeospotError: they are not.
        """
        same = dimension == len(self.mean)
        if same and columns is not None and self.columns is not None:
            same = _compared(columns) == _compared(self.columns)
        if not same:
            raise GeospotError(
                f"{origin}: features are {_named(columns, dimension)}, and means and deviations of "
                f"the run are of {_named(self.columns, len(self.mean))}: give the same in the same "
                "order, or sweep in a new folder"
            )

    def __call__(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Features [k, d] less means over deviations; what is not finite stays so.

        >>> found = Scaling.of([np.array([[1.0, 5.0], [3.0, 5.0]])], None, "table")
        >>> found(np.array([[4.0, 9.0], [2.0, np.nan]])).tolist()
        [[2.0, 0.0], [0.0, nan]]
        """
        varies = self.deviation > 0
        share = np.divide(1.0, self.deviation, out=np.zeros_like(self.mean), where=varies)
        with np.errstate(invalid="ignore", over="ignore"):
            scaled: NDArray[np.float64] = (features.astype(np.float64) - self.mean) * share
        return scaled


def warn_of_scales(pieces: Iterable[NDArray[np.floating]]) -> None:
    """Say where some columns vary so much more than others that these hardly count."""
    found = _moments(pieces)
    if found is None:
        return
    varying = found[1][found[1] > 0]
    if len(varying) and (factor := varying.max() / varying.min()) > UNLIKE:
        log.warning(
            "columns differ in scale by a factor of %s: encoder.standardize=true gives them the "
            "same weight",
            f"{factor:,.0f}" if factor < 1e6 else f"{factor:.0e}",
        )


def _moments(
    pieces: Iterable[NDArray[np.floating]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Means and deviations [d] of all finite rows, 0 where rounding alone varies; None of none."""
    from sklearn.preprocessing import StandardScaler

    scaler, seen = StandardScaler(), False
    for piece in pieces:
        exact = piece.astype(np.float64)
        exact = exact[np.isfinite(exact).all(axis=1)]
        if len(exact):
            seen = True
            with np.errstate(over="ignore", invalid="ignore"):
                scaler.partial_fit(exact)
    if not seen:
        return None
    deviation = np.sqrt(scaler.var_)
    constant = (scaler.scale_ != deviation) & np.isfinite(deviation)  # it divides those by 1
    return scaler.mean_, np.where(constant, 0.0, deviation)


def _compared(columns: Sequence[str]) -> list[str]:
    return [name_key(name).casefold() for name in columns]


def _named(columns: Sequence[str] | None, dimension: int) -> str:
    return f"{dimension} in number" if columns is None else in_a_row(columns)
