"""From distances to expected scores, with intervals, for regions that have no labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.points.readers import column
from geospot_gpu.transfer.scores.scores import Kind, bounds

Array = NDArray[np.float64]
LEAST_TO_PREDICT = 8
COVERED = 0.9
"""Share of scores that an interval shall contain."""
_FOLDS = 8
_NO_FEATURES = ("source", "target", "score", "weight", "std_error")
_MARGIN = 0.1
"""How far beyond the range that was seen, in ranges, a feature may lie."""


@dataclass(frozen=True)
class Evaluation:
    """How well scores were predicted for pairs both of whose regions were left out.

    Attributes:
        model: the kind of model that did best: ``mean``, ``ridge``, ``kernel`` or ``trees``.
        error: its mean absolute error.
        errors: that of every kind of model.
        single: that of a straight line through each distance alone.
        covered: share of the scores inside their interval.
        predicted: the predictions themselves, in the order of the pairs.
    """

    model: str
    error: float
    errors: dict[str, float]
    single: dict[str, float]
    covered: float
    predicted: Array

    @property
    def best_single(self) -> str:
        """The distance that does best alone."""
        return min(self.single, key=lambda name: self.single[name])

    @property
    def summary(self) -> dict[str, Any]:
        """The figures, as ``summary.json`` has them."""
        return {
            "model": self.model,
            "error": self.error,
            "error_of_mean": self.errors["mean"],
            "best_single_distance": self.best_single,
            "error_of_best_single_distance": self.single[self.best_single],
            "covered": self.covered,
        }

    @property
    def text(self) -> str:
        """What the predictor is worth, in a sentence."""
        best = self.best_single
        return (
            f"predictor ({self.model}): mean absolute error {self.error:.3g} for regions left out; "
            f"always the mean {self.errors['mean']:.3g}, {best} alone {self.single[best]:.3g}; "
            f"90 % intervals hold {100 * self.covered:.0f} %"
        )


class Predictor:
    """Expected score of a model from one region in another.

    Small models that cannot go far wrong: the mean, ridge regression, support vectors with a
    Gaussian kernel, and boosted trees that are monotone in the distances; the one with the smallest
    error for regions left out is taken. Regions are divided into groups, and a pair is predicted by
    a model that has seen no pair with a region of either of its two groups; so neither the source
    nor the target, nor any of their other pairs, tells anything.

    Intervals are conformal: quantiles of those very residuals (Vovk 2015, Cross-conformal
    predictors). ``evaluation.covered`` is measured with the residuals of the two groups left out.

    Args:
        pairs: one row per pair: ``source``, ``target``, ``score``, numeric features and, where
            scores rest on different numbers of samples, their ``weight``, which weighs fits and
            errors; intervals hold nine of ten scores, whatever they rest on.
        distances: which features are distances, in which scores get worse.
        kind: ``accuracy``, ``error`` or ``skill``. Predictions lie in its range, where the scores
            of the pairs do.
        seed: of the groups.

    Raises:
        GeospotError: there are fewer than eight regions, a feature is not finite, or a weight is
            not positive.
    """

    @out_of_memory("fitting the predictor", "give scores of fewer pairs")
    def __init__(
        self, pairs: pd.DataFrame, distances: Sequence[str], kind: Kind, *, seed: int = 0
    ) -> None:
        _check(pairs, "source", "target", "score")
        distances = checks.texts(distances, "distances")
        checks.one_of(kind, get_args(Kind), "kind")
        seed = checks.whole(seed, "seed", least=0)
        self._features = [c for c in pairs.columns if c not in _NO_FEATURES]
        if not self._features:
            raise GeospotError("pairs: there are no features: add a column of distances")
        y = _numbers(pairs["score"])
        for name in distances:
            column(pairs[self._features], name, "distances", "pairs")
        if not np.isfinite(y).all():
            raise GeospotError(
                f"pairs: score in row {int(np.argmin(np.isfinite(y))) + 1} is no number: leave out "
                "pairs without a score"
            )
        names = sorted(set(pairs["source"]) | set(pairs["target"]))
        if len(names) < LEAST_TO_PREDICT:
            raise GeospotError(
                f"scores of {len(names)} regions are too few to predict from: "
                f"{LEAST_TO_PREDICT} are needed"
            )
        x, weight = self._matrix(pairs), _weights(pairs)
        worse = 1 if kind == "error" else -1
        signs = [worse if name in distances else 0 for name in self._features]
        groups = np.random.default_rng(seed).permutation(len(names)) % min(_FOLDS, len(names))
        sides = [groups[pd.Index(names).get_indexer(pairs[side])] for side in ("source", "target")]
        models = _models(signs)
        predicted = {name: _left_out(x, y, weight, sides, make) for name, make in models.items()}
        errors = {name: _error(values, y, weight) for name, values in predicted.items()}
        chosen = min(errors, key=lambda name: errors[name])
        columns = [self._features.index(name) for name in distances]
        single = {
            self._features[k]: _error(
                _left_out(x[:, [k]], y, weight, sides, models["ridge"]), y, weight
            )
            for k in columns
        }
        residuals = y - predicted[chosen]
        inside = np.zeros(len(y), bool)
        for test, train in _splits(sides):
            low, high = _quantiles(residuals[train])
            inside[test] = (low <= residuals[test]) & (residuals[test] <= high)
        self.evaluation = Evaluation(
            chosen, errors[chosen], errors, single, float(inside.mean()), predicted[chosen]
        )
        self._interval = _quantiles(residuals)
        self._model = _fitted(models[chosen], x, y, weight)
        low, high = x.min(0), x.max(0)
        margin = _MARGIN * (high - low)
        # Nearer than all that was seen is no reason for doubt.
        near = np.isin(self._features, list(distances))
        self._range = np.where(near, -np.inf, low - margin), high + margin
        self._bounds = bounds(kind, y)

    @out_of_memory("predicting scores", "give fewer targets, or larger cells with targets.degrees")
    def predict(self, pairs: pd.DataFrame) -> pd.DataFrame:
        """Expected scores of pairs, with intervals that contain nine of ten.

        Args:
            pairs: ``source``, ``target``, the features of the training pairs, and maybe ``score``.

        Returns:
            Columns ``source``, ``target``, ``score`` (null where it is not known), ``predicted``,
            ``lower``, ``upper`` and ``extrapolates``: whether a distance is larger, or another
            feature smaller or larger, than all that was seen, so that neither prediction nor
            interval can be trusted.
        """
        _check(pairs, "source", "target", *self._features)
        x = self._matrix(pairs)
        predicted = np.clip(self._model.predict(x), *self._bounds)
        low, high = self._range
        return pd.DataFrame(
            {
                "source": pairs["source"].to_numpy(),
                "target": pairs["target"].to_numpy(),
                "score": pairs["score"].to_numpy(float) if "score" in pairs else np.nan,
                "predicted": predicted,
                "lower": np.clip(predicted + self._interval[0], *self._bounds),
                "upper": np.clip(predicted + self._interval[1], *self._bounds),
                "extrapolates": ((x < low) | (x > high)).any(1),
            }
        )

    def _matrix(self, pairs: pd.DataFrame) -> Array:
        x = np.column_stack([_numbers(pairs[name]) for name in self._features])
        wrong = np.argwhere(~np.isfinite(x))
        if len(wrong):
            row, column = wrong[0]
            pair = pairs.iloc[int(row)]
            raise GeospotError(
                f"{self._features[column]} of {pair['source']} to {pair['target']} is not known: "
                "finish the sweep first"
            )
        return x


def _check(pairs: object, *columns: str) -> None:
    """Raise unless this is a table with rows and such columns."""
    table: pd.DataFrame = checks.instance(pairs, pd.DataFrame, "pairs")
    for name in columns:
        column(table, name, "pairs", "pairs")
    if len(table) == 0:
        raise GeospotError("pairs: there are none: give a row for each")


def _numbers(values: pd.Series[Any]) -> Array:
    """A column as numbers, NaN where it holds something else."""
    numbers: Array = pd.to_numeric(values, errors="coerce").to_numpy(float, na_value=np.nan)
    return numbers


def _models(signs: list[int]) -> dict[str, Callable[[], Any]]:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.dummy import DummyRegressor
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVR

    def scaled(model: Any) -> Any:
        of_features = Pipeline([("scale", StandardScaler()), ("model", model)])
        return TransformedTargetRegressor(of_features, transformer=StandardScaler())

    return {
        "mean": DummyRegressor,
        "ridge": lambda: scaled(Ridge(alpha=10.0)),
        "kernel": lambda: scaled(SVR(C=0.5, gamma=0.25 / len(signs), epsilon=0.1)),
        "trees": lambda: HistGradientBoostingRegressor(
            loss="absolute_error", max_iter=60, max_leaf_nodes=4, learning_rate=0.08,
            min_samples_leaf=20, l2_regularization=5.0, monotonic_cst=signs, random_state=0,
        ),
    }  # fmt: skip


def _splits(
    sides: list[NDArray[np.int64]],
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Pairs between two groups, and the pairs that touch neither of these groups."""
    source, target = sides
    for p in range(int(max(source.max(), target.max())) + 1):
        for q in range(p + 1):
            test = ((source == p) & (target == q)) | ((source == q) & (target == p))
            train = ~(np.isin(source, (p, q)) | np.isin(target, (p, q)))
            if test.any():
                yield test, train


