"""Whether distances predict scores, with p-values and intervals that know pairs share regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.checks import whole
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.transfer.correlation.groups import group_of
from geospot_gpu.transfer.correlation.labelled import align
from geospot_gpu.transfer.correlation.resampling import (
    Association,
    Indices,
    Pairs,
    relabelled,
    relabellings,
    resampled,
)
from geospot_gpu.transfer.correlation.statistics import STATISTICS, correlations, rank_rows, varies
from geospot_gpu.transfer.correlation.verdict import Figures, Gain, Verdict, decide

if TYPE_CHECKING:
    import xarray

    Matrix = xarray.DataArray | pd.DataFrame

Array = NDArray[np.float64]
PERMUTATIONS = 999
RESAMPLES = 999
KENDALL = 199
"""Permutations and resamples for Kendall's tau, which takes ten times as long."""
_FIGURES = ("value", "lower", "upper", "p", "p_family")
_COLUMNS = (
    *("distance", "group", "statistic", "scope", *_FIGURES),
    *("n_pairs", "n_regions", "reason"),
)


class _Fields(NamedTuple):
    table: pd.DataFrame
    verdict: Verdict


class Correlations(_Fields):
    """What :func:`correlate` found: ``table, verdict = correlate(...)``.

    Attributes:
        table: one row per distance, statistic and scope.
        verdict: what they say in words.

    Raises:
        AssertionError: a family-wise p-value is missing, or below that of its distance alone; or
            the verdict names what is not under test. No input brings this about.
    """

    __slots__ = ()

    def __new__(cls, table: pd.DataFrame, verdict: Verdict) -> Correlations:
        judged = table["reason"].isna() & (table["scope"] == "overall")
        family = table[judged & (table["group"] != "covariate")]
        if not (family["p_family"] >= family["p"]).all():
            raise AssertionError("a family-wise p-value is missing or below p")
        if table.loc[~table.index.isin(family.index), "p_family"].notna().any():
            raise AssertionError("a family-wise p-value of what is in no family")
        under_test = family.loc[family["group"].isin(["transport", "own"]), "distance"]
        if verdict.distance is not None and verdict.distance not in set(under_test):
            raise AssertionError(f"the verdict names {verdict.distance}, which is not under test")
        return super().__new__(cls, table, verdict)


def correlate(
    distances: Mapping[Any, Matrix], loss: Matrix, *, weight: Matrix | None = None, seed: int = 0
) -> Correlations:
    """Correlations of distances between regions with what transfer loses.

    Pairs share regions, so they are not independent, and a p-value per pair is far too small.
    Instead the labels of the regions are permuted, rows and columns of a distance alike (Mantel
    1967; Krackhardt 1988 for matrices that are not symmetric), which leaves the dependence among
    pairs as it is; pairs without a score stay where they are. All p-values are two-sided. As
    several distances are tried, ``p_family`` is the share of permutations in which the largest
    absolute correlation of any of them reaches that of this one (Westfall & Young 1993, maxT),
    each in units of its own spread over the permutations: a distance that correlates with much by
    chance, as one of few distinct values, does not hide one that does not (ibid., section 2.6).
    Intervals come from drawing regions with replacement, pairs of one region with itself left out.

    The verdict speaks of distances of transport and of one's own, and says where a simple baseline
    does as well; :mod:`geospot_gpu.transfer.correlation.groups` says which is which. Sample sizes
    are in no family. Nor is a distance that is the same for all pairs or unknown for one; its
    figures are empty, and the ``reason`` is given.

    Matrices are aligned by their labels: only regions that are source and target of all of them
    and have a loss take part. What fell away is said.

    Args:
        distances: labelled matrices by name, or a dataset: arrays with dims ``source`` and
            ``target``, or data frames with sources in the index and targets in the columns. Their
            diagonal is not read.
        loss: what transfer loses, more is worse, NaN where it is not known; labelled alike.
        weight: on how much the loss of a pair rests, such as a number of samples; labelled alike. A
            pair of weight 2 counts as two pairs; formulas are in
            :func:`geospot_gpu.transfer.correlation.statistics.correlations`.
        seed: of permutations and resamples.

    Returns:
        The table and the verdict. The table has one row per distance, statistic and scope, with
        columns ``distance``, ``group`` (``transport``, ``own``, ``baseline``, ``covariate``),
        ``statistic``, ``scope`` (``overall``; ``per source`` and ``per target`` are means within
        rows and columns), ``value``, ``lower``, ``upper`` (95 %), ``p``, ``p_family`` (these four
        null but for overall), ``n_pairs``, ``n_regions`` and ``reason`` (null but for distances
        that take no part).

    Raises:
        GeospotError: an argument has no labels, names a region twice or is of another kind; no pair
            has a loss, or all have the same.

    >>> names = [f"r{k}" for k in range(9)]
    >>> place = pd.Series(np.arange(9.0) ** 2, names)
    >>> away = pd.DataFrame({name: (place - place[name]).abs() for name in names})
    >>> table, verdict = correlate({"road_km": away}, away**2)
    >>> verdict.verdict, verdict.distance
    ('predicts', 'road_km')
    """
    return judge(distances, loss, weight=weight, seed=seed).correlations


class Judged(NamedTuple):
    """What :func:`correlate` found, and what else its resamples can be asked."""

    correlations: Correlations
    gain: Gain
    """Spearman's correlation of one distance less that of another, with its 95 % interval from the
    resamples that the intervals of both are from: what :func:`difference` gives."""


