"""Kernels compiled by Numba, for float32 on a CPU; importing this loads no Numba."""

from __future__ import annotations

import importlib
import logging
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geospot_gpu.cost import GroundCost
from geospot_gpu.kernels.clouds import CloudBatch
from geospot_gpu.kernels.contract import Kernel
from geospot_gpu.kernels.reference import kept_limit, streamed_limit, too_large
from geospot_gpu.kernels.spec import (
    RAGGED,
    SIMILAR,
    KernelSpec,
    Limits,
    Sizes,
    Workload,
    torch_alone,
)
from geospot_gpu.kernels.tiles import CostTiles, tile_entries

PANEL_ENTRIES = 1 << 24
"""Most costs that are computed at once when they are not kept: enough rows for a product that is
bound by arithmetic, however many columns there are."""

PADDED_ENTRIES = 1 << 14
"""In problems up to this size vectors count: they are padded to the longest of a batch."""

log = logging.getLogger("geospot_gpu")


def compiled_kernel(dtype: torch.dtype, device_type: str) -> Any:
    """The module of the compiled kernel where it applies, and Numba is there; None elsewhere."""
    return load() if dtype == torch.float32 and device_type == "cpu" else None


@cache
def load() -> Any:
    """The module of the compiled kernel; None where there is no Numba, or no room for its cache."""
    try:
        return importlib.import_module("geospot_gpu.kernels.cpu.compiled")
    except ModuleNotFoundError as error:  # Numba comes with the extra `cpu` alone
        if error.name != "numba":
            raise
        return None
    except RuntimeError as error:  # there is no folder that Numba could cache compiled code in
        log.warning("compiled loops are not used (%s): set NUMBA_CACHE_DIR", error)
        return None


def _problem(workload: Workload) -> str | None:
    if compiled_kernel(workload.dtype, workload.device) is None:
        return "compiled loops are for float32 on a CPU with Numba"
    return torch_alone(workload.cost)


def _growth(n: Sizes, m: Sizes) -> NDArray[np.float64]:
    return np.where(n * m > PADDED_ENTRIES, RAGGED, SIMILAR)


def _build(
    cost: GroundCost,
    source: CloudBatch,
    target: CloudBatch,
    epsilon: float,
    budget: int,
    *,
    keep: bool,
) -> Kernel:
    entries = tile_entries(source.dtype, budget, "cpu")
    panel = None if keep else min(PANEL_ENTRIES, budget // (2 * source.dtype.itemsize))
    tiles = CostTiles(cost, source, target, entries)
    kernel: Kernel = load().CompiledKernel(tiles, source, target, epsilon, panel)
    return kernel


KEPT = KernelSpec(
    backend="compiled",
    storage="kept",
    problem=lambda work, entries: _problem(work) or too_large(work, entries * work.dtype.itemsize),
    limits=lambda workload: Limits(kept_limit(workload), workload.points(in_place=True)),
    growth=_growth,
    build=lambda *problem: _build(*problem, keep=True),
)

STREAMED = KernelSpec(
    backend="compiled",
    storage="streamed",
    problem=lambda workload, entries: _problem(workload),
    limits=lambda workload: Limits(streamed_limit(workload), workload.points(in_place=True)),
    growth=_growth,
    build=lambda *problem: _build(*problem, keep=False),
)
