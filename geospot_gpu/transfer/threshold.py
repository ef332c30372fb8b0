"""On which side of a threshold scores lie, as far as their intervals say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.transfer.scores.scores import Kind

SIDE = "threshold_side"
"""The column of tables."""
ABOVE, BELOW, UNCLEAR = "above", "below", "unclear"


def checked_threshold(value: object, kind: Kind, limits: tuple[float, float]) -> float | None:
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
    return found


def sides(lower: ArrayLike, upper: ArrayLike, threshold: float) -> NDArray[np.object_]:
    """``above`` or ``below`` where an interval excludes the threshold, else ``unclear``, [n].

    Args:
        lower, upper: ends of intervals, NaN where nothing is known, [n].
        threshold: the score that matters.

    >>> sides([0.71, 0.2, 0.7], [0.9, 0.69, 0.8], 0.7).tolist()
    ['above', 'below', 'unclear']
    """
    above, below = np.asarray(lower) > threshold, np.asarray(upper) < threshold
    return np.select([above, below], [ABOVE, BELOW], UNCLEAR).astype(object)


def with_sides(table: pd.DataFrame, threshold: float | None) -> pd.DataFrame:
    """A table with ``lower`` and ``upper``, and with the sides where there is a threshold."""
    if threshold is None:
        return table
    return table.assign(**{SIDE: sides(table["lower"], table["upper"], threshold)})


def side_counts(table: pd.DataFrame, threshold: float | None) -> dict[str, Any]:
    """The threshold and how many rows lie on each side, for a summary; nothing without one."""
    if threshold is None:
        return {}
    count = table[SIDE].value_counts()
    found = {side: int(count.get(side, 0)) for side in (ABOVE, BELOW, UNCLEAR)}
    return {"score_threshold": {"threshold": threshold} | found}


def side_clause(table: pd.DataFrame, threshold: float | None) -> str:
    """The same as a clause that ends a sentence."""
    if threshold is None:
        return ""
    found = side_counts(table, threshold)["score_threshold"]
    return (
        f"; by their 90 % intervals {found[ABOVE]} are likely above {threshold:g}, "
        f"{found[BELOW]} likely below, and of {found[UNCLEAR]} it cannot be said"
    )
