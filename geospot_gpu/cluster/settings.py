"""Where a cluster is, and what each of its workers gets."""

from __future__ import annotations

import re
from dataclasses import dataclass

from geospot_gpu.errors import GeospotError, checks


@dataclass(frozen=True)
class Ray:
    """A Ray cluster, and what each of its workers gets.

    Args:
        address: ``auto``, the cluster that ``RAY_ADDRESS`` names or that this machine is part of,
            and where there is none all of this machine; ``local``, all of this machine in any
            case; or ``ray://host:port``, a cluster elsewhere.
        workers: how many, at most; as many as there is room for if not given, more when nodes join.
        gpus_per_worker: 1, or a part of one that several workers share, or 0 to compute on CPUs; if
            not given 1 where the cluster has GPUs.
        cpus_per_worker: cores, and threads that compute where there is no GPU.

    Raises:
        GeospotError: a value is not understood.

    >>> Ray("local", workers=2).cpus_per_worker
    1
    """

    address: str = "auto"
    workers: int | None = None
    gpus_per_worker: float | None = None
    cpus_per_worker: int = 1

    def __post_init__(self) -> None:
        checks.settle(
            self,
            "engine",
            address=_address,
            workers=checks.optional(lambda value, key: checks.whole(value, key, least=1)),
            gpus_per_worker=checks.optional(_share),
            cpus_per_worker=lambda value, key: checks.whole(value, key, least=1),
        )


def _address(value: object, key: str) -> str:
    text = checks.text(value, key)
    if not re.fullmatch(r"auto|local|ray://[^\s/]+:\d+", text):
        raise GeospotError(
            f"{key}={checks.shown(value)} is unknown: use auto, local or ray://host:port"
        )
    return text


def _share(value: object, key: str) -> float:
    found = checks.number(value, key)
    if not 0 <= found <= 1:
        raise GeospotError(f"{key}={checks.shown(value)}: give 0 to 1, a worker has one GPU")
    return found
