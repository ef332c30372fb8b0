"""The pool of one worker, in this process: the default, and the oracle of all others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from geospot_gpu.cluster.pool import Item, Job, Result


class LocalPool:
    """One worker, which does items in the order in which they are given.

    While an item is computed the one before is stored, in a thread: a process that is killed loses
    what it is computing and at most one item besides. An interruption or error loses nothing that
    was computed. The first error ends the run.

    Args:
        device: of the worker: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.

    Raises:
        GeospotError: there is no such device.
    """

    def __init__(self, device: str = "auto") -> None:
        from geospot_gpu.devices import find_device  # loads torch, of no use to who plans alone

        self._device = find_device(device)

    @property
    def device_type(self) -> str:
        return self._device.type

    @property
    def workers(self) -> int:
        return 1

    @property
    def shares(self) -> int:
        return 1

    def run(
        self,
        job: Job[Item, Result],
        items: Sequence[Item],
        costs: Sequence[float] = (),
        name: Callable[[Item], str] = str,
    ) -> Iterator[tuple[int, Result]]:
        worker = job.worker(str(self._device))
        storing: tuple[int, Future[Result]] | None = None
        with ThreadPoolExecutor(1, thread_name_prefix="geospot-store") as thread:
            for index, item in enumerate(items):
                try:
                    computed = worker.compute(item)
                except BaseException:
                    if storing is not None:  # what is being stored counts, whatever came after
                        yield storing[0], storing[1].result()
                    raise
                before, done = storing, None if storing is None else storing[1].result()
                storing = index, thread.submit(worker.store, computed)
                del computed  # it may be large
                if before is not None:
                    yield before[0], done  # type: ignore[misc]  # there is one
            if storing is not None:
                yield storing[0], storing[1].result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is left to end."""
