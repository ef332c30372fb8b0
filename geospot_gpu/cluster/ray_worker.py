"""What lives in a process of the cluster: one worker, on one device."""

from __future__ import annotations

import logging
import os
import platform
import socket
import sys
import threading
import time
import traceback
import warnings
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

from geospot_gpu.cluster.dispatch import Outcome
from geospot_gpu.cluster.parcel import unpacked
from geospot_gpu.cluster.pool import Worker
from geospot_gpu.errors import GeospotError

_LONGEST = 300
"""Letters of an error that is not ours, whose text may quote whole arrays."""


class Versions(NamedTuple):
    """What has to be the same on all machines."""

    geospot_gpu: str
    python: str

    @classmethod
    def here(cls) -> Versions:
        """Those of this process."""
        try:
            own = version("geospot_gpu")
        except PackageNotFoundError:  # as in a checkout on the path
            own = "unknown"
        return cls(own, ".".join(platform.python_version_tuple()[:2]))


class Ready(NamedTuple):
    """Whether a worker can begin."""

    host: str = ""
    node: str = ""
    """What Ray calls it."""
    error: str | None = None
    trace: str = ""
    mismatch: bool = False
    """Whether its machine has other versions than the driver, which no other try will mend."""


class RayWorker:
    """An actor: computes items in one thread and stores them in another.

    Args:
        device: ``cpu``, or ``cuda:0``, the GPU that Ray has given to it.
        cores: how many threads compute on a CPU.
    """

    def __init__(self, device: str, cores: int) -> None:
        self._device, self._cores, self._run = device, cores, 0
        self._worker: Worker[Any, Any, Any] | None = None
        self._lock = threading.Lock()
        # Before anything that computes is imported.
        for library in ("OMP", "MKL", "OPENBLAS", "NUMBA"):
            os.environ[f"{library}_NUM_THREADS"] = str(cores)
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from geospot_gpu.caches import provide_all

        provide_all()
        self._computing = ThreadPoolExecutor(1, "geospot-compute")
        self._storing = ThreadPoolExecutor(1, "geospot-store")
        self._warned = _Warned()
        logging.getLogger("geospot_gpu").addHandler(self._warned)
        # Arrays of the object store are read by all workers of a machine, and written by none.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")

    def begin(self, run: int, job: list[Any], versions: Versions) -> Ready:
        """Get ready for a job; what still waits of the job before is dropped.

        Args:
            run: number of the job.
            job: reference to its parcel, in a list, so that Ray does not open it before us.
            versions: of the driver.
        """
        import ray

        host = socket.gethostname()
        if (own := Versions.here()) != versions:
            return Ready(host, error=_mismatch(host, own, versions), mismatch=True)
        with self._lock:  # calls may come in another order than they were made
            self._run = max(self._run, run)
        try:
            self._computing.submit(self._take_up, run, job[0]).result()
        except Exception as error:
            return Ready(host, error=said(error), trace=traceback.format_exc())
        return Ready(host, ray.get_runtime_context().get_node_id())

    def do(self, run: int, item: Any) -> Outcome:
        """Compute an item of a job and store it."""
        begun = time.monotonic()
        try:
            found = self._computing.submit(self._compute, run, item).result()
            if found is None:
                return Outcome(error="was dropped")
            begun, worker, computed = found
            storing = self._storing.submit(worker.store, computed)
            del found, computed  # they may be large
            result = storing.result()
        except Exception as error:
            outcome = Outcome(error=said(error), trace=traceback.format_exc())
            outcome = outcome._replace(refused=_is_refusal(error))
        else:
            outcome = Outcome(result, seconds=time.monotonic() - begun)
        return outcome._replace(warnings=self._warned.taken())

    def _take_up(self, run: int, job: Any) -> None:
        import ray

        if run != self._run:
            return
        self._worker = None  # its memory is free before the next one takes its own
        found = unpacked(ray.get(job))
        if "torch" in sys.modules:
            import torch

            torch.set_num_threads(self._cores)  # which our own loops ask for, too
        self._worker = found.worker(self._device)

    def _compute(self, run: int, item: Any) -> tuple[float, Worker[Any, Any, Any], Any] | None:
        if run != self._run or self._worker is None:
            return None
        return time.monotonic(), self._worker, self._worker.compute(item)


def said(error: BaseException) -> str:
    """An error in one line; with its kind, where it is none of ours."""
    text = " ".join(str(error).split())
    if isinstance(error, GeospotError):
        return text
    return f"{type(error).__name__}: {text[:_LONGEST]}".removesuffix(": ")


def _mismatch(host: str, own: Versions, driver: Versions) -> str:
    return (
        f"{host} has geospot_gpu {own.geospot_gpu} on Python {own.python}, and this process has "
        f"{driver.geospot_gpu} on {driver.python}: install the same on all machines"
    )


def _is_refusal(error: Exception) -> bool:
    """Whether it says that nothing can be written."""
    from geospot_gpu.files import Unwritable

    return isinstance(error, Unwritable)


class _Warned(logging.Handler):
    """What this process has warned of, on its way to the driver."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._texts.append(record.getMessage())

    def taken(self) -> tuple[str, ...]:
        """All since the last time."""
        texts, self._texts = self._texts, []
        return tuple(dict.fromkeys(texts))
