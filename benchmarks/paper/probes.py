"""Linear probes on features of the task: trained in some regions, tested in others."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.paper.samples import Samples

Predict = Callable[[NDArray[np.float32]], NDArray[np.object_]]


def trained(samples: Samples, rows: NDArray[np.int64], seed: int) -> Predict:
    """A logistic regression on the features of some training samples.

    A photo with several labels is a sample of each of them.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    x, y = samples.features(rows), samples.column("label", rows)
    if len(set(y)) == 1:  # there is nothing to tell apart
        return lambda other: np.full(len(other), y[0], dtype=object)
    # Unit vectors have entries of size d**-0.5: as if they were of size one. Each by its own spread
    # would blow up what is constant within a region, as its place.
    model: Any = LogisticRegression(C=x.shape[1], max_iter=200, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, y.astype(str))
    back = {str(one): one for one in y}
    return lambda other: np.array([back[one] for one in model.predict(other)], dtype=object)


def accuracy(samples: Samples, predict: Predict, rows: NDArray[np.int64]) -> tuple[float, int]:
    """The share of photos whose predicted label is one of theirs, and how many photos there are."""
    ids, first = np.unique(samples.column("id", rows).astype(str), return_index=True)
    right = pd.DataFrame({"id": samples.column("id", rows), "label": samples.column("label", rows)})
    labels = right.groupby("id")["label"].agg(set)
    predicted = predict(samples.features(rows[first]))
    hits = [label in labels[id] for id, label in zip(ids, predicted, strict=True)]
    return float(np.mean(hits)), len(ids)


def transfer_matrix(samples: Samples, points: int, seeds: int) -> pd.DataFrame:
    """Accuracies of a model of every region in every other: ``source, target, score, n``.

    Means over seeds; ``n`` is the number of photos that a score is of.
    """
    sums: dict[tuple[str, str], list[tuple[float, int]]] = {}
    for seed in range(seeds):
        for source in tqdm(samples.names, f"probes, seed {seed}", unit=" regions", disable=None):
            generator = np.random.default_rng([seed, samples.names.index(source)])
            rows = generator.permutation(samples.train[source])[:points]
            predict = trained(samples, rows, seed)
            for target in samples.names:
                reached = accuracy(samples, predict, samples.test[target])
                sums.setdefault((source, target), []).append(reached)
    rows_of = [
        (source, target, float(np.mean([score for score, _ in found])), found[0][1])
        for (source, target), found in sums.items()
    ]
    return pd.DataFrame(rows_of, columns=["source", "target", "score", "n"])
