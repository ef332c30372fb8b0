"""What a person wants to know of the pairs of a sweep, found in one reading of some columns."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.arrays import Indices
from geospot_gpu.distances.columns import find
from geospot_gpu.distances.pair_table import PairTable
from geospot_gpu.runs.stored_pairs import StoredPairs

_ENDS = ["source", "target"]


@dataclass
class Overview:
    """What is known of the pairs of a sweep.

    Attributes:
        count: how many pairs there are.
        unconverged: how many of them are not known to have converged.
        marginal_error: the largest.
        kernels: how many pairs each kernel has solved.
        samples: how many pairs there are by the number of points of their larger sample.
        nearest, farthest: the pairs of the smallest and of the largest distances, in order:
            ``source``, ``target`` and the distance with its bounds.
    """

    count: int = 0
    unconverged: int = 0
    marginal_error: float = float("nan")
    kernels: Counter[str] = field(default_factory=Counter)
    samples: Counter[int] = field(default_factory=Counter)
    nearest: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=_ENDS))
    farthest: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=_ENDS))


def overview(pairs: StoredPairs, value: str, shown: int) -> Overview:
    """Look over all pairs.

    Args:
        pairs: of the sweep.
        value: the column that is the distance.
        shown: how many of the nearest and of the farthest pairs are wanted.
    """
    column = find(value)
    sides = [column.sides(name)[0] for name in column.variables]
    found = Overview()
    nearest, farthest = [], []
    for part in pairs.parts([*sides, "marginal_error", "converged", "kernel"]):
        found.count += len(part)
        found.unconverged += int((~part["converged"]).sum())
        found.marginal_error = float(np.fmax(found.marginal_error, _largest(part)))
        found.kernels.update(part["kernel"].tolist())
        most = np.maximum(part["n_source"], part["n_target"])
        counts = np.bincount(most)
        found.samples.update({int(size): int(counts[size]) for size in np.flatnonzero(counts)})
        values = part[sides[0]]
        known = np.flatnonzero(~np.isnan(values))
        nearest.append(_rows(part, known[_smallest(values[known], shown)], sides))
        farthest.append(_rows(part, known[_smallest(-values[known], shown)], sides))
    names = np.array(pairs.names, object)
    for into, rows, ascending in (("nearest", nearest, True), ("farthest", farthest, False)):
        if rows:
            together = pd.concat(rows).sort_values(
                [sides[0], "left", "right"], ascending=[ascending, True, True]
            )[:shown]
            ends = {"source": names[together["left"]], "target": names[together["right"]]}
            setattr(found, into, together.drop(columns=["left", "right"]).assign(**ends))
    return found


def _smallest(values: NDArray[np.float32], count: int) -> Indices:
    """Positions of the smallest values, in order, and of all that are equal to the last."""
    if len(values) > count:
        last = np.partition(values, count - 1)[count - 1]
        some = np.flatnonzero(values <= last)
    else:
        some = np.arange(len(values))
    return some[np.argsort(values[some], kind="stable")]


def _largest(part: PairTable) -> float:
    errors = part["marginal_error"]
    return float(np.fmax.reduce(errors)) if len(errors) else float("nan")


def _rows(part: PairTable, at: np.ndarray, sides: list[str]) -> pd.DataFrame:
    columns = {"left": part.left[at], "right": part.right[at]}
    return pd.DataFrame(columns | {name: part[name][at].astype(float) for name in sides})
