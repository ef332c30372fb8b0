"""Correlations under relabelled and resampled regions, as pairs that share regions demand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.transfer.correlation.groups import group_of
from geospot_gpu.transfer.correlation.kendall import kendall
from geospot_gpu.transfer.correlation.statistics import FLAT, STATISTICS, mid_ranks, standardised

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
_BLOCK_ENTRIES = 1 << 20
_ROUNDING = 1e-9
"""By how much equal correlations may differ."""


class Pairs(NamedTuple):
    """The ordered pairs of different regions that have a loss.

    Attributes:
        source, target: positions of their regions, [K].
        weight: positive, with a sum of 1, [K].
        regions: how many there are.
    """

    source: Indices
    target: Indices
    weight: Array
    regions: int

    @classmethod
    def of(cls, weight: Array) -> Pairs:
        """Those of positive weight in a matrix, [R, R]."""
        source, target = np.nonzero(weight)
        # Over the largest first: a sum of large weights may overflow.
        scaled = weight[source, target] / weight.max()
        return cls(source, target, scaled / scaled.sum(), len(weight))

    def take(self, matrix: Array) -> Array:
        """Values of the pairs, [K], of a matrix [R, R]."""
        return matrix[self.source, self.target]

    @property
    def alike(self) -> bool:
        """Whether no pair is missing and all weigh the same."""
        complete = len(self.source) == self.regions * (self.regions - 1)
        return complete and bool(np.ptp(self.weight) <= FLAT * self.weight.max())


class Association(NamedTuple):
    """Correlations of one distance with L losses, [L] each."""

    value: Array
    p: Array
    """Share of the relabellings with an absolute correlation at least as large."""
    p_family: Array | None
    """The same of the largest one in the family, each in units of its own spread over the
    relabellings; None of a distance outside of it."""


def relabellings(regions: int, count: int, generator: np.random.Generator) -> Indices:
    """Random permutations of the regions, [P, R]."""
    return np.array([generator.permutation(regions) for _ in range(count)])


def relabelled(
    distances: Mapping[str, Array],
    losses: Array,
    pairs: Pairs,
    orders: Indices,
    *,
    taus: int,
) -> dict[str, dict[str, Association]]:
    """Correlations and their p-values, by distance and statistic.

    The family of distances that are tried together are all but covariates.

    Args:
        distances: finite but for the diagonal, of magnitude 1 at most, [R, R]; none is constant.
        losses: of the pairs, none constant, [L, K].
        pairs: K pairs.
        orders: permutations of the regions, [P, R].
        taus: how many of them Kendall's tau is taken of; without any it is left out.
    """
    ranks = np.stack([mid_ranks(loss, pairs.weight[None])[0] for loss in losses])
    y = {
        "pearson": standardised(losses, pairs.weight),
        "spearman": standardised(ranks, pairs.weight),
    }
    value: dict[str, dict[str, Array]] = {}
    chance: dict[str, dict[str, Array]] = {}
    for name, distance in distances.items():
        own = np.arange(pairs.regions)[None]
        value[name] = {s: of[0] for s, of in _permuted(distance, pairs, own, y).items()}
        chance[name] = _permuted(distance, pairs, orders, y)
        if taus:
            value[name]["kendall"] = _permuted_taus(distance, pairs, own, losses)[0]
            chance[name]["kendall"] = _permuted_taus(distance, pairs, orders[:taus], losses)
    family = [name for name in distances if group_of(name) != "covariate"]
    found: dict[str, dict[str, Association]] = {name: {} for name in distances}
    for statistic in STATISTICS if taus else STATISTICS[:2]:
        spread = {name: _spread(value[name][statistic], chance[name][statistic]) for name in family}
        others = [np.abs(chance[name][statistic]) / spread[name] for name in family]
        largest = np.max(others, 0, initial=0.0)
        for name in distances:
            observed = value[name][statistic]
            found[name][statistic] = Association(
                observed,
                _share(np.abs(chance[name][statistic]), observed),
                _share(largest, observed / spread[name]) if name in family else None,
            )
    return found


def _spread(observed: Array, others: Array) -> Array:
    """Root mean square of a correlation over all relabellings, the identity among them, [L].

    It is the same whichever of them is the identity, so what is divided by it may be compared with
    its own relabellings as before; 1 where all are zero.

    Args:
        observed: with the labels as they are, [L].
        others: under P relabellings, [P, L].
    """
    spread = np.sqrt((observed**2 + np.sum(others**2, axis=0)) / (1.0 + len(others)))
    return np.where(spread > 0.0, spread, 1.0)


def _share(values: Array, observed: Array) -> Array:
    """Share of the relabellings, the identity among them, at least as extreme as the observed."""
    extreme = np.sum(values >= np.abs(observed) - _ROUNDING, axis=0)
    share: Array = (1.0 + extreme) / (1.0 + len(values))
    return share


def _permuted(
    distance: Array, pairs: Pairs, orders: Indices, losses: Mapping[str, Array]
) -> dict[str, Array]:
    """Correlations under each relabelling of the regions of a distance, [P, L].

    Losses, weights and what is missing stay where they are. Where the distance is constant over the
    pairs that it lands on, its correlation is 0.

    Args:
        distance: of the regions, [R, R].
        pairs: K pairs.
        orders: permutations of the regions, [P, R].
        losses: by statistic, ``pearson`` or ``spearman``: L losses or their mid-ranks,
            standardised, [L, K].
    """
    found = {name: np.empty((len(orders), len(y))) for name, y in losses.items()}
    for some in _blocks(len(orders), pairs.regions**2):
        at = orders[some][:, pairs.source], orders[some][:, pairs.target]
        for name, y in losses.items():
            x = _standardised_at(distance, pairs, at, ranked=name == "spearman")
            found[name][some] = x @ (pairs.weight * y).T
    return {name: np.nan_to_num(values, copy=False) for name, values in found.items()}


def _standardised_at(
    distance: Array, pairs: Pairs, at: tuple[Indices, Indices], *, ranked: bool
) -> Array:
    """Standardised values or mid-ranks of a distance where its labels are others, [B, K]."""
    if pairs.alike:  # only their order changes
        x = pairs.take(distance)
        values = np.zeros_like(distance)
        values[pairs.source, pairs.target] = standardised(
            mid_ranks(x, pairs.weight[None])[0] if ranked else x, pairs.weight
        )
        return values[at]
    if not ranked:
        return standardised(distance[at], pairs.weight)
    # Ranks are among the entries that the pairs land on: weighed there, sorted once for all.
    place = at[0] * pairs.regions + at[1]
    landed = np.zeros((len(place), distance.size))
    np.put_along_axis(landed, place, pairs.weight[None], axis=1)
    flat = np.where(np.eye(pairs.regions, dtype=bool), 0.0, distance).ravel()
    return standardised(
        np.take_along_axis(mid_ranks(flat, landed), place, axis=1),
        pairs.weight,
    )


def _permuted_taus(distance: Array, pairs: Pairs, orders: Indices, losses: Array) -> Array:
    """As :func:`_permuted` for Kendall's tau with losses [L, K], [P, L]."""
    weight = pairs.weight[None]
    permuted = [distance[order[pairs.source], order[pairs.target]] for order in orders]
    taus = np.array([[kendall(x, y, weight)[0] for y in losses] for x in permuted])
    return np.where(np.isfinite(taus), taus, 0.0)


