"""Which regions to train on for a target: the paper's greedy choice, at its budgets."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

import geospot_gpu as gs
from benchmarks.paper.distances import GEODESIC, Distances
from benchmarks.paper.probes import accuracy, trained
from benchmarks.paper.samples import Samples
from benchmarks.paper.settings import Settings
from geospot_gpu.encoders import NoEncoder
from geospot_gpu.selection.shares import share_equally


def chosen(
    samples: Samples, distances: Distances, settings: Settings
) -> dict[str, dict[str, list[str]]]:
    """For every space, the regions of each target in the order in which they are chosen.

    Each step takes the region whose union with those before is nearest to the target.
    """
    most = min(max(settings.counts), len(samples.names) - 1)
    found: dict[str, dict[str, list[str]]] = {}
    for space in (*samples.spaces, GEODESIC):
        away = space == GEODESIC
        regions = distances.regions(NoEncoder() if away else samples.encoder(space))
        quota = int(regions.n_points.min())
        found[space] = {
            target: gs.select_regions(
                regions,
                target,
                quota * most,
                method="union",
                max_regions=most,
                quota=quota,
                cost=gs.GroundCost(geo_weight=1.0 if away else 0.0),
                engine=gs.Engine(device=settings.device),
            )
            .table["region"]
            .tolist()
            for target in tqdm(samples.targets, f"choices, {space}", disable=None)
        }
    return found


def reached(samples: Samples, distances: Distances, settings: Settings) -> pd.DataFrame:
    """Accuracies of models of chosen samples: ``method, count, budget, target, score``.

    Besides the choices by distance there are ``random`` regions, ``all`` other regions, and the
    target's ``own`` training samples, which nobody has.
    """
    choices = chosen(samples, distances, settings)
    rows = []
    grid = list(product(range(settings.seeds), samples.targets, settings.counts, settings.budgets))
    for seed, target, count, budget in tqdm(grid, "models of choices", disable=None):
        others = [name for name in samples.names if name != target]
        generator = np.random.default_rng([seed, samples.names.index(target), count, budget])
        ways = {space: of[target][:count] for space, of in choices.items()}
        ways["random"] = generator.permutation(others)[:count].tolist()
        ways |= {"all": others, "own": [target]}
        for method, regions in ways.items():
            predict = trained(samples, _taken(samples, regions, budget, generator), seed)
            score, _ = accuracy(samples, predict, samples.test[target])
            rows.append((method, count, budget, target, score))
    return pd.DataFrame(rows, columns=["method", "count", "budget", "target", "score"])


def _taken(
    samples: Samples, regions: list[str], budget: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Training samples of some regions, equally many of each as far as they have them."""
    available = np.array([len(samples.train[name]) for name in regions])
    quota = share_equally(available, budget, np.zeros(len(regions), np.int64))
    parts = [
        generator.permutation(samples.train[name])[:count]
        for name, count in zip(regions, quota.tolist(), strict=True)
    ]
    return np.concatenate(parts)
