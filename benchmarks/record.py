"""What every benchmark records beside its figures, and how it prints them."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

RESULTS = Path(__file__).parent / "results"

_PACKAGES = ("torch", "numpy", "POT", "geomloss", "pykeops", "triton", "flash-sinkhorn")


def machine() -> dict[str, object]:
    """Processor, cores, threads, GPU and versions."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "driver": _driver(),
        "cuda": torch.version.cuda,
        "versions": {name: _version(name) for name in _PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _driver() -> str | None:
    """Version of the GPU's driver."""
    if not torch.cuda.is_available() or shutil.which("nvidia-smi") is None:
        return None
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    return subprocess.run(asked, capture_output=True, text=True).stdout.strip().split("\n")[0]


def save(name: str, figures: dict[str, object]) -> None:
    """Write ``results/<name>.json`` and print the figures."""
    write(name, figures)
    show(figures)


def write(name: str, figures: Mapping[str, object]) -> None:
    """Write ``results/<name>.json``."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"machine": machine(), "figures": figures}, indent=2)
    (RESULTS / f"{name}.json").write_text(text + "\n")


def show(figures: dict[str, object]) -> None:
    """Print the figures, one a line."""
    for key, value in figures.items():
        if isinstance(value, dict):
            print(f"{key}:")
            show({f"  {name}": figure for name, figure in value.items()})
        else:
            print(f"{key:48s} {value}")


class PeakMemory:
    """Peak resident memory of this process above what it was at the start of the block, GiB."""

    def __enter__(self) -> PeakMemory:
        self._before = self._peak = self._resident()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        self.gib = (self._peak - self._before) / 2**30

    def _watch(self) -> None:
        while not self._stop.wait(0.01):
            self._peak = max(self._peak, self._resident())

    @staticmethod
    def _resident() -> int:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


class Stopwatch:
    """Wall time of a block in ``seconds``."""

    def __enter__(self) -> Stopwatch:
        self._start = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        self.seconds = time.perf_counter() - self._start
