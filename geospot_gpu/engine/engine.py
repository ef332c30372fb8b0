"""The engine: solves batches of region pairs on one device."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import InitVar, dataclass, field

import numpy as np
import pandas as pd
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor

from geospot_gpu.cost import GroundCost
from geospot_gpu.devices import device_name, find_device
from geospot_gpu.engine.batching import batches_of_similar_size
from geospot_gpu.engine.sampling_error import SamplingError
from geospot_gpu.engine.warm import WarmBatch, WarmStarts
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.former import no_kernel
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.kernels import check_kernel, choose_kernel, reference
from geospot_gpu.kernels.clouds import CloudBatch, PointArrays
from geospot_gpu.kernels.contract import IterationSettings, Kernel, Potentials
from geospot_gpu.kernels.spec import KernelSpec, Workload
from geospot_gpu.regions import Regions
from geospot_gpu.sinkhorn.bounds import certify, ot_value
from geospot_gpu.sinkhorn.coverage import certify_coverage, damping
from geospot_gpu.sinkhorn.geomloss import GEOMLOSS_TILES, GeomLoss, geomloss_transport
from geospot_gpu.sinkhorn.solver import Sinkhorn, iterate

log = logging.getLogger("geospot_gpu")

Solver = Sinkhorn | GeomLoss
Indices = NDArray[np.int64]

SELF_TOLERANCE = 0.1
"""Self terms are solved to this share of the tolerance: they take few iterations, and the width
of their intervals enters the interval of every divergence."""

_BYTES = {"": 1, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@dataclass(frozen=True)
class Engine:
    """Where and how problems are solved; none of it changes a result beyond its interval.

    Args:
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:1``.
        backend: what computes: ``torch``, on any device; ``compiled`` loops (Numba, float32, CPU);
            ``triton`` (float32, NVIDIA GPUs); ``keops``, which compiles for seconds and pays on
            GPUs with few features; or ``auto``, the fastest of them that can run.
        storage: of costs: ``kept``, computed once; ``streamed``, computed anew in every iteration,
            so that memory grows with the number of points alone; or ``auto``, kept where they fit
            the budget.
        memory_budget: memory for costs, as ``"2GiB"`` or a number of bytes; ``auto`` is 2 GiB
            (a quarter of what is free, if that is less) on a CPU and half of what is free on a GPU.

    Raises:
        GeospotError: a value is not understood.
    """

    device: str = "auto"
    backend: str = "auto"
    storage: str = "auto"
    memory_budget: str | int = "auto"
    kernel: InitVar[str | None] = field(default=None, kw_only=True)  # what it was called before

    def __post_init__(self, kernel: str | None) -> None:
        if kernel is not None:
            raise no_kernel(kernel)
        check_kernel(self.backend, self.storage)
        object.__setattr__(self, "device", device_name(self.device))
        _parse_bytes(self.memory_budget)

    def torch_device(self) -> torch.device:
        """The device itself.

        Raises:
            GeospotError: a GPU is asked for and there is none, or not that many.
        """
        return find_device(self.device)

    def budget_bytes(self) -> int:
        """The memory budget in bytes on this machine."""
        budget = _parse_bytes(self.memory_budget)
        if budget is not None:
            return budget
        device = self.torch_device()
        if device.type == "cuda":
            return torch.cuda.mem_get_info(device)[0] // 2
        return min(2 * 2**30, int(psutil.virtual_memory().available) // 4)


def _parse_bytes(value: str | int) -> int | None:
    text = str(value) if isinstance(value, str | int | float | np.integer) else ""
    if text == "auto":
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    unit = _BYTES.get(match[2].upper()) if match else None
    if match is None or unit is None or float(match[1]) * unit < 2**20:
        raise GeospotError(
            f"engine.memory_budget={checks.shown(value)}: give auto or at least 1MiB, as in 2GiB"
        )
    return int(float(match[1]) * unit)


def _check_geomloss(engine: Engine) -> None:
    """Raise where GeomLoss would not compute as asked for: it keeps costs, and is torch."""
    own = {"backend": reference.KEPT.backend, "storage": reference.KEPT.storage}
    for name, value in own.items():
        if (wanted := getattr(engine, name)) not in ("auto", value):
            raise GeospotError(
                f"engine.{name}={wanted} has no effect with solver=geomloss, which keeps all costs "
                "of a pair, in torch: leave it out, or use solver=sinkhorn"
            )


def check_compatible(regions: Regions, cost: GroundCost) -> None:
    """Raise where the cost needs features that the regions do not have."""
    if cost.uses_features and regions.features is None:
        raise GeospotError(
            f"cost.geo_weight={cost.geo_weight} needs features, and encoder=none gives none: "
            "choose an encoder, or set cost.geo_weight=1"
        )
    if cost.uses_features and cost.feature == "cosine" and not regions.unit_features:
        raise GeospotError(
            "cost.feature=cosine needs features of length one: set encoder.normalize=true, or use "
            "cost.feature=sqeuclidean or euclidean"
        )


def default_cost(regions: Regions) -> GroundCost:
    """Half features and half geography where there are features, geography alone otherwise."""
    return GroundCost(geo_weight=1.0 if regions.features is None else 0.5)


def settled(
    regions: Regions, cost: GroundCost | None, solver: Solver | None, engine: Engine | None
) -> tuple[GroundCost, Solver, Engine]:
    """Cost, solver and engine, where they were given, or what is taken for them.

    Raises:
        GeospotError: one of the arguments is of another kind.
    """
    checks.instance(regions, Regions, "regions", "as Regions.from_table makes them")
    if cost is None:
        cost = default_cost(regions)
    return (
        checks.instance(cost, GroundCost, "cost"),
        checks.instance(Sinkhorn() if solver is None else solver, (Sinkhorn, GeomLoss), "solver"),
        checks.instance(Engine() if engine is None else engine, Engine, "engine"),
    )


class PairEngine:
    """Solves problems between regions that live on one device.

    Args:
        regions: the regions, moved to the device once.
        cost: ground cost.
        solver: what solves a problem.
        engine: device, backend, storage and memory budget.
        warm: where pairs start from, and where their potentials are kept.

    Raises:
        GeospotError: the cost needs features that the regions do not have, there is no such
            device, or GeomLoss is to compute in another way than its own.
    """

    def __init__(
        self,
        regions: Regions,
        cost: GroundCost,
        solver: Solver,
        engine: Engine,
        warm: WarmStarts | None = None,
    ) -> None:
        check_compatible(regions, cost)
        if isinstance(solver, GeomLoss):
            _check_geomloss(engine)
        self.warm = warm
        self.cost, self.solver = cost, solver
        self._asked_for = engine.backend, engine.storage
        self.device = engine.torch_device()
        self.regions = regions.to(self.device)
        self.budget = engine.budget_bytes()
        self.sizes = regions.sizes
        self.points = PointArrays(
            self.regions.features if cost.uses_features else None,
            self.regions.xyz.to(solver.dtype),
            self.regions.weight.to(solver.dtype),
        )
        self._itemsize = self.points.mass.element_size()
        debiased = isinstance(solver, Sinkhorn) and solver.debias
        self.sampling_error = SamplingError(self) if debiased else None

    def self_terms(self, index: Indices) -> pd.DataFrame:
        """OT of each region at ``index`` [K] with itself; columns of :class:`Transport`."""
        return self._solve(index, index, symmetric=True)

    def pairs(self, left: Indices, right: Indices) -> pd.DataFrame:
        """OT between the regions at ``left`` [K] and ``right`` [K].

        Returns:
            One row per pair: the columns of :class:`Transport`, ``kernel`` and ``seconds``; where
            the solver debiases ``std_error``; with ``solver=GeomLoss`` also ``divergence``.
        """
        if self.sampling_error is not None:
            self.sampling_error.prepare(left, right)
        return self._solve(left, right, symmetric=False)

    def kernels(self, left: Indices, right: Indices) -> Iterator[tuple[Indices, Kernel]]:
        """Kernels of batches of pairs of regions [K], with the positions of their pairs."""
        for spec, positions in self._plan(self.sizes[left], self.sizes[right]):
            index = left[positions], right[positions]
            source, target = self.clouds(index[0]), self.clouds(index[1])
            with self._memory(*index):
                kernel = spec.build(self.cost, source, target, self.solver.epsilon, self.budget)
            yield positions, kernel

    def potentials(
        self, left: int, right: int, *, rho: float | None = None
    ) -> tuple[Kernel, Potentials]:
        """One pair's kernel and potentials, as a batch of one.

        That they did not converge is a warning.

        Args:
            left, right: positions of the two regions; the symmetric problem where they are one.
            rho: price of the source marginal, for the potentials of coverage.
        """
        solver = self.solver
        assert isinstance(solver, Sinkhorn)
        source, target = (self.clouds(np.array([k])) for k in (left, right))
        ((spec, _),) = self._plan(source.size, target.size)
        settings = IterationSettings(
            solver.tolerance * (SELF_TOLERANCE if left == right else 1.0),
            solver.max_iterations,
            solver.relaxation,
            symmetric=left == right,
            damping=1.0 if rho is None else damping(rho, solver.epsilon),
        )
        with self._memory(np.array([left]), np.array([right])):
            kernel = spec.build(self.cost, source, target, solver.epsilon, self.budget)
            solved = iterate(kernel, settings)
        error = float(solved.marginal_error.max())
        if error > settings.tolerance:
            names = self.regions.names
            log.warning(
                f"{names[left]} - {names[right]} did not converge (marginal error {error:.1e}): "
                "raise solver.max_iterations, solver.tolerance or solver.epsilon"
            )
        return kernel, solved

    def _solve(self, left: Indices, right: Indices, *, symmetric: bool) -> pd.DataFrame:
        parts: list[dict[str, NDArray[np.generic]]] = []
        order = []
        for spec, positions in self._plan(self.sizes[left], self.sizes[right]):
            started = time.perf_counter()
            source, target = self.clouds(left[positions]), self.clouds(right[positions])
            warm = None
            if self.warm is not None and not symmetric:
                warm = self.warm.of(self._digests(left[positions], right[positions]), target)
            index = left[positions], right[positions]
            with self._memory(*index):
                columns = self._solve_batch(spec, index, (source, target), warm, symmetric)
            work = (self.sizes[left] * self.sizes[right])[positions]
            columns["kernel"] = np.full(len(positions), spec.name)
            columns["seconds"] = (time.perf_counter() - started) * work / work.sum()
            parts.append(columns)
            order.append(positions)
        solved = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return pd.DataFrame(solved, index=np.concatenate(order)).sort_index()

    @property
    def workload(self) -> Workload:
        """What all problems have in common."""
        features = self.points.features
        dimension = 3 if features is None else features.shape[1]
        return Workload(self.cost, dimension, self.solver.dtype, self.device.type, self.budget)

    def _plan(self, n: Indices, m: Indices) -> list[tuple[KernelSpec, Indices]]:
        """Batches of positions with the kernel for each."""
        workload = self.workload
        entries, of_pair = np.unique(n * m, return_inverse=True)
        alone = isinstance(self.solver, GeomLoss)  # its annealing depends on the whole batch
        if alone:
            specs = [reference.KEPT] * len(entries)
        else:
            specs = [choose_kernel(workload, int(e), *self._asked_for) for e in entries]
        batches = []
        for spec in dict.fromkeys(specs):
            chosen = np.array([other is spec for other in specs])
            members = np.flatnonzero(chosen[of_pair])
            limits, ours = spec.limits(workload), (n[members], m[members])
            if alone:
                limits = limits._replace(entries=1)
            growth = spec.growth(*ours)
            for batch in batches_of_similar_size(*ours, *limits, growth):
                batches.append((spec, members[batch]))
        return batches

    def _solve_batch(
        self,
        spec: KernelSpec,
        index: tuple[Indices, Indices],
        clouds: tuple[CloudBatch, CloudBatch],
        warm: WarmBatch | None,
        symmetric: bool,
    ) -> dict[str, NDArray[np.generic]]:
        source, target = clouds
        if isinstance(self.solver, GeomLoss):
            entries = source.shape[1] * target.shape[1]
            if entries * self._itemsize * GEOMLOSS_TILES > self.budget:
                raise GeospotError(
                    "solver=geomloss keeps all costs of a pair; they exceed engine.memory_budget:"
                    " lower regions.max_points, raise the budget, or use solver=sinkhorn"
                )
            return geomloss_transport(self.cost, source, target, self.solver, self.budget)
        solver = self.solver
        settings = IterationSettings(
            solver.tolerance * (SELF_TOLERANCE if symmetric else 1.0),
            solver.max_iterations,
            solver.relaxation,
            symmetric,
            None if warm is None else warm.start(),
        )
        kernel = spec.build(self.cost, source, target, solver.epsilon, self.budget)
        potentials = iterate(kernel, settings)
        if warm is not None:
            warm.keep(potentials.next_g)
        columns = _to_numpy(certify(kernel, self.cost, potentials, settings.tolerance)._asdict())
        if solver.rho is not None and not symmetric:
            converged = columns["converged"].astype(bool)
            columns |= self._coverage(spec, kernel, potentials, converged)
            columns |= _nearest(kernel)
        if self.sampling_error is not None:
            half = np.full(len(source), np.nan)
            some, small = self.sampling_error.half_clouds(index)
            if len(some):
                chosen = torch.from_numpy(some)
                fewer = kernel.prefix(chosen, *small) or spec.build(
                    self.cost, *small, solver.epsilon, self.budget
                )
                start = potentials.next_g[chosen.to(self.device), : small[1].shape[1]]
                solved = iterate(fewer, settings._replace(start=start.contiguous()))
                half[some] = ot_value(fewer, solved).cpu().numpy()
            if symmetric:
                values = np.where(np.isnan(half), columns["ot_value"], half)
                self.sampling_error.keep(index[0], source, potentials, values)
            else:
                columns["std_error"] = self.sampling_error.std_error(index, clouds, potentials)
                columns["half_ot_value"] = half
        return columns

    def _coverage(
        self,
        spec: KernelSpec,
        kernel: Kernel,
        potentials: Potentials,
        converged: NDArray[np.bool_],
    ) -> dict[str, NDArray[np.generic]]:
        """How well either side covers the other, and what of a batch converged in all."""
        solver = self.solver
        assert isinstance(solver, Sinkhorn)
        assert solver.rho is not None
        settings = IterationSettings(
            solver.tolerance,
            solver.max_iterations,
            solver.relaxation,
            damping=damping(solver.rho, solver.epsilon),
        )
        other = kernel.transposed() or spec.build(
            self.cost, kernel.target, kernel.source, solver.epsilon, self.budget
        )
        columns: dict[str, NDArray[np.generic]] = {}
        directions = (
            ("source_to_target", kernel, potentials.next_g),
            ("target_to_source", other, potentials.f),
        )
        for direction, problem, start in directions:
            solved = iterate(problem, settings._replace(start=start.contiguous()))
            covered = certify_coverage(problem, self.cost, solved, solver.rho, solver.tolerance)
            columns[f"coverage_{direction}"] = covered.value.cpu().numpy()
            columns[f"coverage_{direction}_lower"] = covered.lower.cpu().numpy()
            columns[f"coverage_{direction}_upper"] = covered.upper.cpu().numpy()
            converged = converged & covered.converged.cpu().numpy()
        return columns | {"converged": converged}

    def _memory(self, left: Indices, right: Indices) -> AbstractContextManager[None]:
        """What to say where memory is not enough for pairs of regions [K]."""
        n, m, names = self.sizes[left], self.sizes[right], self.regions.names
        k = int(np.argmax(n * m))
        what = f"solving {names[left[k]]} ({n[k]} points) - {names[right[k]]} ({m[k]})"
        batch = f" and {len(n) - 1} pairs with it" if len(n) > 1 else ""
        return out_of_memory(what + batch, "lower engine.memory_budget or regions.max_points")

    def _digests(self, left: Indices, right: Indices) -> list[tuple[str, str]]:
        """What names the content of each pair of regions."""
        digests = self.regions.digests
        return [(digests[i], digests[j]) for i, j in zip(left, right, strict=True)]

    def clouds(self, index: Indices) -> CloudBatch:
        """The regions at ``index`` [B], as a batch."""
        return CloudBatch(self.points, self.regions.offsets[index], self.sizes[index])


def _to_numpy(tensors: dict[str, Tensor]) -> dict[str, NDArray[np.generic]]:
    return {name: values.cpu().numpy() for name, values in tensors.items()}


def _nearest(kernel: Kernel) -> dict[str, NDArray[np.generic]]:
    """Mean cost of the points of one side to the nearest of the other, each direction [B]."""
    costs = kernel.nearest()
    sides = zip((kernel.source, kernel.target), costs, strict=True)
    means = [(c.weight.double() * torch.where(c.weight > 0, x, 0.0)).sum(1) for c, x in sides]
    return _to_numpy({"nearest_target_to_source": means[0], "nearest_source_to_target": means[1]})
