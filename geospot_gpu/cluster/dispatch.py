"""The loop that gives items to workers and takes what they return, whatever workers are."""

from __future__ import annotations

import logging
from collections.abc import Generator
from typing import Any, NamedTuple, Protocol

from geospot_gpu.cluster.schedule import TRIES, Schedule
from geospot_gpu.errors.say import warn_once
from geospot_gpu.progress import note

log = logging.getLogger("geospot_gpu")

WAIT = 0.25
"""Seconds after which workers say at the latest that nothing has happened."""


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

    items: dict[int, str]
    """Why, by item; the last to fail is the last."""
    trace: str
    """Of the last failure."""
    refused: bool
    """Whether the rest was not tried, as nothing can be written anywhere."""


def dispatch(schedule: Schedule, workers: Workers) -> Generator[tuple[int, Any], None, Failures]:
    """Have all items of a schedule done.

    Yields:
        Each item that is done, once, and its result.

    Returns:
        What failed, as the value of the generator.
    """
    refusals: dict[int, int] = {}  # of each worker, how often in a row it could not write
    idle: set[int] = set()
    trace = ""
    while schedule.left:
        done: list[tuple[int, Any]] = []
        for event in workers.wait(WAIT):
            idle.add(event.worker)
            if isinstance(event, Joined):
                schedule.joined(event.worker, event.node)
                refusals[event.worker] = 0
            elif isinstance(event, Gone):
                _say_gone(schedule, event)
                refusals.pop(event.worker, None)
            else:
                outcome = event.outcome
                for text in outcome.warnings:
                    warn_once(text)
                if schedule.ended(event.worker, event.item, outcome.seconds, outcome.error):
                    done.append((event.item, outcome.result))
                if event.worker in refusals:
                    refusals[event.worker] = refusals[event.worker] + 1 if outcome.refused else 0
                trace = outcome.trace or trace
            if not isinstance(event, Ended):
                note(f"{len(schedule.nodes)} workers")
        if refusals and min(refusals.values()) >= TRIES:
            yield from done
            return Failures(schedule.failed, trace, True)
        now = workers.now()
        for worker in sorted(idle):
            while (item := schedule.next_for(worker, now)) is not None:
                workers.hand(worker, item)
                idle.discard(worker)
        idle &= schedule.nodes.keys()
        yield from done
    return Failures(schedule.failed, trace, False)


def _say_gone(schedule: Schedule, event: Gone) -> None:
    node = schedule.nodes.get(event.worker)
    count = schedule.gone(event.worker, event.reason)
    if node is not None:
        log.warning(
            "a worker on %s is gone (%s): its items, %d, go to others", node, event.reason, count
        )
