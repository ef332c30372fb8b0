"""Launches and waits of one iteration, on a pretended GPU.

    python -m benchmarks.gpu_checks.per_iteration            all cases
    python -m benchmarks.gpu_checks.per_iteration kept       those with these letters
    python -m benchmarks.gpu_checks.per_iteration --write    all, and writes the results

Each case iterates some times, and twice as often: what comes on top, divided. They are counts, not
times, and none may be above its budget.
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
from benchmarks.gpu_checks.budgets import ITERATIONS, Budget, excess
from benchmarks.gpu_checks.paths import sampled
from benchmarks.gpu_checks.pretended import BACK, COPY, LAUNCH, TRITON, Pretended
from benchmarks.gpu_checks.pretended_queue import EVENT, NODE, REPLAY, WAIT
from benchmarks.record import write
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.kernels import make_kernel
from geospot_gpu.kernels.contract import IterationSettings, Kernel
from geospot_gpu.kernels.gpu.kernel import TritonKernel
from geospot_gpu.kernels.gpu.loop import solve
from geospot_gpu.kernels.iterate import iterate
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
    turned: bool = False
    """From the target to the source, on the same costs."""
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
    "coverage, triton kept, other direction": Case("triton", "kept", _COVERAGE, turned=True),
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

    counts: dict[str, float]
    """Of everything that is counted, by its name."""
    operations: dict[str, float]
    """Launches by operation, without those in graphs."""

    @property
    def on_device(self) -> float:
        """Launches that the GPU runs."""
        return sum(self.counts.get(kind, 0.0) for kind in (LAUNCH, TRITON, NODE))

    @property
    def by_host(self) -> float:
        """What the host asks for: a graph is asked for at once."""
        return sum(self.counts.get(kind, 0.0) for kind in (LAUNCH, TRITON, REPLAY, BACK))

    @property
    def waits(self) -> float:
        """Of the host."""
        return sum(self.counts.get(kind, 0.0) for kind in (WAIT, EVENT, COPY))


def count(case: Case, times: int = 16) -> Counts:
    """Launches and waits of one iteration; ``times`` is a multiple of the length of a graph."""
    if case.of_nearest:
        return _each(_counted(case, 0), 1)
    few, many = _counted(case, times), _counted(case, 2 * times)
    return _each((many[0] - few[0], many[1] - few[1]), times)


def _counted(case: Case, iterations: int) -> tuple[Counter[str], Counter[str]]:
    """Counts and operations of the pretended GPU, the making of the kernel left out."""
    with Pretended() as gpu, torch.no_grad():
        kernel = _kernel(case)
        if case.turned:
            turned = kernel.transposed()
            assert turned is not None
            kernel = turned
        gpu.counts.clear()
        gpu.operations.clear()
        settings = case.settings._replace(max_iterations=iterations)
        if case.of_nearest:
            kernel.nearest()
        elif case.exact:
            assert isinstance(kernel, TritonKernel)
            solve(kernel.batch, settings, exact=True)
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
    each = ({name: n / times for name, n in total.most_common() if n} for total in totals)
    return Counts(*each)


def around() -> dict[str, dict[str, int]]:
    """Counts of sweeps in one batch each that iterate once: what is around iterations."""
    found, regions = {}, sampled(30, 40, 26, 45, most=16)
    solver = gs.Sinkhorn(epsilon=EPSILON, max_iterations=1)
    for name, outputs in (("default", None), ("divergences", ("divergence",))):
        with Pretended() as gpu, torch.no_grad():
            gpu.probe("cuda:0")
            engine = gs.Engine("cuda:0", "triton")
            gs.pairwise(regions, solver=solver, outputs=outputs, engine=engine)
        found[name] = dict(gpu.counts)
    return found


def main() -> None:
    torch.set_num_threads(1)
    writes = sys.argv[1:] == ["--write"]
    letters, bad, found = "" if writes else " ".join(sys.argv[1:]), [], {}
    print(f"{'':38s} on the device, by the host, waits")
    for name in (name for name in CASES if letters in name):
        counts = count(CASES[name])
        found[name] = counts._asdict() | {
            "on the device": counts.on_device,
            "by the host": counts.by_host,
            "waits": counts.waits,
        }
        wrong = excess(counts.counts, ITERATIONS.get(name, Budget(0)))
        print(
            f"{name:38s} {counts.on_device:13.2f} {counts.by_host:12.2f} {counts.waits:6.2f} "
            f"{'; '.join(wrong)}",
            flush=True,
        )
        bad += [f"{name}: {what}" for what in wrong]
    if writes:
        kind = "counted on a pretended GPU; not measured"
        write("gpu_launches", {"kind": kind, "per iteration": found, "around": around()})
    if bad:
        raise SystemExit("; ".join(bad))


if __name__ == "__main__":
    main()
