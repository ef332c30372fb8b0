"""Which item is whose next: plain bookkeeping, which knows no cluster and does not wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

TRIES = 3
"""How often an item may fail before it is given up."""

_LATE = 2.0
"""An item that takes so many times what it should take is given to another worker, too."""
_LEAST_LATE = 1.0
"""Seconds that are no delay, whatever an item should take."""
_LOOK_EVERY = 0.25
"""Seconds between two searches for items that are late."""
_LOOK_AT = 16
"""Of the items to be tried again, how many a worker looks at for one that is new to it."""


class Schedule:
    """Items that wait, are held by workers, or have ended; the largest are given out first.

    A worker holds two, so that it computes one while it stores the other; towards the end one, so
    that none waits behind another while workers have nothing to do.

    Args:
        costs: of each item [K], in proportion to the time that it takes.

    Attributes:
        left: how many items have not ended.
        failed: why, of those that were given up.
        nodes: of each worker that is there, the machine.
    """

    def __init__(self, costs: Sequence[float]) -> None:
        self._costs = np.maximum(np.asarray(costs, np.float64), 1e-12)
        self._fresh = deque(np.argsort(-self._costs, kind="stable").tolist())
        self._again: deque[int] = deque()
        self._ended = bytearray(len(self._costs))
        self._held: dict[int, dict[int, float]] = {}  # by worker, when each item was given to it
        self._copies: dict[int, int] = {}  # of items that are held, by how many workers
        self._tried: dict[int, list[tuple[int, str]]] = {}  # of items that failed, where
        self._alone: set[int] = set()  # items that were held by a worker that died
        self._seconds = self._done = 0.0  # spent on items that are done, and their cost
        self._late: list[int] = []
        self._looked = -np.inf
        self.left = len(self._costs)
        self.failed: dict[int, str] = {}
        self.nodes: dict[int, str] = {}

    def joined(self, worker: int, node: str) -> None:
        """A worker is there."""
        self.nodes[worker] = node
        self._held[worker] = {}

    def gone(self, worker: int, reason: str) -> int:
        """A worker is gone, with what it held; how many items that were.

        One of them may have killed it, and goes next to a worker that holds nothing else.
        """
        if worker not in self.nodes:
            return 0
        node, held = self.nodes[worker], self._held.pop(worker)
        for item in held:
            self._alone.add(item)
            self._fail(item, worker, node, reason)
        del self.nodes[worker]
        return len(held)

    def ended(self, worker: int, item: int, seconds: float, error: str | None) -> bool:
        """An item has ended at a worker; whether it is done now, and was not before."""
        if self._held.get(worker, {}).pop(item, None) is None:
            return False
        if error is not None:
            self._fail(item, worker, self.nodes[worker], error)
            return False
        self._seconds += seconds
        self._done += float(self._costs[item])
        self._drop_copy(item)
        if self._ended[item]:
            return False
        self._end(item)
        return True

    def next_for(self, worker: int, now: float) -> int | None:
        """The item that a worker is to do next; None where there is none for it now."""
        held = self._held.get(worker)
        if held is None or (held and not self._alone.isdisjoint(held)):
            return None
        if len(held) >= (2 if len(self._fresh) >= len(self.nodes) else 1):
            return None
        item = self._to_try_again(worker, nothing_held=not held)
        if item is None and self._fresh:
            item = self._fresh.popleft()
        if item is None and not held:
            item = self._late_item(worker, now)
        if item is not None:
            held[item] = now
            self._copies[item] = self._copies.get(item, 0) + 1
        return item

    def _end(self, item: int) -> None:
        self._ended[item] = 1
        self.left -= 1
        self._tried.pop(item, None)
        self._alone.discard(item)

    def _drop_copy(self, item: int) -> int:
        copies = self._copies.pop(item) - 1
        if copies:
            self._copies[item] = copies
        return copies

    def _fail(self, item: int, worker: int, node: str, error: str) -> None:
        copies = self._drop_copy(item)
        if self._ended[item]:
            return
        tried = self._tried.setdefault(item, [])
        tried.append((worker, node))
        if copies:
            return  # another worker has it, too
        if len(tried) >= TRIES:
            self._end(item)
            self.failed[item] = error
        else:
            self._again.append(item)

    def _to_try_again(self, worker: int, nothing_held: bool) -> int | None:
        for position, item in enumerate(self._again):
            if position == _LOOK_AT:
                break
            if (nothing_held or item not in self._alone) and self._is_elsewhere(item, worker):
                del self._again[position]
                return item
        return None

    def _is_elsewhere(self, item: int, worker: int) -> bool:
        """Whether an item should be tried at a worker: on another machine, where there is one."""
        tried = self._tried.get(item, ())
        machines = set(self.nodes.values()) - {node for _, node in tried}
        if machines:
            return self.nodes[worker] in machines
        workers = self.nodes.keys() - {one for one, _ in tried}
        return worker in workers or not workers

    def _late_item(self, worker: int, now: float) -> int | None:
        """An item that one other worker has had for too long, the latest first."""
        if now - self._looked >= _LOOK_EVERY:
            self._looked = now
            self._late = self._find_late(now)
        while self._late:
            item = self._late.pop()
            alone = self._copies.get(item) == 1 and not self._ended[item]
            if (
                alone
                and len(self._tried.get(item, ())) < TRIES
                and self._is_elsewhere(item, worker)
            ):
                return item
        return None

    def _find_late(self, now: float) -> list[int]:
        if not self._done:
            return []
        late = []
        for held in self._held.values():
            expected = 0.0
            for item, since in held.items():
                expected += float(self._costs[item]) * self._seconds / self._done
                delay = (now - since) / max(_LATE * expected, _LEAST_LATE)
                if delay > 1:
                    late.append((delay, item))
        return [item for _, item in sorted(late)]
