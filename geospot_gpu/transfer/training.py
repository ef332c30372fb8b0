"""Pairs of regions with scores, and all that is known of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.runs.run import Run
from geospot_gpu.transfer.evidence import Loaded, check_square, features, load, tidy
from geospot_gpu.transfer.other_regions import Ends, distances_between, sources_of
from geospot_gpu.transfer.scores.scores import Scores

log = logging.getLogger("geospot_gpu")

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
    asked = {*scores.regions, *chain.from_iterable(scores.unions.values())}
    unknown = sorted(asked - set(run.names))
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


class Training(NamedTuple):
    """Pairs to learn from."""

    pairs: pd.DataFrame
    """With scores, features, maybe weights and standard errors."""
    distances: list[str]
    """Which features are distances."""
    unions: Mapping[str, tuple[str, ...]]
    """Regions that others are together, by name."""
    at_home: Mapping[str, float] | None
    """Of each source, as :func:`at_home` has it."""


def training_pairs(loaded: Loaded, scores: Scores) -> Training:
    """Pairs of different regions with scores, and of sources that are several regions together.

    Distances of the latter are solved here, for a sweep stores those of its own regions alone; they
    are few beside all pairs. A target that is part of its source is left out.
    """
    positions = np.array([loaded.names.index(name) for name in scores.regions])
    own = at_home(loaded, scores)
    every = features(
        loaded.distances,
        loaded.run.regions,
        loaded.run.regions,
        None if own is None else np.array([own.get(name, np.nan) for name in loaded.names]),
    )
    chosen = {name: values[np.ix_(positions, positions)] for name, values in every.items()}
    names = list(scores.regions)
    known = {"weight": scores.weight, "std_error": scores.std_error}
    beside = {name: values for name, values in known.items() if values is not None}
    pairs = tidy({"score": scores.score, **beside, **chosen}, names, names)
    between = (pairs["source"] != pairs["target"]) & np.isfinite(pairs["score"])
    if "weight" in pairs:
        between &= pairs["weight"] > 0.0
    within = _unions_in(loaded.names)
    sides = zip(pairs["source"], pairs["target"], strict=True)
    shared = np.array([b in within.get(a, ()) or a in within.get(b, ()) for a, b in sides], bool)
    if inside := int((shared & between).sum()):
        log.warning("scores of %d pairs of a region and its union are not learned from", inside)
    pairs = pairs[between & ~shared].reset_index(drop=True)
    distances = [name for name in chosen if name in loaded.distances]
    several = _of_unions(loaded, scores, own, distances)
    if several is not None:
        pairs = pd.concat([pairs, several[pairs.columns]], ignore_index=True)
    return Training(pairs, distances, {**within, **scores.unions}, own)


def _unions_in(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Regions of a run that are unions of others, as ``FR+DE``: themselves, and their parts.

    >>> _unions_in(["DE", "FR", "FR+DE", "IT+XX"])
    {'FR+DE': ('FR+DE', 'FR', 'DE')}
    """
    found = {name: [part for part in name.split("+") if part in names] for name in names}
    return {name: (name, *parts) for name, parts in found.items() if parts and parts != [name]}


def _of_unions(
    loaded: Loaded, scores: Scores, own: Mapping[str, float] | None, distances: Sequence[str]
) -> pd.DataFrame | None:
    """The pairs of sources that are several regions together, where there are some."""
    given = scores.of_unions
    apart = np.array(
        [target not in (source, *scores.unions[source])
         for source, target in zip(given["source"], given["target"], strict=True)],
        bool,
    )  # fmt: skip
    inside = int((~apart & (given["source"] != given["target"])).sum())
    if inside:
        log.warning("scores of %d targets that are part of their source are not learned from",
                    inside)  # fmt: skip
    given = given[apart]
    names, targets = list(given["source"].unique()), list(given["target"].unique())
    if not names:
        return None
    ends = {
        space: Ends(sources_of(run, names, scores.unions), run.regions.subset(targets))
        for space, run in loaded.runs.items()
    }
    with loaded.run.engine.pool():
        found = distances_between(loaded, ends, distances)
    home = None if own is None else np.array([own[name] for name in names])
    known = tidy(features(found, *next(iter(ends.values())), home), names, targets)
    return given.merge(known, on=["source", "target"])


def at_home(loaded: Loaded, scores: Scores) -> dict[str, float] | None:
    """Score of each source's model at home, by name, where that is known of all that have scores.

    Of several regions together it is what the table says, or the mean of its parts.
    """
    own = dict(zip(scores.regions, np.diag(scores.score).tolist(), strict=True))
    if not np.isfinite(list(own.values())).all():
        return None
    given = scores.of_unions
    given = given[given["source"] == given["target"]]
    told = dict(zip(given["source"], given["score"], strict=True))
    for name, parts in scores.unions.items():
        if name not in told and not own.keys() >= set(parts):
            log.warning(
                "%s has no score in itself, nor have all of its parts: scores in themselves are "
                "not learned from",
                name,
            )
            return None
        told.setdefault(name, mean_at_home(loaded, own, parts))
    return own | told


def mean_at_home(loaded: Loaded, own: Mapping[str, float], parts: Sequence[str]) -> float:
    """Mean of the scores of regions at home, by how many points they have, or their weights."""
    mass = [loaded.run.regions.mass[loaded.names.index(name)] for name in parts]
    return float(np.average([own[name] for name in parts], weights=mass))
