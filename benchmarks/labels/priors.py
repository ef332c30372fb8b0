"""What class priors, corrected, give back of what models lose, and how much of it labels make.

    python -m benchmarks.labels.priors DATA [seeds]

DATA is a folder with climate_stations.csv.gz, airports_text.csv.gz and dams_us.csv.gz. Models are
those of ``benchmarks.transfer``; accuracies are plain ones.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # processes share the cores

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

import geospot_gpu as gs
from benchmarks.record import save
from benchmarks.transfer.tasks import ALL, Task, held_out, inputs, model, read
from geospot_gpu.transfer.label_shift.report import mean_of_pairs
from geospot_gpu.transfer.scores.values import columns_of_probability

LABELS = (5, 10, 20, 50)
_SHOWN = {
    "em": "probabilities in the target, no label",
    "confusion": "predictions in the target, no label",
}


def predictions(task: Task, folder: Path, seed: int) -> pd.DataFrame:
    """What each region's model says of the samples of every region that no model was trained on."""
    table = read(task, folder)
    x, y = inputs(task, table)
    trained, tested = held_out(task, table, seed)
    rows = np.concatenate(list(tested.values()))
    region = np.repeat(list(tested), [len(some) for some in tested.values()])
    known = pd.DataFrame({"region": region, "id": rows, "label": y[rows]})
    found = []
    for source, own in trained.items():
        fitted = model(task, seed).fit(x[own], y[own])
        classes = fitted.classes_  # of one alone there are two columns
        likely = fitted.predict_proba(x[rows])[:, : len(classes)]
        probability = pd.DataFrame(likely, columns=classes)
        probability = probability.reindex(columns=np.unique(y), fill_value=0.0)
        said = fitted.predict(x[rows])
        found.append(
            known.assign(source=source, prediction=said).join(
                probability.add_prefix("probability_")
            )
        )
    return pd.concat(found, ignore_index=True)


def one_seed(task: Task, folder: Path, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The split of every pair, and its score before and after each correction."""
    table = predictions(task, folder, seed)
    names = sorted(set(table["source"]))
    scores = gs.read_scores(table, kind="accuracy", regions=names)
    plain = table.drop(columns=columns_of_probability(table))
    alone = gs.read_scores(plain, kind="accuracy", regions=names)
    corrected = [
        gs.correct_priors(one, labels=k, seed=seed).table.assign(
            given=k, probabilities=one is scores
        )
        for one, counts in ((scores, LABELS), (alone, (20,)))
        for k in counts
    ]
    return gs.split_loss(scores), pd.concat(corrected)


def parts(task: Task, splits: Sequence[pd.DataFrame]) -> dict[str, object]:
    """What of the loss labels make, in the mean over pairs."""
    row: dict[str, object] = {"task": task.name}
    for name in ("score_home", "score", "loss", "label_part", "conditional_part"):
        row[name] = _with_interval(splits, name)
    share = [one["label_part"].mean() / one["loss"].mean() for one in splits]
    return row | {"label part of the loss": f"{np.mean(share):.0%}"}


def corrections(task: Task, tables: Sequence[pd.DataFrame]) -> list[dict[str, object]]:
    """Before and after, by what is known of the target."""
    rows: list[dict[str, object]] = []
    every = pd.concat(tables)
    kinds = every[(every["method"] == "labels") | (every["given"] == 20)]
    for (probabilities, method, labels), _ in kinds.groupby(
        ["probabilities", "method", "given"], sort=False
    ):
        some = [
            one[(one["probabilities"] == probabilities) & (one["method"] == method)
                & (one["given"] == labels)]
            for one in tables
        ]  # fmt: skip
        gained = [one.assign(gain=one["corrected"] - one["score"]) for one in some]
        mean = pd.concat(gained).mean(numeric_only=True)
        said = _SHOWN.get(str(method), f"{labels} labels of the target")
        beside = (
            "" if method != "labels" else f", {'probabilities' if probabilities else 'predictions'}"
        )
        rows.append(
            {
                "task": task.name,
                "corrected by": f"{said}{beside}",
                "before": round(mean["score"], 3),
                "after": round(mean["corrected"], 3),
                "gain": _with_interval(gained, "gain"),
                "of the loss": f"{mean['gain'] / (mean['score_home'] - mean['score']):.0%}",
                "worse for": f"{np.mean([(one['gain'] < 0).mean() for one in gained]):.0%}",
                "expected gain": round(mean["expected_corrected"] - mean["expected"], 3),
            }
        )
    return rows


def _with_interval(tables: Sequence[pd.DataFrame], name: str) -> str:
    """Mean over pairs and seeds, and the 95 % interval that regions leave, of an average seed."""
    found = [one for table in tables if (one := mean_of_pairs(table, name)) is not None]
    mean, error = np.mean(found, axis=0)
    return f"{mean:.3f} [{mean - 1.96 * error:.3f}, {mean + 1.96 * error:.3f}]"


def main(folder: Path, seeds: int) -> None:
    split: list[dict[str, object]] = []
    corrected: list[dict[str, object]] = []
    for task in ALL:
        if task.kind != "accuracy":
            continue
        done = Parallel(os.cpu_count())(
            delayed(one_seed)(task, folder, seed) for seed in range(seeds)
        )
        split.append(parts(task, [one for one, _ in done]))
        corrected += corrections(task, [one for _, one in done])
        found: dict[str, object] = {
            "What labels make of the loss": {"methods": split, "seeds": seeds}
        }
        save("labels_priors", found | {"Priors corrected": {"methods": corrected}})


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: python -m benchmarks.labels.priors DATA [seeds]")
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 2)
