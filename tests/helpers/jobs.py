"""A job for pools: items that do what a test wants of them, on workers that leave traces."""

from __future__ import annotations

import errno
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.say import warn_once
from geospot_gpu.files import unwritable


class Task(NamedTuple):
    """An item: a number to square, and what happens meanwhile."""

    number: int
    does: str = ""
    """``die``, ``die once``, ``fail``, ``fail twice``, ``warn``; ``wait`` until there is a file
    ``go on``; ``meet 3``: wait until so many workers have begun an item; or nothing."""
    seconds: float = 0.0


class Square(NamedTuple):
    """What an item gives."""

    number: int
    square: int
    worker: int
    """Process that did it."""


@dataclass
class Squares:
    """The job: squares, looked up in a table that all workers share.

    Args:
        folder: where workers leave a file for each try of an item, and for each item stored.
        table: squares; None where no worker can begin.
        full: name of a file beside which nothing can be written, where it exists.
    """

    folder: Path
    table: Any = field(default_factory=lambda: np.arange(1000) ** 2)

    def worker(self, device: str) -> Squarer:
        if self.table is None:
            raise GeospotError("there is no table of squares")
        return Squarer(self, device)


class Squarer:
    """A worker."""

    def __init__(self, job: Squares, device: str) -> None:
        self._job, self.device = job, device

    def compute(self, item: Task) -> Square:
        tries = self._tries(item)
        if item.does == "die" or (item.does == "die once" and tries == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        if item.does == "fail" or (item.does == "fail twice" and tries <= 2):
            raise ValueError(f"{item.number} is no number\nto square")
        if item.does == "warn":
            warn_once("squares are large")
        (self._job.folder / f"worker-{os.getpid()}").touch()
        while item.does == "wait" and not (self._job.folder / "go on").exists():
            time.sleep(0.01)
        if item.does.startswith("meet"):
            while len(list(self._job.folder.glob("worker-*"))) < int(item.does.split()[1]):
                time.sleep(0.01)
        slow = (self._job.folder / f"slow-{os.getpid()}").exists()
        time.sleep(item.seconds * (10 if slow else 1))
        return Square(item.number, int(self._job.table[item.number]), os.getpid())

    def store(self, computed: Square) -> Square:
        if (self._job.folder / f"full-{os.environ.get('DISK')}").exists():
            raise unwritable(Path("run/pairs"), OSError(errno.ENOSPC, "full"))
        (self._job.folder / f"stored-{computed.number}").touch()
        return computed

    def _tries(self, item: Task) -> int:
        number = 1
        while True:
            try:
                (self._job.folder / f"try-{item.number}-{number}").touch(exist_ok=False)
            except FileExistsError:
                number += 1
            else:
                return number


def tries(folder: Path, number: int) -> int:
    """How often an item was begun."""
    return len(list(folder.glob(f"try-{number}-*")))
