"""The pool of a Ray cluster: the driver's side of it."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, Self

from geospot_gpu.cluster.dispatch import Failures, dispatch
from geospot_gpu.cluster.parcel import packed
from geospot_gpu.cluster.pool import Item, Job, Result
from geospot_gpu.cluster.ray_workers import RayWorkers
from geospot_gpu.cluster.schedule import TRIES, Schedule
from geospot_gpu.cluster.settings import Ray
from geospot_gpu.errors import GeospotError

log = logging.getLogger("geospot_gpu")

_ANSWER_WITHIN = 10.0
"""Seconds."""
_NAMED = 5
"""Items that failed and are named; the others are counted."""

_SHARES = 8
"""Items for each worker, so that the last ones to end do not end much later than the others."""

_open: ContextVar[RayPool | None] = ContextVar("open", default=None)


def open_pool() -> RayPool | None:
    """The pool of a cluster in whose ``with`` block this is; None outside of any.

    What is called deep inside such a block may share its work out, too, and workers that are there
    already need not be started again.
    """
    return _open.get()


class RayPool:
    """Workers on all nodes of a Ray cluster, each with one GPU or some cores.

    They come and go with the nodes. The items of one that dies go to others, and so does an item
    that fails: it is tried three times in all, on another node where there is one. All others are
    done before the error is raised. What takes far longer than others is given to a second worker
    at the end. Workers stay from one job to the next, until the ``with`` block ends; the cluster is
    left alone until the first of them is needed.

    Args:
        settings: which cluster, and what each worker gets.
        device: what workers compute on: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        GeospotError: a device is asked for by number, or with no GPU for it.
    """

    def __init__(self, settings: Ray, device: str = "auto") -> None:
        if ":" in device:
            raise GeospotError(
                f"device={device}: engine=ray gives each worker its own GPU; use device=cuda"
            )
        if device == "cuda" and settings.gpus_per_worker == 0:
            raise GeospotError("device=cuda needs engine.gpus_per_worker above 0")
        if device == "cpu" and settings.gpus_per_worker:
            raise GeospotError(
                f"engine.gpus_per_worker={settings.gpus_per_worker:g} has no effect with device=cpu"
            )
        self._settings, self._device = settings, device
        self._depth = 0
        self._outside: RayPool | None = None
        self._stack = contextlib.ExitStack()
        self._workers: RayWorkers | None = None

    @property
    def device_type(self) -> str:
        with self:
            return "cuda" if self._there().gpus else "cpu"

    @property
    def workers(self) -> int:
        with self:
            return max(1, self._there().room())

    @property
    def shares(self) -> int:
        return _SHARES * self.workers

    def is_of(self, settings: Ray, device: str) -> bool:
        """Whether it was made with these arguments."""
        return (self._settings, self._device) == (settings, device)

    def run(
        self,
        job: Job[Item, Result],
        items: Sequence[Item],
        costs: Sequence[float],
        name: Callable[[Item], str] = str,
    ) -> Iterator[tuple[int, Result]]:
        if not items:
            return
        with self:
            workers = self._there()
            workers.begin(_put(job), items)
            failures = yield from dispatch(Schedule(costs), workers)
        if failures.items or failures.refused:
            raise _failed(failures, [name(items[item]) for item in failures.items])

    def __enter__(self) -> Self:
        if not self._depth:
            _import_ray()
            self._outside = _open.get()
            _open.set(self)
        self._depth += 1
        return self

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        if not self._depth:
            _open.set(self._outside)
            self._workers = None
            self._stack.close()

    def _there(self) -> RayWorkers:
        """The workers, of a cluster that is connected to when they are first asked for."""
        if self._workers is None:
            with contextlib.ExitStack() as stack:
                growing = stack.enter_context(connected(self._settings.address))
                self._workers = RayWorkers(self._settings, self._gpus_per_worker(), growing)
                stack.callback(self._workers.close)
                self._stack = stack.pop_all()
        return self._workers

    def _gpus_per_worker(self) -> float:
        import ray

        given = self._settings.gpus_per_worker
        if self._device == "cpu":
            return 0.0
        if given is None:
            return 1.0 if self._device == "cuda" or ray.cluster_resources().get("GPU") else 0.0
        return given


def _import_ray() -> Any:
    # Read when Ray is imported, or starts: nothing is sent home.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise GeospotError("engine=ray needs Ray: pip install 'geospot_gpu[cluster]'") from error
    return ray


@contextlib.contextmanager
def connected(address: str) -> Iterator[bool]:
    """A connection to a cluster, or one of this machine alone that ends with the block.

    Yields:
        Whether nodes may join it.

    Raises:
        GeospotError: there is no such cluster, or it is of another version.
    """
    ray = _import_ray()
    if ray.is_initialized():  # by whoever called us
        yield True
        return
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    named = None if address == "auto" else address
    named = named or os.environ.get("RAY_ADDRESS")
    with contextlib.ExitStack() as stack:
        # What Ray prints of nodes and workers that are gone, on standard output, we say ourselves.
        stack.enter_context(_instead(ray._private.worker, "print_to_stdstream", _say_nothing))
        stack.callback(ray.shutdown)
        with _own_handler():
            growing = named != "local" and _connect(named, quiet)
            if not growing:
                _start(quiet)
        yield growing


@contextlib.contextmanager
def _own_handler() -> Iterator[None]:
    """Keep what this process does when it is told to end: Ray would exit, and say nothing."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if callable(before) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _connect(named: str | None, quiet: dict[str, Any]) -> bool:
    """Connect to a cluster; whether there is one. There has to be one that is named."""
    import ray

    if named is not None:
        _check_answer(named)
    try:
        ray.init(address=named or "auto", **quiet)
    except (ConnectionError, RuntimeError, ValueError, ImportError) as error:
        if named is None and isinstance(error, ConnectionError):
            return False
        text = " ".join(str(error).split())
        where = named or "this machine"
        raise GeospotError(f"engine=ray: cannot use the cluster at {where}: {text}") from error
    return True


