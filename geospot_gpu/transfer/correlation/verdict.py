"""What correlations say in words, and which distances they may say it of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from geospot_gpu.distances.column import Group

LEAST_TO_JUDGE = 8
LEVEL = 0.05
_SCATTERED = "; to choose samples all the same, select method=scatter is recommended"
"""What follows for the choice of samples where no distance is a guide."""


class Figures(NamedTuple):
    """Spearman's correlation of one distance of the family with the loss."""

    distance: str
    group: Group
    rho: float
    p_family: float
    lower: float = float("nan")
    upper: float = float("nan")


class Verdict(NamedTuple):
    """What the correlations say in words."""

    verdict: str
    """``predicts``, ``no evidence`` or ``not enough regions``."""
    distance: str | None
    """The distance under test, of transport or one's own, with the largest Spearman correlation; of
    those that predict, where any does."""
    text: str
    """A sentence."""
    baseline: str | None = None
    """The simple baseline with the largest Spearman correlation."""
    gain: tuple[float, float, float] | None = None
    """By how much the distance's correlation is above the baseline's, with the 95 % interval."""


Gain = Callable[[str, str], tuple[float, float, float]]


def best(figures: Sequence[Figures], *groups: Group) -> Figures | None:
    """The distance of these groups with the largest correlation; of equals the first by name."""
    some = [one for one in figures if one.group in groups]
    return min(some, key=lambda one: (-one.rho, one.distance), default=None)


def predicting(figures: Sequence[Figures], *groups: Group) -> Figures | None:
    """The best distance of these groups with which losses grow, family-wise at 5 %."""
    significant = [one for one in figures if one.rho > 0.0 and one.p_family <= LEVEL]
    return best(significant, *groups)


def decide(figures: Sequence[Figures], regions: int, gain: Gain) -> Verdict:
    """The verdict on a family of distances.

    Args:
        figures: of every distance in the family.
        regions: how many there are.
        gain: of a distance over a baseline: the difference of their correlations, and its interval.
    """
    found = predicting(figures, "transport", "own")
    # Where one predicts, it is what is spoken of: the largest correlation may be by chance.
    tested, simple = found or best(figures, "transport", "own"), best(figures, "baseline")
    name, baseline = tested and tested.distance, simple and simple.distance
    if tested is None:
        said = f"no distance under test varies and is known for all pairs, {regions} regions"
    else:
        said = f"{_said(tested)}, {regions} regions"
    if regions < LEAST_TO_JUDGE:
        text = (
            f"not enough regions: {regions}, and {LEAST_TO_JUDGE} are needed ({said}){_SCATTERED}"
        )
        return Verdict("not enough regions", name, text, baseline)
    more = gain(tested.distance, simple.distance) if tested and simple else None
    if found is not None:
        text = f"predicts: the farther, the worse the transfer ({said})"
        if simple is not None and more is not None:
            text += _compared(simple, more)
        return Verdict("predicts", name, text, baseline, more)
    text = f"no evidence that the distances under test predict transfer ({said})"
    alone = predicting(figures, "baseline")
    if alone is not None:
        text += f"; a simple baseline alone does ({_said(alone)})"
    text += _SCATTERED
    return Verdict("no evidence", name, text, baseline, more)


def _said(one: Figures) -> str:
    interval = f" [{one.lower:.2f}, {one.upper:.2f}]" if np.isfinite(one.lower) else ""
    return f"{one.distance}: rho {one.rho:.2f}{interval}, family-wise p {one.p_family:.3f}"


def _compared(simple: Figures, gain: tuple[float, float, float]) -> str:
    value, low, high = gain
    figures = f"{simple.distance}: rho {simple.rho:.2f}, difference {value:+.2f}"
    figures += f" [{low:+.2f}, {high:+.2f}]"
    if low > 0.0:
        return f", and better than the best simple baseline ({figures})"
    return f", but a simple baseline does as well ({figures})"