def resampled(
    distances: Mapping[str, Array], loss: Array, pairs: Pairs, draws: Indices, *, taus: int
) -> dict[str, dict[str, Array]]:
    """Correlations over the pairs of regions drawn with replacement, [B] by distance, statistic.

    A pair counts as often as both of its regions were drawn. NaN where a side is constant.

    Args:
        distances: finite but for the diagonal, of magnitude 1 at most, [R, R].
        loss: of the pairs, [K].
        pairs: K pairs; none is of one region with itself.
        draws: positions of regions, [B, R].
        taus: how many of the draws Kendall's tau is taken of.
    """
    found = {name: {s: np.full(len(draws), np.nan) for s in STATISTICS} for name in distances}
    values = {name: pairs.take(distance) for name, distance in distances.items()}
    counts = np.stack([np.bincount(draw, minlength=pairs.regions) for draw in draws])
    for some in _blocks(len(draws), len(loss)):
        times = counts[some][:, pairs.source] * counts[some][:, pairs.target]
        weight = times * pairs.weight
        with np.errstate(invalid="ignore"):
            weight /= np.where(times.sum(1) < 3, np.nan, weight.sum(1))[:, None]
        sides = {
            "pearson": np.broadcast_to(loss, weight.shape),
            "spearman": mid_ranks(loss, weight),
        }
        y = {name: weight * standardised(side, weight) for name, side in sides.items()}
        few = weight[: max(0, taus - some.start)]
        for name, x in values.items():
            for statistic, side in y.items():
                ranks = mid_ranks(x, weight) if statistic == "spearman" else x[None]
                found[name][statistic][some] = np.einsum(
                    "bk,bk->b", side, standardised(np.broadcast_to(ranks, side.shape), weight)
                )
            if len(few):
                found[name]["kendall"][some][: len(few)] = kendall(x, loss, few)
    return found


def _blocks(rows: int, entries: int) -> Iterator[slice]:
    """Slices of rows of so many entries, with a bound on the entries of each."""
    step = max(1, _BLOCK_ENTRIES // max(1, entries))
    return (slice(low, low + step) for low in range(0, rows, step))
