"""What is said of the tasks of ``benchmarks.transfer``, now and by earlier code.

    python -m benchmarks.transfer.sentences DATA [EARLIER]

Models of one seed. EARLIER is as in ``benchmarks.verdicts``.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import sys
from pathlib import Path

import pandas as pd
import xarray

import geospot_gpu as gs
from benchmarks.record import Stopwatch, save
from benchmarks.transfer.distances import Matrices, distances_of
from benchmarks.transfer.tasks import DAMS, MOST, TASKS, Task, scores
from benchmarks.verdicts import earlier
from geospot_gpu.transfer.correlation.correlate import correlate
from geospot_gpu.transfer.correlation.statistics import rank_rows
from geospot_gpu.transfer.scores.scores import read_scores


def said(
    task: Task, folder: Path, regions: gs.Regions, distances: Matrices, before: Path | None
) -> list[dict[str, object]]:
    """The sentences, with the figures of the distance that each names."""
    change = "difference" if task.kind == "error" else "relative"
    table = scores(task, folder, 0)
    found = read_scores(table, kind=task.kind, change=change, regions=regions.names)  # type: ignore[arg-type]
    loss, rows = found.loss, []
    if before is not None:
        correlations, verdict = earlier(before).correlate(distances, loss.to_numpy())
        rows.append({"": "before"} | _row(correlations, verdict.distance, verdict.text))
    names = list(regions.names)
    labelled = {
        name: xarray.DataArray(values, dict.fromkeys(loss.dims, names), loss.dims)
        for name, values in distances.items()
    }
    correlations, now = correlate(labelled, loss)
    rows.append({"": "now"} | _row(correlations, now.distance, now.text))
    if now.baseline is not None:
        rows.append({"": "best baseline"} | _row(correlations, now.baseline, ""))
    return rows


def _row(table: pd.DataFrame, name: str | None, text: str) -> dict[str, object]:
    overall = rank_rows(table)
    figures = overall.loc[overall["distance"] == name, ["value", "p", "p_family"]]
    value, p, p_family = figures.to_numpy(float)[0].round(3).tolist()
    return {
        "distance": name,
        "rho": value,
        "p": p,
        "family-wise p": p_family,
        "sentence": text,
    }


def main(folder: Path, before: Path | None) -> None:
    found: dict[str, object] = {}
    ready: dict[str, tuple[gs.Regions, Matrices]] = {}
    for task in (*TASKS, DAMS):
        with Stopwatch() as watch:
            if task.file not in ready:
                regions = gs.Regions.from_table(
                    folder / task.file, region=task.region, max_points=MOST
                )
                ready[task.file] = regions, distances_of(regions)
            rows = said(task, folder, *ready[task.file], before)
        found[task.name] = {"seconds": round(watch.seconds, 1), "methods": rows}
        save("sentences", found)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: python -m benchmarks.transfer.sentences DATA [EARLIER]")
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
