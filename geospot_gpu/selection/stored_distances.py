"""Distances that a sweep has stored, and what it lacks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.arrays import Indices
from geospot_gpu.distances.columns import find
from geospot_gpu.runs.baselines import stored_baselines
from geospot_gpu.runs.run import Run
from geospot_gpu.selection.problem import Problem
from geospot_gpu.selection.target_distances import (
    check_distance,
    check_places,
    distances_in,
    solved_distances,
)

Array = NDArray[np.float64]


def stored_distances(run: Run, problem: Problem, by: str) -> Array:
    """Distances from the candidates of a problem to its targets, computed where they are not there.

    Args:
        run: the sweep.
        problem: candidates and targets among its regions.
        by: the distance.

    Returns:
        [R, T], in units of the scaled ground cost.
    """
    check_distance(by)
    square = run.against is None
    if find(by).table == "baselines":
        check_places(by, problem)
        left, right = _pairs(problem)
        if square:
            left, right = np.minimum(left, right), np.maximum(left, right)
        pairs = stored_baselines(run.place, run.keys, problem.regions, left, right, run.engine)
        return distances_in(pairs, by, problem, square=square)
    column = find(by)
    sides = list(dict.fromkeys(column.sides()))
    pairs = run.distances(["source", "target", *sides]).to_pandas()
    found = distances_in(pairs, by, problem, square=square)
    if np.isfinite(found).all():
        return found
    return solved_distances(run.method, run.engine, problem, by)


def _pairs(problem: Problem) -> tuple[Indices, Indices]:
    """Every candidate with every target."""
    both = np.meshgrid(problem.candidates, problem.targets, indexing="ij")
    left, right = (side.ravel() for side in both)
    return left, right
