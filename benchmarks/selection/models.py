"""Models trained on samples of some countries, and what they score in all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.transfer.tasks import MOST, Task, inputs, model, read, score


class Samples(NamedTuple):
    """What a model is trained on."""

    seed: int
    regions: tuple[int, ...]
    quota: int
    """Samples of each region, or all it has."""


class Trainer:
    """Trains and scores the models of one task.

    Args:
        task: what is predicted.
        folder: where its table is.
        names: of the regions, in the order of their positions.
    """

    def __init__(self, task: Task, folder: Path, names: tuple[str, ...]) -> None:
        table = read(task, folder)
        self._task = task
        self._x, self._y = inputs(task, table)
        members = table.groupby(task.region).indices
        self._rows = [np.asarray(members[name]) for name in names]

    def scores(self, wanted: list[Samples]) -> dict[Samples, NDArray[np.float64]]:
        """Scores in every region of a model for each of the samples; more is better."""
        runs = Parallel(os.cpu_count(), batch_size=4, return_as="generator")(
            delayed(self._score)(samples) for samples in wanted
        )
        named = zip(wanted, tqdm(runs, self._task.name, len(wanted), unit=" models"), strict=True)
        return dict(named)

    def _score(self, samples: Samples) -> NDArray[np.float64]:
        rows = np.concatenate(
            [self._drawn(samples.seed, r, samples.quota) for r in samples.regions]
        )
        x, y = self._x[rows], self._y[rows]
        trained: Any
        if self._task.kind == "accuracy" and len(set(y)) < 2:  # there is nothing to tell apart
            from sklearn.dummy import DummyClassifier

            trained = DummyClassifier(strategy="most_frequent").fit(x, y)
        else:
            trained = model(self._task, samples.seed).fit(x, y)
        sign = -1.0 if self._task.kind == "error" else 1.0
        reached = [
            score(self._task, self._y[at], trained.predict(self._x[at])) for at in self._rows
        ]
        return sign * np.array(reached)

    def _drawn(self, seed: int, region: int, quota: int) -> NDArray[np.int64]:
        shuffled = np.random.default_rng([seed, region]).permutation(self._rows[region])
        return shuffled[: min(quota, MOST)]
