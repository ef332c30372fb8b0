"""What score to expect at an index: monotone, and only where that was tested."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError
from geospot_gpu.transfer.predictor.intervals import COVERED
from geospot_gpu.transfer.scores.values import Measure

Array = NDArray[np.float64]


class Profile:
    """The score to expect, as it never gets better with the dissimilarity index.

    The relation of the values of single test samples with their index is fitted by isotonic
    regression, as the error profiles of CAST (Meyer et al., errorProfiles) are by other means.
    Beyond the largest index that was tested nothing is known; below the smallest, the score is at
    least that of the smallest.

    Args:
        index: of the test samples, [n].
        value: of them, [n].
        measure: ``mean``, or ``rmse``, of whose squared errors the relation then is.
        worse_up: whether larger values are worse.
    """

    def __init__(self, index: Array, value: Array, measure: Measure, *, worse_up: bool) -> None:
        from sklearn.isotonic import IsotonicRegression

        if len(np.unique(index)) < 2:
            raise GeospotError(
                "all test samples are equally dissimilar to the training points: no relation of "
                "scores with dissimilarity can be seen"
            )
        self._rmse = measure == "rmse"
        self.range = float(index.min()), float(index.max())
        self._fit = IsotonicRegression(increasing=worse_up, out_of_bounds="clip")
        self._fit.fit(index, value**2 if self._rmse else value)

    def at(self, index: Array) -> Array:
        """The expected score at an index, NaN beyond what was tested, [m]."""
        found = self._fit.predict(index)
        return np.where(index > self.range[1], np.nan, np.sqrt(found) if self._rmse else found)

    def over(self, index: Array) -> float:
        """The expected score of samples with these indices together, those beyond at the edge."""
        found = float(self._fit.predict(index).mean())
        return float(np.sqrt(found)) if self._rmse else found


class LeftOut(NamedTuple):
    """Groups of test samples, each expected by a profile of all others, [G]."""

    score: Array
    expected: Array

    @property
    def residual(self) -> Array:
        return self.score - self.expected

    @property
    def interval(self) -> tuple[float, float]:
        """What an interval adds to an expected score: quantiles of the residuals (conformal)."""
        return quantiles(self.residual)

    @property
    def covered(self) -> float:
        """Share of groups inside the interval that the residuals of the others make."""
        if len(self.score) < 3:
            return float("nan")
        inside = []
        for k, own in enumerate(self.residual):
            low, high = quantiles(np.delete(self.residual, k))
            inside.append(low <= own <= high)
        return float(np.mean(inside))


def left_out(
    index: Array, value: Array, measure: Measure, group: NDArray[np.int64], *, worse_up: bool
) -> LeftOut:
    """Groups, each expected by a profile of the samples of all others.

    Args:
        index, value, measure, worse_up: as for :class:`Profile`.
        group: of each sample, 0 to G - 1, [n].
    """
    score, expected = [], []
    for one in range(int(group.max()) + 1):
        own = group == one
        profile = Profile(index[~own], value[~own], measure, worse_up=worse_up)
        expected.append(profile.over(index[own]))
        mean = (value[own] ** 2).mean() if measure == "rmse" else value[own].mean()
        score.append(np.sqrt(mean) if measure == "rmse" else mean)
    return LeftOut(np.array(score), np.array(expected))


def quantiles(residual: Array) -> tuple[float, float]:
    """The ends of a conformal interval, [min, max] where there are too few residuals for it.

    >>> quantiles(np.arange(39.0))
    (1.0, 37.0)
    """
    count = len(residual)
    rank = int(np.ceil((1.0 + COVERED) / 2.0 * (count + 1) - 1e-9))  # one more could lie anywhere
    ordered = np.sort(residual)
    return float(ordered[max(0, count - rank)]), float(ordered[min(count, rank) - 1])
