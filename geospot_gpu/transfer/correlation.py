"""Whether distances predict scores, with p-values and intervals that know pairs share regions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata

Array = NDArray[np.float64]
STATISTICS = ("pearson", "spearman", "kendall")
LEAST_REGIONS = 8
LEVEL = 0.05
PERMUTATIONS = 999
RESAMPLES = 999
KENDALL = 199
"""Permutations and resamples for Kendall's tau, which takes ten times as long."""
_BLOCK = 256


class Verdict(NamedTuple):
    """What the correlations say in words."""

    verdict: str
    """``predicts``, ``no evidence`` or ``not enough regions``."""
    distance: str
    """The distance with the strongest Spearman correlation in the expected direction."""
    text: str
    """A sentence."""


def correlate(
    distances: Mapping[str, Array], loss: Array, *, seed: int = 0
) -> tuple[pd.DataFrame, Verdict]:
    """Correlations of distances between regions with what transfer loses.

    Pairs share regions, so they are not independent, and a p-value per pair is far too small.
    Instead the labels of the regions are permuted, rows and columns of a distance alike (Mantel
    1967; Krackhardt 1988 for matrices that are not symmetric), which leaves the dependence among
    pairs as it is; pairs without a score stay where they are. All p-values are two-sided. As
    several distances are tried, ``p_family`` is the share of permutations in which the largest
    absolute correlation of any of them reaches that of this one (Westfall & Young 1993, maxT).
    Intervals come from drawing regions with replacement, pairs of one region with itself left out.

    Args:
        distances: matrices [R, R] by name, rows the sources and columns the targets; their diagonal
            is not read.
        loss: what transfer loses, more is worse, NaN where it is not known, [R, R].
        seed: of permutations and resamples.

    Returns:
        One row per distance, statistic and scope, with columns ``distance``, ``statistic``,
        ``scope`` (``overall``; ``per source`` and ``per target`` are means within rows and
        columns), ``value``, ``lower``, ``upper`` (95 %), ``p``, ``p_family`` (these four null but
        for overall), ``n_pairs`` and ``n_regions``; and the verdict.
    """
    names, regions = list(distances), len(loss)
    known = np.isfinite(loss) & ~np.eye(regions, dtype=bool)
    rows = []
    generator = np.random.default_rng(seed)
    orders = np.array([generator.permutation(regions) for _ in range(PERMUTATIONS)])
    draws = generator.integers(0, regions, (RESAMPLES, regions))
    observed = {name: _values(distances[name][known], loss[known]) for name in names}
    spread = _bootstrap(distances, loss, known, draws)
    permuted = {name: _permuted(distances[name], loss, known, orders) for name in names}
    family = {
        statistic: np.max([permuted[name][statistic] for name in names], axis=0)
        for statistic in STATISTICS
    }
    for name in names:
        within = {
            "per source": _within(distances[name], loss, known),
            "per target": _within(distances[name].T, loss.T, known.T),
        }
        for statistic in STATISTICS:
            value = observed[name][statistic]
            row: dict[str, object] = {"scope": "overall", "value": value}
            resampled = spread[name][statistic]
            if np.isfinite(resampled).any():
                row["lower"], row["upper"] = np.nanpercentile(resampled, [2.5, 97.5])
            row["p"] = _share(permuted[name][statistic], value)
            row["p_family"] = _share(family[statistic], value)
            scopes = [row, *({"scope": k, "value": v[statistic]} for k, v in within.items())]
            rows += [
                {"distance": name, "statistic": statistic}
                | {"n_pairs": int(known.sum()), "n_regions": regions}
                | one
                for one in scopes
            ]
    columns = ["distance", "statistic", "scope", "value", "lower", "upper", "p", "p_family"]
    table = pd.DataFrame(rows).reindex(columns=[*columns, "n_pairs", "n_regions"])
    return table, _verdict(table, regions)


def difference(
    one: Array, other: Array, loss: Array, *, seed: int = 0
) -> tuple[float, float, float]:
    """Spearman correlation of one distance less that of another, with its 95 % interval.

    Both are taken from the same resamples of regions, and as magnitudes.
    """
    known = np.isfinite(loss) & ~np.eye(len(loss), dtype=bool)
    draws = np.random.default_rng(seed).integers(0, len(loss), (RESAMPLES, len(loss)))
    resampled = _bootstrap({"one": one, "other": other}, loss, known, draws)
    first, second = resampled["one"]["spearman"], resampled["other"]["spearman"]
    value = abs(_spearman(one[known], loss[known])) - abs(_spearman(other[known], loss[known]))
    low, high = np.nanpercentile(np.abs(first) - np.abs(second), [2.5, 97.5])
    return value, float(low), float(high)


