"""Run every path on a pretended GPU, beside the same on the CPU, and count launches and waits.

    python -m benchmarks.gpu_checks.pretend                      every path with every kernel
    python -m benchmarks.gpu_checks.pretend --backend triton --storage kept --only nearest

Fails where a path fails, as on a GPU where tensors of two devices meet, where numbers differ, or
where more is launched or waited for than the budget has. Events are over late.
"""

from __future__ import annotations

import argparse
import os
import time
import traceback

if __name__ == "__main__":  # before Triton is imported
    os.environ["TRITON_INTERPRET"] = "1"

import numpy as np
import torch

import geospot_gpu as gs
from benchmarks.gpu_checks import budgets
from benchmarks.gpu_checks.budgets import excess
from benchmarks.gpu_checks.paths import PATHS, sampled
from benchmarks.gpu_checks.pretended import Pretended

KERNELS = (("torch", "kept"), ("torch", "streamed"), ("triton", "kept"), ("triton", "streamed"))
DEVICE = "cuda:1"
"""Not the one that is current."""

MOST_APART = 2e-3
"""Largest difference from the CPU: both are within the solver's tolerance of the truth."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.gpu_checks.pretend")
    parser.add_argument("--backend", choices=["torch", "triton"])
    parser.add_argument("--storage", choices=["kept", "streamed"])
    parser.add_argument("--only", default="", help="paths whose name has these letters")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    regions = sampled(30, 40, 26, 45, most=16)
    bad = []
    for backend, storage in KERNELS:
        if asked.backend in (None, backend) and asked.storage in (None, storage):
            for name in (name for name in PATHS if asked.only in name):
                if not check(name, regions, backend, storage):
                    bad.append(f"{name} ({backend}, {storage})")
    if bad:
        raise SystemExit(f"these paths fail on a GPU: {'; '.join(bad)}")


def check(name: str, regions: gs.Regions, backend: str, storage: str) -> bool:
    """Run a path; whether it went through and agrees with the CPU."""
    gpu, began = Pretended(devices=2, lag=1), time.perf_counter()
    heading = f"{backend:7s} {storage:9s} {name:26s}"
    try:
        with gpu, torch.no_grad():
            if (problem := gpu.probe(DEVICE)) is not None and backend == "triton":
                raise RuntimeError(problem)  # a path would go on with another kernel
            got = PATHS[name](regions, gs.Engine(DEVICE, backend, storage))
    except Exception as error:  # whatever a GPU would have raised
        at = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if "_gpu/" in frame.filename
        ]
        lines = " < ".join(f"{frame.name}: {frame.line}" for frame in reversed(at[-3:]))
        print(f"{heading} FAILED {type(error).__name__}: {error} | {lines}", flush=True)
        return False
    exact = PATHS[name](regions, gs.Engine("cpu"))
    apart = max(float(np.nanmax(np.abs(got[key] - exact[key]))) for key in exact)
    counts = ", ".join(f"{count} {what}" for what, count in sorted(gpu.counts.items()))
    wrong = [] if apart <= MOST_APART else [f"differs by {apart:.1e}"]
    if backend == "triton":  # torch's kernels are what remains where Triton fails
        wrong += excess(gpu.counts, budgets.PATHS[name])
    waits = ", ".join(f"{line} ({count})" for line, count in gpu.where.most_common(3))
    print(
        f"{heading} {'FAILED ' + '; '.join(wrong) if wrong else f'ok {apart:.1e}'} | {counts}, "
        f"{gpu.peak / 2**20:.1f} MiB | {waits} | {time.perf_counter() - began:.0f} s",
        flush=True,
    )
    return not wrong


if __name__ == "__main__":
    main()