def _check_answer(named: str) -> None:
    """Raise where nobody listens at an address: Ray would try for minutes, and say so in many."""
    host, _, port = named.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_WITHIN).close()
    except (OSError, ValueError) as error:
        raise GeospotError(
            f"engine=ray: no cluster answers at {named} ({error}): give engine.address, or set "
            "RAY_ADDRESS, as ray start --head prints it"
        ) from error


def _start(quiet: dict[str, Any]) -> None:
    """Start Ray on this machine, for this machine: nobody else can reach it."""
    import ray
    from ray._private import ray_constants

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    # Ray asks for the address of this machine in the network, but where it knows no clusters.
    with _instead(ray_constants, "ENABLE_RAY_CLUSTER", False):
        try:
            ray.init(address="local", num_cpus=cores, include_dashboard=False, **quiet)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            text = " ".join(str(error).split())
            raise GeospotError(f"engine=ray: Ray does not start on this machine: {text}") from error


@contextlib.contextmanager
def _instead(module: Any, name: str, value: Any) -> Iterator[None]:
    """Have another value in Ray's own code, where no argument says the same."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def _say_nothing(data: Any, ignore_prefix: bool) -> None:
    log.debug("Ray: %s", data)


def _put(job: object) -> Any:
    """A job in the object store, from where each node takes it once.

    Raises:
        GeospotError: there is no room for it, in memory or on disk.
    """
    import ray
    from ray.exceptions import ObjectStoreFullError, OutOfDiskError

    parcel = packed(job)
    size = f"{parcel.nbytes / 2**20:,.0f} MiB"
    try:
        return ray.put(parcel)
    except (ObjectStoreFullError, OutOfDiskError) as error:
        raise GeospotError(
            f"engine=ray: the object store has no room for {size} that all workers share, nor has "
            "the disk: start Ray with a larger --object-store-memory"
        ) from error


def _failed(failures: Failures, names: Sequence[str]) -> GeospotError:
    if failures.refused:
        text = f"no worker can write, so that the rest was not tried: {failures.error}"
    else:
        text = list(failures.items.values())[-1]
    if names:
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        shown = f"{', '.join(names[:_NAMED])}{more}: failed {TRIES} times"
        rest = "; " if failures.refused else ", and all others are done: "
        text = f"{shown}{rest}{text}"
    error = GeospotError(text)
    if failures.trace:
        error.__cause__ = RuntimeError(failures.trace)
    return error
