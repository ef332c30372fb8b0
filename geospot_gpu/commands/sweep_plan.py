"""What ``geospot sweep plan=true`` says."""

from __future__ import annotations

import shutil

from geospot_gpu.files.places import Folder, Place
from geospot_gpu.runs.estimate import Estimate
from geospot_gpu.runs.store import Store


def plan(found: Estimate, store: Store, target_error: float | None = None) -> list[str]:
    """Lines of a short text: what there is to do, and what it takes.

    Args:
        found: what the sweep would do.
        store: of its run.
        target_error: what larger samples are taken for.
    """
    lines = [
        f"{found.regions:,} regions, {found.pairs:,} pairs: {found.pairs - found.missing:,} are "
        f"there, {found.missing:,} are missing"
    ]
    if found.missing:
        lines += _costs(found, store.place)
    if target_error is not None:
        lines.append(f"  more     what larger samples take for target error {target_error:g}")
    seconds = "unknown" if found.seconds is None else f"{found.seconds:.1f}"
    return [
        *lines,
        f"nothing was started; without plan=true results go to {store.folder}",
        f"plan pairs={found.pairs} missing={found.missing} blocks={found.blocks} "
        f"seconds={seconds} memory={sum(found.memory)} bytes={found.bytes}",
    ]


def _costs(found: Estimate, place: Place) -> list[str]:
    workers = f"{found.workers} worker{'s' * (found.workers > 1)} on {found.device}"
    sampled = f"from {found.sampled:,} of the pairs, solved just now"
    if found.seconds is None:
        time = f"not known: there is no {found.device} here to measure {workers}"
    else:
        time = f"about {_duration(found.seconds)} of solving by {workers}, {sampled}"
    now, block = found.memory
    disk = f"about {_size(found.bytes)}, {found.bytes / found.missing:.0f} bytes a pair"
    if isinstance(place, Folder):
        there = next(
            p for p in (place.path.absolute(), *place.path.absolute().parents) if p.is_dir()
        )
        disk += f"; {_size(shutil.disk_usage(there).free)} are free"
    return [
        f"  blocks   {found.blocks:,}, of up to {found.largest:,} pairs",
        f"  time     {time}",
        f"  memory   about {_size(now + block)} while it solves: {_size(now)} now, and a block",
        f"  disk     {disk}",
    ]


def _duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> [_duration(seconds) for seconds in (0.4, 75, 9000, 200_000)]
    ['0.4 seconds', '75 seconds', '2.5 hours', '2.3 days']
    """
    for unit, most in (("seconds", 120), ("minutes", 120), ("hours", 48)):
        if seconds < most:
            return f"{seconds:.1f} {unit}" if seconds < 10 else f"{seconds:.0f} {unit}"
        seconds /= 60 if unit != "hours" else 24
    return f"{seconds:.1f} days"


def _size(count: int) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 2**10:.1f} KiB"
