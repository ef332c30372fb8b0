"""Predictions of pairs by models that have seen neither of their regions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.transfer.predictor.candidates import Make, Model

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
GROUPS = 8
"""Groups of regions that are left out together."""


class Table(NamedTuple):
    """Pairs as models take them.

    Attributes:
        x: features, [K, F].
        y: scores, [K].
        weight: how much each counts, 1 in the mean, [K].
    """

    x: Array
    y: Array
    weight: Array


class Grouping(NamedTuple):
    """Regions divided into groups, as pairs see them.

    Attributes:
        touched: which groups the regions of a pair are of, one bit for each, [K].
    """

    touched: NDArray[np.int64]

    @classmethod
    def draw(cls, ends: Sequence[NDArray[np.int64]], generator: np.random.Generator) -> Grouping:
        """Groups of the same size but for one, at random.

        Args:
            ends: positions of the regions at the two ends of each pair, of as many arrays as a pair
                has regions at most; -1 where it has fewer, [K] each.
            generator: draws them.
        """
        count = 1 + max(int(end.max()) for end in ends)
        group = generator.permutation(count) % min(GROUPS, count)
        bits = np.append(np.int64(1) << group.astype(np.int64), np.int64(0))  # -1 is the last
        return cls(np.bitwise_or.reduce([bits[end] for end in ends]))

    @property
    def reached(self) -> Mask:
        """Which pairs others stand apart from, [K]."""
        found = np.zeros(len(self.touched), bool)
        for test, _ in self.folds():
            found |= test
        return found

    def of(self, some: Mask) -> Grouping:
        """The same division, of these pairs alone."""
        return Grouping(self.touched[some])

    def folds(self) -> Iterator[tuple[Mask, Mask]]:
        """Pairs that touch the same groups, and the pairs that touch none of these."""
        for groups in np.unique(self.touched):
            apart = (self.touched & groups) == 0
            if apart.any():
                yield self.touched == groups, apart


def fitted(make: Make, table: Table, some: Mask | None = None) -> Model:
    """A model of those pairs."""
    x, y, weight = table if some is None else (part[some] for part in table)
    # Scalers round differently with weights.
    return make().fit(x, y, None if np.ptp(weight) == 0.0 else weight)


def left_out(candidates: Mapping[str, Make], table: Table, grouping: Grouping) -> dict[str, Array]:
    """Predictions by name of the model, [K] each; NaN where no pair is apart from a pair's groups.

    No prediction lies beyond the scores that its model has seen. Folds are fitted side by side, in
    as many threads as torch has.
    """
    import torch

    def fold(masks: tuple[Mask, Mask]) -> dict[str, Array]:
        test, train = masks
        low, high = table.y[train].min(), table.y[train].max()
        with one_thread():
            models = {name: fitted(make, table, train) for name, make in candidates.items()}
            x = table.x[test]
            return {name: np.clip(one.predict(x), low, high) for name, one in models.items()}

    found = {name: np.full(len(table.y), np.nan) for name in candidates}
    folds = list(grouping.folds())
    with ThreadPoolExecutor(torch.get_num_threads(), "geospot-fold") as threads:
        for (test, _), predicted in zip(folds, threads.map(fold, folds), strict=True):
            for name, values in predicted.items():
                found[name][test] = values
    return found


def one_thread() -> AbstractContextManager[Any]:
    """While trees are fitted: on thousands of pairs their threads wait for one another.

    Beside another process that keeps the cores busy, fits took five times as long.
    """
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(1, user_api="openmp")
    return limits  # of the thread that enters
