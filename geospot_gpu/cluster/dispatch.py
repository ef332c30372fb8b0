"""The loop that gives items to workers and takes what they return, whatever workers are."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping
from typing import Any, NamedTuple, Protocol

from geospot_gpu.cluster.schedule import TRIES, Schedule
from geospot_gpu.errors.say import warn_once
from geospot_gpu.progress import note

log = logging.getLogger("geospot_gpu")

WAIT = 0.25
"""Seconds after which workers say at the latest that nothing has happened."""

_REST = 0.5
"""Seconds that a worker rests when it could not write, twice as many each time: disks are emptied,
and other workers join."""


class Outcome(NamedTuple):
    """What became of an item at a worker."""

    result: Any = None
    """What storing it returned."""
    error: str | None = None
    """Why it failed, in one line."""
    trace: str = ""
    """Where it failed, for who mends the code."""
    refused: bool = False
    """Whether it failed as it could not be written, which no other item will be either."""
    seconds: float = 0.0
    """Time spent computing it."""
    warnings: tuple[str, ...] = ()
    """What was warned of meanwhile."""


class Joined(NamedTuple):
    """A worker is there, on a machine."""

    worker: int
    node: str


class Gone(NamedTuple):
    """A worker is not there any more."""

    worker: int
    reason: str


class Ended(NamedTuple):
    """An item has ended at a worker."""

    worker: int
    item: int
    outcome: Outcome


class Workers(Protocol):
    """All that has to be known of workers: how an item gets there, and what happens there."""

    def now(self) -> float:
        """Time in seconds."""

    def hand(self, worker: int, item: int) -> None:
        """Give an item to a worker, and do not wait."""

    def wait(self, seconds: float) -> list[Joined | Gone | Ended]:
        """What has happened since, as soon as anything has, or nothing after some seconds."""


class Failures(NamedTuple):
    """What could not be done."""

    items: Mapping[int, str]
    """Why, by item; the last to fail is the last."""
    error: str
    """The last failure of all."""
    trace: str
    """Where it was."""
    refused: bool
    """Whether items were not tried three times, or at all, as nothing can be written anywhere."""


def dispatch(schedule: Schedule, workers: Workers) -> Generator[tuple[int, Any], None, Failures]:
    """Have all items of a schedule done.

    Yields:
        Each item that is done, once, and its result.

    Returns:
        What failed.
    """
    idle: set[int] = set()
    refusals: dict[int, int] = {}  # of each worker, how often in a row it could not write
    resting: dict[int, float] = {}  # of those that could not, until when they get nothing
    error = trace = ""
    refused = False
    while schedule.left and not refused:
        done: list[tuple[int, Any]] = []
        for event in workers.wait(WAIT):
            idle.add(event.worker)
            if isinstance(event, Joined):
                schedule.joined(event.worker, event.node)
                refusals[event.worker] = 0
            elif isinstance(event, Gone):
                _say_gone(schedule, event)
                refusals.pop(event.worker, None)
            elif event.worker in refusals:
                outcome = event.outcome
                for text in outcome.warnings:
                    warn_once(text)
                if schedule.ended(event.worker, event.item, outcome.seconds, outcome.error):
                    done.append((event.item, outcome.result))
                if outcome.error is not None:
                    error, trace = outcome.error, outcome.trace
                refusals[event.worker] = refusals[event.worker] + 1 if outcome.refused else 0
                if outcome.refused:
                    rest = _REST * 2.0 ** refusals[event.worker]
                    resting[event.worker] = workers.now() + rest
            if not isinstance(event, Ended):
                note(f"{len(schedule.nodes)} workers")
        refused = bool(refusals) and min(refusals.values()) >= TRIES
        now = workers.now()
        for worker in sorted(idle) if not refused else ():
            if now < resting.get(worker, now):
                continue
            while (item := schedule.next_for(worker, now)) is not None:
                workers.hand(worker, item)
                idle.discard(worker)
        idle &= schedule.nodes.keys()
        yield from done
    return Failures(schedule.failed, error, trace, refused)


def _say_gone(schedule: Schedule, event: Gone) -> None:
    node = schedule.nodes.get(event.worker)
    count = schedule.gone(event.worker, event.reason)
    if node is not None:
        log.warning(
            "a worker on %s is gone (%s): its items, %d, go to others", node, event.reason, count
        )
