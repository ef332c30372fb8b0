"""Devices: where arrays live and problems are solved."""

from __future__ import annotations

import re

import torch

from geospot_gpu.errors import GeospotError, checks


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
