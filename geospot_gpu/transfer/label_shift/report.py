"""What labels say of a transfer, in words, figures and files."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from geospot_gpu.transfer.label_shift.correction import PriorCorrection, correct_priors
from geospot_gpu.transfer.label_shift.split import home_and_away, split_loss
from geospot_gpu.transfer.scores.scores import Scores
from geospot_gpu.transfer.scores.values import PROBABILITY, columns_of_probability

log = logging.getLogger("geospot_gpu")

SPLIT, CORRECTED, PRIORS = FILES = ("split.parquet", "corrected.parquet", "priors.parquet")
_NORMAL_95 = 1.96
_FROM = {
    "em": "the model's probabilities there",
    "confusion": "the model's predictions there",
}


@dataclass(frozen=True)
class LabelReport:
    """What labels say.

    Attributes:
        split: of every pair, as :func:`geospot_gpu.split_loss` has it.
        correction: what correcting class priors does; None where labels are numbers, or
            predictions are not given.
        kind: of the scores.
    """

    split: pd.DataFrame
    correction: PriorCorrection | None
    kind: str

    @property
    def summary(self) -> dict[str, Any]:
        """The figures, as ``summary.json`` has them: means over pairs, with standard errors."""
        names = ("loss", "label_part", "conditional_part", "unshared")
        found: dict[str, Any] = {name: mean_of_pairs(self.split, name) for name in names}
        if self.correction is not None:
            found["correction"] = {
                str(method): _of_method(rows)
                for method, rows in self.correction.table.groupby("method")
            }
        return found

    @property
    def texts(self) -> list[str]:
        """What it comes to, in sentences."""
        said = self.summary
        unit = "accuracy" if self.kind == "accuracy" else "root mean squared error"
        parts = [_with_interval(said[name]) for name in ("label_part", "conditional_part")]
        found = [
            f"from their own region to another models lose {said['loss'][0]:.3f} of {unit} on "
            f"average: {parts[0]} by the shares of labels, {parts[1]} by how right they are for "
            "each label"
        ]
        for method, rows in said.get("correction", {}).items():
            by = _FROM.get(method) or f"{rows['labels']:.0f} labels of the target"
            sentence = (
                f"class priors corrected by {by}: expected to give {rows['expected_gain']:+.3f}"
            )
            if rows["gain"] is not None:
                sentence += f", gave {_with_interval(rows['gain'])}"
            found.append(sentence)
        return found

    def write(self, folder: Path) -> None:
        """Write the tables into a folder."""
        self.split.to_parquet(folder / SPLIT, index=False)
        if self.correction is not None:
            self.correction.table.to_parquet(folder / CORRECTED, index=False)
            self.correction.priors.to_parquet(folder / PRIORS, index=False)


def label_report(scores: Scores, *, seed: int = 0) -> LabelReport | None:
    """What labels say of a transfer; None where scores are not of single predictions with labels.

    Where no model has samples in its own region, that is said, and there is no report.

    Args:
        scores: from :func:`~geospot_gpu.read_scores`.
        seed: of labels that are drawn.
    """
    if scores.samples is None:
        return None
    if not home_and_away(scores.samples):
        log.warning(
            "no model has labelled samples in its own region and samples in another: what of its "
            "loss is due to labels is not known"
        )
        return None
    correction = None
    if scores.kind == "accuracy" and "prediction" in scores.samples:
        correction = correct_priors(scores, seed=seed)
        if not columns_of_probability(scores.samples):
            log.warning(
                "single predictions have no probabilities: columns %sCLASS correct priors better",
                PROBABILITY,
            )
    return LabelReport(split_loss(scores), correction, scores.kind)


def mean_of_pairs(table: pd.DataFrame, name: str) -> tuple[float, float] | None:
    """Mean of a column over pairs of regions, and its standard error by leaving each region out.

    Without a region all pairs from it and to it are gone (Efron & Stein 1981, The jackknife
    estimate of variance). The error is NaN of fewer than three regions that are left.

    Args:
        table: with ``source`` and ``target``; rows without a value are left out.
        name: of the column.

    Returns:
        None where no pair has a value.

    >>> pairs = pd.DataFrame({"source": list("aabbcc"), "target": list("bcacab"), "x": range(6)})
    >>> mean, error = mean_of_pairs(pairs, "x")
    >>> mean, round(error, 3)
    (2.5, 1.732)
    """
    known = table[np.isfinite(table[name])]
    if not len(known):
        return None
    sides = np.concatenate([known["source"], known["target"]]).astype(object)
    at = pd.factorize(sides)[0].reshape(2, -1)
    value = known[name].to_numpy(float)
    sums = np.bincount(at.ravel(), np.tile(value, 2))
    left = len(value) - np.bincount(at.ravel())
    regions = len(sums)
    error = float("nan")
    if (left > 0).all():
        without = (value.sum() - sums) / left
        error = float(np.sqrt((regions - 1) / regions * ((without - without.mean()) ** 2).sum()))
    return float(value.mean()), error


def _of_method(rows: pd.DataFrame) -> dict[str, Any]:
    table = rows.assign(
        gain=rows["corrected"] - rows["score"],
        expected_gain=rows["expected_corrected"] - rows["expected"],
    )
    return {
        "labels": float(rows["labels"].mean()),
        "score": mean_of_pairs(table, "score"),
        "corrected": mean_of_pairs(table, "corrected"),
        "gain": mean_of_pairs(table, "gain"),
        "expected_gain": float(table["expected_gain"].mean()),
    }


def _with_interval(of: tuple[float, float]) -> str:
    mean, error = of
    if not np.isfinite(error):
        return f"{mean:.3f}"
    reach = _NORMAL_95 * error
    return f"{mean:.3f} [{mean - reach:.3f}, {mean + reach:.3f}]"
