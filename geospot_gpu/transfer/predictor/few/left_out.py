"""Scores beside predictions that have seen neither of their regions."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.transfer.predictor.trial import quantile

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

QUANTILES = 41
"""Of differences from predictions, by which the expected variance of a label is averaged."""


class LeftOut(NamedTuple):
    """What is known of how wrong predictions are.

    Attributes:
        score: [K].
        predicted: [K].
        scale: of their difference, relative to those of other pairs, [K].
        target: which target each is of, counted without gaps, [K].
        variance: of the score itself, from the samples it rests on; 0 where that is not known, [K].
        unit: standard deviation of the difference over its scale.
        deviations: quantiles of the difference over both, [Q].
        limits: between which scores lie.
    """

    score: Array
    predicted: Array
    scale: Array
    target: Indices
    variance: Array
    unit: float
    deviations: Array
    limits: tuple[float, float]

    @classmethod
    def of(
        cls, score: Array, predicted: Array, scale: Array, target: Indices, variance: Array,
        limits: tuple[float, float],
    ) -> Self:  # fmt: skip
        """From pairs, [K]; those without a prediction or a scale are left out.

        Every target counts the same, however many pairs it has.
        """
        known = np.isfinite(predicted) & np.isfinite(scale)
        of = np.unique(target[known], return_inverse=True)[1]
        scaled = ((score - predicted) / scale)[known]
        share = 1.0 / np.bincount(of)[of]
        unit = float(np.sqrt(np.average(scaled**2, weights=share)))
        levels = (np.arange(QUANTILES) + 0.5) / QUANTILES
        found = np.array([quantile(scaled, share, level) for level in levels])
        return cls(
            score[known], predicted[known], scale[known], of, variance[known],
            unit, found / unit if unit > 0.0 else found, limits,
        )  # fmt: skip

    def possible(self, predicted: Array, scale: Array) -> Array:
        """Scores that there may be, all as likely, [M, Q]."""
        spread = (self.unit * scale)[:, None]
        return np.asarray(np.clip(predicted[:, None] + spread * self.deviations, *self.limits))
