"""Models trained on some rows of a table, and what they score in regions of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.transfer.tasks import MOST, Task, inputs, read, score


class Samples(NamedTuple):
    """What a model is trained on."""

    seed: int
    rows: tuple[int, ...]
    """In order, so that equal ones are one model."""


def quick_model(task: Task, seed: int) -> Any:
    """A model of scikit-learn that is as good with few samples, and trained in a fifth of the time.

    Thousands of them are trained; boosted trees would take hours.
    """
    if task.name == "airports":
        from sklearn.linear_model import RidgeClassifier

        return RidgeClassifier(class_weight="balanced")
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    trees = ExtraTreesRegressor if task.kind == "error" else ExtraTreesClassifier
    return trees(50, random_state=seed)


class Trainer:
    """Trains and scores the models of one task; each only once, however many ask for it.

    Args:
        task: what is predicted.
        folder: where its table is.
        names: of the regions, in the order of their positions.
    """

    def __init__(self, task: Task, folder: Path, names: Iterable[str]) -> None:
        table = read(task, folder)
        self._task = task
        self._x, self._y = inputs(task, table)
        members = table.groupby(task.region).indices
        self._rows = [np.asarray(members[name]) for name in names]

    def drawn(self, seed: int, quotas: Mapping[int, int]) -> Samples:
        """So many samples of each region, or all it has; larger ones hold the smaller."""
        rows = [
            np.random.default_rng([seed, r]).permutation(self._rows[r])[: min(quota, MOST)]
            for r, quota in quotas.items()
        ]
        return self.of_rows(seed, np.concatenate(rows))

    def of_rows(self, seed: int, rows: NDArray[np.int64]) -> Samples:
        """These rows of the table."""
        return Samples(seed, tuple(np.sort(rows).tolist()))

    def scores(self, wanted: Mapping[Samples, set[int]]) -> dict[tuple[Samples, int], float]:
        """Scores of a model of each of the samples in each of the regions; more is better."""
        runs = Parallel(os.cpu_count(), batch_size=4, return_as="generator")(
            delayed(self._score)(samples, sorted(targets)) for samples, targets in wanted.items()
        )
        done = tqdm(runs, self._task.name, len(wanted), unit=" models")
        return {
            (samples, target): value
            for samples, values in zip(wanted, done, strict=True)
            for target, value in values.items()
        }

    def _score(self, samples: Samples, targets: list[int]) -> dict[int, float]:
        rows = np.array(samples.rows)
        x, y = self._x[rows], self._y[rows]
        trained: Any
        if self._task.kind == "accuracy" and len(set(y)) < 2:  # there is nothing to tell apart
            from sklearn.dummy import DummyClassifier

            trained = DummyClassifier(strategy="most_frequent").fit(x, y)
        else:
            trained = quick_model(self._task, samples.seed).fit(x, y)
        sign = -1.0 if self._task.kind == "error" else 1.0
        return {
            t: sign * score(self._task, self._y[at], trained.predict(self._x[at]))
            for t, at in ((t, self._rows[t]) for t in targets)
        }
