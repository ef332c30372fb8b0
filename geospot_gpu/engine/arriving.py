"""Results on their way from a device to the host, while it goes on with the next batch."""

from __future__ import annotations

import torch
from torch import Tensor

from geospot_gpu.arrays import Columns

Found = dict[str, Tensor]
"""Columns of a batch of B problems, each [B], on its device."""


class Arriving:
    """Columns of a batch of B problems, all of them in one copy.

    Args:
        found: the columns, each [B], on one device; float64 holds their numbers.
    """

    def __init__(self, found: Found) -> None:
        self._types = {name: values.dtype for name, values in found.items()}
        device = next(iter(found.values())).device
        self._columns, self._copied = found, list[torch.cuda.Event]()
        if device.type == "cuda":
            stacked = torch.stack([values.double() for values in found.values()])
            with torch.cuda.device(device):
                host = torch.empty(stacked.shape, dtype=stacked.dtype, pin_memory=True)
                host.copy_(stacked, non_blocking=True)
                self._copied.append(torch.cuda.current_stream(device).record_event())
            self._columns = dict(zip(found, host, strict=True))

    def columns(self) -> Columns:
        """The columns; waits until they are there."""
        for event in self._copied:
            event.synchronize()
        found = zip(self._columns.items(), self._types.values(), strict=True)
        return {name: values.to(dtype).numpy() for (name, values), dtype in found}
