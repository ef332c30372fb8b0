"""How often random scores are said to be predicted: at most 5 of 100 times, or verdicts are noise.

    python -m benchmarks.verdicts [EARLIER]

Distances are of the gallery's countries, scores are random. EARLIER is a file with an earlier
``correlate(distances, loss)`` on bare matrices, which is tried on fewer of the same scores.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import importlib.util
import itertools
import sys
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.stats import beta
from tqdm import tqdm

import geospot_gpu as gs
from benchmarks.record import save
from benchmarks.transfer.distances import distances_of
from geospot_gpu.transfer.correlation.correlate import PERMUTATIONS
from geospot_gpu.transfer.correlation.groups import group_of
from geospot_gpu.transfer.correlation.labelled import align
from geospot_gpu.transfer.correlation.resampling import Pairs, relabelled, relabellings
from geospot_gpu.transfer.correlation.statistics import varies
from geospot_gpu.transfer.correlation.verdict import LEVEL, Figures, predicting
from geospot_gpu.transfer.scores.scores import read_scores

SIZES = (12, 24, 60)
SETTINGS = ("equal sizes", "unequal sizes", "missing pairs", "ties", "constant columns")
SEEDS = 1000
EARLIER = 40
"""Seeds of the earlier code, with a fifth of the permutations."""
TOGETHER = 50
"""Seeds that share their regions, missing pairs and permutations."""
BOUND = 0.99
Matrices = dict[str, NDArray[np.float64]]


class Said(NamedTuple):
    """What is said of one loss."""

    predicts: str | None
    """The distance that is said to predict it."""
    significant: bool
    """Whether anything in the family is, in either direction: by 5 of 100 chances."""
    alone: bool
    """Whether something would be said if nothing but distances of transport were tried."""


class Problem(NamedTuple):
    """Random losses of the same regions."""

    distances: dict[str, xarray.DataArray]
    losses: list[xarray.DataArray]


def problem(setting: str, regions: int, seed: int, matrices: dict[str, Matrices]) -> Problem:
    """Distances of random countries, and losses that have nothing to do with them."""
    generator = np.random.default_rng([seed, regions, SETTINGS.index(setting)])
    every = matrices["unequal" if setting in ("unequal sizes", "missing pairs") else "equal"]
    some = np.sort(generator.choice(len(every["divergence"]), regions, replace=False))
    names = [f"r{k:02d}" for k in range(regions)]
    chosen = {}
    for name, values in every.items():
        own = values[np.ix_(some, some)]
        if setting == "ties":
            own = np.searchsorted(np.nanquantile(own, [0.2, 0.4, 0.6, 0.8]), own).astype(float)
        if setting == "constant columns" and name in ("coverage", "centroid_cosine"):
            own = np.full_like(own, 0.1)
        chosen[name] = xarray.DataArray(
            own, {"source": names, "target": names}, ("source", "target")
        )
    there = np.ones((regions, regions), dtype=bool)
    if setting == "missing pairs":
        there = (generator.random(there.shape) > 0.3) | np.eye(regions, dtype=bool)
    samples, change = (10, "raw") if setting == "ties" else (200, "relative")
    losses = [random_loss(names, there, samples, change, generator) for _ in range(TOGETHER)]
    return Problem(chosen, losses)


def random_loss(
    names: list[str],
    there: NDArray[np.bool_],
    samples: int,
    change: str,
    generator: np.random.Generator,
) -> xarray.DataArray:
    """Losses of accuracies of good and bad sources, easy and hard targets, better at home."""
    logit = 0.3 + np.eye(len(names)) + generator.normal(0.0, 0.4, there.shape)
    logit += generator.normal(0.0, 0.6, (len(names), 1)) + generator.normal(0.0, 0.6, len(names))
    score = generator.binomial(samples, 1.0 / (1.0 + np.exp(-logit))).clip(1) / samples
    i, j = np.nonzero(there)
    named = np.array(names, dtype=object)
    table = pd.DataFrame({"source": named[i], "target": named[j], "score": score[i, j]})
    return read_scores(table, kind="accuracy", change=change, regions=names).loss  # type: ignore[arg-type]


def judged(given: Problem, seed: int) -> list[Said]:
    """What is said of each loss."""
    _, distances, lost, weight = align(given.distances, given.losses[0])
    pairs = Pairs.of(weight)
    assert all(np.array_equal(np.isfinite(loss), np.isfinite(lost)) for loss in given.losses)
    used = {
        name: values
        for name, values in distances.items()
        if varies(pairs.take(values), pairs.weight)
    }
    orders = relabellings(pairs.regions, PERMUTATIONS, np.random.default_rng(seed))
    one_distance = dict(list(given.distances.items())[:1])
    losses = np.stack([pairs.take(align(one_distance, loss).loss) for loss in given.losses])
    transport = {name: values for name, values in used.items() if group_of(name) == "transport"}
    families, alone = (_families(some, losses, pairs, orders) for some in (used, transport))
    found = []
    for family, few in zip(families, alone, strict=True):
        best = predicting(family, "transport", "own")
        significant = any(one.p_family <= LEVEL for one in family)
        said = predicting(few, "transport") is not None
        found.append(Said(best and best.distance, significant, said))
    return found


def _families(
    distances: Matrices, losses: NDArray[np.float64], pairs: Pairs, orders: NDArray[np.int64]
) -> list[list[Figures]]:
    """What is tested of each loss [L, K]."""
    tested = relabelled(distances, losses, pairs, orders, taus=0)
    return [
        [
            Figures(name, group_of(name), float(value[k]), float(p_family[k]))
            for name, (value, _, p_family) in ((n, t["spearman"]) for n, t in tested.items())
            if p_family is not None
        ]
        for k in range(len(losses))
    ]


def earlier(path: Path) -> Any:
    """The module in a file."""
    spec = importlib.util.spec_from_file_location("earlier", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["earlier"] = module
    spec.loader.exec_module(module)
    return module


def judged_before(given: Problem, path: Path) -> list[str | None]:
    """The distance that earlier code says predicts each loss, if one is."""
    module = earlier(path)
    module.PERMUTATIONS, module.RESAMPLES, module.KENDALL = PERMUTATIONS // 5, 2, 1
    module._within = lambda *_: dict.fromkeys(module.STATISTICS, np.nan)  # in no verdict
    bare = {name: values.to_numpy() for name, values in given.distances.items()}
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for loss in given.losses:
            verdict = module.correlate(bare, loss.to_numpy())[1]
            found.append(verdict.distance if verdict.verdict == "predicts" else None)
    return found


def tried(
    setting: str, regions: int, seed: int, matrices: dict[str, Matrices], before_path: Path | None
) -> tuple[list[Said], list[str | None]]:
    """What is said now, and of a few what was said before."""
    given = problem(setting, regions, seed, matrices)
    few = given._replace(losses=given.losses[: EARLIER * TOGETHER // SEEDS])
    return judged(given, seed), judged_before(few, before_path) if before_path else []


def lower_bound(hits: int, trials: int) -> float:
    """One-sided lower confidence bound of a rate (Clopper & Pearson 1934).

    >>> round(lower_bound(65, 1000), 3)
    0.048
    """
    return float(beta.ppf(1.0 - BOUND, hits, trials - hits + 1)) if hits else 0.0


def row(setting: str, now: list[Said], before: list[str | None]) -> dict[str, object]:
    """One line of the table."""
    hits = sum(one.predicts is not None for one in now)
    line: dict[str, object] = {
        "random scores with": setting,
        "said to be predicted": f"{hits / len(now):.1%}",
        "of": len(now),
        "lower 99 % bound (limit 5 %)": f"{lower_bound(hits, len(now)):.1%}",
        "with transport alone": f"{np.mean([one.alone for one in now]):.1%}",
        "any of the family significant": f"{np.mean([one.significant for one in now]):.1%}",
    }
    if before:
        wrong = [one for one in before if one is not None]
        line["before"] = f"{len(wrong) / len(before):.0%}"
        line["before, of"] = len(before)
        line["before, by a sample size"] = sum(group_of(one) == "covariate" for one in wrong)
    return line


def main(before_path: Path | None) -> None:
    matrices = {
        "equal": distances_of(gs.Regions.from_gallery(max_points=60)),
        "unequal": distances_of(gs.Regions.from_gallery(max_points=300)),
    }
    found: dict[str, object] = {}
    worst, start = 0.0, time.perf_counter()
    for regions in SIZES:
        rows = []
        for setting in tqdm(SETTINGS, f"{regions} regions", unit=" settings"):
            parts = Parallel(os.cpu_count())(
                delayed(tried)(setting, regions, seed, matrices, before_path)
                for seed in range(SEEDS // TOGETHER)
            )
            now = list(itertools.chain.from_iterable(part[0] for part in parts))
            before = list(itertools.chain.from_iterable(part[1] for part in parts))
            for hits in (sum(one.predicts is not None for one in now), sum(x.alone for x in now)):
                worst = max(worst, lower_bound(hits, len(now)))
            rows.append(row(setting, now, before))
        found[f"{regions} regions"] = {"methods": rows}
        over_all = {
            "largest lower 99 % bound (limit 5 %)": f"{worst:.1%}",
            "minutes": round((time.perf_counter() - start) / 60, 1),
        }
        save("verdicts", {**found, "all settings": over_all})


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
