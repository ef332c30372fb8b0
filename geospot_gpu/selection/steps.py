"""What each step of a choice improves, with the error that samples leave in it."""

from __future__ import annotations

import logging
import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.selection.candidates import CandidateCosts
from geospot_gpu.selection.facility import covered
from geospot_gpu.selection.union import Distance

Array = NDArray[np.float64]

_NORMAL = 1.96
"""Half of a 95 % interval, in standard errors."""

log = logging.getLogger("geospot_gpu")


def coverage_steps(costs: CandidateCosts, order: list[int]) -> pd.DataFrame:
    """Coverage after each step, with the error that the target's points leave in it.

    The points of a target are taken as a sample of the places that a model will be used at.
    """
    mass, before = costs.mass, costs.have_cost
    rows = []
    for step in range(1, len(order) + 1):
        cover = covered(order[:step], costs.expected, costs.have_cost)
        value, error = _mean(mass, cover)
        gained, noise = _mean(mass, before - cover) if np.isfinite(before[0]) else (np.inf, 0.0)
        half = _NORMAL * error
        rows.append((value, value - half, value + half, gained > _NORMAL * noise))
        before = cover
    return pd.DataFrame(rows, columns=["distance", "lower", "upper", "improves"])


def _mean(mass: Array, values: Array) -> tuple[float, float]:
    """Weighted mean, and its standard error as a ratio estimate."""
    mean = float(mass @ values)
    return mean, float(np.sqrt(np.square(mass * (values - mean)).sum()))


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