@out_of_memory("correlating distances with scores", "give scores of fewer regions")
def judge(
    distances: Mapping[Any, Matrix], loss: Matrix, *, weight: Matrix | None = None, seed: int = 0
) -> Judged:
    """What :func:`correlate` does, with the differences of any two distances that take part."""
    seed = whole(seed, "seed", least=0)
    names, matrices, lost, weights = align(distances, loss, weight)
    pairs = Pairs.of(weights)
    reasons = {name: _reason(values, pairs, names) for name, values in matrices.items()}
    used = {name: values for name, values in matrices.items() if reasons[name] is None}
    y = pairs.take(lost)
    if len(y) > 1 and not varies(y, pairs.weight):
        raise GeospotError("loss: is the same for all pairs: nothing varies")
    orders, draws = _chance(pairs.regions, seed)
    tested = relabelled(used, y[None], pairs, orders, taus=KENDALL)
    spread = resampled(used, y, pairs, draws, taus=KENDALL)
    rows: list[dict[str, object]] = []
    for name in matrices:
        own: list[dict[str, object]] = [
            {"statistic": statistic, "scope": scope}
            for statistic in STATISTICS
            for scope in ("overall", "per source", "per target")
        ]
        if name in used:
            own = _rows(matrices[name], lost, weights, tested[name], spread[name])
        common = {"distance": name, "group": group_of(name), "reason": reasons[name]}
        rows += [common | row for row in own]
    table = pd.DataFrame(rows, columns=list(_COLUMNS))
    table = table.assign(n_pairs=len(y), n_regions=pairs.regions)
    table = table.astype(dict.fromkeys(_FIGURES, float) | {"reason": "string"})

    def gain(one: str, other: str) -> tuple[float, float, float]:
        value, least = (float(tested[name]["spearman"].value[0]) for name in (one, other))
        return value - least, *_interval(spread[one]["spearman"] - spread[other]["spearman"])

    found = Correlations(table, decide(_figures(table), pairs.regions, gain))
    return Judged(found, gain)


def _chance(regions: int, seed: int) -> tuple[Indices, Indices]:
    """Permutations of the regions, [P, R], and regions drawn with replacement, [B, R]."""
    generator = np.random.default_rng(seed)
    orders = relabellings(regions, PERMUTATIONS, generator)
    return orders, generator.integers(0, regions, (RESAMPLES, regions))


def difference(
    one: Matrix, other: Matrix, loss: Matrix, *, weight: Matrix | None = None, seed: int = 0
) -> tuple[float, float, float]:
    """Spearman correlation of one distance less that of another, with its 95 % interval.

    Both are taken from the same resamples of regions. Arguments are those of :func:`correlate`.
    """
    seed = whole(seed, "seed", least=0)
    _, matrices, lost, weights = align({"one": one, "other": other}, loss, weight)
    pairs = Pairs.of(weights)
    y = pairs.take(lost)
    draws = _chance(pairs.regions, seed)[1]
    first, second = (
        found["spearman"] for found in resampled(matrices, y, pairs, draws, taus=0).values()
    )
    value, least = (
        correlations(pairs.take(values), y, pairs.weight)["spearman"]
        for values in matrices.values()
    )
    return value - least, *_interval(first - second)


def _reason(distance: Array, pairs: Pairs, names: Sequence[str]) -> str | None:
    """Why a distance takes no part, or None."""
    unknown = np.argwhere(~np.isfinite(distance) & ~np.eye(len(distance), dtype=bool))
    if len(unknown):
        i, j = unknown[0]
        return f"not finite for {len(unknown)} pairs, such as {names[i]} to {names[j]}"
    if not varies(pairs.take(distance), pairs.weight):
        return "the same for all pairs"
    return None


def _rows(
    distance: Array,
    loss: Array,
    weight: Array,
    tested: Mapping[str, Association],
    spread: Mapping[str, Array],
) -> list[dict[str, object]]:
    """What the table says of one distance."""
    source = _within(distance, loss, weight)
    target = _within(distance.T, loss.T, weight.T)
    rows: list[dict[str, object]] = []
    for statistic in STATISTICS:
        value, p, p_family = tested[statistic]
        overall = {"scope": "overall", "value": value[0], "p": p[0]}
        overall["lower"], overall["upper"] = _interval(spread[statistic])
        overall["p_family"] = np.nan if p_family is None else p_family[0]
        scopes = {"per source": source[statistic], "per target": target[statistic]}
        within = [{"scope": scope, "value": mean} for scope, mean in scopes.items()]
        rows += [{"statistic": statistic} | row for row in (overall, *within)]
    return rows


def _within(distance: Array, loss: Array, weight: Array) -> dict[str, float]:
    """Means of the correlations within rows of at least three pairs; NaN where there is none."""
    rows = [(d[w > 0], y[w > 0], w[w > 0]) for d, y, w in zip(distance, loss, weight, strict=True)]
    found = [correlations(d, y, w / w.sum()) for d, y, w in rows if len(w) >= 3]
    means = {}
    for name in STATISTICS:
        values = [one[name] for one in found if np.isfinite(one[name])]
        means[name] = float(np.mean(values)) if values else float("nan")
    return means


def _figures(table: pd.DataFrame) -> list[Figures]:
    """Spearman's correlations of the family."""
    rows = rank_rows(table)
    return [
        Figures(*row)
        for row in rows.loc[
            rows["p_family"].notna(), ["distance", "group", "value", "p_family", "lower", "upper"]
        ].itertuples(index=False)
    ]


def _interval(resampled_: Array) -> tuple[float, float]:
    """Of 95 % of the resamples in which there is a value."""
    if not np.isfinite(resampled_).any():
        return float("nan"), float("nan")
    low, high = np.nanpercentile(resampled_, [2.5, 97.5])
    return float(low), float(high)
