"""How many iterations real problems take, measured on a CPU: what predicted times are made of.

python -m benchmarks.gpu_checks.iterations      a minute; writes the results
"""

from __future__ import annotations

from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

import geospot_gpu as gs
from benchmarks import workloads
from benchmarks.record import save
from geospot_gpu.arrays import Indices
from geospot_gpu.distances.solve import PairSolver
from geospot_gpu.engine import pair_engine
from geospot_gpu.engine import solved as solved_pairs
from geospot_gpu.engine.method import Method
from geospot_gpu.kernels.contract import IterationSettings, Kernel, Potentials
from geospot_gpu.kernels.iterate import iterate

PAIRS = 60
SOLVER = gs.Sinkhorn()
OUTPUTS = ("divergence", "std_error", "bias", "coverage", "nearest")
"""The default ones."""


def measured(regions: gs.Regions, left: Indices, right: Indices) -> dict[str, object]:
    """Mean and most iterations of each kind of problem that pairs of regions lead to."""
    found: dict[str, list[Tensor]] = {}

    def noting(module: ModuleType) -> Any:
        def iterated(kernel: Kernel, settings: IterationSettings) -> Potentials:
            solved = iterate(kernel, settings)
            kind = "divergence" if module is pair_engine else "half samples"
            if settings.symmetric:
                kind = "self terms" if module is pair_engine else "half samples of self terms"
            kind = "coverage" if settings.damping != 1.0 else kind
            found.setdefault(kind, []).append(solved.iterations)
            return solved

        return mock.patch.object(module, "iterate", iterated)

    method, engine = Method(gs.GroundCost(geo_weight=0.5), SOLVER), gs.Engine("cpu")
    with noting(pair_engine), noting(solved_pairs):
        PairSolver(regions, method, engine).solve(left, right, OUTPUTS)
    counts = {kind: torch.cat(each).double() for kind, each in found.items()}
    return {
        kind: {"mean": round(float(each.mean()), 2), "most": int(each.max())}
        for kind, each in counts.items()
    }


def costs(regions: gs.Regions, pairs: int | None = None) -> dict[str, float]:
    """Costs of all pairs, or of so many random ones, of the self terms, and of half samples."""
    left, right = np.triu_indices(len(regions), 1)
    if pairs is not None:
        left, right = workloads.sampled_pairs(len(regions), pairs)
    needed, sizes = np.unique(np.concatenate([left, right])), regions.sizes.astype(float)
    sampled = regions.n_points < regions.n_available
    half = np.where(sampled, np.maximum(regions.sizes // 2, 1), sizes)
    some = sampled[left] | sampled[right]
    return {
        "divergence": float((sizes[left] * sizes[right]).sum()),
        "self terms": float((sizes[needed] ** 2).sum()),
        "half samples": float((half[left] * half[right])[some].sum()),
        "half samples of self terms": float((half[needed] ** 2)[sampled[needed]].sum()),
    }


def main() -> None:
    torch.set_num_threads(2)
    countries = gs.Regions.from_gallery(max_points=1000)
    districts = workloads.districts()
    figures: dict[str, object] = {
        "costs": {
            "countries": costs(countries),
            "districts": costs(districts, 20_000),
            "world": costs(gs.Regions.from_gallery(max_points=None)),
        }
    }
    for name, regions in (("countries", countries), ("districts", districts)):
        figures[name] = measured(regions, *workloads.sampled_pairs(len(regions), PAIRS))
    save("gpu_iterations", figures)


if __name__ == "__main__":
    main()
