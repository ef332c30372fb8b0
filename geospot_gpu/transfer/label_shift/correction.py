"""What correcting the priors of classes recovers of what models lose."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.transfer.label_shift import priors
from geospot_gpu.transfer.label_shift.split import pairs_of_one_model
from geospot_gpu.transfer.scores.aggregate import aggregate
from geospot_gpu.transfer.scores.scores import Scores
from geospot_gpu.transfer.scores.values import PROBABILITY, columns_of_probability

log = logging.getLogger("geospot_gpu")

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

COLUMNS = (
    *("source", "target", "method", "score_home", "score", "corrected", "gain_error"),
    *("expected", "expected_corrected", "n_home", "n", "labels"),
)


@dataclass(frozen=True)
class PriorCorrection:
    """What correcting class priors does.

    Attributes:
        table: a row per pair of different regions and ``method``: ``em`` or ``confusion``, which
            need no label of the target, and ``labels``. ``score_home`` is the model's accuracy in
            its own region. ``score`` and ``corrected`` are that in the target, before and after, of
            the ``n`` labelled rows that were not drawn, NaN where there is none; ``gain_error`` is
            the standard error of their difference. ``expected`` and ``expected_corrected`` are what
            the source's own samples say of both, if shares of labels were all that differs.
            ``n_home`` rows of the source and ``labels`` of the target were learned from.
        priors: a row per pair, method and class: ``source``, ``target``, ``method``, ``class``;
            ``share_home``, ``share`` as the method finds it, and ``share_known`` of the labels.
    """

    table: pd.DataFrame
    priors: pd.DataFrame


def correct_priors(scores: Scores, *, labels: int = 20, seed: int = 0) -> PriorCorrection:
    """Correct the class priors of models for the regions they are tried in; public as
    :func:`geospot_gpu.correct_priors`.

    A model expects classes as often as its own region has them. Where the target's shares are
    known, its probabilities are multiplied by the ratio of both, and the likeliest class is taken.
    Shares of the target are found three ways:

    - ``em``: from probabilities there (:func:`~geospot_gpu.transfer.label_shift.priors.em_priors`),
      against what the model says at home on average, which weights of classes in training change.
    - ``confusion``: in their place where the table has predictions alone, from these
      (:func:`~geospot_gpu.transfer.label_shift.priors.confusion_priors`).
    - ``labels``: from some labels there, drawn at random
      (:func:`~geospot_gpu.transfer.label_shift.priors.label_priors`). Probabilities are calibrated
      by the source's own samples first
      (:func:`~geospot_gpu.transfer.label_shift.priors.calibrated`).

    Where there are predictions alone, what the source's samples of each prediction are labelled
    with stands for probabilities. The first two hold where shares of labels are all that differs,
    and may do harm elsewhere: compare ``score`` and ``corrected``.

    Args:
        scores: accuracies of single predictions with labels, from
            :func:`~geospot_gpu.read_scores`, with probabilities in columns ``probability_CLASS`` if
            there are any. Rows with a prediction and no label take part in the first two.
        labels: how many of a target are drawn for the third.
        seed: of what is drawn.

    Raises:
        GeospotError: scores are no such accuracies, a class that is predicted has no column of
            probabilities where others have, or no model has samples in its own region.
    """
    labels = checks.whole(labels, "labels", least=1)
    seed = checks.whole(seed, "seed", least=0)
    table, classes = _classed(scores)
    given = [f"{PROBABILITY}{name}" for name in classes]
    rows: list[tuple[object, ...]] = []
    shares: list[pd.DataFrame] = []
    learned: dict[str, _Model] = {}
    for source, target, home, away in pairs_of_one_model(table):
        if source not in learned:
            learned[source] = _Model.of(home, given)
        model = learned[source]
        drawn = _drawn(away, target, labels, seed)
        left = ((away["at"] >= 0) & ~drawn).to_numpy()
        truth = away["at"].to_numpy()
        # A sample has a row for each seed of a model, and one label.
        once = away.loc[drawn].drop_duplicates("sample") if "sample" in away else away.loc[drawn]
        shown = once["at"].to_numpy()
        said = _Said.of(away, given)
        known = np.bincount(truth[truth >= 0], minlength=len(classes)) / max((truth >= 0).sum(), 1)
        for method in (model.blind, "labels"):
            found = model.shares(method, said, shown)
            new = model.corrected(said, found, method)
            before = (said.code == truth).astype(float)
            after = (new == truth).astype(float)
            measured = _measured(before[left], after[left], away[left])
            rows.append(
                (source, target, method, model.score, *measured,
                 *model.expected(found, method), len(model.truth), int(left.sum()),
                 len(shown) if method == "labels" else 0)
            )  # fmt: skip
            shares.append(
                pd.DataFrame(
                    {"source": source, "target": target, "method": method, "class": classes,
                     "share_home": model.counted, "share": found,
                     "share_known": known if (truth >= 0).any() else np.nan}
                )
            )  # fmt: skip
    return PriorCorrection(
        pd.DataFrame(rows, columns=list(COLUMNS)), pd.concat(shares, ignore_index=True)
    )


def _classed(scores: Scores) -> tuple[pd.DataFrame, list[str]]:
    """Single predictions with classes as numbers in ``at`` (-1 without a label) and ``said``.

    Raises:
        GeospotError: there are none.
    """
    checks.instance(scores, Scores, "scores", "as read_scores gives them")
    table = scores.samples
    if scores.kind != "accuracy" or table is None or "prediction" not in table:
        raise GeospotError(
            "priors are those of classes: give a row per test sample, with the columns prediction "
            "and label, and scores.kind=accuracy"
        )
    known = [name.removeprefix(PROBABILITY) for name in columns_of_probability(table)]
    said, label = table["prediction"].astype(object), table["label"].astype(object)
    lacking = sorted({*said.dropna()} - {*known}) if known else []
    if lacking:
        given = ", ".join(PROBABILITY + name for name in known)
        raise GeospotError(
            f"scores: {lacking[0]!r} is predicted, and there is no column "
            f"{PROBABILITY}{lacking[0]}; there are: {given}"
        )
    classes = sorted({*said.dropna(), *label.dropna(), *known})
    index = pd.Index(classes, dtype=object)
    found = table.assign(at=index.get_indexer(label), said=index.get_indexer(said))
    if known:
        columns = [f"{PROBABILITY}{name}" for name in classes]
        found = found.reindex(columns=list(dict.fromkeys([*found.columns, *columns])))
        there = found[[f"{PROBABILITY}{name}" for name in known]].notna().all(axis=1)
        if not there.all():
            log.warning(
                "%d of %d predictions lack probabilities and take no part in correcting priors",
                *(int((~there).sum()), len(there)),
            )
        found[columns] = found[columns].fillna(0.0)
        found = found[there]
    return found[found["said"] >= 0].reset_index(drop=True), classes


def _drawn(rows: pd.DataFrame, target: str, labels: int, seed: int) -> pd.Series[bool]:
    """Rows of so many of the samples that have labels, the same for every model."""
    of = rows["sample"] if "sample" in rows else pd.Series(range(len(rows)), rows.index)
    known = np.unique(of[rows["at"] >= 0])
    generator = np.random.default_rng([seed, *target.encode()])
    return of.isin(generator.permutation(known)[:labels]) & (rows["at"] >= 0)


def _measured(before: Floats, after: Floats, rows: pd.DataFrame) -> tuple[float, float, float]:
    """Accuracy before and after, and the standard error of the difference."""
    if not len(before):
        return (np.nan, np.nan, np.nan)
    which = (rows[name].to_numpy() if name in rows else None for name in ("sample", "seed"))
    gain = aggregate(after - before, "mean", *which)
    return float(before.mean()), float(after.mean()), gain.std_error


class _Said(NamedTuple):
    """What a model says of samples."""

    code: Codes
    """The class, [n]."""
    probability: Floats | None
    """Of all classes, [n, K]."""

    @classmethod
    def of(cls, rows: pd.DataFrame, columns: list[str]) -> _Said:
        probability = None
        if columns[0] in rows:
            raised = rows[columns].to_numpy(float) + priors.LEAST
            probability = raised / raised.sum(1, keepdims=True)
        return cls(rows["said"].to_numpy(), probability)


class _Model:
    """What is known of a model from labelled samples of its own region."""

    def __init__(self, said: _Said, truth: Codes, count: int) -> None:
        self.said, self.truth = said, truth
        numbers = np.bincount(truth, minlength=count)
        self.counted = numbers / len(truth)
        self.prior: Floats = np.asarray((numbers + 0.5) / (len(truth) + 0.5 * count), np.float64)
        self.score = float((said.code == truth).mean())
        self.blind = "confusion" if said.probability is None else "em"
        if said.probability is None:
            self._table = priors.class_probabilities(said.code, truth, self.prior)
        else:
            self._expects = said.probability.mean(0)  # of classes, however they were weighed
            self._calibrate = priors.calibrated(said.probability, truth)
            self._honest_prior = self._calibrate(said.probability).mean(0)

    @classmethod
    def of(cls, rows: pd.DataFrame, columns: list[str]) -> _Model:
        return cls(_Said.of(rows, columns), rows["at"].to_numpy(), len(columns))

    def shares(self, method: str, said: _Said, labels: Codes) -> Floats:
        """Shares of classes [K] where the model says this, and some labels are known."""
        if method == "labels":
            return priors.label_priors(labels, self.prior)
        if said.probability is not None:
            return priors.em_priors(said.probability, self._expects)
        return priors.confusion_priors(said.code, self.said.code, self.truth, self.prior)

    def corrected(self, said: _Said, shares: Floats, method: str) -> Codes:
        """The likeliest class of each sample where classes have these shares, [n]."""
        if said.probability is None:
            probability, prior = self._table[said.code], self.prior
        elif method == "labels":
            probability, prior = self._calibrate(said.probability), self._honest_prior
        else:
            probability, prior = said.probability, self._expects
        return np.asarray(priors.reweighted(probability, shares / prior).argmax(1))

    def expected(self, shares: Floats, method: str) -> tuple[float, float]:
        """Accuracy before and after, if nothing but shares differed.

        Classes that the model's own region lacks are left out of it.
        """
        there = self.counted > 0
        weight = np.where(there, shares, 0.0)
        if not weight.sum():
            return (np.nan, np.nan)
        each = (weight / weight.sum() / np.where(there, self.counted, 1.0))[self.truth]
        new = self.corrected(self.said, shares, method)
        right = (np.mean(each * (some == self.truth)) for some in (self.said.code, new))
        before, after = right
        return float(before), float(after)
