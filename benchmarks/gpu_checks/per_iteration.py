"""Launches and waits of one iteration, on a pretended GPU.

    python -m benchmarks.gpu_checks.per_iteration            prints, and writes the results
    python -m benchmarks.gpu_checks.per_iteration kept       of the cases with these letters

Each case iterates some times, and twice as often: what comes on top, divided. They are counts, not
times.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import NamedTuple

if __name__ == "__main__":  # before Triton is imported
    os.environ["TRITON_INTERPRET"] = "1"

import numpy as np
import torch

import geospot_gpu as gs
from benchmarks.gpu_checks.paths import sampled
from benchmarks.gpu_checks.pretended import EVENT, LAUNCH, TRITON, WAIT, Pretended
from benchmarks.record import write
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.kernels import make_kernel
from geospot_gpu.kernels.contract import IterationSettings, Kernel
from geospot_gpu.kernels.iterate import iterate, step_by_step
from geospot_gpu.sinkhorn.coverage import damping

EPSILON, RHO = 0.05, 0.05
NEVER = -1.0
"""A tolerance that no problem reaches."""


class Case(NamedTuple):
    """What is iterated, and how."""

    backend: str
    storage: str
    settings: IterationSettings = IterationSettings(NEVER, 0)
    exact: bool = False
    """On exact costs, as a kernel's last iterations are."""
    of_nearest: bool = False
    """Not an iteration at all, but the nearest costs, once."""


_COVERAGE = IterationSettings(NEVER, 0, damping=damping(RHO, EPSILON))

CASES = {
    "divergence, triton kept": Case("triton", "kept"),
    "divergence, triton streamed": Case("triton", "streamed"),
    "divergence, triton, exact costs": Case("triton", "kept", exact=True),
    "divergence, triton kept, not relaxed": Case(
        "triton", "kept", IterationSettings(NEVER, 0, relaxed=False)
    ),
    "self term, triton kept": Case("triton", "kept", IterationSettings(NEVER, 0, symmetric=True)),
    "coverage, triton kept": Case("triton", "kept", _COVERAGE),
    "coverage, triton streamed": Case("triton", "streamed", _COVERAGE),
    "nearest (once), triton kept": Case("triton", "kept", of_nearest=True),
    "divergence, torch kept": Case("torch", "kept"),
    "coverage, torch kept": Case("torch", "kept", _COVERAGE),
    "nearest (once), torch kept": Case("torch", "kept", of_nearest=True),
    "divergence, torch streamed": Case("torch", "streamed"),
    "coverage, torch streamed": Case("torch", "streamed", _COVERAGE),
    "nearest (once), torch streamed": Case("torch", "streamed", of_nearest=True),
}


class Counts(NamedTuple):
    """Of one iteration."""

    launches: float
    """By torch."""
    triton: float
    waits: float
    """Numbers that the host needs before it goes on."""
    events: float
    """Waits for copies that were begun some iterations before."""
    operations: dict[str, float]
    """Launches by operation."""


def count(case: Case, times: int = 16) -> Counts:
    """Launches and waits of one iteration; ``times`` is 16 or a multiple of it.

    An iteration looks at its flags every 8 times, and sees those of the look before: it goes on for
    so long when all is solved.
    """
    if case.of_nearest:
        return _each(_counted(case, 0), 1)
    few, many = _counted(case, times), _counted(case, 2 * times)
    return _each((many[0] - few[0], many[1] - few[1]), times)


def _counted(case: Case, iterations: int) -> tuple[Counter[str], Counter[str]]:
    """Counts and operations of the pretended GPU, the making of the kernel left out."""
    with Pretended() as gpu, torch.no_grad():
        kernel = _kernel(case)
        gpu.counts.clear()
        gpu.operations.clear()
        settings = case.settings._replace(max_iterations=iterations)
        if case.of_nearest:
            kernel.nearest()
        elif case.exact:
            step_by_step(kernel, settings)
        else:
            iterate(kernel, settings)
        return Counter(gpu.counts), Counter(gpu.operations)


def _kernel(case: Case) -> Kernel:
    """Of two problems between regions of different sizes."""
    regions = sampled(12, 9, 7, 10, features=8)
    method = Method(gs.GroundCost(), gs.Sinkhorn(epsilon=EPSILON))
    engine = PairEngine(regions, method, gs.Engine("cuda:0", case.backend, case.storage))
    source = engine.clouds(np.array([0, 1]))
    target = source if case.settings.symmetric else engine.clouds(np.array([2, 3]))
    asked = {"backend": case.backend, "storage": case.storage}
    return make_kernel(engine.cost, source, target, EPSILON, engine.budget, **asked)


def _each(totals: tuple[Counter[str], Counter[str]], times: int) -> Counts:
    counts, operations = totals
    launches, triton, waits, events = (
        counts[kind] / times for kind in (LAUNCH, TRITON, WAIT, EVENT)
    )
    of_one = {name: n / times for name, n in operations.most_common()}
    return Counts(launches, triton, waits, events, of_one)


def main() -> None:
    torch.set_num_threads(1)
    letters = " ".join(sys.argv[1:])
    found = {}
    print(f"{'':38s} launches Triton waits events")
    for name in (name for name in CASES if letters in name):
        counts = found[name] = count(CASES[name])
        print(
            f"{name:38s} {counts.launches:8.2f} {counts.triton:6.2f} {counts.waits:5.2f} "
            f"{counts.events:6.2f}",
            flush=True,
        )
    if not letters:
        kind = "counted on a pretended GPU; not measured"
        figures = {name: counts._asdict() for name, counts in found.items()}
        write("gpu_launches", {"kind": kind, "per iteration": figures})


if __name__ == "__main__":
    main()
