"""Where and how problems are solved."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import InitVar, dataclass, field

import numpy as np
import psutil
import torch

from geospot_gpu.cluster import LocalPool, Pool, Ray, RayPool, open_pool
from geospot_gpu.devices import device_name, find_device
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.former import no_kernel
from geospot_gpu.errors.say import warn_once
from geospot_gpu.kernels import check_kernel

_BYTES = {"": 1, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@dataclass(frozen=True)
class Engine:
    """Where and how problems are solved; none of it changes a result beyond its interval.

    Args:
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:1``. What is shared
            out has all GPUs of the machine where it may be any, and Ray is installed.
        backend: what computes: ``torch``, on any device; ``compiled`` loops (Numba, float32, CPU);
            ``triton`` (float32, NVIDIA GPUs); ``keops``, which compiles for seconds and pays on
            GPUs with few features; or ``auto``, the fastest of them that can run.
        storage: of costs: ``kept``, computed once; ``streamed``, computed anew in every iteration,
            so that memory grows with the number of points alone; or ``auto``, kept where they fit
            the budget.
        memory_budget: memory for costs, as ``"2GiB"`` or a number of bytes; ``auto`` is 2 GiB
            (a quarter of what is free, if that is less) on a CPU and half of what is free on a GPU.
        cluster: of workers that sweeps are shared out to, and what else takes long: baselines,
            predictions, encoding of many points within ``with engine.pool():``; in this process if
            not given.

    Raises:
        GeospotError: a value is not understood.
    """

    device: str = "auto"
    backend: str = "auto"
    storage: str = "auto"
    memory_budget: str | int = "auto"
    cluster: Ray | None = field(default=None, kw_only=True)
    kernel: InitVar[str | None] = field(default=None, kw_only=True)  # what it was called before

    def __post_init__(self, kernel: str | None) -> None:
        if kernel is not None:
            raise no_kernel(kernel)
        check_kernel(self.backend, self.storage)
        object.__setattr__(self, "device", device_name(self.device))
        _parse_bytes(self.memory_budget)
        if self.cluster is not None:
            checks.instance(self.cluster, Ray, "engine.cluster")

    def pool(self) -> Pool:
        """Workers for what is shared out, from the beginning of a ``with`` block to its end.

        Within such a block it is the same pool again: workers are started once for all that is in
        the block, encoding among it.

        Raises:
            GeospotError: there is no such device, or none that a cluster could give.
        """
        cluster, device = self.cluster, self.device
        if cluster is None and gpu_count(device) > 1:
            if has_ray():
                cluster, device = Ray("local"), "cuda"
            else:
                warn_once(one_of(gpu_count(device)))
        if cluster is None:
            return LocalPool(device)
        found = open_pool()
        if found is not None and found.is_of(cluster, device):
            return found
        return RayPool(cluster, device)

    def torch_device(self) -> torch.device:
        """The device itself.

        Raises:
            GeospotError: a GPU is asked for and there is none, or not that many.
        """
        return find_device(self.device)

    def budget_bytes(self) -> int:
        """The memory budget in bytes on this machine."""
        budget = _parse_bytes(self.memory_budget)
        if budget is not None:
            return budget
        device = self.torch_device()
        if device.type == "cuda":
            # What torch keeps for itself of freed tensors is free, too.
            cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
            return (torch.cuda.mem_get_info(device)[0] + cached) // 2
        return min(2 * 2**30, int(psutil.virtual_memory().available) // 4)


def gpu_count(device: str) -> int:
    """How many GPUs of this machine a device may be."""
    any_of_them = device in ("auto", "cuda") and torch.cuda.is_available()
    return torch.cuda.device_count() if any_of_them else 0


def has_ray() -> bool:
    """Whether Ray is installed."""
    return importlib.util.find_spec("ray") is not None


def one_of(gpus: int) -> str:
    """What to say where there are several GPUs and nothing to share work out with."""
    return (
        f"there are {gpus} GPUs, and one of them is used: pip install 'geospot_gpu[cluster]' for "
        "all of them, or start a sweep on each with shard=k/n"
    )


def _parse_bytes(value: str | int) -> int | None:
    text = str(value) if isinstance(value, str | int | float | np.integer) else ""
    if text == "auto":
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    unit = _BYTES.get(match[2].upper()) if match else None
    if match is None or unit is None or float(match[1]) * unit < 2**20:
        raise GeospotError(
            f"engine.memory_budget={checks.shown(value)}: give auto or at least 1MiB, as in 2GiB"
        )
    return int(float(match[1]) * unit)


def settled(engine: Engine | None) -> Engine:
    """The engine, or the one that is taken where none is given.

    Raises:
        GeospotError: it is of another kind.
    """
    found: Engine = checks.instance(Engine() if engine is None else engine, Engine, "engine")
    return found
