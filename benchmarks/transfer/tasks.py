"""One model per country or state, tested in every other: what distances should predict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.transfer.scores.scores import Change, Kind, Scores, read_scores

MOST = 500
"""Points of a region that take part."""
TRAINED = 0.6
"""Share of them that the region's model is trained on."""
_CLIMATE = ["elev_m", *(f"bio{k}" for k in range(12, 20))]


class Task(NamedTuple):
    """What is predicted from what."""

    name: str
    file: str
    region: str
    kind: Kind
    """``error`` or ``accuracy``."""


TASKS = (
    Task("temperature", "climate_stations.csv.gz", "iso3", "error"),
    Task("koppen", "climate_stations.csv.gz", "iso3", "accuracy"),
    Task("airports", "airports_text.csv.gz", "iso_country", "accuracy"),
)
DAMS = Task("dams", "dams_us.csv.gz", "state", "accuracy")
"""Hazard of dams of the United States: here labels differ more between states than inputs do."""


ALL = (*TASKS, DAMS)


def read(task: Task, folder: Path) -> pd.DataFrame:
    """The table of a task: NA is Namibia."""
    return pd.read_csv(folder / task.file, keep_default_na=False, low_memory=False)


def scores(task: Task, folder: Path, seed: int) -> pd.DataFrame:
    """Scores of each region's model in each region; ``n`` is the number of samples scored."""
    table = read(task, folder)
    x, y = inputs(task, table)
    trained, tested = held_out(task, table, seed)
    found = []
    for source, rows in trained.items():
        trained_model = model(task, seed).fit(x[rows], y[rows])
        for target, others in tested.items():
            reached = score(task, y[others], trained_model.predict(x[others]))
            found.append((source, target, reached, len(others)))
    return pd.DataFrame(found, columns=["source", "target", "score", "n"])


def held_out(
    task: Task, table: pd.DataFrame, seed: int
) -> tuple[dict[str, NDArray[np.int64]], dict[str, NDArray[np.int64]]]:
    """Rows by region that its model is trained on, and that models are tested on."""
    generator = np.random.default_rng(seed)
    trained: dict[str, NDArray[np.int64]] = {}
    tested: dict[str, NDArray[np.int64]] = {}
    for name, members in table.groupby(task.region).indices.items():
        rows = generator.permutation(members)[:MOST]
        cut = round(TRAINED * len(rows))
        trained[str(name)], tested[str(name)] = rows[:cut], rows[cut:]
    return trained, tested


def measured_scores(task: Task, folder: Path, seed: int, regions: Sequence[str]) -> Scores:
    """Those scores as the package reads them; all pairs weigh the same."""
    change: Change = "difference" if task.kind == "error" else "relative"
    table = scores(task, folder, seed).drop(columns="n")
    return read_scores(table, kind=task.kind, change=change, regions=regions)


def inputs(task: Task, table: pd.DataFrame) -> tuple[Any, NDArray[Any]]:
    """What a task is predicted from, [n, d], and what is predicted, [n]."""
    if task.name == "airports":
        from sklearn.feature_extraction.text import HashingVectorizer

        words = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), n_features=2**16)
        return words.transform(table["name"].str.lower()), table["label"].to_numpy()
    if task.name == "dams":
        after = list(table.columns).index("hazard") + 1
        numbers = table.iloc[:, after:].apply(pd.to_numeric, errors="coerce")  # some are empty
        return numbers.to_numpy(float), table["hazard"].to_numpy()
    target = "temp_c" if task.name == "temperature" else "koppen_main"
    return table[_CLIMATE].to_numpy(float), table[target].to_numpy()


def model(task: Task, seed: int) -> Any:
    """A model of scikit-learn for a task."""
    if task.name == "airports":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(class_weight="balanced", max_iter=200)
    from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingClassifier

    if task.name == "temperature":
        return GradientBoostingRegressor(random_state=seed)
    return HistGradientBoostingClassifier(max_iter=60, min_samples_leaf=5, random_state=seed)


def score(task: Task, truth: NDArray[Any], predicted: NDArray[Any]) -> float:
    """RMSE, accuracy, or for airports accuracy with all labels alike."""
    if task.name == "temperature":
        return float(np.sqrt(np.mean((truth - predicted) ** 2)))
    if task.name in ("koppen", "dams"):
        return float(np.mean(truth == predicted))
    return float(np.mean([np.mean(predicted[truth == label] == label) for label in set(truth)]))
