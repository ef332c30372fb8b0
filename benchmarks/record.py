"""What every benchmark records beside its figures, and how it prints them."""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from importlib.metadata import version
from pathlib import Path

import torch

RESULTS = Path(__file__).parent / "results"


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
        "versions": {name: version(name) for name in ("torch", "numpy", "POT", "geomloss")},
    }


def save(name: str, figures: dict[str, object]) -> None:
    """Write ``results/<name>.json`` and print the figures."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"machine": machine(), "figures": figures}, indent=2)
    (RESULTS / f"{name}.json").write_text(text + "\n")
    for key, value in figures.items():
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
