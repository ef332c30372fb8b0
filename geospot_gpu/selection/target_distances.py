"""Distances from candidates to targets: what is stored, and what has to be computed."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.distances.columns import choices, find
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.settings import Engine
from geospot_gpu.errors import GeospotError
from geospot_gpu.runs.baselines import shared_baselines
from geospot_gpu.runs.solving import solve
from geospot_gpu.selection.problem import Problem

log = logging.getLogger("geospot_gpu")

Array = NDArray[np.float64]
TargetDistances = Callable[[Problem], Array]
"""Gives distances from the candidates of a problem to its targets, [R, T]."""


def check_distance(by: str) -> None:
    """Raise unless ``by`` is one of :func:`~geospot_gpu.distances.columns.choices`."""
    if not isinstance(by, str) or by not in choices():
        raise GeospotError(f"by={by} is unknown: use one of {', '.join(choices())}")


def check_places(by: str, problem: Problem) -> None:
    """Raise where a distance is of places, and points have no coordinates."""
    if not find(by).of_features and not problem.regions.located:
        raise GeospotError(f"by={by} needs coordinates, and points have none: use by=divergence")


def distances_in(pairs: pd.DataFrame, by: str, problem: Problem, *, square: bool) -> Array:
    """Values of ``by`` from every candidate to every target, NaN where they are not known, [R, T].

    Args:
        pairs: columns ``source``, ``target``, and ``by`` or both of its directions.
        by: the distance.
        problem: candidates and targets.
        square: whether the pairs are of one table, either region of a pair being the source.
    """
    names = problem.regions.names
    sources = pd.Index([names[k] for k in problem.candidates])
    targets = pd.Index([names[k] for k in problem.targets])
    there, back = find(by).sides()
    found = np.full((len(sources), len(targets)), np.nan)
    directions = [("source", "target", there), ("target", "source", back)]
    for source, target, stored in directions if square else directions[:1]:
        if stored in pairs:
            i = sources.get_indexer(pd.Index(pairs[source]))
            j = targets.get_indexer(pd.Index(pairs[target]))
            known = (i >= 0) & (j >= 0)
            found[i[known], j[known]] = pairs[stored][known].astype(float)
    return found


def solved_distances(method: Method, engine: Engine, problem: Problem, by: str) -> Array:
    """Distances from every candidate to every target, solved now, [R, T].

    Raises:
        GeospotError: there is no such distance.
    """
    check_distance(by)
    index = np.array(problem.candidates), np.array(problem.targets)
    left, right = (side.ravel() for side in np.meshgrid(*index, indexing="ij"))
    if find(by).table == "baselines":
        check_places(by, problem)
        pairs = shared_baselines(problem.regions, left, right, [by], engine)
        names = np.array(problem.regions.names, dtype=object)
        pairs = pairs.assign(source=names[left], target=names[right])
    else:
        solved = solve(problem.regions, left, right, method, [by], engine=engine)
        pairs = solved.to_pandas(problem.regions.names)
        if not solved["converged"].all():
            log.warning(
                f"by={by}: {int((~solved['converged']).sum())} of {len(pairs)} distances did not "
                f"converge: raise {method.solver.remedy}"
            )
    return distances_in(pairs, by, problem, square=False)
