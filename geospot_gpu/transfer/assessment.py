"""Do the distances of a run predict how models transfer: the twin of ``geospot transfer``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.displayed import Displayed
from geospot_gpu.runs.run import Run
from geospot_gpu.transfer.correlation.between import between_spaces, sentences
from geospot_gpu.transfer.correlation.correlate import judge
from geospot_gpu.transfer.correlation.verdict import LEAST_TO_JUDGE, Verdict
from geospot_gpu.transfer.knowledge import knowledge, removed
from geospot_gpu.transfer.predictor.evaluation import Evaluation
from geospot_gpu.transfer.predictor.pairs import features_in
from geospot_gpu.transfer.predictor.predictor import Predictor, TooFewApartError
from geospot_gpu.transfer.scores.scores import Scores
from geospot_gpu.transfer.training import distances_of, evidence_for, training_pairs

log = logging.getLogger("geospot_gpu")

_GAIN = ("rho", "lower", "upper")
_SAID = ("predicted", "lower", "upper")


@dataclass(frozen=True)
class Assessment(Displayed):
    """Whether distances predict scores.

    Attributes:
        table: one row per distance, statistic and scope, as :func:`~geospot_gpu.correlate` has it.
        verdict: what they say in words.
        scores: the scores.
        distances: matrices of the regions with scores by name, sources in rows, [R, R].
        evaluation: what a predictor from these distances is worth; None where there are too few
            regions.
        spaces: which space predicts better, as
            :func:`~geospot_gpu.transfer.correlation.between.between_spaces` has it; no rows where
            the run has one space.
        pairs: one row per pair of different regions with a score: ``source``, ``target``,
            ``score``, ``loss`` (more is worse), every distance, and ``predicted`` with ``lower``
            and ``upper``, said without either region; null where there is no predictor.
    """

    table: pd.DataFrame
    verdict: Verdict
    scores: Scores
    distances: Mapping[str, NDArray[np.float64]]
    evaluation: Evaluation | None
    spaces: pd.DataFrame
    pairs: pd.DataFrame

    @property
    def left_out(self) -> dict[str, str]:
        """Why each distance that takes no part does not."""
        some = self.table[self.table["reason"].notna()].drop_duplicates("distance")
        return dict(zip(some["distance"], some["reason"], strict=True))

    @property
    def of_spaces(self) -> list[str]:
        """Which space predicts better, in a sentence for every two of them."""
        return sentences(self.spaces)

    @property
    def summary(self) -> dict[str, Any]:
        """The figures, as ``summary.json`` has them."""
        verdict, scores = self.verdict, self.scores
        found: dict[str, Any] = {
            "verdict": verdict.verdict,
            "text": verdict.text,
            "best_distance": verdict.distance,
            "best_baseline": verdict.baseline,
            "above_baseline": verdict.gain and dict(zip(_GAIN, verdict.gain, strict=True)),
            "left_out": self.left_out,
            "regions": len(scores.regions),
            "pairs": int(np.isfinite(scores.change).sum()),
            "missing_pairs": scores.missing,
            "scores": {"kind": scores.kind},
        }
        if len(self.spaces):
            best = self.spaces[self.spaces["best"]].drop(columns="best")
            found["spaces"] = [
                row | {"text": text}
                for row, text in zip(best.to_dict("records"), self.of_spaces, strict=True)
            ]
        if self.evaluation is not None:
            found["predictor"] = self.evaluation.summary
            found["knowledge"] = removed(self.evaluation.known)
        return found


def assess_transfer(run: Run, scores: Scores, *, seed: int = 0) -> Assessment:
    """Whether the distances of a run, and simple baselines, predict how models transfer.

    Baselines are computed where the run does not have them yet, and stored beside it.

    Args:
        run: of all pairs of regions.
        scores: of models in these regions, from :func:`~geospot_gpu.read_scores` with
            ``regions=run.names``.
        seed: of permutations, resamples and groups of regions.

    Raises:
        GeospotError: the run compares two tables, lacks a pair with a score, or its points are not
            there any more; or there is no such seed.
    """
    loaded = evidence_for(run, scores)
    distances = distances_of(loaded, scores)
    if scores.unions:
        log.warning(
            "%d scores of sources that are several regions together take no part in correlations, "
            "which permute single regions; the predictor learns from them",
            len(scores.of_unions),
        )
    loss = scores.loss
    (table, verdict), gain = judge(
        {name: loss.copy(data=values) for name, values in distances.items()},
        loss,
        weight=None if scores.weight is None else loss.copy(data=scores.weight),
        seed=seed,
    )
    evaluation, said = None, None
    if len(scores.regions) >= LEAST_TO_JUDGE:
        pairs, names, parts, _ = training_pairs(loaded, scores)
        try:
            evaluation = Predictor(
                pairs, names, scores.kind,
                seed=seed, parts=parts, knowledge=knowledge(loaded, features_in(pairs)),
            ).evaluation  # fmt: skip
        except TooFewApartError as error:
            log.warning("nothing is predicted: %s", error)
        else:
            said = pairs[["source", "target"]].assign(
                **{name: getattr(evaluation, name) for name in _SAID}
            )
    spaces = between_spaces(table, gain)
    every = _pairs(scores, distances, said)
    return Assessment(table, verdict, scores, distances, evaluation, spaces, every)


def _pairs(
    scores: Scores, distances: Mapping[str, NDArray[np.float64]], said: pd.DataFrame | None
) -> pd.DataFrame:
    """What :class:`Assessment` has of pairs.

    Args:
        scores, distances: as there.
        said: predictions by ``source`` and ``target``, made without either.
    """
    known = np.isfinite(scores.score)
    np.fill_diagonal(known, False)
    i, j = np.nonzero(known)
    names = np.array(scores.regions, object)
    found = {"score": scores.score, "loss": scores.loss.to_numpy(), **distances}
    table = pd.DataFrame({"source": names[i], "target": names[j]}).assign(
        **{name: values[i, j] for name, values in found.items()}
    )
    if said is None:
        return table.assign(**dict.fromkeys(_SAID, np.nan))
    return table.merge(said, how="left", on=["source", "target"])
