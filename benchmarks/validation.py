"""Does cross-validation say how a model does where it is deployed? One table for each task.

    python -m benchmarks.validation DATA [draws]

DATA is a folder with climate_stations.csv.gz and dams_us.csv.gz. A model is trained in some
countries or states; its error is estimated there by each kind of folds, and measured in all others
and on other samples of the same ones.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import KFold, cross_val_predict

import geospot_gpu as gs
from benchmarks.record import save
from benchmarks.transfer.tasks import DAMS, TASKS, Task, inputs, model, read, score

TRAINED = 12
"""Regions that a model is trained in; it is deployed in all others."""
SAMPLES = 100
"""Samples of each that it is trained on."""
TESTED = 50
"""Samples of each region that it is scored on."""
FOLDS = 5
BLOCK_KM = 1000.0
WHERE = ("elsewhere", "at home")
Rows = NDArray[np.int64]


class Drawn(NamedTuple):
    """Rows of a task's table: to train on, and where the model is deployed."""

    train: Rows
    deployed: dict[str, Rows]
    """By :data:`WHERE`."""


def draw(region: pd.Series[Any], seed: int) -> Drawn:
    generator = np.random.default_rng(seed)
    members = region.groupby(region).indices
    rows = {str(name): generator.permutation(found) for name, found in members.items()}
    names = generator.permutation(sorted(rows))
    here, there = names[:TRAINED], names[TRAINED:]
    return Drawn(
        np.concatenate([rows[name][:SAMPLES] for name in here]),
        {
            "elsewhere": np.concatenate([rows[name][:TESTED] for name in there]),
            "at home": np.concatenate([rows[name][SAMPLES:][:TESTED] for name in here]),
        },
    )


def estimates(
    task: Task, table: pd.DataFrame, drawn: Drawn, distances: Any, seed: int
) -> pd.DataFrame:
    """Scores by cross-validation and in truth, a row for each kind of folds and deployment."""
    x, y = inputs(task, table)
    known = pd.DataFrame(x).fillna(pd.DataFrame(x).iloc[drawn.train].median())
    places, train = table[["lon", "lat"]], drawn.train
    region = table[task.region].iloc[train]
    trained = model(task, seed).fit(x[train], y[train])
    ways: list[tuple[str, str, Any, Any]] = [
        ("random", "", KFold(FOLDS, shuffle=True, random_state=seed), None),
        ("`RegionFolds`", "", gs.RegionFolds(FOLDS), region),
        ("`RegionFolds(distances=)`", "", gs.RegionFolds(FOLDS, distances=distances), region),
        ("`SpatialBlocks`", "", gs.SpatialBlocks(BLOCK_KM, FOLDS, seed=seed), places.iloc[train]),
    ]
    for where, rows in drawn.deployed.items():
        matched = {"geography": places, "features": known}
        for by, of in matched.items():
            folds = gs.KNNDM(of.iloc[rows], FOLDS, by=by, seed=seed)  # type: ignore[arg-type]
            ways.append((f"`KNNDM`, {by}", where, folds, of.iloc[train]))
    found = []
    for name, alone, folds, groups in ways:
        predicted = cross_val_predict(
            model(task, seed), x[train], y[train], groups=groups, cv=folds
        )
        estimate = score(task, y[train], predicted)
        for where, rows in drawn.deployed.items():
            if alone in ("", where):
                found.append(
                    (name, where, estimate, score(task, y[rows], trained.predict(x[rows])))
                )
    return pd.DataFrame(found, columns=["method", "where", "estimate", "truth"])


def measure(task: Task, folder: Path, draws: int) -> dict[str, object]:
    """Means over draws: estimates, and by how much they are off."""
    table = read(task, folder)
    regions = gs.Regions.from_table(
        folder / task.file, region=task.region, max_points=SAMPLES, encoder="geoclip"
    )
    distances = gs.pairwise(
        regions, cost=gs.GroundCost(geo_weight=0.0), outputs=["divergence"]
    ).divergence
    parts = []
    for seed in range(draws):
        drawn = draw(table[task.region], seed)
        parts.append(estimates(task, table, drawn, distances, seed))
    found = pd.concat(parts)
    found["off"] = (found["estimate"] - found["truth"]).abs()
    means = found.groupby(["method", "where"], sort=False)[["estimate", "truth", "off"]].mean()
    methods = [
        {"method": method}
        | {
            f"{title}, {where}": round(float(means.loc[(method, where), column]), 3)
            for where in WHERE
            for title, column in (("estimate", "estimate"), ("off by", "off"))
        }
        for method in means.index.unique("method")
    ]
    truth = means["truth"].groupby("where").first()
    return {
        "methods": methods,
        "score": "RMSE, lower is better" if task.kind == "error" else "accuracy",
        **{f"in truth, {where}": round(float(truth[where]), 3) for where in WHERE},
    }


def main(folder: Path, draws: int) -> None:
    start = time.process_time()
    tasks = [task for task in (*TASKS, DAMS) if task.name != "airports"]  # its inputs are sparse
    found: dict[str, object] = {task.name: measure(task, folder, draws) for task in tasks}
    minutes = round((time.process_time() - start) / 60, 1)
    found["time"] = {"draws": draws, "minutes of processor time": minutes}
    save("validation", found)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: python -m benchmarks.validation DATA [draws]")
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5)
