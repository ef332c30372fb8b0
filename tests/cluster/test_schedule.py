"""Whose next an item is: workers here are numbers, and time is what a test says."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import pytest

from geospot_gpu.cluster.dispatch import Ended, Failures, Gone, Joined, Outcome, dispatch
from geospot_gpu.cluster.schedule import TRIES, Schedule

Event = Joined | Gone | Ended


class Simulated:
    """Workers that take simulated time, each one item after another.

    Args:
        seconds: that an item takes at a worker.
        joining: when workers join, and on which machine.
        outcome: of an item at a worker, by how often it was tried before; None where it dies.
    """

    def __init__(
        self,
        seconds: Callable[[int, int], float],
        joining: list[tuple[float, str]],
        outcome: Callable[[int, int, int], Outcome | None] = lambda *_: Outcome(),
    ) -> None:
        self._seconds, self._outcome = seconds, outcome
        self._clock = 0.0
        self._order = 0
        self._due: list[tuple[float, int, Event]] = []
        self._free: dict[int, float] = {}
        self._dead: set[int] = set()
        self.given: list[tuple[int, int]] = []
        for worker, (at, node) in enumerate(joining):
            self._free[worker] = at
            self._push(at, Joined(worker, node))

    def now(self) -> float:
        return self._clock

    def hand(self, worker: int, item: int) -> None:
        tries = sum(item == one for _, one in self.given)
        self.given.append((worker, item))
        if worker in self._dead:
            return
        seconds = self._seconds(worker, item)
        self._free[worker] = max(self._free[worker], self._clock) + seconds
        outcome = self._outcome(worker, item, tries)
        if outcome is None:
            self._dead.add(worker)
            self._push(self._free[worker], Gone(worker, "killed"))
        else:
            done = outcome._replace(seconds=seconds, result=item)
            self._push(self._free[worker], Ended(worker, item, done))

    def wait(self, seconds: float) -> list[Event]:
        if not self._due or self._due[0][0] > self._clock + seconds:
            assert self._due or self._clock < 1e6, "nothing will ever happen"
            self._clock += seconds
            return []
        self._clock, _, event = heapq.heappop(self._due)
        return [event]

    def _push(self, at: float, event: Event) -> None:
        self._order += 1
        heapq.heappush(self._due, (at, self._order, event))


def result(made: Generator[tuple[int, Any], None, Failures]) -> tuple[list[int], Failures]:
    """What was done, in order, and what failed."""
    done: list[int] = []
    while True:
        try:
            item, value = next(made)
        except StopIteration as stop:
            return done, stop.value
        assert item == value
        done.append(item)


def test_largest_first_and_two_at_a_time() -> None:
    workers = Simulated(lambda worker, item: 1.0, [(0.0, "a"), (0.0, "b")])
    done, failures = result(dispatch(Schedule([1, 5, 2, 4, 3, 6]), workers))
    assert sorted(done) == list(range(6))
    assert not failures.items
    assert [item for _, item in workers.given] == [5, 1, 3, 4, 2, 0]
    assert [worker for worker, _ in workers.given[:4]] == [0, 0, 1, 1]


def test_work_is_pulled_so_that_a_slow_worker_does_little() -> None:
    costs = np.random.default_rng(0).uniform(0.5, 2, 400)
    workers = Simulated(
        lambda worker, item: float(costs[item]) * (10 if worker == 0 else 1),
        [(0.0, f"node {k}") for k in range(8)],
    )
    done, _ = result(dispatch(Schedule(costs.tolist()), workers))
    assert sorted(done) == list(range(400))
    # Seven workers and a tenth; what the slow one holds at the end is done by others, too.
    assert workers.now() < 1.1 * costs.sum() / 7.1
    assert sum(worker == 0 for worker, _ in workers.given) < 12


def test_an_item_that_one_worker_never_ends_is_done_by_another() -> None:
    workers = Simulated(
        lambda worker, item: 1e9 if (worker, item) == (0, 0) else 1.0, [(0.0, "a"), (0.0, "b")]
    )
    done, _ = result(dispatch(Schedule([3.0] + [1.0] * 19), workers))
    assert sorted(done) == list(range(20))
    assert workers.now() < 60
    assert workers.given.count((1, 0)) == 1


def test_late_results_of_copies_are_no_results() -> None:
    schedule = Schedule([1.0, 1.0])
    schedule.joined(0, "a")
    schedule.joined(1, "b")
    assert [schedule.next_for(0, 0.0), schedule.next_for(1, 0.0)] == [0, 1]
    assert schedule.ended(1, 1, 1.0, None)
    assert schedule.next_for(1, 1.5) is None, "it is not late yet"
    assert schedule.next_for(1, 9.0) == 0
    assert schedule.ended(1, 0, 1.0, None)
    assert not schedule.ended(0, 0, 9.0, None), "it is done already"
    assert not schedule.ended(0, 0, 9.0, None), "nobody holds it"
    assert schedule.left == 0


def test_a_copy_that_fails_takes_nothing_from_the_other() -> None:
    schedule = Schedule([1.0, 1.0])
    schedule.joined(0, "a")
    schedule.joined(1, "b")
    schedule.next_for(0, 0.0), schedule.next_for(1, 0.0)
    schedule.ended(1, 1, 1.0, None)
    assert schedule.next_for(1, 9.0) == 0
    assert not schedule.ended(1, 0, 1.0, "failed")
    assert schedule.next_for(1, 9.5) is None, "the first worker has it still"
    assert schedule.ended(0, 0, 9.9, None)
    assert (schedule.left, schedule.failed) == (0, {})


def test_items_of_the_dead_go_to_others_alone() -> None:
    """The item that kills dies three times; the one beside it is no suspect for long."""
    workers = Simulated(
        lambda worker, item: 1.0,
        [(0.0, "a"), (0.0, "b"), *((10.0 * k, "c") for k in range(1, 6))],
        lambda worker, item, tries: None if item == 3 else Outcome(),
    )
    done, failures = result(dispatch(Schedule(list(range(10, 0, -1))), workers))
    assert sorted(done) == [item for item in range(10) if item != 3]
    assert failures.items == {3: "killed"}
    assert sum(item == 3 for _, item in workers.given) == TRIES


def test_an_item_is_tried_on_another_machine_each_time() -> None:
    nodes = ["a", "a", "b", "c"]
    workers = Simulated(
        lambda worker, item: 1.0,
        [(0.0, node) for node in nodes],
        lambda worker, item, tries: Outcome(error="no" if item == 0 else None),
    )
    _, failures = result(dispatch(Schedule([1.0] * 40), workers))
    assert failures.items == {0: "no"}
    assert sorted(nodes[worker] for worker, item in workers.given if item == 0) == ["a", "b", "c"]


def test_one_worker_alone_tries_again() -> None:
    workers = Simulated(
        lambda worker, item: 1.0,
        [(0.0, "a")],
        lambda worker, item, tries: Outcome(error="no" if item == 2 and tries < 2 else None),
    )
    done, failures = result(dispatch(Schedule([1.0] * 5), workers))
    assert sorted(done) == list(range(5))
    assert not failures.items


def test_a_machine_that_fails_at_once_does_not_spoil_the_work_of_others() -> None:
    workers = Simulated(
        lambda worker, item: 0.001 if worker < 4 else 1.0,
        [(0.0, "full")] * 4 + [(0.0, "well")] * 2,
        lambda worker, item, tries: Outcome(
            error="full" if worker < 4 else None, refused=worker < 4
        ),
    )
    done, failures = result(dispatch(Schedule([1.0] * 100), workers))
    assert sorted(done) == list(range(100))
    assert not failures.items
    assert workers.now() < 60


def test_where_nobody_can_write_the_rest_is_not_computed() -> None:
    workers = Simulated(
        lambda worker, item: 1.0,
        [(0.0, "a"), (0.0, "b")],
        lambda worker, item, tries: Outcome(error="disk full", refused=True),
    )
    done, failures = result(dispatch(Schedule([1.0] * 1000), workers))
    assert not done
    assert failures.refused
    assert len(workers.given) < 20


def test_who_cannot_compute_the_largest_goes_on_with_the_others() -> None:
    """Errors other than of the disk may be of the items: all are tried."""
    workers = Simulated(
        lambda worker, item: 1.0,
        [(0.0, "a"), (0.0, "b")],
        lambda worker, item, tries: Outcome(error="no memory" if item < 50 else None),
    )
    done, failures = result(dispatch(Schedule([2.0] * 50 + [1.0] * 50), workers))
    assert sorted(done) == list(range(50, 100))
    assert sorted(failures.items) == list(range(50))
    assert not failures.refused


@pytest.mark.parametrize("seed", range(8))
def test_everything_is_done_once_whatever_happens(seed: int) -> None:
    """Workers die, join, fail and dawdle at random; all items that can be done are done."""
    random = np.random.default_rng(seed)
    poison = set(random.choice(200, 3, replace=False).tolist())

    def outcome(worker: int, item: int, tries: int) -> Outcome | None:
        if item in poison:
            return Outcome(error="poison")
        if worker % 5 and random.random() < 0.02:
            return None
        return Outcome(error="by chance" if tries == 0 and random.random() < 0.1 else None)

    joining = [(float(random.uniform(0, 60)), f"node {k % 7}") for k in range(60)]
    costs = random.lognormal(0, 1, 200)
    seconds = lambda worker, item: float(costs[item] * random.lognormal(0, 1))  # noqa: E731
    workers = Simulated(seconds, joining, outcome)
    done, failures = result(dispatch(Schedule(costs.tolist()), workers))
    assert len(done) == len(set(done))
    assert set(done) | failures.items.keys() == set(range(200))
    assert poison <= failures.items.keys()
    assert set(failures.items.values()) <= {"poison", "killed"}
    assert len(failures.items) <= 6
