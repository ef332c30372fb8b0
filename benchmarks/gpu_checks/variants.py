"""How many variants of each pass Triton would compile.

    python -m benchmarks.gpu_checks.variants

Triton compiles a pass anew for every set of constants, and for numbers that are 1 or divisible by
16 if it is not told to leave them: a sweep whose sizes differ may compile for minutes. Whole sweeps
run on a pretended GPU here; their launches go through Triton's own binding and specialisation, and
what would be compiled is counted. Nothing is launched, so that no number means anything.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections import defaultdict
from functools import cache
from typing import Any, Self
from unittest import mock

if __name__ == "__main__":  # before Triton is imported
    os.environ["TRITON_INTERPRET"] = "1"

import numpy as np
import torch
from torch.utils._python_dispatch import _disable_current_modes
from triton.backends.compiler import GPUTarget
from triton.runtime.driver import driver
from triton.runtime.interpreter import InterpretedFunction
from triton.runtime.jit import JITFunction, compute_cache_key

import geospot_gpu as gs
from benchmarks.gpu_checks.budgets import VARIANTS
from benchmarks.gpu_checks.paths import sampled
from benchmarks.gpu_checks.pretended import Pretended
from benchmarks.gpu_checks.pretended_tensor import unwrapped
from geospot_gpu.kernels import gpu
from geospot_gpu.kernels.gpu import loop

SIZES = (
    [16, 48, 64, 32], [1, 17, 33, 50], [100, 250, 90, 300], [129, 1, 77, 640], [1024, 16, 1025],
    [2048, 7, 160], [2049, 5], [999, 31, 513], [127, 128, 129, 130],
)  # fmt: skip
"""Of the regions of each sweep: divisible by 16 or not, few and many, alike and not."""


class Driver:
    """In place of the driver of a GPU that is not here."""

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return device

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cuda", 0)


class Looks:
    """In place of what the host knows of an iteration, which nothing computes here."""

    def __init__(self, left: torch.Tensor) -> None:
        self._times = 8

    def look(self) -> torch.Tensor:
        self._times -= 1
        return torch.tensor([self._times, 1], device="cpu")


class Variants:
    """Counts what would be compiled; a context, within a pretended GPU."""

    def __init__(self) -> None:
        self.found: dict[str, set[str]] = defaultdict(set)
        """Variants by pass."""

    def __enter__(self) -> Self:
        self._patches = contextlib.ExitStack()
        self._patches.enter_context(mock.patch.object(driver, "_active", Driver()))

        def launch(kernel: Any, *arguments: Any, grid: Any, warmup: bool, **constants: Any) -> None:
            plain = unwrapped(arguments)
            with _disable_current_modes():
                _, keys, _, _, bind = compiler(kernel).device_caches[0]
                options = {"debug": False, "instrumentation_mode": ""} | constants
                _, specialization, options = bind(*plain, **options)
                key = compute_cache_key(keys, specialization, options)
            self.found[kernel.__name__].add(str(key))

        self._patches.enter_context(mock.patch.object(InterpretedFunction, "run", launch))
        self._patches.enter_context(mock.patch.object(loop, "Looks", Looks))
        return self

    def __exit__(self, *_: object) -> None:
        self._patches.close()

    @property
    def counts(self) -> dict[str, int]:
        """How many, by pass."""
        return {name: len(keys) for name, keys in sorted(self.found.items())}


@cache
def compiler(kernel: Any) -> Any:
    """The pass as it would be compiled."""
    return JITFunction(kernel.fn, **kernel.kwargs)


def count(variants: Variants, sizes: list[int], storage: str, features: int = 64) -> None:
    """Add the variants of a sweep of all default columns."""
    regions = sampled(*sizes, features=features, most=2 * max(sizes))
    solver = gs.Sinkhorn(max_iterations=3)
    outputs = ("divergence", "std_error", "bias", "coverage", "nearest")
    with (
        Pretended(),
        mock.patch.object(gpu, "triton_problem", return_value=None),
        variants,
        torch.no_grad(),
        contextlib.suppress(FloatingPointError),
    ):
        engine = gs.Engine("cuda:0", "triton", storage)
        gs.pairwise(regions, solver=solver, outputs=outputs, engine=engine)


def excess(counts: dict[str, int]) -> list[str]:
    """Passes that have more variants than their budget."""
    return [
        f"{name}: {n} variants, {VARIANTS.get(name, 0)} allowed"
        for name, n in counts.items()
        if n > VARIANTS.get(name, 0)
    ]


def main() -> None:
    torch.set_num_threads(1)
    np.seterr(all="ignore")
    variants, chosen = Variants(), SIZES[: int(sys.argv[1]) if sys.argv[1:] else None]
    for sizes in chosen:
        for storage in ("kept", "streamed"):
            count(variants, sizes, storage)
        print(
            f"{sum(variants.counts.values()):4d} after {sizes!s:24s} {variants.counts}", flush=True
        )
    if bad := excess(variants.counts):
        raise SystemExit("; ".join(bad))


if __name__ == "__main__":
    main()
