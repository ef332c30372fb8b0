"""Predictions of pairs, with what a few labels say of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError
from geospot_gpu.transfer.predictor.few.combination import FewLabels
from geospot_gpu.transfer.predictor.few.noise import OF_NORMAL, Noise, pooled, unit_variance
from geospot_gpu.transfer.predictor.pairs import check, numbers, standard_errors
from geospot_gpu.transfer.scores.scores import Kind

Array = NDArray[np.float64]

ALONE = ("predicted", "lower", "upper")
"""Columns that labels change; as they were without labels, they end in ``_without_labels``."""
_LEAST = 30.0
"""Labels beyond one for each score from which a variance is pooled."""


def check_either(few: object, label_budget: object) -> None:
    """Raise where labels are given, and how many there might be is, too."""
    if few is not None and label_budget is not None:
        raise GeospotError("give few, the labels, or label_budget, how many there might be")


def noise_of(kind: Kind, *tables: pd.DataFrame) -> Noise:
    """How far the score of a few labels lies from that of all.

    Args:
        kind: of the scores.
        tables: scores with ``std_error`` and ``weight`` or ``n``; the first that has enough says
            it. If none has, what is right or wrong and normal errors do.

    Raises:
        GeospotError: scores are skills, and none has a standard error.
    """
    for table in tables:
        if "std_error" not in table or not {"n", "weight"} & set(table):
            continue
        count = numbers(table["n" if "n" in table else "weight"])
        if np.nansum(count - 1.0) < _LEAST:
            continue
        factor = pooled(kind, numbers(table["score"]), numbers(table["std_error"]), count)
        if factor is not None:
            return Noise(kind, factor)
    if kind == "skill":
        raise GeospotError(
            "how sure a few labels are of a skill is not known: give std_error and n of its scores"
        )
    return Noise(kind, 1.0 if kind == "accuracy" else OF_NORMAL)


def variance_of_scores(pairs: pd.DataFrame, score: Array, noise: Noise) -> Array:
    """Variance of the scores of pairs that their samples leave, 0 where it is not known, [K]."""
    if "std_error" in pairs:
        return standard_errors(pairs) ** 2
    if "weight" in pairs:
        count = numbers(pairs["weight"])
        if (count >= 1.0).all() and (count == np.round(count)).all():  # numbers of samples
            return noise.factor * unit_variance(noise.kind, score) / count
    return np.zeros(len(score))


def with_labels(
    table: pd.DataFrame, scale: Array, few: pd.DataFrame, labels: FewLabels
) -> pd.DataFrame:
    """Predictions combined with the scores of a few labels.

    Args:
        table: ``source``, ``target``, ``predicted``, ``lower`` and ``upper``.
        scale: of the errors of the predictions, [M].
        few: ``source``, ``target``, ``score``, and ``n`` or ``std_error``.
        labels: what combines both.

    Returns:
        The table with both together where there are labels; ``labels`` (how many, 0 where there are
        none), their score and its standard error as ``score_of_labels`` and
        ``std_error_of_labels``, and the predictions and intervals ``_without_labels``.
    """
    check(few, "source", "target", "score", what="few")
    if not {"n", "std_error"} & set(few):
        raise GeospotError("few: give n, how many labels each score rests on, or std_error")
    place = pd.MultiIndex.from_frame(table[["source", "target"]])
    asked = pd.MultiIndex.from_frame(few[["source", "target"]])
    if asked.has_duplicates:
        raise GeospotError(
            f"few: {' to '.join(map(str, asked[asked.duplicated()][0]))} has several scores: keep "
            "one for each pair"
        )
    at = place.get_indexer(asked)
    if (at < 0).any():
        raise GeospotError(
            f"few: {' to '.join(map(str, asked[int(np.argmax(at < 0))]))} is no pair that is "
            "predicted: leave it out"
        )
    predicted = table["predicted"].to_numpy(float)[at]
    shown = numbers(few["score"])
    low, high = labels.limits
    wrong = ~((shown >= low) & (shown <= high))
    if wrong.any():
        raise GeospotError(
            f"few: score of {' to '.join(map(str, asked[int(np.argmax(wrong))]))} is "
            f"{shown[np.argmax(wrong)]:g}: scores lie between {low:g} and {high:g}"
        )
    count = _counts(few, asked, labels.variance(predicted, scale[at]))
    said = labels.together(predicted, scale[at], shown, count)
    found = table.assign(
        **{f"{name}_without_labels": table[name] for name in ALONE},
        labels=0.0,
        score_of_labels=np.nan,
        std_error_of_labels=np.nan,
    )
    changed = {
        **dict(zip(ALONE, said[:3], strict=True)), "labels": count, "score_of_labels": shown,
        "std_error_of_labels": said.std_error,
    }  # fmt: skip
    for name, values in changed.items():
        new = found[name].to_numpy(float, copy=True)
        new[at] = values
        found[name] = new
    return found


def _counts(few: pd.DataFrame, asked: pd.MultiIndex, variance: Array) -> Array:
    """How many labels each score rests on; what its standard error comes to where it says that."""
    count = numbers(few["n"]) if "n" in few else np.full(len(few), np.nan)
    if "std_error" in few:
        error = numbers(few["std_error"])
        from_error = np.divide(variance, error**2, out=np.full(len(few), np.nan), where=error > 0.0)
        count = np.where(np.isfinite(count), count, np.maximum(from_error, 1.0))
    wrong = ~(count >= 1.0)
    if wrong.any():
        raise GeospotError(
            f"few: {' to '.join(map(str, asked[int(np.argmax(wrong))]))} needs n, how many labels "
            "its score rests on, from 1 on, or a std_error above 0"
        )
    return count


def with_budget(table: pd.DataFrame, scale: Array, budget: int, labels: FewLabels) -> pd.DataFrame:
    """Predictions, with how much so many labels of each target would narrow its interval.

    Returns:
        The table with ``width_with_labels``, the expected width of the interval, and ``narrower``,
        by which share of its width now it would be narrower.
    """
    width = labels.widths(table["predicted"].to_numpy(float), scale, float(budget))
    now = (table["upper"] - table["lower"]).to_numpy(float)
    narrower = 1.0 - np.divide(width, now, out=np.ones_like(width), where=now > 0.0)
    return table.assign(width_with_labels=width, narrower=narrower)
