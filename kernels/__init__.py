"""Kernels: implementations of one contract, and the choice between them."""

from __future__ import annotations

import logging
from functools import cache
from typing import Literal, get_args

from geospot_gpu.cost import GroundCost
from geospot_gpu.errors import GeospotError
from geospot_gpu.kernels.contract import Cloud, Kernel
from geospot_gpu.kernels.dense import KEPT_TILES, DenseKernel
from geospot_gpu.kernels.keops import KeopsKernel, keops_problem
from geospot_gpu.kernels.streaming import TILE_TEMPORARIES, StreamingKernel
from geospot_gpu.kernels.tiles import CostTiles
from geospot_gpu.kernels.triton_support import KEPT_BYTES, kept_bytes, triton_problem

KernelName = Literal["auto", "dense", "streaming", "keops", "triton"]

# Tiles of this many entries stay in a processor's cache (4 MB in float32), or keep a GPU busy.
_TILE_ENTRIES = {"cpu": 1 << 20, "cuda": 1 << 26}
# A batch of small dense problems: large enough to amortise the calls, small enough for the cache.
_BATCH_ENTRIES = {"cpu": 1 << 20, "cuda": 1 << 30}
# Features beyond which KeOps, which uses no matrix product, loses to streamed tiles.
_KEOPS_FEATURES = 32

log = logging.getLogger("geospot_gpu")


def check_kernel(name: str) -> None:
    """Raise unless ``name`` is one of :data:`KernelName`."""
    if name not in get_args(KernelName):
        raise GeospotError(
            f"kernel={name!r} is unknown: use one of {', '.join(get_args(KernelName))}"
        )


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
    budget. Where they do not, it takes KeOps for points of few features if KeOps works here, and
    streamed tiles otherwise. Triton computes in float32, and feature costs from inner products
    (``products``) alone: not euclidean ones.
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
    fits = entries * itemsize * KEPT_TILES <= budget
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
    if features <= _KEOPS_FEATURES and _keops_problem(device_type) is None:
        return "keops"
    return "streaming"


def batch_entries(kernel: str, itemsize: int, budget: int, device_type: str) -> int:
    """How many cost entries a batch of several small problems may have in total."""
    if kernel == "triton":
        return min(budget // (2 * KEPT_BYTES), 4 * _BATCH_ENTRIES[device_type])
    if kernel == "dense":
        return min(budget // (itemsize * (KEPT_TILES + 1)), _BATCH_ENTRIES[device_type])
    return _tile_entries(itemsize, budget, device_type)


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
    tile_entries = _tile_entries(source.points.xyz.element_size(), budget, source.device.type)
    tiles = CostTiles(cost, source, target, tile_entries)
    if name == "keops":
        return KeopsKernel(tiles, source, target, epsilon)
    if name == "triton":
        from geospot_gpu.kernels.triton_kernel import TritonKernel  # loads Triton

        keep = kept_bytes(source, target) <= budget
        return TritonKernel(tiles, source, target, epsilon, keep)
    kind = DenseKernel if name == "dense" else StreamingKernel
    return kind(tiles, source, target, epsilon, tile_entries)


def _tile_entries(itemsize: int, budget: int, device_type: str) -> int:
    return max(1, min(_TILE_ENTRIES[device_type], budget // (itemsize * TILE_TEMPORARIES)))


_keops_problem, _triton_problem = cache(keops_problem), cache(triton_problem)


@cache
def _warn_once(message: str) -> None:
    log.warning(message)
