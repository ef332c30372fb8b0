"""What is asked: targets, candidates, what a sample costs and how much may be spent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.arrays import Indices
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.names import Name, Names, labels, match_names, unified
from geospot_gpu.regions import Regions
from geospot_gpu.selection.facility import ChoiceLimits

Array = NDArray[np.float64]

MAX_REGIONS = 5
"""Regions that are chosen if nothing is said, and the budget does not pay for all."""
PRICES = ("region", "per_region", "per_sample")
"""Columns of a table of prices."""


@dataclass(frozen=True)
class Problem:
    """A choice of samples for targets.

    Attributes:
        regions: the regions, those of a second table last.
        targets: positions of the targets, [T].
        shares: what each target counts, [T]; they sum to one.
        candidates: positions of the regions to choose from, by name, [R].
        quota: samples that are taken of each candidate if it is chosen, [R].
        limits: what each candidate costs for that, the budget, and the largest number of them.
        have: positions of the regions that samples are there from, [H].
        have_counts: how many, [H].
        budget: as it was asked for.
        prices: of each candidate, per region and per sample, [R, 2]; None where a sample costs one,
            wherever it is from.
    """

    regions: Regions
    targets: Indices
    shares: Array
    candidates: Indices
    quota: Indices
    limits: ChoiceLimits
    have: Indices
    have_counts: Indices
    budget: float
    prices: Array | None

    def price(self, quota: Indices) -> Array:
        """What so many samples of each candidate cost, [R]."""
        if self.prices is None:
            return quota.astype(float)
        found: Array = np.where(quota > 0, self.prices[:, 0], 0.0) + quota * self.prices[:, 1]
        return found

    @property
    def available(self) -> Indices:
        """How many samples each candidate has, [R]."""
        found: Indices = self.regions.n_available[self.candidates]
        return found

    def name(self, candidate: int) -> str:
        """Of the candidate at a position in ``candidates``."""
        return self.regions.names[int(self.candidates[candidate])]

    @property
    def target_names(self) -> list[str]:
        """Of the targets, in order."""
        return [self.regions.names[t] for t in self.targets]


def pose(
    regions: Regions,
    against: Regions | None = None,
    *,
    target: Name | Iterable[Name] | Mapping[Any, float],
    budget: float,
    max_regions: int | None = None,
    quota: int | None = None,
    prices: pd.DataFrame | None = None,
    exclude: Iterable[Name] = (),
    have: Name | Iterable[Name] | Mapping[Any, int] = (),
    include_target: bool = False,
) -> Problem:
    """A problem from names.

    Args:
        regions: the candidates, and the targets where there is no second table.
        against: the targets, where they are a table of their own.
        target: a name, several, or names with what they count.
        budget: how many samples may be taken; with ``prices`` what may be spent.
        max_regions: how many regions may be chosen; 5 if not given, or all where the budget pays
            for all samples there are.
        quota: samples of each chosen region; the budget is shared equally if not given.
        prices: columns ``region``, ``per_region`` and ``per_sample``; needs ``quota``.
        exclude: names of regions that are no candidates.
        have: regions whose samples are there already, all of them or the given numbers.
        include_target: whether a target may be a candidate for itself.

    Raises:
        GeospotError: a name is unknown, no candidate is left, a target has one point, the budget
            buys nothing, or a number is out of range.
    """
    budget = checks.real(budget, "budget")
    max_regions = checks.optional(checks.whole)(max_regions, "max_regions")
    quota = checks.optional(checks.whole)(quota, "quota")
    asked = resolve(regions, against, target, exclude, have, include_target=include_target)
    together, targets, shares, candidates, own, counts = asked
    if len(candidates) == 0:
        raise GeospotError(
            "no candidates are left: all regions are targets, excluded or there already"
        )
    available = regions.n_available[candidates]
    if not budget > 0.0 or not np.isfinite(budget):
        raise GeospotError(f"budget={budget:g} buys nothing: give how many samples to take")
    if max_regions is not None and max_regions < 1:
        raise GeospotError(f"max_regions={max_regions}: give at least 1")
    if quota is not None and quota < 1:
        raise GeospotError(f"quota={quota}: give how many samples of each region, at least 1")
    known = None
    if prices is None:
        quotas, limits = _by_samples(budget, max_regions, quota, available)
    else:
        known = _prices(prices, [regions.names[k] for k in candidates], quota)
        quotas, limits = _by_prices(budget, max_regions, quota, available, known)
    return Problem(
        together, targets, shares, candidates, quotas, limits, own, counts, budget, known
    )


class Asked(NamedTuple):
    """Names of regions as positions."""

    regions: Regions
    """Those of the second table last."""
    targets: Indices
    shares: Array
    candidates: Indices
    """By name."""
    have: Indices
    have_counts: Indices


def resolve(
    regions: Regions,
    against: Regions | None,
    target: object,
    exclude: Iterable[object],
    have: object,
    *,
    include_target: bool,
) -> Asked:
    """Positions of the regions that are named; see :func:`pose`.

    Raises:
        GeospotError: a name is unknown, or a target has points at one place only.
    """
    checks.flag(include_target, "include_target")
    together = regions if against is None else regions.concatenated(against)
    targets, shares = _targets(target, regions if against is None else against)
    targets = targets + (0 if against is None else len(regions))
    for t in targets:
        if together.sizes[t] < 2:
            raise GeospotError(
                f"target={together.names[t]} has points at one place only: give at least two"
            )
    own, counts = _have(have, regions)
    left_out = {
        regions.position(name, "exclude") for name in checks.listed(exclude, "exclude")
    } | set(own.tolist())
    if not include_target:
        left_out |= set(targets.tolist())
    left = sorted(set(range(len(regions))) - left_out, key=lambda k: regions.names[k])
    return Asked(together, targets, shares, np.array(left, np.int64), own, counts)


def _targets(target: object, regions: Regions) -> tuple[Indices, Array]:
    named = _named(target, regions, "target")
    if not named:
        raise GeospotError("target=[] names no region: give at least one")
    counts: dict[int, float] = {}
    for name, count in named:
        weight = 1.0 if count is None else checks.real(count, f"target: {name} counts")
        if not 0.0 < weight < float("inf"):
            raise GeospotError(f"target: {name} counts {weight:g}: give a positive number")
        counts[regions.position(name, "target")] = weight
    shares = np.array(list(counts.values()))
    return np.array(list(counts), np.int64), shares / shares.sum()


def _named(names: object, regions: Regions, key: str) -> list[tuple[object, object]]:
    """What is named by one name, several, or names with what they count; None where nothing is."""
    if isinstance(names, Mapping):
        return list(names.items())
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        return [(names, None)]
    if isinstance(names, tuple) and names and Names(regions.names).find(names, key) is not None:
        return [(names, None)]  # as pandas names groups by several columns
    return [(name, None) for name in names]


def _have(have: object, regions: Regions) -> tuple[Indices, Indices]:
    named = _named(have, regions, "have")
    index = np.array([regions.position(name, "have") for name, _ in named], np.int64)
    counts = regions.n_available[index].copy()
    for k, (name, asked) in enumerate(named):
        if asked is not None:
            count = checks.whole(asked, f"have: samples of {name}")
            if count < 1:
                raise GeospotError(f"have: {count} samples of {name}: give at least 1")
            counts[k] = min(count, counts[k])
    return index, counts


def _by_samples(
    budget: float, max_regions: int | None, quota: int | None, available: Indices
) -> tuple[Indices, ChoiceLimits]:
    """Quotas and limits where a sample costs one, wherever it is from."""
    if budget % 1:
        raise GeospotError(f"budget={budget:g} is not a whole number of samples: give one")
    samples = int(min(budget, available.sum()))
    if max_regions is None:
        max_regions = len(available) if samples >= available.sum() else MAX_REGIONS
    most = min(max_regions, len(available), samples)
    if quota is not None:
        most = min(most, samples // quota)
        if most == 0:
            raise GeospotError(f"quota={quota} exceeds budget={samples}: lower it")
    quotas = np.minimum(quota or samples // most, available)
    return quotas, ChoiceLimits(np.ones(len(available)), float(most), most)


def _prices(prices: pd.DataFrame, names: list[str], quota: int | None) -> Array:
    """Prices of candidates per region and per sample, [R, 2]."""
    if quota is None:
        raise GeospotError(
            "prices differ between regions, so the budget cannot be shared equally: give "
            "quota=..., the samples to take of each region"
        )
    checks.instance(prices, pd.DataFrame, "prices", f"with columns {', '.join(PRICES)}")
    absent = sorted(set(PRICES) - set(prices.columns))
    if absent:
        raise GeospotError(f"prices: there is no column {absent[0]!r}; needed: {', '.join(PRICES)}")
    known = pd.Series(names, dtype="string")
    written = pd.concat([known, labels(prices["region"])], ignore_index=True)
    at = match_names(unified(written, "prices: region")[len(names) :], known)
    count = np.bincount(at[at >= 0], minlength=len(names))
    if (count > 1).any():
        raise GeospotError(f"prices: {names[np.argmax(count > 1)]} has several rows: keep one")
    if (count == 0).any():
        raise GeospotError(
            f"prices: there is no row for {names[np.argmin(count)]}: add it, or exclude the region"
        )
    row_of = np.flatnonzero(at >= 0)[np.argsort(at[at >= 0])]
    found = prices[list(PRICES[1:])].iloc[row_of]
    numbers: Array = found.apply(pd.to_numeric, errors="coerce").to_numpy(float)
    wrong = ~(np.isfinite(numbers) & (numbers >= 0.0))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise GeospotError(
            f"prices: {PRICES[1 + column]} of {names[row]} is "
            f"{found[PRICES[1 + column]].iloc[row]}: give numbers of 0 or more"
        )
    return numbers


def _by_prices(
    budget: float, max_regions: int | None, quota: int | None, available: Indices, prices: Array
) -> tuple[Indices, ChoiceLimits]:
    """Quotas and limits where candidates have prices of their own."""
    assert quota is not None
    quotas = np.minimum(quota, available)
    price = prices[:, 0] + quotas * prices[:, 1]
    most = len(available) if max_regions is None else min(max_regions, len(available))
    limits = ChoiceLimits(price, budget, most)
    if not limits.affordable.any():
        raise GeospotError(
            f"budget={budget:g} buys no region: the cheapest costs {price.min():g} for "
            f"{quota} samples"
        )
    return quotas, limits