def _verdict(table: pd.DataFrame, regions: int) -> Verdict:
    overall = table[(table["scope"] == "overall") & (table["statistic"] == "spearman")]
    best = overall.iloc[int(np.argmax(overall["value"].fillna(-np.inf)))]
    name, rho = str(best["distance"]), float(best["value"])
    said = f"{name}: rho {rho:.2f} [{best['lower']:.2f}, {best['upper']:.2f}]"
    said += f", family-wise p {best['p_family']:.3f}, {regions} regions"
    if regions < LEAST_REGIONS:
        text = f"not enough regions: {regions}, and {LEAST_REGIONS} are needed ({said})"
        return Verdict("not enough regions", name, text)
    if rho > 0 and best["p_family"] <= LEVEL:
        return Verdict("predicts", name, f"predicts: the farther, the worse the transfer ({said})")
    return Verdict("no evidence", name, f"no evidence that distances predict transfer ({said})")


def _values(x: Array, y: Array) -> dict[str, float]:
    return {
        "pearson": float(_correlation(x, y)),
        "spearman": _spearman(x, y),
        "kendall": _kendall(x, y),
    }


def _kendall(x: Array, y: Array) -> float:
    return float(kendalltau(x, y).statistic)


def _spearman(x: Array, y: Array) -> float:
    return float(_correlation(rankdata(x), rankdata(y)))


def _correlation(x: Array, y: Array) -> Array:
    """Pearson's correlation over the last axis, NaN where a side is constant."""
    x, y = x - x.mean(-1, keepdims=True), y - y.mean(-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        value: Array = (x * y).sum(-1) / np.sqrt((x * x).sum(-1) * (y * y).sum(-1))
    return value


def _within(distance: Array, loss: Array, known: NDArray[np.bool_]) -> dict[str, float]:
    """Means of the correlations within rows of at least three pairs; NaN where there is none."""
    found = [
        _values(distance[i, row], loss[i, row])
        for i, row in enumerate(known)
        if row.sum() >= 3 and np.ptp(distance[i, row]) > 0 and np.ptp(loss[i, row]) > 0
    ]
    return {
        name: float(np.mean([one[name] for one in found])) if found else float("nan")
        for name in STATISTICS
    }


def _permuted(
    distance: Array, loss: Array, known: NDArray[np.bool_], orders: NDArray[np.int64]
) -> dict[str, Array]:
    """Absolute correlations under each permutation of labels, [P] by statistic."""
    i, j = np.nonzero(known)
    y, ranks_y = loss[i, j], rankdata(loss[i, j])
    complete = len(i) == len(loss) * (len(loss) - 1)
    ranks = np.full_like(distance, np.nan)
    off = ~np.eye(len(loss), dtype=bool)
    ranks[off] = rankdata(distance[off])
    pearson, spearman = np.empty(len(orders)), np.empty(len(orders))
    for start in range(0, len(orders), _BLOCK):
        block = orders[start : start + _BLOCK]
        at = block[:, i], block[:, j]
        some = slice(start, start + len(block))
        pearson[some] = _correlation(distance[at], y)
        # With every pair at hand ranks are permuted; otherwise other distances take part.
        own = ranks[at] if complete else rankdata(distance[at], axis=1)
        spearman[some] = _correlation(own, ranks_y)
    kendall = np.array([_kendall(distance[order[i], order[j]], y) for order in orders[:KENDALL]])
    found = {"pearson": pearson, "spearman": spearman, "kendall": kendall}
    return {name: np.abs(values) for name, values in found.items()}


def _bootstrap(
    distances: Mapping[str, Array], loss: Array, known: NDArray[np.bool_], draws: NDArray[np.int64]
) -> dict[str, dict[str, Array]]:
    """Correlations over the pairs of regions drawn with replacement, [B] by distance, statistic."""
    found = {
        name: {statistic: np.full(len(draws), np.nan) for statistic in STATISTICS}
        for name in distances
    }
    for k, draw in enumerate(draws):
        grid = np.ix_(draw, draw)
        pairs = known[grid]
        y = loss[grid][pairs]
        if len(y) < 3 or np.ptp(y) == 0:
            continue
        ranks = rankdata(y)
        for name, distance in distances.items():
            x = distance[grid][pairs]
            if np.ptp(x) > 0:
                found[name]["pearson"][k] = _correlation(x, y)
                found[name]["spearman"][k] = _correlation(rankdata(x), ranks)
                if k < KENDALL:
                    found[name]["kendall"][k] = _kendall(x, y)
    return found


def _share(values: Array, observed: float) -> float:
    """Share of the permutations, the identity among them, at least as extreme as the observed."""
    extreme = np.sum(values >= abs(observed) - 1e-12)
    return float((1 + extreme) / (1 + len(values)))
