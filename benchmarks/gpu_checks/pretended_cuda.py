"""What ``torch.cuda`` says and does while a GPU is pretended."""

# torch types what is public of it.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import torch

from benchmarks.gpu_checks.cards import LIMITS
from benchmarks.gpu_checks.pretended_queue import Event, Graph, Queue, Stream


class Cuda:
    """Cards of one kind, of which one is current.

    Args:
        memory: bytes of each.
        devices: how many there are.
        architecture: 90 is that of an H100.
    """

    def __init__(self, memory: int, devices: int, architecture: int) -> None:
        self._memory, self._devices, self._architecture = memory, devices, architecture
        self.current = 0

    def index(self, device: torch.device) -> int:
        """Of a device; the current one where it has no number."""
        index = self.current if device.index is None else device.index
        if index >= self._devices:
            raise RuntimeError(f"there is no {device}")
        return index

    def numbered(self, device: Any) -> Any:
        """The current device, where it is named without its number; anything else as it is."""
        bare = isinstance(device, str | torch.device) and str(device) == "cuda"
        return torch.device("cuda", self.current) if bare else device

    def use(self, device: Any) -> None:
        """In place of ``torch.cuda.set_device``."""
        self.current = self.index(
            torch.device("cuda", device) if isinstance(device, int) else torch.device(device)
        )

    @contextlib.contextmanager
    def on(self, device: Any) -> Iterator[None]:
        """In place of ``torch.cuda.device``."""
        before = self.current
        if device is not None:
            self.use(device)
        try:
            yield
        finally:
            self.current = before

    def said(
        self, queue: Queue, alive: Callable[[], int], peak: Callable[[], int]
    ) -> dict[str, Any]:
        """What stands in ``torch.cuda`` meanwhile, by name."""
        limits, capability = LIMITS[self._architecture], divmod(self._architecture, 10)
        streams = _Streams(queue)
        properties = SimpleNamespace(
            name="pretended",
            total_memory=self._memory,
            major=capability[0],
            minor=capability[1],
            multi_processor_count=132,
            warp_size=32,
            shared_memory_per_block_optin=limits.block,
            shared_memory_per_multiprocessor=limits.multiprocessor,
        )
        return {
            "_lazy_init": lambda: None,
            "is_available": lambda: True,
            "is_initialized": lambda: True,
            "device_count": lambda: self._devices,
            "current_device": lambda: self.current,
            "set_device": self.use,
            "device": self.on,
            "get_device_name": lambda *_: "pretended",
            "get_device_capability": lambda *_: capability,
            "get_device_properties": lambda *_: properties,
            "mem_get_info": lambda *_: (self._memory - alive(), self._memory),
            "memory_allocated": lambda *_: alive(),
            "memory_reserved": lambda *_: alive(),
            "max_memory_allocated": lambda *_: peak(),
            "empty_cache": lambda: None,
            "synchronize": lambda *_: queue.wait(),
            "is_current_stream_capturing": lambda: queue.graph is not None,
            "Event": lambda **_: Event(queue),
            "Stream": lambda *_, **__: Stream(queue),
            "CUDAGraph": lambda **_: Graph(queue),
            "graph_pool_handle": lambda: (0, 0),
            "current_stream": lambda *_: streams.current,
            "default_stream": lambda *_: streams.default,
            "stream": streams.use,
        }


class _Streams:
    """Which stream is current."""

    def __init__(self, queue: Queue) -> None:
        self.current = self.default = Stream(queue)

    @contextlib.contextmanager
    def use(self, stream: Stream | None) -> Iterator[None]:
        """In place of ``torch.cuda.stream``."""
        before, self.current = self.current, stream or self.current
        try:
            yield
        finally:
            self.current = before
