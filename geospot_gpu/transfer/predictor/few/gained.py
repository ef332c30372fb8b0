"""What a few labels change, or would, in figures and a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Gained:
    """What a few labels do for the intervals of predictions.

    Attributes:
        count: how many labels a target has in the middle, or would have.
        pairs: of how many pairs of models and targets there are labels; None where they are asked
            about beforehand.
        width: mean width of the intervals of these pairs, or of all, without labels.
        width_with: with them.
        worth: what so many labels are worth, as :meth:`~geospot_gpu.Predictor.worth` has it.
    """

    count: float
    pairs: int | None
    width: float
    width_with: float
    worth: Mapping[str, float]

    @property
    def narrower(self) -> float:
        """By which share of their width intervals are narrower."""
        return 1.0 - self.width_with / self.width if self.width > 0.0 else 0.0

    @property
    def text(self) -> str:
        """A sentence."""
        if self.pairs is None:
            said = f"{self.count:g} labels of a target would narrow"
        else:
            said = f"{self.count:g} labels, the median of {self.pairs} pairs that have any, narrow"
        return (
            f"{said} 90 % intervals by {100 * self.narrower:.0f} %, from {self.width:.3g} to "
            f"{self.width_with:.3g} wide on average; tried on regions left out, the error is "
            f"{self.worth['error']:.3g} in place of {self.worth['without']:.3g}, every target "
            f"counting the same, and intervals hold {100 * self.worth['covered']:.0f} %, "
            f"{100 * self.worth['worst_target']:.0f} % in the worst target"
        )

    @property
    def summary(self) -> dict[str, Any]:
        """The figures, as ``summary.json`` has them."""
        return {
            "text": self.text,
            "labels": self.count,
            "pairs": self.pairs,
            "mean_width_without": self.width,
            "mean_width_with": self.width_with,
            "narrower": self.narrower,
            "error_left_out": self.worth["error"],
            "error_without_left_out": self.worth["without"],
            "covered_left_out": self.worth["covered"],
            "worst_target_covered_left_out": self.worth["worst_target"],
            "trust": self.worth["trust"],
        }


def gained_by(table: pd.DataFrame, count: float, worth: Mapping[str, float]) -> Gained:
    """What labels change in a table of predictions that have them, or say beforehand what they do.

    Args:
        table: as :func:`~geospot_gpu.transfer.predictor.few.predictions.with_labels` or
            :func:`~geospot_gpu.transfer.predictor.few.predictions.with_budget` made it.
        count: of labels.
        worth: of so many.
    """
    if "labels" not in table:
        width = float((table["upper"] - table["lower"]).mean())
        return Gained(count, None, width, float(table["width_with_labels"].mean()), worth)
    some = table[table["labels"] > 0.0]
    before = (some["upper_without_labels"] - some["lower_without_labels"]).mean()
    now = (some["upper"] - some["lower"]).mean()
    return Gained(count, len(some), float(before), float(now), worth)
