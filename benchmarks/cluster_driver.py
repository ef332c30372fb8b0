"""Does one driver keep 256 workers busy? ``python -m benchmarks.cluster_driver [--real-time]``.

Real: the loop that gives out items (``cluster.dispatch``), the schedule, the order by cost, two
items in flight each, results as they end, all in this process; and, measured apart, what Ray takes
of the driver for an item: pickling, submitting, the callback and the result, with two actors whose
items are empty.

Simulated: the workers. 256 of them compute 100,000 blocks of 0.5 s in the mean, one after another,
and store each while they compute the next. Their clock is compressed, but not for the driver: every
second of processor time that it takes passes for all, and so does Ray's measured share for each
item that is handed out. ``--real-time`` runs the same by the real clock, in some 200 seconds.

Not seen: what a network of many nodes adds, in latency or in bytes.
"""

from __future__ import annotations

import heapq
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.record import PeakMemory, save
from geospot_gpu.cluster import Ray, RayPool
from geospot_gpu.cluster.dispatch import Ended, Gone, Joined, Outcome, dispatch
from geospot_gpu.cluster.schedule import Schedule

WORKERS = 256
BLOCKS = 100_000
SECONDS = 0.5
STORING = 0.05
"""Seconds to store a block, meanwhile the next is computed."""
SPREAD = 0.3
"""Of the time that a block takes beside what its cost says: the deviation of its logarithm."""
EMPTY = 5_000
"""Items by which Ray's share is measured."""


@dataclass
class Empty:
    """A job of items that take no time, and its worker."""

    def worker(self, device: str) -> Empty:
        return self

    def compute(self, item: Any) -> Any:
        return item

    def store(self, computed: Any) -> int:
        return len(computed)


def of_ray() -> tuple[float, float]:
    """Seconds of the driver's processor time for an item, and items a second of two workers."""
    items = [(number, "divergence", (number, number + 300)) for number in range(EMPTY)]
    with RayPool(Ray("local", workers=2), "cpu") as pool:
        list(pool.run(Empty(), items[:500], [1.0] * 500))
        wall, processor = time.perf_counter(), time.process_time()
        assert len(list(pool.run(Empty(), items, [1.0] * EMPTY))) == EMPTY
        return (time.process_time() - processor) / EMPTY, EMPTY / (time.perf_counter() - wall)


class Fakes:
    """Workers that only wait.

    Args:
        seconds: that each block takes [K].
        charged: seconds of the driver for each block that it hands out; None runs by the real
            clock.
    """

    def __init__(self, seconds: NDArray[np.float64], charged: float | None) -> None:
        self._seconds, self._charged = seconds, charged
        self._clock, self._returned = 0.0, time.process_time()
        self._began = time.perf_counter()
        self._computed = [0.0] * WORKERS  # when each has computed, and stored, what it was given
        self._stored = [0.0] * WORKERS
        self._due: list[tuple[float, int, Joined | Ended]] = [
            (0.0, worker, Joined(worker, f"node {worker // 8}")) for worker in range(WORKERS)
        ]
        self.last = 0.0

    def now(self) -> float:
        if self._charged is None:
            return time.perf_counter() - self._began
        return self._clock

    def hand(self, worker: int, item: int) -> None:
        now = self.now()
        if self._charged is not None:
            self._clock = now = now + self._charged
        taken = float(self._seconds[item])
        computed = max(now, self._computed[worker]) + taken
        stored = max(computed, self._stored[worker]) + STORING
        self._computed[worker], self._stored[worker] = computed, stored
        self.last = max(self.last, stored)
        heapq.heappush(
            self._due, (stored, worker, Ended(worker, item, Outcome(item, seconds=taken)))
        )

    def wait(self, seconds: float) -> list[Joined | Gone | Ended]:
        if self._charged is None:
            until = min(self._due[0][0] if self._due else np.inf, self.now() + seconds)
            time.sleep(max(0.0, until - self.now()))
        else:
            self._clock += time.process_time() - self._returned  # what the driver took meanwhile
            if self._due:
                self._clock = max(self._clock, min(self._due[0][0], self._clock + seconds))
        now, found = self.now(), list[Joined | Gone | Ended]()
        while self._due and self._due[0][0] <= now:
            found.append(heapq.heappop(self._due)[2])
        self._returned = time.process_time()
        return found


def measured(charged: float | None) -> dict[str, object]:
    """How busy the fakes are, and what the driver takes."""
    generator = np.random.default_rng(0)
    costs = generator.uniform(0.5, 1.5, BLOCKS)
    noise = generator.lognormal(0, SPREAD, BLOCKS)
    seconds = SECONDS * costs * noise / (costs * noise).mean()
    with PeakMemory() as peak:
        processor = time.process_time()
        workers = Fakes(seconds, charged)
        done = [item for item, _ in dispatch(Schedule(costs.tolist()), workers)]
        processor = time.process_time() - processor
    assert sorted(done) == list(range(BLOCKS))
    busy = seconds.sum() / (WORKERS * workers.last)
    return {
        "workers busy (asked: 95 %)": f"{busy:.1%}",
        "seconds by the workers' clock": round(workers.last, 1),
        "driver's processor time per block, loop and schedule, us": round(1e6 * processor / BLOCKS),
        "memory of the driver above the start, MiB": round(1024 * peak.gib),
    }


def report() -> dict[str, object]:
    processor, rate = of_ray()
    needed = WORKERS / SECONDS
    figures: dict[str, object] = {
        "of Ray, two real actors and empty items": {
            "driver's processor time per item, us": round(1e6 * processor),
            f"items a second (asked: {needed:.0f})": round(rate),
            f"driver's share of a core at {needed:.0f} items a second": f"{processor * needed:.0%}",
        },
        f"{WORKERS} fakes, {BLOCKS:,} blocks, compressed": measured(processor),
    }
    if "--real-time" in sys.argv:
        figures[f"{WORKERS} fakes, {BLOCKS:,} blocks, by the real clock"] = measured(None)
    return figures


if __name__ == "__main__":
    save("cluster_driver", report())
