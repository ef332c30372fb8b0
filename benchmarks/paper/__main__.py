"""The paper, run again, from the files of GeoYFCC or FMoW-WILDS as they are published.

    python -m benchmarks.paper dataset=geoyfcc|fmow root=FOLDER [embeddings=FOLDER] [key=value ...]

Distances between regions in every space and in mixtures of them; a linear probe of each region,
tested in all others; whether the first predict how the second change; and which regions to train on
for a target. Its tables are printed; ``benchmarks/paper/settings.py`` lists what may be set.

The paper trains BERT and ResNet50 from the text and images themselves. Here models are linear on
features: of ``embeddings=FOLDER`` (``geospot embed``), or else of the words of texts, and where
there are no texts of places. Budgets, targets, regions and weights are the published ones.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import geospot_gpu as gs
from benchmarks.paper.choice import reached
from benchmarks.paper.correlations import Rho, relative_change, rhos
from benchmarks.paper.distances import EVEN, GEODESIC, Distances, Measured
from benchmarks.paper.probes import transfer_matrix
from benchmarks.paper.samples import Samples, prepare
from benchmarks.paper.settings import Settings, read


def run(settings: Settings) -> dict[str, Any]:
    """All experiments: print the tables, and return their figures."""
    samples = prepare(settings)
    _say_what(samples, settings)
    distances = Distances(samples, settings)
    matrix = transfer_matrix(samples, settings.points, settings.seeds)
    scores, nothing = relative_change(matrix)
    if nothing:
        print(f"no targets, as their own models get nothing right: {', '.join(nothing)}")
    figures: dict[str, Any] = {"transfer": matrix.to_dict("records")}
    figures["correlations"] = _correlations(samples, distances, scores)
    figures["mixtures"] = _mixtures(samples, distances, scores, settings)
    choices = reached(samples, distances, settings)
    figures["choices"] = choices.to_dict("records")
    _print_choices(choices, samples.targets)
    return figures


def _say_what(samples: Samples, settings: Settings) -> None:
    counts = [sum(map(len, rows.values())) for rows in (samples.train, samples.test)]
    print(
        f"{settings.dataset}: {len(samples.names)} regions, {counts[0]:,} training and "
        f"{counts[1]:,} test samples; spaces {', '.join(samples.spaces)}; probes read "
        f"{samples.spaces[0]}\n"
    )


def _correlations(
    samples: Samples, distances: Distances, scores: gs.Scores
) -> dict[str, dict[str, Any]]:
    task = samples.spaces[0]
    alone = {space: distances.alone(space) for space in (*samples.spaces, GEODESIC)}
    others = (*samples.spaces[1:], GEODESIC)
    mixed = {f"{task} + {other}": distances.mixed(other, EVEN) for other in others}
    found = _both(alone | mixed, scores)
    simple = rhos(distances.baselines(), scores)
    print("Spearman's rho of distances with the relative change in accuracy, below 0 where models")
    print("do worse the farther they are taken; 95 % interval, p by permutation of regions, R2")
    width = max(map(len, (*found, *simple)))
    print(f"{'':{width}}  {'published':^33}  {'ours':^33}")
    for name, (published, ours) in found.items():
        print(f"{name:{width}}  {_shown(published)}  {_shown(ours)}")
    for name, rho in simple.items():
        print(f"{name:{width}}  {'':33}  {_shown(rho)}")
    print()
    named = {
        name: {"published": p._asdict(), "ours": o._asdict()} for name, (p, o) in found.items()
    }
    return named | {name: {"ours": rho._asdict()} for name, rho in simple.items()}


def _both(found: dict[str, Measured], scores: gs.Scores) -> dict[str, tuple[Rho, Rho]]:
    published = rhos({name: one.published for name, one in found.items()}, scores)
    ours = rhos({name: one.ours for name, one in found.items()}, scores)
    return {name: (published[name], ours[name]) for name in found}


def _mixtures(
    samples: Samples, distances: Distances, scores: gs.Scores, settings: Settings
) -> list[dict[str, Any]]:
    task, others = samples.spaces[0], (*samples.spaces[1:], GEODESIC)
    print(f"The same by the weight of {task} in a mixture, published / ours")
    width = max(14, *(len(other) + 2 for other in others))
    print("weight  " + "".join(f"{other:>{width}}" for other in others))
    rows = []
    for weight in settings.lambdas:
        found = _both({other: distances.mixed(other, weight) for other in others}, scores)
        cells = [f"{found[other][0].rho:.2f} / {found[other][1].rho:.2f}" for other in others]
        print(f"{weight:6.2f}  " + "".join(f"{cell:>{width}}" for cell in cells))
        rows += [
            {"space": other, "weight": weight, "published": found[other][0].rho,
             "ours": found[other][1].rho}
            for other in others
        ]  # fmt: skip
    print()
    return rows


def _print_choices(choices: pd.DataFrame, targets: tuple[str, ...]) -> None:
    print(f"Accuracy of models of chosen samples, mean over targets {', '.join(targets)}")
    means = choices.groupby(["count", "budget", "method"], sort=False)["score"].mean()
    table = means.unstack("method").reindex(columns=list(dict.fromkeys(choices["method"])))
    table.index.names = ["regions", "samples"]
    print(table.to_string(float_format=lambda value: f"{value:.3f}"))


def _shown(rho: Rho) -> str:
    if np.isnan(rho.rho):
        return f"{'the same for all pairs':^33}"
    return f"{rho.rho:5.2f} [{rho.lower:5.2f}, {rho.upper:5.2f}] {rho.p:.3f} {rho.r2:5.2f}"


def main(arguments: list[str]) -> None:
    """Run what the arguments ask for."""
    settings = read(arguments)
    figures = run(settings)
    if settings.out is not None:
        Path(settings.out).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except gs.GeospotError as error:
        sys.exit(f"error: {error}")
