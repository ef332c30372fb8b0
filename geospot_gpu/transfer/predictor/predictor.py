"""From distances to expected scores, with intervals, for regions that have no labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.points.readers import column
from geospot_gpu.progress import Progress
from geospot_gpu.transfer.correlation.resampling import relabellings
from geospot_gpu.transfer.predictor.agreement import Agreement
from geospot_gpu.transfer.predictor.candidates import candidates
from geospot_gpu.transfer.predictor.evaluated import errors_by_knowledge, evaluated
from geospot_gpu.transfer.predictor.few.combination import FewLabels
from geospot_gpu.transfer.predictor.few.left_out import LeftOut
from geospot_gpu.transfer.predictor.few.noise import Noise
from geospot_gpu.transfer.predictor.few.predictions import (
    check_either,
    noise_of,
    variance_of_scores,
    with_budget,
    with_labels,
)
from geospot_gpu.transfer.predictor.intervals import Calibration
from geospot_gpu.transfer.predictor.left_out import Grouping, Table, left_out
from geospot_gpu.transfer.predictor.pairs import (
    check,
    ends_of,
    features_in,
    features_of,
    scores_of,
    weights_of,
)
from geospot_gpu.transfer.predictor.trial import tried
from geospot_gpu.transfer.scores.scores import Kind, bounds

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
LEAST_TO_PREDICT = 8
GROUPINGS = 3
"""Divisions of the regions into groups over which errors are averaged."""
PERMUTATIONS = 999
_MARGIN = 0.1
"""How far beyond the range that was seen, in ranges, a feature may lie."""


class TooFewApartError(GeospotError):
    """Too few pairs have others, of other sources and targets, that a model could learn from."""


class Predictor:
    """Expected score of a model from one region in another.

    Small models that cannot go far wrong: ridge regression, support vectors with a Gaussian kernel,
    and boosted trees that are monotone in the distances. What is predicted is the median of what
    they say, which needs no choice among them where regions are few, drawn towards the better of
    mean and median of all scores by as much as serves regions that were left out.

    Regions are divided into groups, and a pair is predicted by models that have seen no pair with a
    region of any of its groups; so neither the source nor the target, nor any of their other pairs,
    tells anything. Errors are averaged over several such divisions. Where something is chosen, such
    as the share of the models, it is for each pair what does best on pairs apart from its groups.

    Intervals are conformal (Vovk 2015, Cross-conformal predictors), adapt to the place, and are
    calibrated by target (:mod:`geospot_gpu.transfer.predictor.intervals`).

    Args:
        pairs: one row per pair: ``source``, ``target``, ``score``, numeric features and, where
            scores rest on different numbers of samples, their ``weight``, which weighs fits and
            errors; or ``std_error`` of the score, from which the weight is
            ``1 / (tau^2 + std_error^2)``, tau^2 being how much the scores vary beyond their errors
            (DerSimonian & Laird 1986, Meta-analysis in clinical trials). Intervals hold nine of ten
            scores, whatever they rest on.
        distances: which features are distances, in which scores get worse.
        kind: ``accuracy``, ``error`` or ``skill``. Predictions lie in its range, where the scores
            of the pairs do.
        seed: of the groups.
        parts: regions that others are together, by name: a pair is left out with all of them.
        knowledge: features by what has to be known for them, what is had first coming first: what
            each source adds to those before it is measured.

    Raises:
        GeospotError: there are fewer than eight regions, fewer than eight targets have pairs that
            others stand apart from, a feature is not finite, or a weight is not positive.
    """

    @out_of_memory("fitting the predictor", "give scores of fewer pairs")
    def __init__(
        self,
        pairs: pd.DataFrame,
        distances: Sequence[str],
        kind: Kind,
        *,
        seed: int = 0,
        parts: Mapping[str, Sequence[str]] | None = None,
        knowledge: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        check(pairs, "source", "target", "score")
        distances = checks.texts(distances, "distances")
        checks.one_of(kind, get_args(Kind), "kind")
        generator = np.random.default_rng(checks.whole(seed, "seed", least=0))
        self._features = features_in(pairs)
        if not self._features:
            raise GeospotError("pairs: there are no features: add a column of distances")
        for name in distances:
            column(pairs[self._features], name, "distances", "pairs")
        y = scores_of(pairs)
        names, sources, of_targets = ends_of(pairs, parts or {})
        targets = of_targets[0]
        if len(names) < LEAST_TO_PREDICT:
            raise GeospotError(
                f"scores of {len(names)} regions are too few to predict from: "
                f"{LEAST_TO_PREDICT} are needed"
            )
        table = Table(features_of(pairs, self._features), y, weights_of(pairs, y))
        self._bounds = bounds(kind, y)
        positive = kind == "error" and bool((y > 0.0).all())
        worse = 1 if kind == "error" else -1
        signs = [worse if name in distances else 0 for name in self._features]
        columns = [self._features.index(name) for name in distances]
        makers = candidates(signs, positive=positive)
        groupings = [Grouping.draw([*sources, *of_targets], generator) for _ in range(GROUPINGS)]
        reached = np.all([grouping.reached for grouping in groupings], axis=0)
        if (targets_reached := len(np.unique(targets[reached]))) < LEAST_TO_PREDICT:
            raise TooFewApartError(
                f"scores of models of {pairs['source'].nunique()} regions are too few to predict "
                f"from: a prediction is tried on a pair by pairs of other models and targets, and "
                f"{targets_reached} targets have any: give scores of models of some more regions"
            )
        trials = []
        with Progress("predictor", "groupings", total=GROUPINGS) as counted:
            for grouping in groupings:
                found = left_out(makers, table, grouping)
                trials.append(tried(found, table, columns, grouping, positive=positive))
                counted.update()
        predicted = np.mean([one.predicted for one in trials], axis=0)
        self._calibration = Calibration(table, predicted, targets, groupings[0])
        self._kind, self._seed = kind, seed
        self._of_noise: dict[Noise, FewLabels] = {}
        self._pairs, self._left_out = pairs, (y, predicted, self._calibration.apart, targets)
        orders = relabellings(len(names), PERMUTATIONS, generator)
        self.evaluation = evaluated(
            trials, dict(zip(distances, columns, strict=True)), table, self._calibration,
            (sources, targets), orders, self._bounds, positive=positive,
        )  # fmt: skip
        if knowledge:
            places = {
                source: [self._features.index(name) for name in names]
                for source, names in knowledge.items()
            }
            known = errors_by_knowledge(
                places,
                lambda some: candidates([signs[k] for k in some], positive=positive),
                columns, table, groupings[0], trials[0], self.evaluation, positive=positive,
            )  # fmt: skip
            self.evaluation = replace(self.evaluation, known=known)
        self._model = Agreement(makers, table, self.evaluation.constant, self.evaluation.share)
        low, high = table.x.min(0), table.x.max(0)
        margin = _MARGIN * (high - low)
        # Nearer than all that was seen is no reason for doubt.
        near = np.isin(self._features, list(distances))
        self._range = np.where(near, -np.inf, low - margin), high + margin

    @out_of_memory("predicting scores", "give fewer targets, or larger cells with targets.degrees")
    def predict(
        self,
        pairs: pd.DataFrame,
        *,
        few: pd.DataFrame | None = None,
        label_budget: int | None = None,
    ) -> pd.DataFrame:
        """Expected scores of pairs, with intervals that contain nine of ten.

        Args:
            pairs: ``source``, ``target``, the features of the training pairs, and maybe ``score``.
            few: scores of some of the pairs at a few labelled points of the target: ``source``,
                ``target``, ``score``, and ``n``, how many, or ``std_error``. Prediction and labels
                are combined by precision
                (:class:`~geospot_gpu.transfer.predictor.few.combination.FewLabels`).
            label_budget: of how many labels to say what they would do for the intervals.

        Returns:
            Columns ``source``, ``target``, ``score`` (null where it is not known), ``predicted``,
            ``lower``, ``upper`` and ``extrapolates``: whether a distance is larger, or another
            feature smaller or larger, than all that was seen, so that neither prediction nor
            interval can be trusted. With ``few`` and ``label_budget`` the columns of
            :func:`~geospot_gpu.transfer.predictor.few.predictions.with_labels` and
            :func:`~geospot_gpu.transfer.predictor.few.predictions.with_budget`.

        Raises:
            GeospotError: a feature is missing or not finite; a row of ``few`` is no pair, twice
                there, no score or without ``n`` and ``std_error``; or both are given.
        """
        check(pairs, "source", "target", *self._features)
        x = features_of(pairs, self._features)
        predicted = np.clip(self._model.predict(x), *self._bounds)
        lower, upper = self._calibration.around(x, predicted)
        low, high = self._range
        table = pd.DataFrame(
            {
                "source": pairs["source"].to_numpy(),
                "target": pairs["target"].to_numpy(),
                "score": pairs["score"].to_numpy(float) if "score" in pairs else np.nan,
                "predicted": predicted,
                "lower": np.clip(lower, *self._bounds),
                "upper": np.clip(upper, *self._bounds),
                "extrapolates": ((x < low) | (x > high)).any(1),
            }
        )
        if few is None and label_budget is None:
            return table
        check_either(few, label_budget)
        scale = self._calibration.scale(x, table["predicted"].to_numpy())
        if label_budget is not None:
            budget = checks.whole(label_budget, "label_budget", least=1)
            return with_budget(table, scale, budget, self._labels())
        assert few is not None
        return with_labels(table, scale, few, self._labels(few))

    def worth(self, count: float, few: pd.DataFrame | None = None) -> Mapping[str, float]:
        """What so many labels of each target are worth, tried on regions that were left out.

        Args:
            count: of labels.
            few: as for :meth:`predict`, from which the noise of labels may be known.

        Returns:
            Mean absolute ``error`` of prediction and labels together and ``without`` labels, every
            target counting the same; ``covered``, the share of the scores inside their
            interval; ``worst_target``, the smallest such share of a target; the mean ``width``; and
            ``trust``, the factor of the variance of predictions that served best.
        """
        worth = self._labels(few).worth(count)
        return {
            "error": worth.error,
            "without": worth.without,
            "covered": worth.covered,
            "worst_target": worth.worst_target,
            "width": worth.width,
            "trust": worth.trust,
        }

    def _labels(self, few: pd.DataFrame | None = None) -> FewLabels:
        """What combines predictions with labels; kept, for it tries many."""
        noise = noise_of(self._kind, self._pairs, *([] if few is None else [few]))
        if noise not in self._of_noise:
            score, predicted, scale, targets = self._left_out
            variance = variance_of_scores(self._pairs, score, noise)
            known = LeftOut.of(score, predicted, scale, targets, variance, self._bounds)
            self._of_noise[noise] = FewLabels(known, noise, seed=self._seed)
        return self._of_noise[noise]
