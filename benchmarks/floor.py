"""What the machine's limit allows: rates measured in the same run, on the same shapes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from benchmarks.record import Stopwatch


def _seconds(run: Callable[[], object], repeat: int) -> float:
    """Median time of one run."""
    run()
    times = []
    for _ in range(repeat):
        with Stopwatch() as watch:
            run()
        times.append(watch.seconds)
    return float(np.median(times))


def rates(rows: int, columns: int, dimension: int, cached_bytes: int) -> dict[str, float]:
    """Seconds per cost entry of a product, an exp and an asin, and per byte read.

    Args:
        rows, columns: shape of a typical problem.
        dimension: length of a feature vector.
        cached_bytes: size of the buffer that bytes are read from again and again.
    """
    x, y = torch.randn(rows, dimension), torch.randn(columns, dimension)
    out = torch.empty(rows, columns)
    values = torch.rand(1 << 18)
    target = torch.empty_like(values)
    buffer = torch.rand(cached_bytes // 4096, 1024)
    vector = torch.rand(1024)
    return {
        "product": _seconds(lambda: torch.mm(x, y.T, out=out), 30) / out.numel(),
        "exp": _seconds(lambda: torch.exp(values, out=target), 100) / values.numel(),
        "asin": _seconds(lambda: torch.asin(values, out=target), 100) / values.numel(),
        "byte": _seconds(lambda: torch.mv(buffer, vector), 30) / buffer.nbytes,
    }


def floor(
    rate: dict[str, float],
    entries: float,
    half_iterations: float,
    *,
    features: bool = True,
    geography: bool = True,
    products: float = 1.0,
) -> float:
    """Seconds for costs of so many entries, read once (four bytes) in each half-iteration.

    Args:
        rate: what :func:`rates` returned.
        entries: cost entries of all problems.
        half_iterations: how often an entry is read, in the mean.
        features, geography: which parts the cost has.
        products: how often the costs are computed.
    """
    each = rate["exp"] + rate["product"] * features + rate["asin"] * geography
    return entries * (products * each + 4.0 * half_iterations * rate["byte"])
