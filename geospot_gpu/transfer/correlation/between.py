"""Which of several spaces predicts better: differences of correlations, and what they say."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import pandas as pd

from geospot_gpu.transfer.correlation.statistics import rank_rows
from geospot_gpu.transfer.correlation.verdict import Gain
from geospot_gpu.transfer.spaces import split

_COLUMNS = (
    *("space", "distance", "rho", "other_space", "other_distance", "other_rho"),
    *("difference", "lower", "upper", "best"),
)


def between_spaces(table: pd.DataFrame, gain: Gain) -> pd.DataFrame:
    """How far Spearman's correlation in one space is above that in another.

    Args:
        table: of :func:`~geospot_gpu.correlate`.
        gain: the difference of two distances, and its 95 % interval.

    Returns:
        One row for each distance that two spaces have, and for the best distances of the two, which
        are those under test with the largest correlation: ``space``, ``distance``, ``rho`` and the
        same of the ``other_``, ``difference`` (of the first over the other), its ``lower`` and
        ``upper`` end, and ``best``, whether both are the best of their spaces. There are no rows
        where there is one space.
    """
    rows = rank_rows(table)
    rho = rows[rows["reason"].isna()].set_index("distance")["value"]
    spaces: dict[str, dict[str, str]] = {}
    for name in rho.index:
        space, distance = split(name)
        if space is not None:
            spaces.setdefault(space, {})[distance] = name
    tested = set(rows.loc[rows["group"].isin(["transport", "own"]), "distance"])
    best = {
        space: max(tested & set(own.values()), key=lambda n: (float(rho[n]), n), default=None)
        for space, own in spaces.items()
    }
    found = [
        (*split(one), rho[one], *split(other), rho[other], *gain(one, other), is_best)
        for one, other, is_best in _compared(spaces, best)
    ]
    return pd.DataFrame(found, columns=list(_COLUMNS))


def _compared(
    spaces: dict[str, dict[str, str]], best: dict[str, str | None]
) -> Iterator[tuple[str, str, bool]]:
    """Names of matrices that are compared, and whether both are the best of their spaces."""
    for one, other in combinations(spaces, 2):
        tops = best[one], best[other]
        same = [(name, spaces[other].get(distance)) for distance, name in spaces[one].items()]
        for name, theirs in dict.fromkeys([tops, *same]):
            if name is not None and theirs is not None:
                yield name, theirs, (name, theirs) == tops


def sentences(between: pd.DataFrame) -> list[str]:
    """What the best distances of the spaces say, a sentence for every two spaces.

    >>> row = ("inputs", "coverage", 0.5, "place", "divergence", 0.38, 0.12, 0.03, 0.21, True)
    >>> sentences(pd.DataFrame([row], columns=_COLUMNS))
    ['inputs above place by +0.12 [+0.03, +0.21] (rho 0.50 of coverage, 0.38 of divergence)']
    """
    return [_sentence(*row[:9]) for row in between[between["best"]].itertuples(index=False)]


def _sentence(
    space: str, distance: str, rho: float, other: str, theirs: str, their_rho: float,
    difference: float, low: float, high: float,
) -> str:  # fmt: skip
    if high < 0.0:  # the better one is named first
        space, distance, rho, other, theirs, their_rho = (
            *(other, theirs, their_rho),
            *(space, distance, rho),
        )
        difference, low, high = -difference, -high, -low
    said = f"by {difference:+.2f} [{low:+.2f}, {high:+.2f}]"
    figures = f"(rho {rho:.2f} of {distance}, {their_rho:.2f} of {theirs})"
    if low > 0.0:
        return f"{space} above {other} {said} {figures}"
    return f"no difference can be seen between {space} and {other}: {said[3:]} {figures}"
