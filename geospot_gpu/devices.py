"""Devices: where arrays live and problems are solved, and how arrays get there."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from geospot_gpu.errors import GeospotError, checks

_PIECE_BYTES = 64 << 20
"""Of an array that is copied piece by piece: far more than a copy needs to run at full speed."""

IN_FLIGHT = 3
"""Blocks of a stream of them that are on the device at most."""


def device_name(value: object) -> str:
    """The name of a device, there or not: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.

    Raises:
        GeospotError: it is none of these.
    """
    name = str(value) if isinstance(value, str | torch.device) else ""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        shown = checks.shown(value)
        raise GeospotError(f"device={shown} is unknown: use auto, cpu, cuda or cuda:1")
    return name


def find_device(value: str | torch.device) -> torch.device:
    """The device of that name; ``auto`` is a GPU if there is one.

    Raises:
        GeospotError: there is no such device here.

    >>> find_device("cpu")
    device(type='cpu')
    """
    name = device_name(value)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda"):
        if not torch.cuda.is_available():
            raise GeospotError(
                f"device={name}: there is no CUDA device here; use device=cpu or auto"
            )
        number = int(name.partition(":")[2] or 0)
        if number >= torch.cuda.device_count():
            raise GeospotError(
                f"device={name}: there are only {torch.cuda.device_count()} CUDA devices"
            )
    return torch.device(name)


def upload(values: Tensor, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Values on a device; from the host through pinned memory, and nothing is waited for.

    Args:
        values: an array, on any device; in pieces where it is large.
        device: where to.
        dtype: their type there; as it is if not given.

    >>> upload(torch.ones(2), torch.device("cpu"))
    tensor([1., 1.])
    """
    dtype = values.dtype if dtype is None else dtype
    if device.type != "cuda" or values.device.type != "cpu":
        return values.to(device, dtype)
    pieces = row_pieces(values)
    if len(pieces) < 2:
        with torch.cuda.device(device):
            return _pinned(values, dtype).to(device, non_blocking=True)
    found = torch.empty(values.shape, dtype=dtype, device=device)
    blocks = ((_pinned(values[piece], dtype),) for piece in pieces)
    for piece, (block,) in zip(pieces, streamed(blocks, device), strict=True):
        found[piece] = block
    return found


def streamed(
    blocks: Iterable[tuple[Tensor, ...]], device: torch.device
) -> Iterator[tuple[Tensor, ...]]:
    """Blocks of arrays on a device, one after another, however many there are.

    On a GPU the next block is read and copied, through pinned memory and on a stream of its own,
    while kernels work on the present one: the caller should launch those, and wait for nothing.
    :data:`IN_FLIGHT` blocks are on the device at most.

    Args:
        blocks: of arrays on the host, or on the device already; read one ahead of what is given.
        device: where to.
    """
    if device.type != "cuda":
        yield from (tuple(values.to(device) for values in block) for block in blocks)
        return
    copying = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    ahead: tuple[tuple[Tensor, ...], torch.cuda.Event] | None = None
    worked_on: deque[torch.cuda.Event] = deque()
    for block in blocks:
        staged = [_pinned(x, x.dtype) if x.device.type == "cpu" else x for x in block]
        if len(worked_on) == IN_FLIGHT - 1:
            worked_on.popleft().synchronize()
        with torch.cuda.stream(copying):
            moved = tuple(values.to(device, non_blocking=True) for values in staged)
        begun = moved, copying.record_event()
        if ahead is not None:
            yield _arrived(*ahead, device)
            worked_on.append(torch.cuda.current_stream(device).record_event())
        ahead = begun
    if ahead is not None:
        yield _arrived(*ahead, device)


def row_pieces(values: Tensor) -> list[slice]:
    """Slices of rows of an array, of some 64 MiB each."""
    rows = max(1, _PIECE_BYTES * max(1, len(values)) // max(1, values.nbytes))
    return [slice(low, min(len(values), low + rows)) for low in range(0, len(values), rows)]


def _pinned(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Values of the host in memory that the device copies from by itself."""
    return torch.empty(values.shape, dtype=dtype, pin_memory=True).copy_(values)


def _arrived(
    moved: tuple[Tensor, ...], copied: torch.cuda.Event, device: torch.device
) -> tuple[Tensor, ...]:
    """A block that the present stream may work on: it begins when the copy is done."""
    present = torch.cuda.current_stream(device)
    present.wait_event(copied)
    for values in moved:
        values.record_stream(present)  # its memory is taken again only when that is through
    return moved
