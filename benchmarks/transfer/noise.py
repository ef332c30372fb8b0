"""How often scores that have nothing to do with distances are said to be predicted.

    python -m benchmarks.transfer.noise DATA [permutations of each task [those for the predictor]]

The measured scores, their regions relabelled at random, rows and columns alike: the verdict on all
distances of both spaces, and whether the predictor says that it is better than a constant. The
predictor sees one division into groups in place of three, and sixteen random regions of each task.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # processes share the cores

import sys
import tempfile
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

import geospot_gpu as gs
from benchmarks.record import save
from benchmarks.transfer.distances import INPUTS, PLACE, Known, described, run_of
from benchmarks.transfer.tasks import ALL, measured_scores
from benchmarks.verdicts import Problem, judged, lower_bound
from geospot_gpu.transfer.predictor import predictor as settings
from geospot_gpu.transfer.scores.scores import Scores

REGIONS = 16
"""Regions that the predictor sees."""
TOGETHER = 50
"""Permutations that are judged at once."""


def predicts(known: Known, scores: Scores, count: int, seed: int) -> int:
    """How many of so many relabellings are said to be predicted by distances."""
    generator, loss = np.random.default_rng(seed), scores.loss
    labelled = {name: loss.copy(data=values) for name, values in known.distances.items()}
    orders = [generator.permutation(len(loss)) for _ in range(count)]
    losses = [loss.copy(data=loss.to_numpy()[np.ix_(order, order)]) for order in orders]
    return sum(one.predicts is not None for one in judged(Problem(labelled, losses), seed))


def gains(known: Known, scores: Scores, seed: int) -> bool:
    """Whether the predictor says that it gains over a constant on one relabelling."""
    settings.GROUPINGS = 1
    generator = np.random.default_rng(seed)
    some, others = (generator.permutation(len(known.names))[:REGIONS] for _ in range(2))
    moved = scores.score[np.ix_(others, others)]
    own = np.diag(scores.score)[some]  # at home stays with the region, or it would tell of scores
    pairs, distances = known.among(some).pairs(moved, PLACE, INPUTS, own=own)
    return gs.Predictor(pairs, distances, scores.kind, seed=seed).evaluation.gains


def rates(task: str, known: Known, scores: Scores, counts: tuple[int, int]) -> tuple[int, int]:
    """How many relabellings are said to be predicted, and of how many the predictor says it."""
    permutations, for_predictor = counts
    with Parallel(os.cpu_count()) as parallel:
        parts = [TOGETHER] * (permutations // TOGETHER) + [permutations % TOGETHER]
        said = sum(
            parallel(
                delayed(predicts)(known, scores, count, seed)
                for seed, count in enumerate(parts)
                if count
            )
        )
        better = sum(
            parallel(
                delayed(gains)(known, scores, seed)
                for seed in tqdm(range(for_predictor), task, unit=" permutations")
            )
        )
    return said, better


def row(task: str, said: tuple[int, int], counts: tuple[int, int]) -> dict[str, object]:
    """What so many relabellings come to."""
    line: dict[str, object] = {"relabelled scores of": task}
    for claim, k, n in zip(("to be predicted", "to gain"), said, counts, strict=True):
        bound = f"{lower_bound(k, n):.1%}"
        line[f"said {claim} (lower 99 % bound; at most 5 %)"] = f"{k} of {n}: {k / n:.1%} ({bound})"
    return line


def main(folder: Path, counts: tuple[int, int]) -> None:
    found: dict[str, tuple[int, int]] = {}
    with tempfile.TemporaryDirectory() as out:
        for task in ALL:
            place = Path(out) / Path(task.file).stem
            known = Known.of(run_of(described(task, folder), place))
            scores = measured_scores(task, folder, 0, known.names)
            found[task.name] = rates(task.name, known, scores, counts)
            rows = [row(name, said, counts) for name, said in found.items()]
            predicted, gained = np.sum(list(found.values()), axis=0).tolist()
            tried = len(found) * counts[0], len(found) * counts[1]
            rows.append(row("all", (predicted, gained), tried))
            save("transfer_noise", {"permutations": {"methods": rows}})


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: python -m benchmarks.transfer.noise DATA [permutations]")
    asked = [int(count) for count in sys.argv[2:]] or [250]
    main(Path(sys.argv[1]), (asked[0], asked[-1]))
