"""Looks at numbers on a device that do not wait for it."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import torch
from torch import Tensor

AHEAD = 8
"""Looks that may be under way at once."""


class Looks:
    """A small tensor as the host knows it: as it is on a CPU, and as it was of late on a GPU.

    There every look begins a copy into pinned memory, and asks which of those begun before have
    arrived. Only a host that is :data:`AHEAD` looks ahead waits, for the oldest of them.

    Args:
        values: the tensor, which changes in place.
    """

    def __init__(self, values: Tensor) -> None:
        self._values, self._seen = values, torch.ones_like(values, device="cpu")
        self._under_way: deque[tuple[Tensor, Any]] = deque()
        self._free: list[Tensor] = []

    def look(self) -> Tensor:
        """The values, on the CPU; ones, as long as none have arrived."""
        if self._values.device.type != "cuda":
            return self._values
        place = self._free.pop() if self._free else self._pinned()
        event: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
        place.copy_(self._values, non_blocking=True)
        event.record(torch.cuda.current_stream(self._values.device))
        self._under_way.append((place, event))
        self._receive()
        while len(self._under_way) >= AHEAD:
            time.sleep(0)
            self._receive()
        return self._seen

    def _receive(self) -> None:
        while self._under_way and self._under_way[0][1].query():
            place, _ = self._under_way.popleft()
            self._seen.copy_(place)
            self._free.append(place)

    def _pinned(self) -> Tensor:
        return torch.empty(self._values.shape, dtype=self._values.dtype, pin_memory=True)
