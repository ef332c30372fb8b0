"""What the predictor is worth beside simpler ones, itself before, and itself without its parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Self

import numpy as np
import pandas as pd

from benchmarks.transfer.distances import INPUTS, PLACE, Array, Known
from benchmarks.transfer.former import former, former_candidates
from benchmarks.transfer.jackknife import jackknife_z
from geospot_gpu.transfer.correlation.resampling import relabellings
from geospot_gpu.transfer.predictor import predictor as settings
from geospot_gpu.transfer.predictor.candidates import CONSTANTS, Make, candidates
from geospot_gpu.transfer.predictor.evaluated import evaluated
from geospot_gpu.transfer.predictor.intervals import Calibration
from geospot_gpu.transfer.predictor.left_out import Grouping, Table, left_out
from geospot_gpu.transfer.predictor.trial import Trial, mean_error, tried
from geospot_gpu.transfer.scores.scores import Kind, bounds

SPACES = {"coordinates alone": (PLACE,), "with inputs": (PLACE, INPUTS)}
ALONE = ("linear", "kernel", "trees", "agreed")
"""Models that are tried without the others."""


class Learned(NamedTuple):
    """What is learned from, and by which models.

    Attributes:
        table: pairs, all of which weigh the same.
        makers: of models, by name.
        columns: which features are distances.
        positive: whether models see logarithms of scores.
    """

    table: Table
    makers: Mapping[str, Make]
    columns: list[int]
    positive: bool

    @classmethod
    def of(cls, pairs: pd.DataFrame, names: list[str], distances: list[str], kind: Kind) -> Self:
        """From these features of pairs, as the predictor does."""
        y = pairs["score"].to_numpy(float)
        worse = 1 if kind == "error" else -1
        positive = kind == "error" and bool((y > 0.0).all())
        return cls(
            Table(pairs[names].to_numpy(float), y, np.ones(len(y))),
            candidates([worse if n in distances else 0 for n in names], positive=positive),
            [names.index(name) for name in distances],
            positive,
        )

    def tried(self, found: Mapping[str, Array], grouping: Grouping) -> Trial:
        """Left-out predictions by those of these models that there are."""
        own = {name: values for name, values in found.items() if name in self.makers}
        return tried(own, self.table, self.columns, grouping, positive=self.positive)


def measured(known: Known, score: Array, kind: Kind, seed: int) -> dict[str, dict[str, float]]:
    """Errors and intervals, with the distances of either choice of spaces.

    Args:
        known: of the regions.
        score: of all pairs, [R, R].
        kind: of the scores.
        seed: of the groups of regions.
    """
    return {
        name: in_spaces(*known.pairs(score, *spaces), kind, seed) for name, spaces in SPACES.items()
    }


def in_spaces(pairs: pd.DataFrame, distances: list[str], kind: Kind, seed: int) -> dict[str, float]:
    """Errors and intervals, and errors without parts of what is learned from."""
    names = [name for name in pairs.columns if name not in ("source", "target", "score")]
    regions, ends = np.unique(pairs[["source", "target"]].to_numpy(str), return_inverse=True)
    source, target = ends.reshape(-1, 2).T
    generator = np.random.default_rng(seed)
    groupings = [Grouping.draw([source, target], generator) for _ in range(settings.GROUPINGS)]
    orders = relabellings(len(regions), settings.PERMUTATIONS, generator)
    y = pairs["score"].to_numpy(float)
    whole = Learned.of(pairs, names, distances, kind)
    makers = {**whole.makers, **former_candidates()}
    found = [left_out(makers, whole.table, one) for one in groupings]
    trials = [whole.tried(one, grouping) for one, grouping in zip(found, groupings, strict=True)]
    predicted = np.mean([one.predicted for one in trials], axis=0)
    calibration = Calibration(whole.table, predicted, target, groupings[0])
    limits = bounds(kind, y)
    ours = evaluated(
        trials, dict(zip(distances, whole.columns, strict=True)), whole.table, calibration,
        ([source], target), orders, limits, positive=whole.positive,
    )  # fmt: skip
    before = former(found, whole.table, groupings, limits)
    assert ours.error_of_single is not None
    of_simple = {"constant": ours.error_of_constant, "single": ours.error_of_single}
    simple = np.mean([getattr(t, min(of_simple, key=lambda n: of_simple[n])) for t in trials], 0)

    def z(other: Array) -> float:
        known = np.isfinite(other) & np.isfinite(predicted)
        gain = np.abs(other - y) - np.abs(predicted - y)
        return jackknife_z(gain[known], source[known], target[known])

    def without(dropped: list[str]) -> float:
        kept = [name for name in names if name not in dropped]
        some = Learned.of(pairs, kept, [n for n in distances if n in kept], kind)
        one = some.tried(left_out(some.makers, some.table, groupings[0]), groupings[0])
        more = mean_error(one.predicted, some.table) - mean_error(trials[0].predicted, some.table)
        return ours.error + more

    treeless = [
        whole.tried({name: p for name, p in one.items() if name != "trees"}, grouping)
        for one, grouping in zip(found, groupings, strict=True)
    ]
    return {
        "error": ours.error,
        "simple": min(of_simple.values()),
        "before": before.error,
        "z over simple": z(simple),
        "z over before": z(before.predicted),
        "gains": float(ours.gains),
        "share": ours.share,
        **of_simple,
        **{f"{name} alone": ours.errors[name] for name in (*CONSTANTS, *ALONE)},
        "without covariates": without([name for name in names if name not in distances]),
        "without trees": float(np.mean([mean_error(t.predicted, whole.table) for t in treeless])),
        "without proxy A-distance": without([n for n in names if n.endswith("proxy_a_distance")]),
        "covered": ours.covered,
        "worst target": ours.worst_target,
        "width": ours.width,
        "width over before": ours.width / before.width_at(ours.covered),
    }
