"""Distances between regions that a run does not have, as it has those of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.distances.baselines import kernel_width
from geospot_gpu.distances.columns import stored_in
from geospot_gpu.distances.pairwise import all_pairs
from geospot_gpu.regions import Regions
from geospot_gpu.regions.united import united
from geospot_gpu.runs.baselines import shared_baselines
from geospot_gpu.runs.run import Run
from geospot_gpu.runs.solving import solve
from geospot_gpu.transfer.evidence import Loaded, matrices
from geospot_gpu.transfer.spaces import Space, split

Array = NDArray[np.float64]


class Ends(NamedTuple):
    """Regions at both ends of pairs, in one space."""

    sources: Regions
    targets: Regions


def sources_of(run: Run, names: Sequence[str], unions: Mapping[str, Sequence[str]]) -> Regions:
    """Regions of a run, and after them unions of some of its regions.

    Args:
        run: which has the regions.
        names: of both.
        unions: names of the parts of each union, by its name.
    """
    single = [name for name in names if name not in unions]
    several = {name: unions[name] for name in names if name in unions}
    if not several:
        return run.regions.subset(single)
    joined = united(run.regions, several)
    return run.regions.subset(single).concatenated(joined) if single else joined


def distances_between(
    loaded: Loaded, ends: Mapping[Space, Ends], learned: Collection[str]
) -> dict[str, Array]:
    """Distances from sources to targets by name, [R, R'].

    Args:
        loaded: the run.
        ends: the regions, in all of its spaces.
        learned: which distances; ``SPACE.NAME`` where there are several spaces.
    """
    found: dict[str, Array] = {}
    for space, run in loaded.runs.items():
        wanted = [name for name in learned if name not in found and split(name)[0] in (None, space)]
        own = _distances(ends[space], run, [split(name)[1] for name in wanted])
        found |= {name: own[split(name)[1]] for name in wanted}
    return found


def _distances(ends: Ends, run: Run, learned: Collection[str]) -> dict[str, Array]:
    """Those distances between sources and targets that were learned from, as the sweep has them."""
    sources, targets = ends
    together = sources.concatenated(targets)
    left, right = all_pairs(len(sources), len(targets))
    of_sweep, simple = (
        [column.name for column in stored_in(table) if set(column.matrices) & set(learned)]
        for table in ("pairs", "baselines")
    )
    if run.target_error is not None:  # which samples are large enough is for these to say
        of_sweep += ["divergence", "std_error", "bias"]
    found = []
    if of_sweep:
        solved = solve(
            together, left, right, run.method, of_sweep,
            engine=run.engine, target_error=run.target_error,
        )  # fmt: skip
        found.append(solved.to_pandas(together.names))
    width = kernel_width(run.regions) if simple else None  # as for what was learned from
    found.append(shared_baselines(together, left, right, simple, run.engine, width))
    pairs = pd.concat(found, axis=1)
    return matrices(pairs, list(sources.names), list(targets.names))
