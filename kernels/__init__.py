"""Kernels: implementations of one contract, the registry of them, and the choice between them."""

from __future__ import annotations

from geospot_gpu.cost import GroundCost
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.say import warn_once
from geospot_gpu.kernels import cpu, gpu, keops, reference
from geospot_gpu.kernels.clouds import CloudBatch
from geospot_gpu.kernels.contract import Kernel
from geospot_gpu.kernels.spec import KernelSpec, Workload

REGISTRY: tuple[KernelSpec, ...] = (
    gpu.KEPT,
    gpu.STREAMED,
    cpu.KEPT,
    reference.KEPT,
    keops.STREAMED,
    cpu.STREAMED,
    reference.STREAMED,
)
"""All kernels, in the order in which ``auto`` considers them; the last one can always run."""

AUTO = "auto"
BACKENDS = (AUTO, *dict.fromkeys(spec.backend for spec in REGISTRY))
STORAGES = (AUTO, *dict.fromkeys(spec.storage for spec in REGISTRY))


def check_kernel(backend: str, storage: str) -> None:
    """Raise unless there is such a kernel, able to run or not."""
    checks.one_of(backend, BACKENDS, "engine.backend")
    checks.one_of(storage, STORAGES, "engine.storage")
    if not _asked_for(backend, storage):
        raise GeospotError(
            f"engine.backend={backend} does not go with engine.storage={storage}: "
            "leave one of them out"
        )


def choose_kernel(
    workload: Workload, entries: int, backend: str = AUTO, storage: str = AUTO
) -> KernelSpec:
    """The kernel for problems of ``entries`` costs each.

    The first of those asked for that can run. Where none can, a warning, and the storage is left
    to ``auto``, or else the backend, or both. So is a warning where ``auto`` goes on without a
    backend that it counts on for such problems, since that is missing or broken.
    """
    asked = {"backend": backend, "storage": storage}
    spec, problem = _first(workload, entries, **asked)
    for left in (["storage"], ["backend"], ["backend", "storage"]):
        if spec is not None:
            break
        spec, _ = _first(workload, entries, **(asked | dict.fromkeys(left, AUTO)))
        given = " ".join(f"engine.{key}={asked[key]}" for key in left if asked[key] != AUTO)
        if spec is not None:
            warn_once(f"{given} is not available, {problem}: using what auto would")
    assert spec is not None
    if backend == AUTO:
        _say_what_is_missing(workload, entries, spec)
    return spec


def make_kernel(
    cost: GroundCost,
    source: CloudBatch,
    target: CloudBatch,
    epsilon: float,
    budget: int,
    *,
    backend: str = AUTO,
    storage: str = AUTO,
) -> Kernel:
    """The kernel over a batch of clouds, whatever their sizes.

    Args:
        cost: the ground cost.
        source: one side of the batch, [B, N] points.
        target: the other side, [B, M] points.
        epsilon: entropic regularisation.
        budget: memory in bytes that tiles may take.
        backend: one of :data:`BACKENDS`.
        storage: one of :data:`STORAGES`.
    """
    spec = choose_kernel(Workload.of(cost, source, budget), 0, backend, storage)
    return spec.build(cost, source, target, epsilon, budget)


def _asked_for(backend: str, storage: str) -> list[KernelSpec]:
    return [
        spec
        for spec in REGISTRY
        if backend in (AUTO, spec.backend) and storage in (AUTO, spec.storage)
    ]


def _first(
    workload: Workload, entries: int, backend: str, storage: str
) -> tuple[KernelSpec | None, str | None]:
    """The first of the kernels asked for that can run; None, and why the last of them cannot."""
    problem = None
    for spec in _asked_for(backend, storage):
        if backend == AUTO and not spec.by_default(workload):
            continue
        problem = spec.problem(workload, entries)
        if problem is None or backend != AUTO:  # what is of no use here need not be tried
            problem = spec.missing(workload) or problem
        if problem is None:
            return spec, None
    return None, problem


def _say_what_is_missing(workload: Workload, entries: int, chosen: KernelSpec) -> None:
    """Warn of kernels that ``auto`` would have taken before the chosen one, were they there."""
    for spec in REGISTRY[: REGISTRY.index(chosen)]:
        other = spec.backend != chosen.backend and spec.by_default(workload)
        if not other or spec.problem(workload, entries) is not None:
            continue
        if (reason := spec.missing(workload)) is not None:
            warn_once(
                f"engine.backend=auto: not {spec.backend}, since {reason}: using {chosen.backend}"
            )
