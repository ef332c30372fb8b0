"""Pairs of regions with scores, and all that is known of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.runs.run import Run
from geospot_gpu.transfer.evidence import Loaded, check_square, features, load, tidy
from geospot_gpu.transfer.scores.scores import Scores

Array = NDArray[np.float64]


def evidence_for(run: Run, scores: Scores) -> Loaded:
    """The distances of a run, which has the regions that have scores.

    Raises:
        GeospotError: one of the two is of another kind, the run has not all of these regions, or
            its distances cannot be had.
    """
    checks.instance(run, Run, "run", "as Run.open gives it")
    checks.instance(scores, Scores, "scores", "as read_scores gives them")
    check_square(run)
    unknown = sorted(set(scores.regions) - set(run.names))
    if unknown:
        raise GeospotError(
            f"scores: {unknown[0]} is no region of {run.folder}: read them with "
            "read_scores(..., regions=run.names)"
        )
    return load(run)


def distances_of(loaded: Loaded, scores: Scores) -> dict[str, Array]:
    """The matrices of the regions with scores.

    Raises:
        GeospotError: a pair with a score has not been solved yet.
    """
    positions = [loaded.names.index(name) for name in scores.regions]
    found = {
        name: values[np.ix_(positions, positions)] for name, values in loaded.distances.items()
    }
    _check_complete(loaded.solved[np.ix_(positions, positions)], scores, loaded.run)
    return found


def _check_complete(solved: NDArray[np.bool_], scores: Scores, run: Run) -> None:
    missing = np.argwhere(np.isfinite(scores.change) & ~solved)
    if len(missing):
        i, j = missing[0]
        raise GeospotError(
            f"{run.folder}: the pair of {scores.regions[i]} and {scores.regions[j]} is missing: "
            "finish the sweep by running it again"
        )


def training_pairs(loaded: Loaded, scores: Scores) -> tuple[pd.DataFrame, list[str]]:
    """Pairs with scores, features, maybe weights and standard errors, and which are distances."""
    positions = np.array([loaded.names.index(name) for name in scores.regions])
    every = features(
        loaded.distances, loaded.run.regions, loaded.run.regions, in_domain(loaded, scores)
    )
    chosen = {name: values[np.ix_(positions, positions)] for name, values in every.items()}
    names = list(scores.regions)
    known = {"weight": scores.weight, "std_error": scores.std_error}
    beside = {name: values for name, values in known.items() if values is not None}
    pairs = tidy({"score": scores.score, **beside, **chosen}, names, names)
    between = (pairs["source"] != pairs["target"]) & np.isfinite(pairs["score"])
    if "weight" in pairs:
        between &= pairs["weight"] > 0.0
    return pairs[between].reset_index(drop=True), [n for n in chosen if n in loaded.distances]


def in_domain(loaded: Loaded, scores: Scores) -> Array | None:
    """Score of every region of the sweep at home, where all that have scores have that one."""
    own = np.diag(scores.score)
    if not np.isfinite(own).all():
        return None
    found = np.full(len(loaded.names), np.nan)
    found[[loaded.names.index(name) for name in scores.regions]] = own
    return found
