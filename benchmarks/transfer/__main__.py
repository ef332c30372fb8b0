"""Do distances predict transfer? The proof on real data, one table.

    python -m benchmarks.transfer DATA [seeds]

DATA is a folder with climate_stations.csv.gz, airports_text.csv.gz and dams_us.csv.gz. Models are
trained per country or state and tested in every other; then every distance and baseline is
correlated with what they lose, and scores are predicted for pairs both of whose regions were left
out.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray
from tqdm import tqdm

import geospot_gpu as gs
from benchmarks.record import Stopwatch, save
from benchmarks.transfer.tasks import DAMS, MOST, TASKS, Task, scores
from geospot_gpu.distances.baselines import baselines
from geospot_gpu.distances.pairwise import all_pairs
from geospot_gpu.engine.method import Method
from geospot_gpu.runs.solving import solve
from geospot_gpu.transfer.correlation.correlate import correlate, difference
from geospot_gpu.transfer.correlation.groups import group_of
from geospot_gpu.transfer.evidence import features, matrices, tidy
from geospot_gpu.transfer.predictor.predictor import Predictor
from geospot_gpu.transfer.scores.scores import read_scores

COST = gs.GroundCost(geo_weight=0.0)
COMPARED = ("ot_value", "centroid_cosine")
"""What coverage and nearest-neighbour cost are compared with."""
Matrices = dict[str, np.ndarray]


def distances_of(regions: gs.Regions) -> Matrices:
    """All distances of the countries of a table."""
    left, right = all_pairs(len(regions), None)
    engine = gs.Engine(device="cpu")
    solved = solve(regions, left, right, Method(COST, gs.Sinkhorn()), engine=engine)
    pairs = pd.concat([solved.to_pandas(regions.names), baselines(regions, left, right)], axis=1)
    return matrices(pairs, list(regions.names))


def one_seed(
    task: Task, folder: Path, seed: int, regions: gs.Regions, distances: Matrices
) -> dict[str, Any]:
    """Everything that is measured on the models of one seed."""
    table, names = scores(task, folder, seed), list(regions.names)
    change = "difference" if task.kind == "error" else "relative"
    found = read_scores(table, kind=task.kind, change=change, regions=regions.names)  # type: ignore[arg-type]
    loss = found.loss
    labelled = {
        name: xarray.DataArray(values, dict.fromkeys(loss.dims, names), loss.dims)
        for name, values in distances.items()
    }
    correlations, verdict = correlate(labelled, loss, seed=seed)
    rho = correlations[
        (correlations["statistic"] == "spearman") & (correlations["scope"] == "overall")
    ].set_index("distance")
    better = rho["value"][["coverage", "nearest"]].idxmax()
    own = np.diag(found.score)
    errors = {}
    for label, everything in (("all", True), ("no covariates", False)):
        inputs = features(distances, regions, regions, own)
        if not everything:
            inputs = {name: x for name, x in inputs.items() if name in distances}
        pairs = tidy({"score": found.score, **inputs}, names, names)
        pairs = pairs[pairs["source"] != pairs["target"]]
        kept = [name for name in inputs if name in distances]
        errors[label] = Predictor(pairs, kept, found.kind, seed=seed).evaluation
    evaluation = errors["all"]
    single = evaluation.single
    best_baseline = min((n for n in single if group_of(n) == "baseline"), key=lambda n: single[n])
    return {
        "rho": rho,
        "verdict": verdict.verdict,
        "text": verdict.text,
        "better": better,
        "difference": {
            name: difference(labelled[str(better)], labelled[name], loss, seed=seed)
            for name in COMPARED
        },
        "share of models": evaluation.share,
        "error": evaluation.error,
        "of mean": evaluation.error_of_constant,
        "of best single": evaluation.error_of_single,
        "best single": evaluation.best_single,
        "of best baseline": single[best_baseline],
        "without covariates": errors["no covariates"].error,
        "covered": evaluation.covered,
    }


def summary(task: Task, seeds: list[dict[str, Any]]) -> dict[str, object]:
    """Means over the seeds."""

    def mean(key: str) -> float:
        return float(np.mean([seed[key] for seed in seeds]))

    rho = pd.concat([seed["rho"] for seed in seeds], keys=range(len(seeds)))
    columns = rho.groupby(level=1)[["value", "lower", "upper", "p", "p_family"]].mean()
    ordered = columns.sort_values("value", ascending=False)
    rows = [
        {
            "distance": name,
            "kind": group_of(str(name)),
            "rho": round(row["value"], 3),
            "95 % interval": f"{row['lower']:.2f} to {row['upper']:.2f}",
            "p": round(row["p"], 3),
            "family-wise p": "" if np.isnan(row["p_family"]) else round(row["p_family"], 3),
        }
        for name, row in ordered.iterrows()
    ]
    gains = {
        f"better of coverage and nearest: rho above that of {name}": " ".join(
            "{:+.3f} [{:+.3f}, {:+.3f}]".format(
                *np.mean([seed["difference"][name] for seed in seeds], axis=0)
            ).split()
        )
        for name in COMPARED
    }
    return {
        "score": f"{task.kind}, {len(seeds)} seeds",
        "verdicts": ", ".join(str(seed["verdict"]) for seed in seeds),
        "first verdict": seeds[0]["text"],
        **gains,
        "predictor, mean absolute error (both regions left out)": round(mean("error"), 4),
        "share of the models": ", ".join(str(seed["share of models"]) for seed in seeds),
        "always the mean": round(mean("of mean"), 4),
        "best single distance": round(mean("of best single"), 4),
        "best single distance is": ", ".join(str(seed["best single"]) for seed in seeds),
        "best baseline": round(mean("of best baseline"), 4),
        "without covariates": round(mean("without covariates"), 4),
        "below the best single distance by": f"{1 - mean('error') / mean('of best single'):.1%}",
        "below the mean by": f"{1 - mean('error') / mean('of mean'):.1%}",
        "90 % intervals hold": f"{mean('covered'):.1%}",
        "methods": rows,
    }


def main(folder: Path, seeds: int) -> None:
    found: dict[str, object] = {}
    ready: dict[str, tuple[gs.Regions, Matrices]] = {}
    with Stopwatch() as watch:
        for task in (*TASKS, DAMS):
            if task.file not in ready:
                regions = gs.Regions.from_table(
                    folder / task.file, region=task.region, max_points=MOST
                )
                ready[task.file] = regions, distances_of(regions)
            regions, distances = ready[task.file]
            measured = [
                one_seed(task, folder, seed, regions, distances)
                for seed in tqdm(range(seeds), task.name, unit=" seeds")
            ]
            found[task.name] = summary(task, measured)
    found["time"] = {"minutes": round(watch.seconds / 60, 1)}
    save("transfer", found)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: python -m benchmarks.transfer DATA [seeds]")
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5)
