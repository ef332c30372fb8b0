"""The command ``geospot doctor``: what is there to compute with, and is it right."""

from __future__ import annotations

import ctypes
import importlib
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import psutil
import torch
from omegaconf import DictConfig

from geospot_gpu import __version__, caches
from geospot_gpu.config import settings
from geospot_gpu.config.composed import checked
from geospot_gpu.encoders.cache import default_cache
from geospot_gpu.engine.settings import Engine, gpu_count, has_ray, one_of
from geospot_gpu.errors import GeospotError
from geospot_gpu.kernels import REGISTRY, probe
from geospot_gpu.kernels.spec import KernelSpec, Workload
from geospot_gpu.outcome import conclude, say

_GIB = 2**30
_FEW_FEATURES = 3
"""Kernels that ``auto`` takes for these alone are tried, too."""


def doctor(config: DictConfig) -> None:
    """Say what is there, and compare every kernel that ``auto`` may take with float64.

    Raises:
        GeospotError: there is no such device; or a kernel gives wrong numbers there, or one that
            ``auto`` counts on does not run.
    """
    typed = checked(config, settings.DoctorConfig)
    engine = Engine(device=typed.device)
    device, budget = engine.torch_device(), engine.budget_bytes()
    say(f"geospot_gpu {__version__}, Python {platform.python_version()}, {platform.platform()}")
    for about, text in (*_devices(), *_packages(), *_folders()):
        say(f"{about:21s}{text}")
    say(f"{'memory for costs':21s}{budget / _GIB:.1f} GiB on {device} (engine.memory_budget)")
    say(f"kernels on {device} against float64:")
    counts = {"right": 0, "wrong": 0, "missing": 0}
    bad = []
    for spec in REGISTRY:
        verdict, text = _examined(spec, device, budget)
        say(f"  {spec.name:19s}{text}")
        counts[verdict] += 1
        if verdict == "wrong":
            bad.append(f"{spec.name}: {text}")
    conclude(None, {"device": str(device), **counts})
    if bad:
        raise GeospotError("; ".join(bad))


def _examined(
    spec: KernelSpec, device: torch.device, budget: int
) -> tuple[Literal["right", "wrong", "missing"], str]:
    """What is to be said of a kernel on a device."""
    work = Workload(probe.COST, probe.FEATURES, torch.float32, device.type, budget, device.index)
    expected = spec.by_default(work)
    if not (expected or spec.by_default(work._replace(dimension=_FEW_FEATURES))):
        return "missing", f"not tried: auto never takes it on {device.type}"
    if (problem := spec.problem(work, 0)) is not None:
        return "missing", problem
    if (problem := spec.missing(work)) is not None:
        return "wrong" if expected else "missing", problem
    seconds, found = [], {}
    for _ in range(2):  # it may compile the first time
        began = time.perf_counter()
        found = probe.differences(spec, device)
        seconds.append(time.perf_counter() - began)
    if (problem := probe.wrong(found)) is not None:
        return "wrong", problem
    return "right", (
        f"right to {max(found.values()):.0e} of the largest value, in {seconds[1]:.3f} s "
        f"({seconds[0]:.1f} s the first time)"
    )


def _devices() -> Iterator[tuple[str, str]]:
    """The processor, every GPU, and the driver."""
    memory = psutil.virtual_memory()
    yield (
        "cpu",
        f"{os.cpu_count()} processors, {torch.get_num_threads()} threads, "
        f"{memory.available / _GIB:.1f} of {memory.total / _GIB:.1f} GiB free",
    )
    if not torch.cuda.is_available():
        yield "gpu", "none that torch can use"
    else:
        for index in range(torch.cuda.device_count()):
            about, memory = torch.cuda.get_device_properties(index), torch.cuda.mem_get_info(index)
            yield (
                f"cuda:{index}",
                f"{about.name}, compute capability {about.major}.{about.minor}, "
                f"{memory[0] / _GIB:.1f} of {memory[1] / _GIB:.1f} GiB free",
            )
        if (count := gpu_count("cuda")) > 1:
            yield "gpus", f"sweeps use all {count}, with Ray" if has_ray() else one_of(count)
    yield "driver", _driver()


def _driver() -> str:
    """The NVIDIA driver, and the newest CUDA that it knows."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "there is none of NVIDIA"
    newest = ctypes.c_int()
    library.cuDriverGetVersion(ctypes.byref(newest))
    about = Path("/proc/driver/nvidia/version")
    release = re.search(r"\d{3}\.[\d.]+", about.read_text() if about.exists() else "")
    cuda = f"CUDA up to {newest.value // 1000}.{newest.value % 1000 // 10}"
    return f"{release[0]}, {cuda}" if release else cuda


def _packages() -> Iterator[tuple[str, str]]:
    """What computes, and what compiles for it."""
    cuda = torch.version.cuda
    yield "torch", f"{torch.__version__}, {f'for CUDA {cuda}' if cuda else 'without CUDA'}"
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    yield "triton", _version("triton")
    yield "keops", f"{_version('pykeops')}, {compiler or 'no C++ compiler'}"
    yield "geomloss", _version("geomloss")
    yield "numba", _version("numba")
    yield "faiss", _faiss()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _faiss() -> str:
    try:
        faiss: Any = importlib.import_module("faiss")
    except ImportError as error:
        return f"not to be had ({error})"
    gpus = getattr(faiss, "get_num_gpus", int)()
    return f"{faiss.__version__}, on {f'{gpus} GPUs' if gpus else 'CPUs alone'}"


def _folders() -> Iterator[tuple[str, str]]:
    """Where things are kept, and whether they can be."""
    yield "home", caches.home_problem() or f"{os.path.expanduser('~')} can be written"
    cache = default_cache()
    named = {"cache": None if cache is None else str(cache)}
    for name, folder in (named | {name: os.environ.get(name) for name in caches.FOLDERS}).items():
        if folder is not None:
            yield name, f"{folder} {caches.folder_problem(folder) or 'can be written'}"
        elif name == "cache":
            yield name, "there is none: set GEOSPOT_CACHE"
