"""Intervals of predictions that are wide where errors are, and hold for the next target."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.transfer.predictor.candidates import Logarithms, Model, waves
from geospot_gpu.transfer.predictor.left_out import Grouping, Table, fitted, left_out
from geospot_gpu.transfer.predictor.trial import quantile

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
COVERED = 0.9
"""Share of the scores that an interval shall contain."""
_OF_EVERY_TARGET = 0.65
"""Share of the scores in each target that was seen."""
_TRUST = 0.5
"""How far scales go from one for all to what is learned of them, as powers: learned ones are noisy,
and half of the way was narrower and missed no target by as much on eleven tasks."""
_SMALLEST = 0.2
"""Errors below this quantile of them are no sign of a sure prediction."""


class Tails(NamedTuple):
    """By how many scales scores lie below and above predictions."""

    below: float
    above: float


def tails(residuals: Array, targets: Indices) -> Tails:
    """Quantiles that hold for a pair of one more target.

    Every target counts the same, however many pairs it has, and one more, unseen, could lie
    anywhere: conformal prediction for data in groups (Lee, Barber & Willett 2023, Distribution-free
    inference with hierarchical data, HCP). As errors are alike within a target, nine of ten may be
    all of nine targets and none of the tenth: both tails are widened until most scores of each
    target that was seen lie within.

    Args:
        residuals: scores less predictions, over their scale, of pairs whose regions were left out,
            [K].
        targets: which target each is of, [K].
    """
    total = np.bincount(targets)
    share = 1.0 / total[targets]
    level = 1.0 - (1.0 - COVERED * (1.0 + 1.0 / np.count_nonzero(total))) / 2.0
    below, above = quantile(-residuals, share, level), quantile(residuals, share, level)
    with np.errstate(divide="ignore", invalid="ignore"):
        reached = np.maximum(-residuals / below, residuals / above)
    of_targets = pd.Series(reached).groupby(targets).quantile(_OF_EVERY_TARGET)
    widest = float(of_targets.max())
    factor = widest if np.isfinite(widest) and min(below, above) > 0.0 else 1.0
    return Tails(-below * max(1.0, factor), above * max(1.0, factor))


def sizes(residuals: Array) -> Array:
    """Magnitudes of residuals, none of them tiny, so that they have logarithms, [K]."""
    size = np.abs(residuals)
    return np.maximum(size, max(float(np.quantile(size, _SMALLEST)), 1e-12))


class Calibration:
    """Intervals around predictions, learned from those of pairs whose regions were left out.

    They are as wide as errors are large where features are such, which a kernel learns from the
    logarithms of the errors: studentised conformal prediction (Papadopoulos et al. 2002, Inductive
    confidence machines for regression; Lei et al. 2018, Distribution-free predictive inference for
    regression, section 5.2).

    Args:
        table: pairs.
        predicted: predictions of them by models that have seen neither region, [K]; pairs without
            one (NaN) are left out.
        targets: which target each pair is of, [K].
        grouping: of the regions, by which the intervals are tried.

    Attributes:
        apart: scale of the error of each pair, learned without its regions, [K].
        lower, upper: ends of the intervals of the pairs, learned without their regions, [K].
    """

    def __init__(
        self, table: Table, predicted: Array, targets: Indices, grouping: Grouping
    ) -> None:
        there = np.isfinite(predicted)
        every, targets, grouping = predicted, targets[there], grouping.of(there)
        table = Table(*(values[there] for values in table))
        predicted = predicted[there]
        residuals = table.y - predicted
        features = np.column_stack([table.x, predicted])

        def make() -> Model:
            return Logarithms(waves(0.06 / features.shape[1]))

        sized = Table(features, sizes(residuals), table.weight)
        apart = left_out({"scale": make}, sized, grouping)["scale"] ** _TRUST
        known = np.isfinite(apart)
        scaled = residuals / apart
        ends = np.full((2, len(predicted)), np.nan)
        for test, train in grouping.folds():
            some = train & known
            if some.any():
                below, above = tails(scaled[some], targets[some])
                ends[0, test] = predicted[test] + below * apart[test]
                ends[1, test] = predicted[test] + above * apart[test]
        self.apart, self.lower, self.upper = np.full((3, len(every)), np.nan)
        self.apart[there], (self.lower[there], self.upper[there]) = apart, ends
        self._tails = tails(scaled[known], targets[known])
        self._scale = fitted(make, sized)
        self._sizes = float(sized.y.min()), float(sized.y.max())

    def around(self, x: Array, predicted: Array) -> tuple[Array, Array]:
        """Lower and upper ends for predictions [M] from features [M, F]."""
        scale = self.scale(x, predicted)
        return predicted + self._tails.below * scale, predicted + self._tails.above * scale

    def scale(self, x: Array, predicted: Array) -> Array:
        """How large errors are relative to each other, [M]."""
        size = self._scale.predict(np.column_stack([x, predicted]))
        found: Array = np.clip(size, *self._sizes) ** _TRUST
        return found
