"""Tables of pairs as a predictor takes them, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.points.readers import column

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
NO_FEATURES = ("source", "target", "score", "weight", "std_error")
_LEAST_SPREAD = 0.01
"""The variance beyond sampling is at least this share of the variance."""


def check(pairs: object, *columns: str, what: str = "pairs") -> None:
    """Raise unless this is a table with rows and such columns."""
    table: pd.DataFrame = checks.instance(pairs, pd.DataFrame, what)
    for name in columns:
        column(table, name, what, what)
    if len(table) == 0:
        raise GeospotError(f"{what}: there are none: give a row for each")


def features_in(pairs: pd.DataFrame) -> list[str]:
    """Names of the columns that are learned from."""
    return [str(name) for name in pairs.columns if name not in NO_FEATURES]


def numbers(values: pd.Series[Any]) -> Array:
    """A column as numbers, NaN where it holds something else."""
    found: Array = pd.to_numeric(values, errors="coerce").to_numpy(float, na_value=np.nan)
    return found


def scores_of(pairs: pd.DataFrame) -> Array:
    """The scores, [K]; raises where one is no number."""
    y = numbers(pairs["score"])
    if not np.isfinite(y).all():
        raise GeospotError(
            f"pairs: score in row {int(np.argmin(np.isfinite(y))) + 1} is no number: leave out "
            "pairs without a score"
        )
    return y


def features_of(pairs: pd.DataFrame, names: Sequence[str]) -> Array:
    """The features, [K, F]; raises where one is no number."""
    x = np.column_stack([numbers(pairs[name]) for name in names])
    wrong = np.argwhere(~np.isfinite(x))
    if len(wrong):
        row, at = wrong[0]
        pair = pairs.iloc[int(row)]
        raise GeospotError(
            f"{names[at]} of {pair['source']} to {pair['target']} is not known: finish the sweep "
            "first"
        )
    return x


def weights_of(pairs: pd.DataFrame, score: Array) -> Array:
    """How much each pair counts, 1 in the mean, [K].

    From standard errors it is ``1 / (tau^2 + std_error^2)``, where tau^2, the variance beyond
    sampling, is that of the scores less the mean of theirs (DerSimonian & Laird 1986).
    """
    if "std_error" in pairs:
        error = standard_errors(pairs)
        variance = float(np.var(score))
        beyond = max(variance - float(np.mean(error**2)), _LEAST_SPREAD * variance)
        if beyond + float(np.min(error**2)) == 0.0:
            return np.ones(len(pairs))
        weight = 1.0 / (beyond + error**2)
    elif "weight" in pairs:
        weight = numbers(pairs["weight"])
        wrong = ~(np.isfinite(weight) & (weight > 0.0))
        _refuse(pairs, weight, wrong, "weight", "positive ones")
    else:
        return np.ones(len(pairs))
    found: Array = weight / weight.mean()
    return found


def standard_errors(pairs: pd.DataFrame) -> Array:
    """Of the scores; of those that have none, as of a single sample, what others' say, [K].

    That is their variance of one sample, over the number of samples where that is known, and
    the largest of their errors elsewhere; 0 where none has one.

    >>> pairs = pd.DataFrame({"std_error": [0.1, np.nan], "weight": [25.0, 1.0]})
    >>> standard_errors(pairs).tolist()
    [0.1, 0.5]
    """
    error = numbers(pairs["std_error"])
    unknown = np.isnan(error)
    _refuse(pairs, error, np.isinf(error) | (error < 0.0), "std_error", "0 or more")
    if unknown.all():
        return np.zeros(len(pairs))
    if unknown.any():
        said = np.full(len(pairs), np.nan)
        if "weight" in pairs:
            root = np.sqrt(numbers(pairs["weight"]))
            of_one = (error * root)[~unknown & np.isfinite(root)]
            said = np.median(of_one) / root if len(of_one) else said
        error = np.where(unknown, np.where(np.isfinite(said), said, np.nanmax(error)), error)
    return error


def _refuse(
    pairs: pd.DataFrame, values: Array, wrong: NDArray[np.bool_], name: str, right: str
) -> None:
    if wrong.any():
        at = int(np.argmax(wrong))
        pair = pairs.iloc[at]
        raise GeospotError(
            f"{name} of {pair['source']} to {pair['target']} is {values[at]:g}: give {right}"
        )


def ends_of(
    pairs: pd.DataFrame, parts: Mapping[str, Sequence[str]]
) -> tuple[list[str], list[Indices], list[Indices]]:
    """Which regions pairs are of.

    Args:
        pairs: ``source`` and ``target``.
        parts: regions that others are together, by name.

    Returns:
        Names of the regions, sorted; and positions of the regions of sources and of targets, of as
        many arrays as one has at most, -1 where it has fewer, [K] each. The first of targets is the
        target itself.
    """
    of_sources = [tuple(parts.get(name, (name,))) for name in pairs["source"]]
    of_targets = [
        (name, *(part for part in parts.get(name, ()) if part != name)) for name in pairs["target"]
    ]
    names = sorted({name for own in (*of_sources, *of_targets) for name in own})
    place = {name: at for at, name in enumerate(names)}

    def positions(ends: Sequence[Sequence[str]]) -> list[Indices]:
        found = np.full((max(map(len, ends)), len(ends)), -1, np.int64)
        for k, own in enumerate(ends):
            found[: len(own), k] = [place[name] for name in own]
        return list(found)

    return names, positions(of_sources), positions(of_targets)
