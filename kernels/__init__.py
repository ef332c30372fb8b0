"""Kernels: implementations of one contract, and the choice between them."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geospot_gpu import checks
from geospot_gpu.cost import GroundCost
from geospot_gpu.kernels.contract import Cloud, Kernel
from geospot_gpu.kernels.gpu.support import KEPT_BYTES, kept_bytes, triton_problem
from geospot_gpu.kernels.keops import KeopsKernel, keops_problem
from geospot_gpu.kernels.reference.dense import KEPT_TILES, DenseKernel
from geospot_gpu.kernels.reference.streaming import TILE_TEMPORARIES, StreamingKernel
from geospot_gpu.kernels.tiles import CostTiles

KernelName = Literal["auto", "dense", "streaming", "keops", "triton"]

# Tiles of this many entries stay in a processor's cache (4 MB in float32), or keep a GPU busy.
_TILE_ENTRIES = {"cpu": 1 << 20, "cuda": 1 << 26}
# A batch of small dense problems: large enough to amortise the calls, small enough for the cache.
_BATCH_ENTRIES = {"cpu": 1 << 24, "cuda": 1 << 30}
# Features beyond which KeOps, which uses no matrix product, loses to streamed tiles on a GPU. On a
# CPU it never wins: see benchmarks/README.md, "KeOps on a CPU".
_KEOPS_FEATURES = 32

log = logging.getLogger("geospot_gpu")


def check_kernel(name: str) -> None:
    """Raise unless ``name`` is one of :data:`KernelName`."""
    checks.one_of(name, get_args(KernelName), "kernel")


def choose_kernel(
    wanted: KernelName,
    entries: int,
    features: int,
    itemsize: int,
    budget: int,
    device_type: str,
    products: bool = True,
) -> str:
    """The kernel for problems of ``entries`` costs each, within ``budget`` bytes.

    ``auto`` takes Triton on a GPU where it works. Elsewhere it keeps the costs where they fit the
    budget, and streams tiles where they do not; on a GPU it then takes KeOps for points of few
    features, if KeOps works there. Triton computes in float32, and feature costs from inner
    products (``products``) alone: not euclidean ones.
    """
    if wanted == "triton" or (wanted == "auto" and device_type == "cuda"):
        problem = _triton_problem(device_type)
        if problem is None and itemsize != 4:
            problem = "it computes in float32"
        if problem is None and not products:
            problem = "it needs sinkhorn and a feature cost other than euclidean"
        if problem is None:
            return "triton"
        if wanted == "triton":
            _warn_once(
                f"kernel=triton is not available, {problem}: using dense or streaming instead"
            )
    compiled = _compiled_kernel(itemsize, device_type)
    kept = KEPT_TILES if compiled is None else compiled.KEPT_TILES
    fits = entries * itemsize * kept <= budget
    if wanted == "dense" and not fits:
        _warn_once(
            "kernel=dense exceeds engine.memory_budget for the largest pairs: streaming those"
        )
        return "streaming"
    if wanted == "keops":
        problem = _keops_problem(device_type)
        if problem is None:
            return "keops"
        _warn_once(f"kernel=keops is not available, {problem}: using dense or streaming instead")
    if wanted == "streaming":
        return "streaming"
    if fits:
        return "dense"
    few = device_type == "cuda" and features <= _KEOPS_FEATURES
    lazy = wanted == "auto" and few and _keops_problem(device_type) is None
    return "keops" if lazy else "streaming"


def batch_entries(kernel: str, itemsize: int, budget: int, device_type: str) -> int:
    """How many cost entries a batch of several small problems may have in total."""
    if kernel == "triton":
        return min(budget // (2 * KEPT_BYTES), 4 * _BATCH_ENTRIES[device_type])
    if kernel == "dense":
        return min(budget // (itemsize * (KEPT_TILES + 1)), _BATCH_ENTRIES[device_type])
    return _tile_entries(itemsize, budget, device_type)


def reads_in_place(kernel: str, cost: GroundCost, itemsize: int, device_type: str) -> bool:
    """Whether a kernel reads features where they are, instead of gathering them into batches."""
    compiled = kernel != "keops" and _compiled_kernel(itemsize, device_type) is not None
    return cost.scaling == "global" and (kernel == "triton" or compiled)


def batch_points(features: int, itemsize: int, budget: int, device_type: str) -> int:
    """How many points the clouds of one batch may have, where their features are copied into it."""
    most = {"cpu": 64 * 2**20, "cuda": 4 * 2**30}[device_type]
    return min(most, budget // 4) // (itemsize * features)


def batch_growth(
    kernel: str, n: NDArray[np.int64], m: NDArray[np.int64], itemsize: int, device_type: str
) -> NDArray[np.float64]:
    """For problems of ``n x m`` costs, the ratio between the sizes that may share a batch.

    Where a batch is padded to its largest problem, at most its square is wasted.
    """
    compiled = _compiled_kernel(itemsize, device_type)
    if kernel == "triton":
        ragged = np.ones(len(n), bool)
    elif compiled is not None and kernel != "keops":
        ragged = n * m > compiled.PADDED_ENTRIES
    else:
        ragged = np.zeros(len(n), bool)
    return np.where(ragged, 4.0, 1.2)


def make_kernel(
    name: str, cost: GroundCost, source: Cloud, target: Cloud, epsilon: float, budget: int
) -> Kernel:
    """The kernel ``name`` over a batch of clouds.

    Args:
        name: ``dense``, ``streaming``, ``keops`` or ``triton``.
        cost: the ground cost.
        source: one side of the batch, [B, N] points.
        target: the other side, [B, M] points.
        epsilon: entropic regularisation.
        budget: memory in bytes that tiles may take.
    """
    itemsize, device_type = source.points.xyz.element_size(), source.device.type
    tile_entries = _tile_entries(itemsize, budget, device_type)
    tiles = CostTiles(cost, source, target, tile_entries)
    if name == "keops":
        return KeopsKernel(tiles, source, target, epsilon)
    if name == "triton":
        from geospot_gpu.kernels.gpu.kernel import TritonKernel  # loads Triton

        keep = kept_bytes(source, target) <= budget
        return TritonKernel(tiles, source, target, epsilon, keep)
    compiled = _compiled_kernel(itemsize, device_type)
    if compiled is not None:
        panel = None if name == "dense" else min(compiled.PANEL_ENTRIES, budget // (2 * itemsize))
        return compiled.CompiledKernel(tiles, source, target, epsilon, panel)  # type: ignore[no-any-return]
    kind = DenseKernel if name == "dense" else StreamingKernel
    return kind(tiles, source, target, epsilon, tile_entries)


def kernel_of_costs(
    cost: GroundCost,
    costs: Sequence[Tensor],
    source: Cloud,
    target: Cloud,
    epsilon: float,
    budget: int,
) -> Kernel:
    """The kernel over costs that are at hand.

    Args:
        cost: the ground cost, on one scale.
        costs: one matrix [n, m] per problem.
        source, target: the clouds that they are between.
        epsilon: entropic regularisation.
        budget: memory in bytes that tiles may take.
    """
    itemsize, device_type = source.points.xyz.element_size(), source.device.type
    tile_entries = _tile_entries(itemsize, budget, device_type)
    tiles = CostTiles(cost, source, target, tile_entries)
    compiled = _compiled_kernel(itemsize, device_type)
    if compiled is not None:
        kernel: Kernel = compiled.CompiledKernel.of_costs(costs, tiles, source, target, epsilon)
        return kernel
    return DenseKernel.of_costs(costs, tiles, source, target, epsilon, tile_entries)


def costs_between(cost: GroundCost, source: Cloud, target: Cloud) -> Tensor:
    """All costs [n, m] between two clouds, each a batch of one, on one scale."""
    tiles = CostTiles(cost, source, target, 1)
    compiled = _compiled_kernel(source.points.xyz.element_size(), source.device.type)
    if compiled is not None:
        costs: Tensor = compiled.CompiledKernel(tiles, source, target, 1.0, None).costs
        return costs
    return tiles.tile(source.part(), target.part())[0]


def cover_gains(costs: Tensor, cover: Tensor, mass: Tensor) -> Tensor:
    """``sum_j mass_j (cover_j - cost_ij)+`` of each row of costs [n, m], which may change them."""
    if _compiled_kernel(costs.element_size(), costs.device.type) is None:
        return costs.neg_().add_(cover).clamp_(min=0.0) @ mass
    from geospot_gpu.kernels.cpu import loops

    gains = torch.empty(len(costs))
    loops.gains(costs.numpy(), cover.numpy(), mass.numpy(), gains.numpy())
    return gains


def _tile_entries(itemsize: int, budget: int, device_type: str) -> int:
    return max(1, min(_TILE_ENTRIES[device_type], budget // (itemsize * TILE_TEMPORARIES)))


def _compiled_kernel(itemsize: int, device_type: str) -> Any:
    """The module of the compiled kernel where it applies: float32 on a CPU, and Numba is there."""
    float32 = itemsize == torch.float32.itemsize
    return _import_compiled() if float32 and device_type == "cpu" else None


@cache
def _import_compiled() -> Any:
    try:
        return importlib.import_module("geospot_gpu.kernels.cpu.compiled")
    except ImportError:  # Numba comes with the extra `cpu` alone
        return None
    except RuntimeError as error:  # there is no folder that Numba could cache compiled code in
        log.warning("compiled loops are not used (%s): set NUMBA_CACHE_DIR", error)
        return None


_keops_problem, _triton_problem = cache(keops_problem), cache(triton_problem)


@cache
def _warn_once(message: str) -> None:
    log.warning(message)
