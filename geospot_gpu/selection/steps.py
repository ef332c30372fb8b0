"""What each step of a choice improves, with the error that samples leave in it."""

from __future__ import annotations

import logging
import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.selection.candidates import CandidateCosts
from geospot_gpu.selection.union import Distance

Array = NDArray[np.float64]

_NORMAL = 1.96
"""Half of a 95 % interval, in standard errors."""

log = logging.getLogger("geospot_gpu")


class Estimate(NamedTuple):
    """A mean over the targets' points, with the 95 % interval that other points would give it."""

    value: float
    lower: float
    upper: float

    @classmethod
    def of(cls, mass: Array, values: Array) -> Estimate:
        """The weighted mean of values [M], with its standard error as a ratio estimate."""
        mean = float(mass @ values)
        half = _NORMAL * float(np.sqrt(np.square(mass * (values - mean)).sum()))
        return cls(mean, mean - half, mean + half)

    @property
    def negative(self) -> Estimate:
        """Of what is subtracted the other way round."""
        return Estimate(-self.value, -self.upper, -self.lower)


def coverage_steps(costs: CandidateCosts, covers: Array) -> pd.DataFrame:
    """Coverage after each step, with the error that the target's points leave in it.

    The points of a target are taken as a sample of the places that a model will be used at.

    Args:
        costs: the targets, and what is there already.
        covers: expected cost of each target point after each step, [M, K].
    """
    before = costs.have_cost
    rows = []
    for cover in covers.T:
        gained = np.isinf(before[0]) or Estimate.of(costs.mass, before - cover).lower > 0.0
        rows.append((*Estimate.of(costs.mass, cover), gained))
        before = cover
    return pd.DataFrame(rows, columns=["distance", "lower", "upper", "improves"])


def union_steps(costs: CandidateCosts, order: list[int]) -> pd.DataFrame:
    """Divergence of the union after each step, with the error that samples leave in it."""
    before: Distance | None = None
    if len(costs.problem.have):
        before = costs.unions.distance(costs.mixture([]))
    rows = []
    for step in range(1, len(order) + 1):
        found = costs.unions.distance(costs.mixture(order[:step]))
        if not found.converged:
            log.warning("the union of %d regions did not converge", step)
        half = _NORMAL * _error(found, None)
        improves = before is None or before.value - found.value > _NORMAL * _error(found, before)
        rows.append((found.value, found.lower - half, found.upper + half, improves))
        before = found
    return pd.DataFrame(rows, columns=["distance", "lower", "upper", "improves"])


def _error(found: Distance, before: Distance | None) -> float:
    """Standard error of a divergence, or of its difference from another one of the same targets."""
    change = found.of_target - (0.0 if before is None else before.of_target)
    total = float(np.square(change).sum())
    earlier = {} if before is None else before.of_member
    for k, values in found.of_member.items():
        total += float(np.square(values - earlier.get(k, 0.0)).sum())
    return math.sqrt(total)
