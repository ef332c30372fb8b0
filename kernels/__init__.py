"""Kernels: implementations of one contract, the registry of them, and the choice between them."""

from __future__ import annotations

import logging
from functools import cache

from geospot_gpu.cost import GroundCost
from geospot_gpu.errors import checks
from geospot_gpu.kernels import cpu, gpu, keops, reference
from geospot_gpu.kernels.contract import Cloud, Kernel
from geospot_gpu.kernels.spec import KernelSpec, Workload

REGISTRY: tuple[KernelSpec, ...] = (
    gpu.TRITON,
    cpu.DENSE,
    reference.DENSE,
    keops.KEOPS,
    cpu.STREAMING,
    reference.STREAMING,
)
"""All kernels, in the order in which ``auto`` considers them; the last one can always run."""

NAMES = ("auto", *dict.fromkeys(spec.name for spec in REGISTRY))
"""What may be asked for."""

_STAND_INS = ("dense", "streaming")

log = logging.getLogger("geospot_gpu")


def check_kernel(name: str) -> None:
    """Raise unless ``name`` is one of :data:`NAMES`."""
    checks.one_of(name, NAMES, "kernel")


def choose_kernel(wanted: str, workload: Workload, entries: int) -> KernelSpec:
    """The kernel for problems of ``entries`` costs each.

    The first of the wanted ones that can run; where none can, a warning, and the first of those
    that keep costs or stream them.
    """
    problem = None
    for spec in REGISTRY:
        if spec.name == wanted or (wanted == "auto" and spec.by_default(workload)):
            problem = spec.problem(workload, entries)
            if problem is None:
                return spec
    others = [name for name in _STAND_INS if name != wanted]
    _warn_once(f"kernel={wanted} is not available, {problem}: using {' or '.join(others)} instead")
    stand_ins = (spec for spec in REGISTRY if spec.name in others)
    return next(spec for spec in stand_ins if spec.problem(workload, entries) is None)


def make_kernel(
    name: str, cost: GroundCost, source: Cloud, target: Cloud, epsilon: float, budget: int
) -> Kernel:
    """The kernel ``name`` over a batch of clouds, whatever their sizes.

    Args:
        name: one of :data:`NAMES`.
        cost: the ground cost.
        source: one side of the batch, [B, N] points.
        target: the other side, [B, M] points.
        epsilon: entropic regularisation.
        budget: memory in bytes that tiles may take.
    """
    spec = choose_kernel(name, Workload.of(cost, source, budget), entries=0)
    return spec.build(cost, source, target, epsilon, budget)


@cache
def _warn_once(message: str) -> None:
    log.warning(message)
