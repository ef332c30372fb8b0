"""How far the score of a few labels lies from that of all."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.transfer.scores.scores import Kind

Array = NDArray[np.float64]

OF_NORMAL = 0.5
"""The factor of the root mean square of normal errors."""


class Noise(NamedTuple):
    """Variance of the score of a single label, as a function of the score of all.

    Five right of five do not say that all are: the variance is not that of the labels at hand, but
    follows the level, by a factor that all regions share (empirical Bayes: Efron & Morris 1973,
    Stein's estimation rule and its competitors).

    Attributes:
        kind: of the scores: of accuracies the variance is ``factor * level * (1 - level)``, of
            errors ``factor * level^2``, of skills ``factor``.
        factor: 1 for what is right or wrong; 1/2 for the root mean square of normal errors.
    """

    kind: Kind
    factor: float

    def variance(self, level: Array) -> Array:
        """Of one label where all together have this score, of any shape."""
        return self.factor * unit_variance(self.kind, level)

    def draw(self, level: Array, count: Array, normal: Array) -> Array:
        """The score that so many labels have by chance.

        Of accuracies it is binomial, of errors gamma, of skills normal, with that variance.

        Args:
            level: of all labels together.
            count: how many labels, at least 1; no whole number where it follows from an error.
            normal: quantiles of the standard normal distribution that say which score.
        """
        from scipy import special, stats

        if self.kind == "skill":
            return np.asarray(level + normal * np.sqrt(self.factor / count))
        u = np.clip(special.ndtr(normal), 1e-12, 1.0 - 1e-12)
        if self.kind == "accuracy":
            n = np.maximum(np.round(count / max(self.factor, 1e-12)), 1.0)
            return np.asarray(stats.binom.ppf(u, n, np.clip(level, 0.0, 1.0)) / n)
        shape = count / max(self.factor, 1e-12)
        return np.asarray(level * special.gammaincinv(shape, u) / shape)


def unit_variance(kind: Kind, level: Array) -> Array:
    """Variance of one label with the factor 1.

    >>> unit_variance("accuracy", np.array([0.5, 1.0])).tolist()
    [0.25, 0.0]
    """
    if kind == "accuracy":
        inside = np.clip(level, 0.0, 1.0)
        return inside * (1.0 - inside)
    return level**2 if kind == "error" else np.ones_like(level)


def pooled(kind: Kind, score: Array, std_error: Array, count: Array) -> float | None:
    """The factor that scores with standard errors share; None where none has one.

    Args:
        kind: of the scores.
        score: of several labels each, [K].
        std_error: of each, NaN where it is not known, [K].
        count: how many labels, NaN where that is not known, [K].

    >>> score, count = np.array([0.5, 0.9]), np.array([100.0, 25.0])
    >>> round(pooled("accuracy", score, np.sqrt(score * (1 - score) / (count - 1)), count), 6)
    1.0
    """
    unit = unit_variance(kind, score)
    known = np.isfinite(std_error) & (count > 1.0) & (unit > 0.0)
    if not known.any():
        return None
    # Each counts as often as it has labels to tell a variance from. What few labels show is taken
    # for what all would: of n, score (1 - score) is too small by std_error^2 on average; and the
    # squares of n errors, of which the score is the root of the mean, are seen in their variance.
    weight, unit = count[known] - 1.0, unit[known]
    error = std_error[known] ** 2
    of_one = error * count[known]
    if kind == "accuracy":
        return float((weight @ of_one) / (weight @ (unit + error)))
    if kind == "error":
        below = float(weight @ (unit**2 - 4.0 * of_one * unit / count[known]))
        return float((weight @ (of_one * unit)) / below) if below > 0.0 else OF_NORMAL
    return float((weight @ of_one) / weight.sum())