def _weights(pairs: pd.DataFrame) -> Array:
    """Weights of the pairs, 1 in the mean."""
    if "weight" not in pairs:
        return np.ones(len(pairs))
    weight = pairs["weight"].to_numpy(float)
    wrong = np.flatnonzero(~(np.isfinite(weight) & (weight > 0.0)))
    if len(wrong):
        pair = pairs.iloc[int(wrong[0])]
        raise GeospotError(
            f"weight of {pair['source']} to {pair['target']} is {weight[wrong[0]]:g}: give "
            "positive ones"
        )
    found: Array = weight / weight.mean()
    return found


def _fitted(make: Callable[[], Any], x: Array, y: Array, weight: Array) -> Any:
    model = make()
    if np.ptp(weight) == 0.0:  # scalers round differently with weights
        return model.fit(x, y)
    scaled = hasattr(model, "regressor")
    return model.fit(x, y, **{"model__sample_weight" if scaled else "sample_weight": weight})


def _left_out(
    x: Array, y: Array, weight: Array, sides: list[NDArray[np.int64]], make: Callable[[], Any]
) -> Array:
    """Predictions by models that have seen neither region of a pair."""
    predicted = np.empty_like(y)
    for test, train in _splits(sides):
        predicted[test] = _fitted(make, x[train], y[train], weight[train]).predict(x[test])
    return predicted


def _error(predicted: Array, y: Array, weight: Array) -> float:
    return float(np.average(np.abs(predicted - y), weights=weight))


def _quantiles(residuals: Array) -> tuple[float, float]:
    """What an interval adds to a prediction."""
    tail = (1.0 - COVERED) / 2.0
    rank = 1.0 + 1.0 / len(residuals)  # one more, unseen, could lie anywhere
    ends = np.quantile(residuals, [max(0.0, 1 - (1 - tail) * rank), min(1.0, (1 - tail) * rank)])
    return float(ends[0]), float(ends[1])
