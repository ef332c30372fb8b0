"""How distances go with the relative change in accuracy: Spearman's rho, as in the paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

import geospot_gpu as gs


class Rho(NamedTuple):
    """Of one distance with the relative change in accuracy."""

    rho: float
    """Spearman's; below 0 where models do worse the farther they are taken."""
    lower: float
    upper: float
    """95 % interval, from drawing regions."""
    p: float
    """From permutations of the labels of regions."""
    r2: float
    """Of a line through the pairs."""


def relative_change(scores: pd.DataFrame) -> tuple[gs.Scores, list[str]]:
    """Changes ``(s_ij - s_jj) / s_jj``, and the targets whose own models get nothing right.

    To an accuracy of 0 nothing is relative: these are no targets.
    """
    home = scores[scores["source"] == scores["target"]].set_index("target")["score"]
    nothing = sorted(home.index[home == 0.0])
    some = scores[~scores["target"].isin(nothing)]
    names = sorted(set(scores["source"]))
    return gs.read_scores(some, kind="accuracy", change="relative", regions=names), nothing


def rhos(distances: Mapping[str, pd.DataFrame], scores: gs.Scores) -> dict[str, Rho]:
    """Correlations of each distance with the change; NaN for one that is the same for all pairs."""
    table = gs.correlate(distances, scores.loss).table
    overall = table[table["scope"] == "overall"]
    by = {
        kind: overall[overall["statistic"] == kind].set_index("distance").to_dict("index")
        for kind in ("spearman", "pearson")
    }
    found = {}
    for name in distances:
        spearman, pearson = by["spearman"][name], by["pearson"][name]
        # The loss is the change with the other sign.
        found[name] = Rho(
            -float(spearman["value"]),
            -float(spearman["upper"]),
            -float(spearman["lower"]),
            float(spearman["p"]),
            float(np.square(pearson["value"])),
        )
    return found
