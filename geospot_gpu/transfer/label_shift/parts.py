"""The loss of one model between two places, split by labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.transfer.scores.aggregate import Moved, influence_of, spread
from geospot_gpu.transfer.scores.values import Measure

Floats = NDArray[np.float64]


class Side(NamedTuple):
    """Samples of one place that a model was tested on."""

    value: Floats
    """How right or how wrong it was at each, [n]."""
    label: NDArray[np.int64]
    """Class, or bin of numbers, of each, counted from 0, [n]."""
    sample: NDArray[np.int64] | None = None
    """Which rows are of the same sample, [n]; each of its own if None."""
    seed: NDArray[np.int64] | None = None
    """Which rows are of the same seed, [n]; all of one if None."""


class Parts(NamedTuple):
    """A change of score, and what it is the sum of, with standard errors."""

    home: float
    away: float
    change: float
    change_error: float
    label: float
    """Due to the shares of labels."""
    label_error: float
    within: float
    """Due to how right the model is for each label."""
    within_error: float
    unshared: float
    """Mean share of labels that only one place has."""


def parts_of(home: Side, away: Side, measure: Measure) -> Parts:
    r"""What of a change of score is due to the shares of labels, and what to all else.

    With shares :math:`p_y` of labels and mean values :math:`r_y` among them, the change is

    .. math:: \sum_y q_y r'_y - p_y r_y
        = \sum_y (q_y - p_y) \frac{r_y + r'_y}{2} + \sum_y \frac{p_y + q_y}{2} (r'_y - r_y)

    exactly (Kitagawa 1955, Components of a difference between two rates; Oaxaca 1973 and Blinder
    1973 for means of regressions). A label that one place lacks has the mean of the other there, so
    that all it does is due to shares. A root of mean squares changes by the change of the mean over
    the sum of both roots, and so do its parts.

    Standard errors are those of the influence of each sample on both parts, which is what the
    jackknife approximates, clustered as scores are
    (:func:`~geospot_gpu.transfer.scores.aggregate.aggregate`).

    Args:
        home, away: where the change is from and to; at least one sample each.
        measure: ``mean``, or ``rmse`` of signed errors.

    >>> home = Side(np.array([1.0, 1.0, 1.0, 0.0]), np.array([0, 0, 0, 1]))
    >>> away = Side(np.array([1.0, 0.0, 0.0, 0.0]), np.array([0, 1, 1, 1]))
    >>> found = parts_of(home, away, "mean")
    >>> found.change, found.label, found.within
    (-0.5, -0.5, 0.0)
    """
    sides = (home, away)
    count = 1 + max(int(one.label.max()) for one in sides)
    value = [one.value if measure == "mean" else one.value**2 for one in sides]
    numbers = np.stack([np.bincount(one.label, minlength=count) for one in sides])
    sums = np.stack([np.bincount(one.label, x, count) for one, x in zip(sides, value, strict=True)])
    shares = numbers / numbers.sum(1, keepdims=True)
    there = numbers > 0
    means = sums / np.maximum(numbers, 1)
    means = np.where(there, means, means[::-1])
    apart, middle = shares[1] - shares[0], means.mean(0)
    gap, weight = means[1] - means[0], shares.mean(0)
    label, within = float(apart @ middle), float(weight @ gap)
    own = [influence_of(one.value, measure) for one in sides]
    total = own[0][1] + own[1][1]
    scale = 1.0 if measure == "mean" else 1.0 / total if total > 0.0 else 0.0
    moved: list[list[Moved]] = []
    for k, (sign, one) in enumerate(zip((-1.0, 1.0), sides, strict=True)):
        of, alone = one.label, ~there[1 - k][one.label]
        share = shares[k][of]
        away_from = value[k] - means[k][of]  # the other place takes this mean, too, where alone
        # shares move both parts; means move them by how much each class weighs
        by_share = [
            sign * (middle[of] - shares[k] @ middle),
            (gap[of] - shares[k] @ gap) / 2.0,
        ]
        by_mean = [
            apart[of] * np.where(alone, 1.0, 0.5) / share * away_from,
            np.where(alone, 0.0, sign * weight[of] / share) * away_from,
        ]
        rows = len(of)
        parts = [s + m for s, m in zip(by_share, by_mean, strict=True)]
        if measure == "rmse":
            root = scale * own[k][0]
            parts = [
                scale * x - part * scale * root
                for x, part in zip(parts, (label, within), strict=True)
            ]
        moved.append(
            [Moved(x / rows, one.sample, one.seed) for x in (parts[0], parts[1], sum(parts))]
        )
    errors = [spread(both) for both in zip(*moved, strict=True)]
    scores = own[0][1], own[1][1]
    return Parts(
        *scores, scores[1] - scores[0], errors[2], scale * label, errors[0],
        scale * within, errors[1],
        float(np.where(there.all(0), 0.0, shares).sum(1).mean()),
    )  # fmt: skip
