"""On which side of a threshold scores lie, as far as their intervals say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.transfer.scores.scores import Kind

SIDE = "threshold_side"
"""The column of tables."""
ABOVE, BELOW, UNCLEAR = "above", "below", "unclear"


@dataclass(frozen=True)
class Threshold:
    """A score that matters.

    Attributes:
        value: the score.
        kind: ``accuracy``, ``error`` or ``skill``.
    """

    value: float
    kind: Kind

    @classmethod
    def of(cls, value: object, kind: Kind, limits: tuple[float, float]) -> Threshold | None:
        """The threshold that is asked for, None where none is.

        Args:
            value: of the score.
            kind: of scores.
            limits: between which they lie.

        Raises:
            GeospotError: it is no number, or no score of the kind.
        """
        if value is None:
            return None
        found, (low, high) = checks.number(value, "threshold"), limits
        if not (np.isfinite(found) and low <= found <= high):
            raise GeospotError(
                f"threshold={found:g} is no score of scores.kind={kind}"
                f"{'' if np.isinf(low) else f', from {low:g} to {high:g}'}: give one that is"
            )
        return cls(found, kind)

    @property
    def worse(self) -> str:
        """The side of bad scores."""
        return ABOVE if self.kind == "error" else BELOW

    def side(self, lower: ArrayLike, upper: ArrayLike) -> NDArray[np.object_]:
        """``above`` or ``below`` where an interval excludes the threshold, else ``unclear``, [n].

        Args:
            lower, upper: ends of intervals, NaN where nothing is known, [n].

        >>> Threshold(0.7, "accuracy").side([0.71, 0.2, 0.7], [0.9, 0.69, 0.8]).tolist()
        ['above', 'below', 'unclear']
        """
        above, below = np.asarray(lower) > self.value, np.asarray(upper) < self.value
        return np.select([above, below], [ABOVE, BELOW], UNCLEAR).astype(object)

    def summary(self, table: pd.DataFrame) -> dict[str, Any]:
        """The threshold, and how many rows lie on each side."""
        count = table[SIDE].value_counts()
        sides = {side: int(count.get(side, 0)) for side in (ABOVE, BELOW, UNCLEAR)}
        return {"threshold": self.value} | sides

    def text(self, table: pd.DataFrame) -> str:
        """The same as a clause."""
        found = self.summary(table)
        return (
            f"by their 90 % intervals {found[ABOVE]} are likely above {self.value:g}, "
            f"{found[BELOW]} likely below, and of {found[UNCLEAR]} it cannot be said"
        )


def with_sides(table: pd.DataFrame, threshold: Threshold | None) -> pd.DataFrame:
    """A table with ``lower`` and ``upper``, and with the sides where there is a threshold."""
    if threshold is None:
        return table
    return table.assign(**{SIDE: threshold.side(table["lower"], table["upper"])})
