"""Predictions of scores and the scores of a few labels, combined by their precision."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.transfer.predictor.few.left_out import LeftOut
from geospot_gpu.transfer.predictor.few.noise import Noise
from geospot_gpu.transfer.predictor.intervals import Tails, tails

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

TRUSTS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Factors of the variance of predictions that are tried."""
DRAWS = 8
"""How often labels are drawn of each pair that was left out."""
_FOLDS = 5
"""Groups of targets, of which each is tried with what the others choose."""
_PER_STEP = 8
"""Numbers of labels that share a calibration, in every doubling of them."""


class Worth(NamedTuple):
    """What so many labels are worth, tried on targets that were left out.

    Errors and intervals are those of targets that took no part in choosing ``trust`` and ``tails``.

    Attributes:
        trust: factor of the variance of predictions that left the smallest error on all targets.
        tails: of intervals, in spreads, calibrated on all targets.
        error: mean absolute error.
        without: that of predictions alone.
        covered: share of the scores inside their interval.
        worst_target: the smallest such share of a target.
        width: mean width of the intervals.
    """

    trust: float
    tails: Tails
    error: float
    without: float
    covered: float
    worst_target: float
    width: float


class Together(NamedTuple):
    """What predictions and labels say together, [M] each.

    Attributes:
        predicted: mean of both, weighed by precision.
        lower, upper: interval that contains nine of ten scores.
        std_error: of the score of the labels, by what is expected of it.
    """

    predicted: Array
    lower: Array
    upper: Array
    std_error: Array


class FewLabels:
    r"""Combine predictions with the scores of a few labels.

    A score :math:`y` is predicted as :math:`p` with the variance :math:`\sigma_p^2`, that of scores
    of left-out targets from their predictions, and k labels show :math:`s` with the variance
    :math:`\sigma_k^2 = E[v(y)] / k`, where v is the variance of one label
    (:class:`~geospot_gpu.transfer.predictor.few.noise.Noise`) and the mean is over what y may be.
    Together they say :math:`w p + (1 - w) s` with
    :math:`w = \sigma_k^2 / (\sigma_k^2 + t \sigma_p^2)`, the best linear prediction where t = 1
    (Bühlmann 1967, Experience rating and credibility). t is what serves targets that were left out,
    for absolute errors and long tails.

    Labels of left-out targets are drawn anew from their scores and combined in the same way. What
    is left of the errors, over their spread, is calibrated by target as that of predictions is
    (:func:`~geospot_gpu.transfer.predictor.intervals.tails`); the same draws say beforehand what
    labels will be worth. A score that itself rests on few samples is drawn with the variance of
    both, as if measured again.

    Args:
        known: pairs that were left out.
        noise: of labels.
        seed: of the draws.
    """

    def __init__(self, known: LeftOut, noise: Noise, *, seed: int = 0) -> None:
        self._known, self._noise = known, noise
        generator = np.random.default_rng(seed)
        self._normal = generator.normal(size=(DRAWS, len(known.score)))
        count = int(known.target.max()) + 1
        self._fold = generator.permutation(count) % min(_FOLDS, count)
        self._worth: dict[int, Worth] = {}

    @property
    def limits(self) -> tuple[float, float]:
        """Between which scores lie."""
        return self._known.limits

    def worth(self, count: float) -> Worth:
        """What so many labels of each target are worth."""
        step = round(_PER_STEP * np.log2(max(count, 1.0)))
        if step not in self._worth:
            self._worth[step] = self._tried(2.0 ** (step / _PER_STEP))
        return self._worth[step]

    def together(self, predicted: Array, scale: Array, shown: Array, count: Array) -> Together:
        """Predictions of pairs and the scores of their labels, combined.

        Args:
            predicted: [M].
            scale: of the errors of predictions, as those that were left out have it, [M].
            shown: score of the labels, [M].
            count: how many labels, [M].
        """
        worths = [self.worth(float(one)) for one in count]
        variance = self.variance(predicted, scale) / count
        trust = np.array([one.trust for one in worths])
        said, spread = self._combined(predicted, scale, shown, variance, trust)
        below, above = (np.array([one.tails[end] for one in worths]) for end in range(2))
        lower, upper = (np.clip(said + end * spread, *self._known.limits) for end in (below, above))
        return Together(said, lower, upper, np.sqrt(variance))

    def widths(self, predicted: Array, scale: Array, count: float) -> Array:
        """Expected widths of the intervals once there are so many labels, [M]."""
        ones = np.ones(len(predicted))
        possible = self._known.possible(predicted, scale)
        found = np.zeros(len(predicted))
        generator = np.random.default_rng(0)
        for score in possible.T:
            shown = self._noise.draw(score, count * ones, generator.normal(size=len(score)))
            ends = self.together(predicted, scale, shown, count * ones)
            found += ends.upper - ends.lower
        mean: Array = found / possible.shape[1]
        return mean

    def variance(self, predicted: Array, scale: Array) -> Array:
        """Expected variance of one label, [M]."""
        return np.asarray(self._noise.variance(self._known.possible(predicted, scale)).mean(1))

    def _combined(
        self, predicted: Array, scale: Array, shown: Array, variance: Array, trust: Array | float
    ) -> tuple[Array, Array]:
        """Mean and spread of both together."""
        prior = trust * (self._known.unit * scale) ** 2
        total = prior + variance
        share = np.divide(variance, total, out=np.full_like(variance, 0.5), where=total > 0.0)
        said = np.clip(share * predicted + (1.0 - share) * shown, *self._known.limits)
        return said, np.sqrt(share * prior)

    def _tried(self, count: float) -> Worth:
        known = self._known
        variance = self.variance(known.predicted, known.scale) / count
        own = self._noise.variance(known.score)
        # The variance of k labels and that of the score, as one number of labels.
        total = own / count + known.variance
        seen = np.divide(own, total, out=np.full_like(own, count), where=total > 0.0)
        # All draws, one after the other, [DRAWS * K].
        shown = np.concatenate([self._noise.draw(known.score, seen, z) for z in self._normal])
        predicted, scale, variance, score = (
            np.tile(one, DRAWS) for one in (known.predicted, known.scale, variance, known.score)
        )
        target = np.tile(known.target, DRAWS)
        tried = [self._combined(predicted, scale, shown, variance, trust) for trust in TRUSTS]
        said, spread = (np.array(side) for side in zip(*tried, strict=True))  # by trust
        share = np.tile(1.0 / np.bincount(known.target)[known.target], DRAWS)

        def choose(some: Mask) -> tuple[int, Tails]:
            errors = np.abs(score - said)[:, some] @ share[some]
            best = int(np.argmin(errors))
            away, width = (score - said[best])[some], spread[best, some]
            scaled = np.divide(away, width, out=np.zeros_like(away), where=width > 0.0)
            return best, tails(scaled, target[some])

        error, lower, upper = np.zeros((3, len(score)))
        fold = self._fold[target]
        for one in np.unique(fold):
            test = fold == one
            best, ends = choose(~test)
            middle, width = said[best, test], spread[best, test]
            error[test] = np.abs(score[test] - middle)
            lower[test], upper[test] = (
                np.clip(middle + end * width, *known.limits) for end in ends
            )
        inside = (lower <= score) & (score <= upper)
        best, ends = choose(np.ones(len(score), bool))
        return Worth(
            TRUSTS[best],
            ends,
            float(np.average(error, weights=share)),
            float(np.average(np.abs(score - predicted), weights=share)),
            float(np.average(inside, weights=share)),
            float(pd.Series(inside).groupby(target).mean().min()),
            float(np.average(upper - lower, weights=share)),
        )
