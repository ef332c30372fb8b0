"""What a pretended GPU does later than it is asked to: streams, events, copies, graphs.

A copy between pinned memory and the device that is not waited for is under way until an event that
was recorded behind it is over, or the host waits. Until then its target has nonsense, so that code
which reads too early shows; a pinned source that changes meanwhile raises.

While a graph is captured nothing runs, and what would wait raises, as in CUDA. A replay runs it all
in order; it raises where memory from outside the graph is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from typing import NamedTuple

import torch

WAIT, EVENT, REPLAY, NODE = "waits", "waits for an event", "graph replays", "launches in graphs"


class Copy(NamedTuple):
    """One that is under way."""

    to: torch.Tensor | None
    """On the host; None where the device is the target."""
    values: torch.Tensor
    source: torch.Tensor | None
    """On the host; its values may not change."""


class Queue:
    """Work that is asked for and not known to be done; all streams share it.

    Args:
        counts: of the GPU.
        note: called where the host waits.
        memory: addresses of what is allocated.
        lag: how often an event says that it is not over yet.
    """

    def __init__(
        self,
        counts: Counter[str],
        note: Callable[[], None],
        memory: Collection[int],
        lag: int = 0,
    ) -> None:
        self.counts, self.memory, self.lag = counts, memory, lag
        self.graph: Graph | None = None
        """That is captured."""
        self._note, self._copies = note, list[Copy]()

    def begin(self, copy: Copy) -> None:
        """Begin a copy."""
        if copy.to is not None:
            spoil(copy.to)
        self._copies.append(copy)

    @property
    def under_way(self) -> list[Copy]:
        """Copies now."""
        return list(self._copies)

    def finish(self, copies: list[Copy] | None = None) -> None:
        """End copies; all of them where none are named."""
        done = {id(copy) for copy in (self._copies if copies is None else copies)}
        ended = [copy for copy in self._copies if id(copy) in done]
        self._copies = [copy for copy in self._copies if id(copy) not in done]
        for copy in ended:
            if copy.to is not None:
                copy.to.copy_(copy.values)
            elif copy.source is not None and not _same(copy.source, copy.values):
                raise RuntimeError("pinned memory was written while it was copied to the device")

    def wait(self) -> None:
        """The host waits for all that it asked for."""
        self.forbid("a wait")
        self._note()
        self.finish()

    def forbid(self, what: str) -> None:
        """Raise, where a graph is captured."""
        if self.graph is not None:
            raise RuntimeError(f"{what}: operation not permitted when stream is capturing")


class Event:
    """In place of ``torch.cuda.Event``."""

    def __init__(self, queue: Queue) -> None:
        self._queue, self._behind, self._polls, self._over = queue, list[Copy](), 0, True

    def record(self, *_: object) -> None:
        """Behind all that was asked for so far."""
        self._queue.forbid("an event that the host asks about")
        self._behind, self._polls, self._over = self._queue.under_way, 0, False

    def query(self) -> bool:
        """Whether it is over."""
        if self._over:
            return True
        self._polls += 1
        if self._polls <= self._queue.lag:
            return False
        self._end()
        return True

    def synchronize(self) -> None:
        """Wait for it, where it is not known to be over."""
        if not self._over:
            self._queue.forbid("a wait")
            self._queue.counts[EVENT] += 1
            self._end()

    def wait(self, *_: object) -> None:
        """A stream waits, the host does not."""

    def _end(self) -> None:
        self._over = True
        self._queue.finish(self._behind)


class Stream:
    """In place of ``torch.cuda.Stream``: all run in the order in which they are asked."""

    _made = 0

    def __init__(self, queue: Queue) -> None:
        Stream._made += 1
        self.cuda_stream, self._queue = Stream._made, queue

    def synchronize(self) -> None:
        """Wait for what runs."""
        self._queue.wait()

    def query(self) -> bool:
        """Whether all is done."""
        return not self._queue.under_way

    def record_event(self, event: Event | None = None) -> Event:
        """An event behind all that was asked for."""
        event = event or Event(self._queue)
        event.record()
        return event

    def wait_event(self, event: Event) -> None:
        """The host does not wait."""

    def wait_stream(self, stream: Stream) -> None:
        """The host does not wait."""


class Graph:
    """In place of ``torch.cuda.CUDAGraph``."""

    def __init__(self, queue: Queue) -> None:
        self._queue, self._work, self._ready = queue, list[Callable[[], object]](), False
        self._before, self._outside = set[int](), set[int]()
        self.launches = 0
        """Of a replay."""

    def capture_begin(self, *_: object, **__: object) -> None:
        """From here on nothing runs."""
        self._queue.forbid("a capture within a capture")
        self._queue.graph, self._before = self, set(self._queue.memory)

    def capture_end(self) -> None:
        """From here on all runs again."""
        if self._queue.graph is not self:
            raise RuntimeError("this graph is not captured")
        self._queue.graph, self._ready = None, True

    def record(self, work: Callable[[], object], memory: set[int], launches: int) -> None:
        """Add work on memory at these addresses."""
        self._work.append(work)
        self._outside |= memory & self._before
        self.launches += launches

    def replay(self) -> None:
        """Run it."""
        self._queue.forbid("a replay within a capture")
        if not self._ready:
            raise RuntimeError("a graph was replayed that was not captured")
        if not self._outside <= set(self._queue.memory):
            raise RuntimeError("a graph was replayed on memory that is gone")
        self._queue.counts[REPLAY] += 1
        self._queue.counts[NODE] += self.launches
        for work in self._work:
            work()

    def reset(self) -> None:
        """Forget it."""
        self._work, self._outside, self.launches, self._ready = [], set(), 0, False

    def pool(self) -> tuple[int, int]:
        """Of memory: that of a graph stays with it."""
        return (0, id(self))


def spoil(values: torch.Tensor) -> None:
    """Write what shows where it is read before it is computed."""
    if values.is_floating_point():
        values.fill_(torch.nan)
    elif values.dtype != torch.bool:
        values.fill_(torch.iinfo(values.dtype).max)


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Bit for bit, NaN too."""
    return bool(((one == other) | ((one != one) & (other != other))).all())
