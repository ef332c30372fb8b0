"""The workers of a Ray cluster: an actor each, made where there is room."""

from __future__ import annotations

import logging
import queue
import re
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from geospot_gpu.cluster.dispatch import Ended, Gone, Joined, Outcome
from geospot_gpu.cluster.ray_worker import RayWorker, Ready, Versions, said
from geospot_gpu.cluster.settings import Ray
from geospot_gpu.errors import GeospotError

if TYPE_CHECKING:
    from concurrent.futures import Future

log = logging.getLogger("geospot_gpu")

_LOOK_EVERY = 2.0
"""Seconds between two looks at the nodes of the cluster."""
_FAILED_STARTS = 3
"""Workers in a row that cannot begin, with none at work, after which none is tried any more."""
_BEGIN_WITHIN = 120.0
"""Seconds after which a worker that has not begun is replaced."""
_SAY_AFTER = 10.0
_GIVE_UP_AFTER = 600.0
"""Seconds without a worker after which that is said, and after which it is an error."""


class RayWorkers:
    """Actors and what they hold; the driver's one acquaintance with Ray while work goes on.

    Args:
        settings: how many workers, and what each gets.
        gpus: of each.
        growing: whether nodes may join the cluster.
    """

    def __init__(self, settings: Ray, gpus: float, growing: bool) -> None:
        import ray

        self._settings, self.gpus, self._growing = settings, gpus, growing
        self._kind = ray.remote(
            num_cpus=settings.cpus_per_worker,
            num_gpus=gpus,
            max_concurrency=4,  # two items, and two of the job before that have not ended
            scheduling_strategy="SPREAD",
        )(RayWorker)
        self._actors: dict[int, Any] = {}
        self._begins: dict[int, float] = {}  # since when, of those that do not work yet
        self._working: dict[int, str] = {}  # on which node
        self._made = self._run = self._failed = 0
        self._looked = -_LOOK_EVERY
        self._alone_since, self._said = self.now(), False
        self._events: queue.SimpleQueue[tuple[int, int, int | None, Future[Any]]]
        self._events = queue.SimpleQueue()
        self._job: Any = None
        self._items: Sequence[Any] = ()

    def begin(self, job: Any, items: Sequence[Any]) -> None:
        """Get all workers ready for a job.

        Args:
            job: reference to the parcel of it.
            items: of it.
        """
        self._job, self._items = job, items
        self._run += 1
        self._failed = 0
        self._alone_since, self._said = self.now(), False
        self._working.clear()
        for worker in self._actors:
            self._ready(worker)

    def now(self) -> float:
        return time.monotonic()

    def hand(self, worker: int, item: int) -> None:
        self._call(worker, item, self._actors[worker].do.remote(self._run, self._items[item]))

    def wait(self, seconds: float) -> list[Joined | Gone | Ended]:
        found = self._look()
        try:
            arrived = [self._events.get(timeout=seconds)]
            while not self._events.empty():
                arrived.append(self._events.get())
        except queue.Empty:
            return found
        for worker, run, item, future in arrived:
            if run == self._run and worker in self._actors:
                found += self._event(worker, item, future)
        return found

    def room(self) -> int:
        """How many workers are wanted: as many as were asked for, or there is room for."""
        import ray

        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return self._settings.workers or self._fitting_all(nodes)

    def close(self) -> None:
        """End all workers."""
        for worker in list(self._actors):
            self._end(worker)

    def _call(self, worker: int, item: int | None, reference: Any) -> None:
        run = self._run
        reference.future().add_done_callback(
            lambda future: self._events.put((worker, run, item, future))
        )

    def _ready(self, worker: int) -> None:
        self._begins[worker] = self.now()
        begun = self._actors[worker].begin.remote(self._run, [self._job], Versions.here())
        self._call(worker, None, begun)

    def _event(
        self, worker: int, item: int | None, future: Future[Any]
    ) -> list[Joined | Gone | Ended]:
        from ray.exceptions import RayActorError, RayError

        try:
            found = future.result()
        except RayActorError as error:
            self._end(worker)
            if item is not None:
                return [Gone(worker, _reason(error))]
            return self._cannot_begin(Ready(error=_reason(error)))
        except (RayError, OSError) as error:  # as a result that was lost with its node
            if item is not None:
                return [Ended(worker, item, Outcome(error=said(error)))]
            self._end(worker)
            return self._cannot_begin(Ready(error=_reason(error)))
        if item is not None:
            return [Ended(worker, item, found)]
        if found.error is not None:
            self._end(worker)
            return self._cannot_begin(found)
        self._failed = 0
        self._begins.pop(worker, None)
        self._working[worker] = found.node
        return [Joined(worker, f"{found.host}, node {found.node[:8]}")]

    def _cannot_begin(self, ready: Ready) -> list[Joined | Gone | Ended]:
        if ready.mismatch:
            raise GeospotError(f"engine=ray: {ready.error}")
        self._failed += 1
        if self._failed >= _FAILED_STARTS and not self._working:
            raise GeospotError(f"engine=ray: no worker can begin: {ready.error}") from (
                RuntimeError(ready.trace) if ready.trace else None
            )
        where = f" on {ready.host}" if ready.host else ""
        log.warning("a worker%s cannot begin: %s", where, ready.error)
        self._looked = self.now() + min(60.0, 2.0**self._failed)  # the next is tried after a while
        return []

    def _end(self, worker: int) -> None:
        import ray

        self._begins.pop(worker, None)
        self._working.pop(worker, None)
        actor = self._actors.pop(worker)
        ray.kill(actor)

    def _look(self) -> list[Joined | Gone | Ended]:
        """Look at the nodes: end workers of those that are gone, make some where there is room."""
        import ray

        now = self.now()
        if now - self._looked < _LOOK_EVERY:
            return []
        self._looked = now
        nodes = {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"]}
        lost = [worker for worker, node in self._working.items() if node not in nodes]
        # Ray says by itself what becomes of workers, as a rule.
        late = [worker for worker, since in self._begins.items() if now - since > _BEGIN_WITHIN]
        for worker in lost + late:
            self._end(worker)
        room = self._fitting_all([*nodes.values()])
        wanted = self._settings.workers or room
        for _ in range(wanted - len(self._actors)):
            device = "cuda:0" if self.gpus else "cpu"
            self._actors[self._made] = self._kind.remote(device, self._settings.cpus_per_worker)
            self._ready(self._made)
            self._made += 1
        self._check_alone(now, list(nodes.values()), room)
        return [Gone(worker, "its node is gone") for worker in lost]

    def _check_alone(self, now: float, nodes: list[Mapping[str, float]], room: int) -> None:
        if self._working:
            self._alone_since, self._said = now, False
            return
        there = ", ".join(
            f"{sum(node.get(kind, 0.0) for node in nodes):g} {kind}" for kind in ("CPU", "GPU")
        )
        text = (
            f"engine=ray: no worker has begun: each asks for {self._settings.cpus_per_worker} CPU "
            f"and {self.gpus:g} GPU of one node, and the cluster has {there} in {len(nodes)} nodes"
        )
        since = now - self._alone_since
        if (not room and not self._growing) or since > _GIVE_UP_AFTER:
            raise GeospotError(f"{text}: ask for less, or add nodes")
        if since > _SAY_AFTER and not self._said:
            self._said = True
            log.warning("%s: waiting for more", text)

    def _fitting_all(self, nodes: list[Mapping[str, float]]) -> int:
        return sum(map(self._fitting, nodes))

    def _fitting(self, resources: Mapping[str, float]) -> int:
        """How many workers there is room for in a node."""
        fits = resources.get("CPU", 0.0) // self._settings.cpus_per_worker
        if self.gpus:
            # A worker's part of a GPU is of one GPU.
            fits = min(fits, resources.get("GPU", 0.0) * (1 / self.gpus // 1))
        return int(fits)


def _reason(error: BaseException) -> str:
    """Why an actor or an object is gone, in a few words of Ray's many."""
    text = " ".join(str(error).split())
    if "low on memory" in text:
        return "its node ran low on memory"
    if "is unavailable" in text:
        return "it cannot be reached"
    because = re.search(r"dead because ([^.]+)", text)
    return because[1] if because else f"{type(error).__name__}: {text[:200]}"
