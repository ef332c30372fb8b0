"""From distances to expected scores, with intervals, for regions that have no labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
from geospot_gpu.transfer.predictor.candidates import CONSTANTS, candidates
from geospot_gpu.transfer.predictor.evaluation import Evaluation
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
from geospot_gpu.transfer.predictor.gain import gain_p
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
from geospot_gpu.transfer.predictor.trial import SHARES, Trial, level, line_of, mean_error, tried
from geospot_gpu.transfer.scores.scores import Kind, bounds

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
LEAST_TO_PREDICT = 8
GROUPINGS = 3
"""Divisions of the regions into groups over which errors are averaged."""
PERMUTATIONS = 999
_MARGIN = 0.1
"""How far beyond the range that was seen, in ranges, a feature may lie."""


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
        parts: regions of sources that are several together, by name.
        knowledge: features by what has to be known for them, what is had first coming first: what
            each source adds to those before it is measured.

    Raises:
        GeospotError: there are fewer than eight regions, a feature is not finite, or a weight is
            not positive.
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
        names, sources, targets = ends_of(pairs, parts or {})
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
        groupings = [Grouping.draw([*sources, targets], generator) for _ in range(GROUPINGS)]
        trials = []
        with Progress("predictor", "groupings", total=GROUPINGS) as counted:
            for grouping in groupings:
                found = left_out(makers, table, grouping)
                trials.append(tried(found, table, columns, grouping, positive=positive))
                counted.update()
        predicted = np.mean([one.predicted for one in trials], axis=0)
        self._calibration = Calibration(table, predicted, targets, groupings[0])
        self._kind, self._seed = kind, seed
        self._pairs, self._left_out = pairs, (y, predicted, self._calibration.apart, targets)
        orders = relabellings(len(names), PERMUTATIONS, generator)
        self.evaluation = evaluated(
            trials, dict(zip(distances, columns, strict=True)), table, self._calibration,
            (sources, targets), orders, self._bounds, positive=positive,
        )  # fmt: skip
        if knowledge:
            known = self._known(knowledge, distances, table, groupings[0], signs, positive=positive)
            whole = mean_error(trials[0].predicted, table)
            # In the unit of all divisions, as only the first is tried with less.
            unit = self.evaluation.error / whole if whole > 0.0 else 1.0
            constant = f"always the {self.evaluation.constant}"
            errors = {name: unit * error for name, error in known.items()}
            errors[list(knowledge)[-1]] = self.evaluation.error
            first = {constant: self.evaluation.error_of_constant}
            self.evaluation = replace(self.evaluation, known=first | errors)
        self._model = Agreement(makers, table, self.evaluation.constant, self.evaluation.share)
        low, high = table.x.min(0), table.x.max(0)
        margin = _MARGIN * (high - low)
        # Nearer than all that was seen is no reason for doubt.
        near = np.isin(self._features, list(distances))
        self._range = np.where(near, -np.inf, low - margin), high + margin

    def _known(
        self, knowledge: Mapping[str, Sequence[str]], distances: Sequence[str], table: Table,
        grouping: Grouping, signs: Sequence[int], *, positive: bool,
    ) -> dict[str, float]:  # fmt: skip
        """Errors in one division with the features of some sources of knowledge, but for all."""
        found: dict[str, float] = {}
        names: list[str] = []
        for source in list(knowledge)[:-1]:
            names += knowledge[source]
            columns = [self._features.index(name) for name in names]
            some = table._replace(x=table.x[:, columns])
            makers = candidates([signs[k] for k in columns], positive=positive)
            at = [k for k, name in enumerate(names) if name in distances]
            trial = tried(left_out(makers, some, grouping), some, at, grouping, positive=positive)
            found[source] = mean_error(trial.predicted, table)
        return found

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
            return with_budget(table, scale, budget, *self._known_of())
        assert few is not None
        return with_labels(table, scale, few, *self._known_of(few))

    def worth(self, count: float, few: pd.DataFrame | None = None) -> Mapping[str, float]:
        """What so many labels of each target are worth, tried on regions that were left out.

        Args:
            count: of labels.
            few: as for :meth:`predict`, from which the noise of labels may be known.

        Returns:
            Mean absolute ``error`` of prediction and labels together, ``covered``, the share of the
            scores inside their interval, its mean ``width``, and ``trust``, the factor of the
            variance of predictions that served best.
        """
        known, noise, seed = self._known_of(few)
        worth = FewLabels(known, noise, seed=seed).worth(count)
        return {"error": worth.error, "covered": worth.covered, "width": worth.width,
                "trust": worth.trust}  # fmt: skip

    def _known_of(self, few: pd.DataFrame | None = None) -> tuple[LeftOut, Noise, int]:
        """Pairs that were left out, the noise of labels, and a seed."""
        noise = noise_of(self._kind, self._pairs, *([] if few is None else [few]))
        score, predicted, scale, targets = self._left_out
        variance = variance_of_scores(self._pairs, score, noise)
        return (
            LeftOut.of(score, predicted, scale, targets, variance, self._bounds), noise, self._seed
        )  # fmt: skip


def evaluated(
    trials: Sequence[Trial],
    distances: Mapping[str, int],
    table: Table,
    calibration: Calibration,
    ends: tuple[Sequence[Indices], Indices],
    orders: Indices,
    limits: tuple[float, float],
    *,
    positive: bool,
) -> Evaluation:
    """What trials, and the intervals around the means of their predictions, come to.

    Args:
        trials: of several groupings.
        distances: which feature each distance is.
        table: pairs.
        calibration: of the means of their predictions.
        ends: positions of the regions of sources and of targets.
        orders: permutations of the regions.
        limits: between which scores lie.
        positive: as :func:`~geospot_gpu.transfer.predictor.candidates.candidates` has it.
    """
    sources, targets = ends
    columns = list(distances.values())
    predicted = np.mean([one.predicted for one in trials], axis=0)
    known = np.isfinite(predicted)
    # Of several regions together there is no one to relabel.
    apart = known if len(sources) == 1 else known & (sources[1] < 0)

    def averaged(values: Iterable[float]) -> float:
        return float(np.mean(list(values)))

    def p_over(simple: Array) -> float:
        pair = sources[0][apart], targets[apart]
        score, weight = table.y[apart], table.weight[apart]
        return gain_p(predicted[apart], simple[apart], score, weight, pair, orders)

    errors = {name: averaged(one.errors[name] for one in trials) for name in trials[0].errors}
    constant = min(CONSTANTS, key=lambda name: errors[name])
    alone = np.mean([one.alone for one in trials], axis=0)
    singles = [one.single for one in trials if one.single is not None]
    lower, upper = (np.clip(end, *limits) for end in (calibration.lower, calibration.upper))
    inside = ((lower <= table.y) & (table.y <= upper))[known]
    of_targets = pd.Series(inside).groupby(targets[known]).mean()
    return Evaluation(
        error=averaged(mean_error(one.predicted, table) for one in trials),
        errors=errors,
        single=dict(zip(distances, alone.tolist(), strict=True)),
        constant=constant,
        share=SHARES[int(np.argmin(np.mean([one.of_share for one in trials], axis=0)))],
        error_of_constant=averaged(mean_error(one.constant, table) for one in trials),
        error_of_single=averaged(mean_error(one, table) for one in singles) if singles else None,
        p_over_constant=p_over(np.full(len(table.y), level(table, constant))),
        p_over_single=p_over(line_of(table, columns[int(np.argmin(alone))], positive=positive))
        if singles
        else None,
        covered=float(inside.mean()),
        worst_target=float(of_targets.min()),
        width=float((upper - lower)[known].mean()),
        predicted=predicted,
        lower=lower,
        upper=upper,
    )
