"""The predictor as it was before small models agreed: the best of four, and one width for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.transfer.predictor.candidates import Make
from geospot_gpu.transfer.predictor.left_out import Grouping, Table

Array = NDArray[np.float64]
_MODELS = ("mean", "former ridge", "kernel", "trees")
_LEVELS = np.linspace(0.5, 0.995, 100)


class Scaled:
    """An estimator of standardised features and standardised scores.

    Args:
        model: of scikit-learn.
    """

    def __init__(self, model: Any) -> None:
        from sklearn.compose import TransformedTargetRegressor
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        steps = make_pipeline(StandardScaler(), model)
        self.model = TransformedTargetRegressor(steps, transformer=StandardScaler())

    def fit(self, x: Array, y: Array, weight: Array | None) -> Self:
        """With pairs that all weigh the same."""
        assert weight is None
        self.model.fit(x, y)
        return self

    def predict(self, x: Array) -> Array:
        """Of [M, F], [M]."""
        found: Array = self.model.predict(x)
        return found


def former_candidates() -> dict[str, Make]:
    """Ridge regression of before; its mean, support vectors and trees are those of now."""
    from sklearn.linear_model import Ridge

    return {"former ridge": lambda: Scaled(Ridge(alpha=10.0))}


class Former(NamedTuple):
    """What the former predictor said of pairs whose regions were left out.

    Attributes:
        error: mean absolute error of the model that did best, the mean over the groupings.
        predicted: the mean of its predictions over the groupings, [K].
        covered: share of the scores inside intervals of L levels, [L].
        width: mean width of these intervals, [L].
    """

    error: float
    predicted: Array
    covered: Array
    width: Array

    def width_at(self, covered: float) -> float:
        """Mean width of the intervals that contain this share of the scores."""
        return float(np.interp(covered, np.maximum.accumulate(self.covered), self.width))


def former(
    found: Sequence[Mapping[str, Array]],
    table: Table,
    groupings: Sequence[Grouping],
    limits: tuple[float, float],
) -> Former:
    """Choose and try the former predictor.

    Args:
        found: left-out predictions of each grouping by name of the model, [K] each.
        table: pairs.
        groupings: of the regions; intervals are tried in the first.
        limits: of the scores.
    """
    chosen, errors = [], []
    for one in found:
        of = {name: float(np.mean(np.abs(one[name] - table.y))) for name in _MODELS}
        best = min(of, key=lambda name: of[name])
        chosen.append(one[best])
        errors.append(of[best])
    residuals = table.y - chosen[0]
    tail = (1.0 - _LEVELS) / 2.0
    lower, upper = np.empty((2, len(_LEVELS), len(table.y)))
    for test, train in groupings[0].folds():
        for end, quantile in ((lower, tail), (upper, 1.0 - tail)):
            moved = np.quantile(residuals[train], quantile)
            end[:, test] = np.clip(chosen[0][test] + moved[:, None], *limits)
    inside = (lower <= table.y) & (table.y <= upper)
    return Former(
        float(np.mean(errors)), np.mean(chosen, axis=0), inside.mean(1), (upper - lower).mean(1)
    )
