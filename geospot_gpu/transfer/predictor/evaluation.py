"""What a predictor is worth, measured on pairs both of whose regions were left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.displayed import Tabled

Array = NDArray[np.float64]
LEVEL = 0.05
"""Up to which p-value a gain is claimed."""


@dataclass(frozen=True)
class Evaluation(Tabled):
    """How well scores were predicted for pairs both of whose regions were left out.

    Attributes:
        error: mean absolute error, the mean over several groupings of the regions.
        errors: that of every kind of model: ``mean``, ``median``, ``linear``, ``kernel`` and
            ``trees``, and ``agreed``, the median of what the last three predict.
        single: that of a straight line through each distance alone.
        constant: the one that predictions are drawn towards: ``mean`` or ``median``.
        share: how far predictions go from it to what the models agree on, in [0, 1].
        error_of_constant: error of the constant, which is chosen without the regions left out.
        error_of_single: that of the best distance alone, chosen in the same way; None without any.
        p_over_constant: permutation p of the gain over the constant.
        p_over_single: that of the gain over the best distance alone; None without any.
        covered: share of the scores inside their interval.
        worst_target: the smallest such share of a target.
        width: mean width of the intervals.
        predicted: the predictions themselves, means over the groupings, in the order of the pairs;
            NaN where all other pairs share a group with one.
        lower, upper: their intervals.
        known: errors once each source of knowledge is there beside those before it, that of the
            constant first; empty where sources are not told apart.
    """

    error: float
    errors: Mapping[str, float]
    single: Mapping[str, float]
    constant: str
    share: float
    error_of_constant: float
    error_of_single: float | None
    p_over_constant: float
    p_over_single: float | None
    covered: float
    worst_target: float
    width: float
    predicted: Array
    lower: Array
    upper: Array
    known: Mapping[str, float] = field(default_factory=dict)

    @property
    def best_single(self) -> str | None:
        """The distance that does best alone."""
        return min(self.single, key=lambda name: self.single[name]) if self.single else None

    @property
    def gains(self) -> bool:
        """Whether predictions are better than the constant by more than chance."""
        return self.error < self.error_of_constant and self.p_over_constant <= LEVEL

    @property
    def warning(self) -> str | None:
        """That predictions gain nothing, in a sentence; None where they do."""
        if self.gains:
            return None
        return (
            f"no better than always the {self.constant}: mean absolute error {self.error:.3g} "
            f"against {self.error_of_constant:.3g} for regions left out (p "
            f"{self.p_over_constant:.3f}), so which region is better these predictions do not tell"
        )

    @property
    def summary(self) -> dict[str, Any]:
        """The figures, as ``summary.json`` has them."""
        return {
            "error": self.error,
            "gains": self.gains,
            "share_of_models": self.share,
            "constant": self.constant,
            "error_of_constant": self.error_of_constant,
            "p_over_constant": self.p_over_constant,
            "best_single_distance": self.best_single,
            "error_of_best_single_distance": self.error_of_single,
            "p_over_best_single_distance": self.p_over_single,
            "errors": dict(self.errors),
            "covered": self.covered,
            "worst_target_covered": self.worst_target,
            "mean_width": self.width,
        }

    @property
    def text(self) -> str:
        """What the predictor is worth, in a sentence."""
        said = f"predictor: mean absolute error {self.error:.3g} for regions left out"
        said += self._beside(f"always the {self.constant}", self.error_of_constant, self.gains,
                             self.p_over_constant)  # fmt: skip
        if self.error_of_single is not None and self.p_over_single is not None:
            better = self.error < self.error_of_single and self.p_over_single <= LEVEL
            name = f"{self.best_single} alone"
            said += self._beside(name, self.error_of_single, better, self.p_over_single)
        return (
            f"{said}; 90 % intervals hold {100 * self.covered:.0f} %, "
            f"{100 * self.worst_target:.0f} % in the worst target, mean width {self.width:.3g}"
        )

    def _beside(self, name: str, error: float, better: bool, p: float) -> str:
        if not better:
            return f"; no better than {name} ({error:.3g}, p {p:.3f})"
        return f"; {100 * (1 - self.error / error):.0f} % below {name} ({error:.3g}, p {p:.3f})"
