"""Where every point of a table went: into a region, or why not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

_REASONS = {
    "invalid": "dropped as invalid",
    "unusable_features": "without usable features",
    "without_region": "without a region",
    "unlabelled": "without a label",
    "excluded": "in regions excluded or not included",
    "too_small": "in regions smaller than regions.min_points",
    "beyond_max_points": "beyond regions.max_points",
    "merged": "merged as duplicates",
}
"""Why a point that was given is no point of a region, in the order in which it is found out."""


def union_of(rows: Iterable[NDArray[np.int64]]) -> NDArray[np.int64]:
    """All rows that occur, each once."""
    return np.unique(np.concatenate([np.zeros(0, np.int64), *rows]))


def check_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts, every point of which went somewhere.

    Args:
        counts: ``given``, ``used`` and any of the reasons; a point in several regions is counted
            once, as used if it is in any.

    Raises:
        AssertionError: they do not add up, which is a mistake in this package.
    """
    lost = counts["given"] - counts["used"] - sum(counts.get(reason, 0) for reason in _REASONS)
    if lost:
        raise AssertionError(f"{lost} points are not accounted for: {dict(counts)}")
    return {"given": counts["given"]} | {
        name: counts.get(name, 0) for name in [*_REASONS, "used"]
    }  # fmt: skip


def describe_counts(counts: Mapping[str, int], origin: str, by: str = "column") -> str:
    """One line that accounts for every point.

    Args:
        counts: what :func:`check_counts` returned.
        origin: the table.
        by: how points were grouped, ``polygons`` or otherwise.

    >>> describe_counts({"given": 9, "without_region": 2, "used": 7}, "t.csv", "polygons")
    't.csv: 9 points = 7 used + 2 in no polygon'
    """
    said = _REASONS | ({"without_region": "in no polygon"} if by == "polygons" else {})
    parts = [f"{counts[name]:,} {said[name]}" for name in reversed(said) if counts.get(name)]
    used = f"{counts['used']:,} used"
    return f"{origin}: {counts['given']:,} points = {' + '.join([used, *parts])}"
