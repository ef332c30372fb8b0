"""Kernels of torch alone, on any device, in any precision: what others are tested against."""

from __future__ import annotations

from geospot_gpu.cost import GroundCost
from geospot_gpu.kernels.clouds import CloudBatch
from geospot_gpu.kernels.reference.dense import KEPT_TILES, DenseKernel
from geospot_gpu.kernels.reference.streaming import StreamingKernel
from geospot_gpu.kernels.spec import BATCH_ENTRIES, KernelSpec, Limits, Workload
from geospot_gpu.kernels.tiles import CostTiles, tile_entries


def kept_limit(workload: Workload) -> int:
    """How many costs of a batch may be kept."""
    most = workload.budget // (workload.dtype.itemsize * (KEPT_TILES + 1))
    return min(most, BATCH_ENTRIES[workload.device])


def streamed_limit(workload: Workload) -> int:
    """How many costs of a batch are a tile."""
    return tile_entries(workload.dtype, workload.budget, workload.device)


def too_large(workload: Workload, size: int) -> str | None:
    """Why costs of so many bytes cannot be kept; None where they can."""
    if size <= workload.budget:
        return None
    return "the largest pairs exceed engine.memory_budget"


def _kept(
    cost: GroundCost, source: CloudBatch, target: CloudBatch, epsilon: float, budget: int
) -> DenseKernel:
    entries = tile_entries(source.dtype, budget, source.device.type)
    return DenseKernel(CostTiles(cost, source, target, entries), source, target, epsilon, entries)


def _streamed(
    cost: GroundCost, source: CloudBatch, target: CloudBatch, epsilon: float, budget: int
) -> StreamingKernel:
    entries = tile_entries(source.dtype, budget, source.device.type)
    tiles = CostTiles(cost, source, target, entries)
    return StreamingKernel(tiles, source, target, epsilon, entries)


KEPT = KernelSpec(
    backend="torch",
    storage="kept",
    problem=lambda workload, entries: too_large(
        workload, entries * workload.dtype.itemsize * KEPT_TILES
    ),
    limits=lambda workload: Limits(kept_limit(workload), workload.points(in_place=False)),
    build=_kept,
)

STREAMED = KernelSpec(
    backend="torch",
    storage="streamed",
    problem=lambda workload, entries: None,
    limits=lambda workload: Limits(streamed_limit(workload), workload.points(in_place=False)),
    build=_streamed,
)
