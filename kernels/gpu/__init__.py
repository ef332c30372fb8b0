"""The kernel in Triton, for float32 on a GPU; importing this loads no Triton."""

from __future__ import annotations

import importlib.util
import os
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from geospot_gpu import caches
from geospot_gpu.cost import GroundCost
from geospot_gpu.kernels import probe
from geospot_gpu.kernels.clouds import CloudBatch
from geospot_gpu.kernels.contract import Kernel
from geospot_gpu.kernels.reference import too_large
from geospot_gpu.kernels.spec import (
    BATCH_ENTRIES,
    RAGGED,
    KernelSpec,
    Limits,
    Sizes,
    Workload,
    torch_alone,
)
from geospot_gpu.kernels.tiles import CostTiles, tile_entries

MOST_CLASSES = 256
"""Classes that a table of costs between them may have on either side."""
KEPT_BYTES = 2
"""Bytes for each cost that is kept; partial sums over columns take an eighth of that."""


@cache
def triton_problem(device: str | torch.device, *, classes: bool = False) -> str | None:
    """Why Triton is of no use on a device, in one clause; for costs between classes, if so asked.

    None where a small batch of problems gives the numbers that it has in float64, with costs that
    are kept and with costs that are not. On a CPU it runs in Triton's interpreter alone, which is
    for tests: TRITON_INTERPRET=1.
    """
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed"
    place = torch.device(device)
    if place.type != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
        return "there is no GPU"
    caches.provide("TRITON_CACHE_DIR")
    try:
        if place == torch.device("cuda"):
            place = torch.device("cuda", torch.cuda.current_device())
        cost = probe.BETWEEN_CLASSES if classes else probe.COST
        for spec in (KEPT, STREAMED):
            if (problem := probe.wrong(probe.differences(spec, place, cost))) is not None:
                return problem
    except Exception as error:  # no compiler, an old driver or GPU: all fail in their own way
        reason = (str(error).strip().splitlines() or [""])[0]
        return f"{type(error).__name__}: {reason}"
    return None


def _problem(workload: Workload) -> str | None:
    if workload.dtype != torch.float32:
        return "it computes in float32"
    cost = workload.cost
    if cost.uses_features and cost.feature == "euclidean":
        return "it needs a feature cost other than euclidean"
    table = cost.class_costs
    if table is not None and max(len(table), len(table[0])) > MOST_CLASSES:
        return f"it knows costs between up to {MOST_CLASSES} classes"
    return torch_alone(cost)


def _missing(workload: Workload) -> str | None:
    if workload.cost.class_costs is None:
        return triton_problem(workload.place)  # what others ask, and the cache then knows
    return triton_problem(workload.place, classes=True)


def _limits(workload: Workload) -> Limits:
    most = min(workload.budget // (2 * KEPT_BYTES), 4 * BATCH_ENTRIES[workload.device])
    return Limits(most, workload.points(in_place=True))


def _kept_limits(workload: Workload) -> Limits:
    entries, points = _limits(workload)
    # Where they are reached kept costs take 9/16 of the budget, and padding of rows the rest.
    return Limits(entries, min(points, workload.budget // (40 * KEPT_BYTES)))


def _growth(n: Sizes, m: Sizes) -> NDArray[np.float64]:
    return np.full(len(n), RAGGED)


def _build(
    cost: GroundCost,
    source: CloudBatch,
    target: CloudBatch,
    epsilon: float,
    budget: int,
    *,
    keep: bool,
) -> Kernel:
    from geospot_gpu.kernels.gpu.kernel import TritonKernel  # loads Triton

    entries = tile_entries(source.dtype, budget, source.device.type)
    tiles = CostTiles(cost, source, target, entries)
    return TritonKernel(tiles, source, target, epsilon, keep)


KEPT = KernelSpec(
    backend="triton",
    storage="kept",
    problem=lambda work, entries: _problem(work) or too_large(work, entries * KEPT_BYTES * 9 // 8),
    limits=_kept_limits,
    build=lambda *problem: _build(*problem, keep=True),
    growth=_growth,
    by_default=lambda workload: workload.device == "cuda",
    missing=_missing,
    reads_halves=True,
)

STREAMED = KernelSpec(
    backend="triton",
    storage="streamed",
    problem=lambda workload, entries: _problem(workload),
    limits=_limits,
    build=lambda *problem: _build(*problem, keep=False),
    growth=_growth,
    by_default=lambda workload: workload.device == "cuda",
    missing=_missing,
    reads_halves=True,
)
