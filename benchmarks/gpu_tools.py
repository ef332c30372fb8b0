"""Clocks and ceilings of a device: what the floors of the GPU benchmark are made of."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

REPEATS = 5
PATIENCE_S = 20.0
"""A run that takes longer than this is not repeated."""


def seconds(run: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median time of ``run`` on the device, after a warm-up: by events on CUDA, else the clock."""
    times = [_once(run)]
    if times[0] < PATIENCE_S:
        times = [_once(run) for _ in range(repeats)]
    return float(np.median(times))


def _once(run: Callable[[], object]) -> float:
    if not torch.cuda.is_available():
        start = time.perf_counter()
        run()
        return time.perf_counter() - start
    event: Any = torch.cuda.Event
    first, last = event(enable_timing=True), event(enable_timing=True)
    torch.cuda.synchronize()
    first.record()
    run()
    last.record()
    torch.cuda.synchronize()
    return float(first.elapsed_time(last)) / 1000.0


@dataclass(frozen=True)
class Ceilings:
    """Measured rates of the device, per second."""

    product_flops: float
    """Of a float16 matrix product with float32 sums, on random data."""
    bytes_moved: float
    """Of a copy, read plus written."""
    exponentials: float
    arcsines: float
    """As polynomials with a square root, which is how costs take them."""

    @staticmethod
    def measure(device: str, *, tiny: bool) -> Ceilings:
        side, size = (256, 1 << 16) if tiny else (8192, 1 << 30)
        x = torch.randn(side, side, device=device).half()
        y = torch.randn(side, side, device=device).half()
        product = seconds(lambda: torch.mm(x, y))
        return Ceilings(
            product_flops=2.0 * side**3 / product,
            bytes_moved=_bandwidth(device, size),
            exponentials=_rate(device, arcsine=False, tiny=tiny),
            arcsines=_rate(device, arcsine=True, tiny=tiny),
        )


def _bandwidth(device: str, size: int) -> float:
    """Bytes per second of a copy of ``size`` random int32, read plus written."""
    source = torch.empty(size, dtype=torch.int32, device=device).random_()
    to = torch.empty_like(source)
    return 8.0 * size / seconds(lambda: to.copy_(source))


def _rate(device: str, *, arcsine: bool, tiny: bool) -> float:
    """Evaluations per second of a function on values that stay in registers."""
    from benchmarks.gpu_rates import chain

    programs, length = (4, 8) if tiny else (1 << 14, 512)
    out = torch.empty(programs * 1024, device=device)
    taken = seconds(lambda: chain[(programs,)](out, LENGTH=length, ARCSINE=arcsine, BLOCK=1024))
    return programs * 1024 * length / taken


def floor(
    ceilings: Ceilings, entries: float, features: int, geography: bool, bytes_read: float
) -> dict[str, float]:
    """Seconds below which no version goes that computes every cost once, part by part.

    Args:
        ceilings: what the device can do.
        entries: costs of all problems.
        features: D, or 0 without features.
        geography: whether costs have a great circle.
        bytes_read: of costs, by all iterations together.
    """
    parts = {
        "one matrix product": 2.0 * entries * features / ceilings.product_flops,
        "one exponential per cost": entries / ceilings.exponentials,
        "one arcsine per cost": entries / ceilings.arcsines if geography else 0.0,
        "costs read by iterations": bytes_read / ceilings.bytes_moved,
    }
    return parts | {"sum": sum(parts.values())}
