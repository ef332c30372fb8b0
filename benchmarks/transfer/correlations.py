"""Every distance and baseline in both spaces beside what transfer loses."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from benchmarks.transfer.distances import Known
from geospot_gpu.transfer.correlation import correlate as settings
from geospot_gpu.transfer.correlation.between import between_spaces, sentences
from geospot_gpu.transfer.correlation.statistics import rank_rows
from geospot_gpu.transfer.correlation.verdict import Verdict
from geospot_gpu.transfer.scores.scores import Scores


class Correlated(NamedTuple):
    """What the models of one seed say.

    Attributes:
        rho: Spearman's correlations by distance: ``value``, ``lower``, ``upper``, ``p``,
            ``p_family``, ``group``.
        verdict: on all of them.
        spaces: differences between spaces, as ``between_spaces`` has them.
    """

    rho: pd.DataFrame
    verdict: Verdict
    spaces: pd.DataFrame

    @property
    def of_spaces(self) -> str:
        """Which space predicts better, in a sentence."""
        return "; ".join(sentences(self.spaces))


def correlated(known: Known, scores: Scores, seed: int) -> Correlated:
    """Correlations, the verdict, and the differences between spaces."""
    settings.KENDALL = 1  # Kendall's tau, which takes most of the time, is in no table
    loss = scores.loss
    labelled = {name: loss.copy(data=values) for name, values in known.distances.items()}
    (table, verdict), gain = settings.judge(labelled, loss, seed=seed)
    rows = rank_rows(table)
    return Correlated(rows.set_index("distance"), verdict, between_spaces(table, gain))
