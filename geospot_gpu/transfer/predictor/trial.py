"""How well models predict pairs whose regions are left out, in one division of the regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.transfer.predictor.agreement import agreed
from geospot_gpu.transfer.predictor.candidates import CONSTANTS
from geospot_gpu.transfer.predictor.left_out import Grouping, Table

Array = NDArray[np.float64]
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How far predictions may go from a constant to what the models agree on."""


class Trial(NamedTuple):
    """Left-out predictions of one grouping; NaN where no pair is apart from a pair's groups.

    Attributes:
        errors: mean absolute error of every candidate and of what they agree on.
        alone: that of a line through each distance, [D].
        of_share: that of every share of :data:`SHARES`, [S].
        constant: predictions by the constant that did best apart from the pair, [K].
        single: by the distance that did; None without any.
        predicted: what models agree on, drawn towards the constant by the share that did, [K].
    """

    errors: dict[str, float]
    alone: Array
    of_share: Array
    constant: Array
    single: Array | None
    predicted: Array


def tried(
    found: Mapping[str, Array],
    table: Table,
    distances: Sequence[int],
    grouping: Grouping,
    *,
    positive: bool,
) -> Trial:
    """Try all that is to be chosen from.

    Args:
        found: left-out predictions by name of the model, [K] each.
        table: pairs.
        distances: which features are distances.
        grouping: of the regions.
        positive: as :func:`~geospot_gpu.transfer.predictor.candidates.candidates` has it.
    """
    together = agreed(found)
    constant = chosen(np.stack([found[name] for name in CONSTANTS]), table, grouping)
    drawn = constant + np.array(SHARES)[:, None] * (together - constant)
    through = lines_left_out(table, distances, grouping, positive=positive)
    return Trial(
        {name: mean_error(p, table) for name, p in {**found, "agreed": together}.items()},
        np.array([mean_error(p, table) for p in through]),
        np.array([mean_error(p, table) for p in drawn]),
        constant,
        chosen(through, table, grouping) if len(through) else None,
        chosen(drawn, table, grouping),
    )


def lines_left_out(
    table: Table, distances: Sequence[int], grouping: Grouping, *, positive: bool
) -> Array:
    """Left-out predictions by a line through each distance alone, [D, K]."""
    x, y = table.x[:, list(distances)], np.log(table.y) if positive else table.y
    found = np.full((len(distances), len(y)), np.nan)
    for test, train in grouping.folds():
        slopes, intercepts = lines(x[train], y[train], table.weight[train])
        line = np.clip(x[test] * slopes + intercepts, y[train].min(), y[train].max())
        found[:, test] = (np.exp(line) if positive else line).T
    return found


def lines(x: Array, y: Array, weight: Array) -> tuple[Array, Array]:
    """Slope and intercept of the least-squares line through each column of x, [F] each.

    >>> lines(np.array([[0.0, 1.0], [1.0, 1.0]]), np.array([2.0, 5.0]), np.ones(2))
    (array([3., 0.]), array([2. , 3.5]))
    """
    share = weight / weight.sum()
    centre, level = share @ x, share @ y
    spread = share @ (x - centre) ** 2
    slopes = share @ ((x - centre) * (y - level)[:, None])
    slopes = np.where(spread > 0.0, slopes / np.where(spread > 0.0, spread, 1.0), 0.0)
    return slopes, level - slopes * centre


def chosen(options: Array, table: Table, grouping: Grouping) -> Array:
    """Of several left-out predictions of each pair that which does best on pairs apart from it.

    Args:
        options: predictions, [C, K]; of equally good ones the first is taken.
        table: pairs.
        grouping: of their regions.
    """
    errors = np.abs(options - table.y)
    known = np.isfinite(errors).all(0)
    found = np.full(len(table.y), np.nan)
    for test, train in grouping.folds():
        some = train & known
        best = np.argmin(errors[:, some] @ table.weight[some]) if some.any() else 0
        found[test] = options[best, test]
    return found


def mean_error(predicted: Array, table: Table) -> float:
    """Mean absolute error where there is a prediction."""
    known = np.isfinite(predicted)
    errors = np.abs(predicted - table.y)[known]
    return float(np.average(errors, weights=table.weight[known]))


def level(table: Table, constant: str) -> float:
    """The mean or the median of all scores."""
    if constant == CONSTANTS[0]:
        return float(np.average(table.y, weights=table.weight))
    return quantile(table.y, table.weight, 0.5)


def quantile(values: Array, weight: Array, level: float) -> float:
    """The smallest value up to which such a share of the weight lies; the largest beyond all."""
    order = np.argsort(values, kind="stable")
    upto = np.cumsum(weight[order]) / weight.sum()
    at = int(np.searchsorted(upto, level))
    return float(values[order[min(at, len(order) - 1)]])


def line_of(table: Table, column: int, *, positive: bool) -> Array:
    """What the line through a feature says of the very pairs that it is fitted to, [K]."""
    y = np.log(table.y) if positive else table.y
    slopes, intercepts = lines(table.x[:, [column]], y, table.weight)
    line: Array = table.x[:, column] * slopes[0] + intercepts[0]
    return np.exp(np.clip(line, y.min(), y.max())) if positive else line
