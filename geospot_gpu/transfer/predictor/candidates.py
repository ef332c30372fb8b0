"""Small models of scores, from the simplest to those that bend, and what they agree on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CONSTANTS = ("mean", "median")
RIDGE = 300.0
"""Pairs share regions, so that thousands of them know little: fits are held back firmly."""
_WAVES = 200


class Model(Protocol):
    """What is fitted to pairs, and predicts others."""

    def fit(self, x: Array, y: Array, weight: Array | None) -> Self:
        """From x of [K, F], y of [K] and weights [K], or None where all are alike."""

    def predict(self, x: Array) -> Array:
        """Of [M, F], [M]."""


Make = Callable[[], Model]


class Logarithms:
    """A model of the logarithms of scores, in which a factor is a step.

    Args:
        model: fitted to them.
    """

    def __init__(self, model: Model) -> None:
        self.model = model

    def fit(self, x: Array, y: Array, weight: Array | None) -> Self:
        """With y positive."""
        self.model.fit(x, np.log(y), weight)
        return self

    def predict(self, x: Array) -> Array:
        """Of [M, F], [M]."""
        found: Array = np.exp(self.model.predict(x))
        return found


class Steps:
    """Steps of scikit-learn, one after another.

    Args:
        steps: transformers, and an estimator as the last one.
    """

    def __init__(self, *steps: Any) -> None:
        from sklearn.pipeline import make_pipeline

        self.pipeline = make_pipeline(*steps)

    def fit(self, x: Array, y: Array, weight: Array | None) -> Self:
        """Weights are the last one's; the others see all pairs alike."""
        last = self.pipeline.steps[-1][0]
        self.pipeline.fit(x, y, **({} if weight is None else {f"{last}__sample_weight": weight}))
        return self

    def predict(self, x: Array) -> Array:
        """Of [M, F], [M]."""
        found: Array = self.pipeline.predict(x)
        return found


def candidates(signs: Sequence[int], *, positive: bool) -> Mapping[str, Make]:
    """The kinds of model, the simplest first.

    Args:
        signs: of each feature: whether scores grow (1) or fall (-1) with it where all else is
            equal; 0 where that is not known, as of all that is no distance.
        positive: whether all scores are positive numbers without a largest one, such as errors:
            ridge regression then sees their logarithm, in which a factor is a step.

    Returns:
        By name, what makes an estimator of scikit-learn's kind.
    """
    from sklearn.dummy import DummyRegressor
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    def linear() -> Model:
        model = Steps(StandardScaler(), Ridge(alpha=RIDGE))
        return Logarithms(model) if positive else model

    return {
        "mean": lambda: Steps(DummyRegressor()),
        "median": lambda: Steps(DummyRegressor(strategy="median")),
        "linear": linear,
        "kernel": lambda: SupportVectors(0.25 / len(signs)),
        "trees": lambda: Steps(
            HistGradientBoostingRegressor(
                loss="absolute_error", max_iter=60, max_leaf_nodes=4, learning_rate=0.08,
                min_samples_leaf=20, l2_regularization=5.0, monotonic_cst=list(signs),
                random_state=0,
            )
        ),
    }  # fmt: skip


class SupportVectors:
    """Support vectors with a Gaussian kernel (Drucker et al. 1997), of standardised scores.

    What they minimise is close to the absolute error, which is how errors are counted.

    Args:
        gamma: of the kernel ``exp(-gamma |x - y|^2)`` between standardised features.
    """

    def __init__(self, gamma: float) -> None:
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVR

        self._steps = Steps(StandardScaler(), SVR(C=0.5, gamma=gamma, epsilon=0.1))

    def fit(self, x: Array, y: Array, weight: Array | None) -> Self:
        """From x of [K, F] and y of [K]."""
        self._level, self._unit = float(np.mean(y)), float(np.std(y)) or 1.0
        self._steps.fit(x, (y - self._level) / self._unit, weight)
        return self

    def predict(self, x: Array) -> Array:
        """Of [M, F], [M]."""
        return self._level + self._unit * self._steps.predict(x)


def waves(gamma: float) -> Model:
    """Ridge regression on random Fourier features of a Gaussian kernel (Rahimi & Recht 2007).

    Args:
        gamma: of the kernel ``exp(-gamma |x - y|^2)`` between standardised features.
    """
    from sklearn.kernel_approximation import RBFSampler
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    sampler = RBFSampler(gamma=gamma, n_components=_WAVES, random_state=0)
    return Steps(StandardScaler(), sampler, StandardScaler(), Ridge(alpha=RIDGE))
