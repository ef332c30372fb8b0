"""What a few labels of a target are worth beside a prediction, and which points to label.

    python -m benchmarks.labels.few DATA [draws]

Each region in turn is a target of which nothing is known: the predictor has seen neither its scores
nor its models. Models of other regions are tried at a few labelled points of it, drawn at random or
chosen for the purpose, and the truth is how they do at all of its other points.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # processes share the cores

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray

import geospot_gpu as gs
from benchmarks.record import save
from benchmarks.transfer.distances import COST, INPUTS, PLACE, Known, described, run_of
from benchmarks.transfer.tasks import ALL, MOST, TRAINED, Task, inputs, model, read
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.selection.pool import Pool, PoolCosts
from geospot_gpu.selection.strata import sample_for_score
from geospot_gpu.transfer.predictor import predictor as settings
from geospot_gpu.transfer.scores.aggregate import aggregate
from geospot_gpu.transfer.scores.values import Measure

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
COUNTS = (5, 10, 20, 50)
"""How many labels."""
DRAWS = 4
_GROUPS = 6
"""Groups of regions that are targets together."""
_LEAST = 30
"""Points without a label that a target has at least, to say how a model really does."""


class Tried(NamedTuple):
    """Models of all regions at all points.

    Attributes:
        value: whether right, or prediction less truth, of each model at each point, [R, N].
        rows: points of each region, [R] arrays.
        tested: those of them that its own model was not trained on.
        measure: what the score of several is.
    """

    value: Array
    rows: list[Indices]
    tested: list[Indices]
    measure: Measure

    @classmethod
    def of(cls, task: Task, folder: Path, names: list[str]) -> Tried:
        """Train a model in each region, as ``benchmarks.transfer`` does."""
        table = read(task, folder)
        generator = np.random.default_rng(0)
        x, y = inputs(task, table)
        of_region = {str(name): rows for name, rows in table.groupby(task.region).indices.items()}
        value, tested = [], []
        for name in names:
            rows = generator.permutation(of_region[name])[:MOST]
            cut = round(TRAINED * len(rows))
            predicted = model(task, 0).fit(x[rows[:cut]], y[rows[:cut]]).predict(x)
            value.append(predicted - y if task.kind == "error" else predicted == y)
            tested.append(rows[cut:])
        measure: Measure = "rmse" if task.kind == "error" else "mean"
        rows_ = [np.asarray(of_region[name]) for name in names]
        return cls(np.array(value, float), rows_, tested, measure)

    def score(self, source: int, points: Indices) -> tuple[float, float]:
        """Of a model at some points, and its standard error."""
        found = aggregate(self.value[source, points], self.measure)
        return found.score, found.std_error


class Chooser:
    """Points of targets at which to try models.

    Args:
        regions: all regions, in the space of the inputs.
    """

    def __init__(self, regions: gs.Regions) -> None:
        self._regions = regions
        self._engine = PairEngine(regions, Method(COST, gs.Sinkhorn()), gs.Engine(device="cpu"))

    def chosen(self, target: int, count: int, seed: int) -> Indices:
        """Rows of the table, a stratified sample for models of all other regions."""
        pool = Pool.of_regions(self._regions, np.array([target]))
        others = np.setdiff1d(np.arange(len(self._regions)), [target])
        shares = np.full(len(others), 1.0 / len(others))
        costs = PoolCosts(self._engine, others, shares, pool)
        return pool.rows[sample_for_score(costs, count, seed).chosen]


def scores_of(tried: Tried, names: list[str]) -> pd.DataFrame:
    """Scores of all pairs with their standard errors, at points no model was trained on."""
    rows = []
    for i, source in enumerate(names):
        for j, target in enumerate(names):
            score, error = tried.score(i, tried.tested[j])
            rows.append((source, target, score, error, len(tried.tested[j])))
    return pd.DataFrame(rows, columns=["source", "target", "score", "std_error", "weight"])


class Case(NamedTuple):
    """What was found of one target with so many labels.

    Attributes:
        labels: how many.
        how: they were drawn.
        table: of the pairs, ``truth``, ``shown``, ``before``, ``predicted`` and the ends and
            expected width of the intervals.
    """

    labels: int
    how: str
    table: pd.DataFrame


def cases(
    task: Task, tried: Tried, known: Known, chooser: Chooser, group: Indices, draws: int
) -> Iterator[Case]:
    """Predict the scores in a group of regions, of which nothing is known.

    Args:
        task: whose scores they are.
        tried: models at points.
        known: distances of all pairs.
        chooser: of points.
        group: positions of the targets.
        draws: of labels.
    """
    settings.GROUPINGS, settings.PERMUTATIONS = 1, 1
    names = known.names
    scored = scores_of(tried, names)
    matrix = scored["score"].to_numpy().reshape(len(names), len(names))
    pairs, distances = known.pairs(matrix, PLACE, INPUTS)
    pairs = pairs.merge(scored.drop(columns="score"), on=["source", "target"])
    apart = [name for k, name in enumerate(names) if k not in group]
    seen = pairs[pairs["source"].isin(apart) & pairs["target"].isin(apart)]
    predictor = gs.Predictor(seen.reset_index(drop=True), distances, task.kind)
    for count in COUNTS:
        for j in group:
            if len(tried.rows[j]) < count + _LEAST:
                continue
            asked = pairs[pairs["source"].isin(apart) & (pairs["target"] == names[j])]
            said = predictor.predict(asked, label_budget=count)
            for seed in range(draws):
                chance = np.random.default_rng(seed).permutation(tried.rows[j])[:count]
                for how, points in (("random", chance), ("chosen", chooser.chosen(j, count, seed))):
                    table = combined(tried, predictor, asked, points, names, int(j))
                    yield Case(count, how, table.assign(said=said["width_with_labels"]))


def combined(
    tried: Tried, predictor: gs.Predictor, asked: pd.DataFrame, points: Indices, names: list[str],
    target: int,
) -> pd.DataFrame:  # fmt: skip
    """Predictions of pairs with labels at some points of the target, beside the truth."""
    sources = [names.index(name) for name in asked["source"]]
    shown = [tried.score(i, points)[0] for i in sources]
    rest = np.setdiff1d(tried.rows[target], points)
    few = asked[["source", "target"]].assign(score=shown, n=float(len(points)))
    found = predictor.predict(asked, few=few)
    return pd.DataFrame(
        {
            "truth": [tried.score(i, rest)[0] for i in sources],
            "shown": shown,
            "before": found["predicted_without_labels"],
            "before_width": found["upper_without_labels"] - found["lower_without_labels"],
            "predicted": found["predicted"],
            "lower": found["lower"],
            "upper": found["upper"],
        }
    )


def figures(found: list[Case]) -> list[dict[str, object]]:
    """A line for every number of labels and way to draw them; every target counts the same."""
    rows: list[dict[str, object]] = []
    for count in COUNTS:
        for how in ("random", "chosen"):
            tables = [one.table for one in found if (one.labels, one.how) == (count, how)]
            if tables:
                rows.append({"labels": count, "points": how, **line(tables)})
    return rows


def line(tables: list[pd.DataFrame]) -> dict[str, object]:
    """Errors, intervals, and what was said of them beforehand."""

    def mean(values: Sequence[Any]) -> float:
        return float(np.mean([np.mean(value) for value in values]))

    def error(name: str) -> float:
        return mean([np.abs(one[name] - one["truth"]) for one in tables])

    before, alone, both = error("before"), error("shown"), error("predicted")
    inside = [one["truth"].between(one["lower"], one["upper"]) for one in tables]
    width = [one["upper"] - one["lower"] for one in tables]
    said = [one["said"].mean() / own.mean() - 1.0 for one, own in zip(tables, width, strict=True)]
    return {
        "error": round(both, 4),
        "over that without labels": f"{both / before:.2f}",
        "labels alone over that": f"{alone / before:.2f}",
        "over labels alone": f"{both / alone:.2f}",
        "90 % intervals hold": f"{mean(inside):.1%}",
        "mean width": round(mean(width), 3),
        "without labels": round(mean([one["before_width"] for one in tables]), 3),
        "said beforehand": round(mean([one["said"] for one in tables]), 3),
        "off by, of a target": f"{np.mean(np.abs(said)):.0%}",
    }


def main(folder: Path, draws: int) -> None:
    found: dict[str, object] = {}
    swept: dict[str, tuple[Known, gs.Regions]] = {}
    with tempfile.TemporaryDirectory() as out:
        for task in ALL:
            if task.file not in swept:
                run = run_of(described(task, folder), Path(out) / Path(task.file).stem)
                swept[task.file] = Known.of(run), run.spaces[INPUTS].regions
            known, regions = swept[task.file]
            tried = Tried.of(task, folder, known.names)
            order = np.random.default_rng(0).permutation(len(known.names))
            parts = Parallel(os.cpu_count())(
                delayed(_listed)(task, tried, known, Chooser(regions), order[k::_GROUPS], draws)
                for k in range(_GROUPS)
            )
            rows = figures([case for part in parts for case in part])
            found[f"{task.name}, {task.kind}"] = {"methods": rows}
            save("labels_few", found)


def _listed(*arguments: object) -> list[Case]:
    return list(cases(*arguments))  # type: ignore[arg-type]


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: python -m benchmarks.labels.few DATA [draws]")
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else DRAWS)
