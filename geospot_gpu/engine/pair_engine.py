"""The engine: solves batches of region pairs on one device."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from functools import partial

import numpy as np
import torch
from torch import Tensor

from geospot_gpu.arrays import Columns, Indices
from geospot_gpu.cost import GroundCost, check_self_terms
from geospot_gpu.devices import upload
from geospot_gpu.engine import solved
from geospot_gpu.engine.arriving import Arriving, Found
from geospot_gpu.engine.batching import batches_of_similar_size
from geospot_gpu.engine.class_starts import ClassStarts
from geospot_gpu.engine.classes import classes_of
from geospot_gpu.engine.method import Method, Solver, check_compatible, check_entropic
from geospot_gpu.engine.needs import Need
from geospot_gpu.engine.sampling_error import SamplingError
from geospot_gpu.engine.settings import Engine
from geospot_gpu.engine.warm import WarmStarts
from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.errors.say import warn_once
from geospot_gpu.kernels import choose_kernel
from geospot_gpu.kernels.clouds import CloudBatch, PointArrays
from geospot_gpu.kernels.contract import IterationSettings, Kernel, Potentials
from geospot_gpu.kernels.halves import Halves, split
from geospot_gpu.kernels.iterate import iterate
from geospot_gpu.kernels.spec import KernelSpec, Workload
from geospot_gpu.progress import Progress
from geospot_gpu.regions import Regions
from geospot_gpu.sinkhorn.coverage import damping
from geospot_gpu.sinkhorn.divergence import SelfTerms
from geospot_gpu.sinkhorn.emd import EMD, MOST_COSTS, check_installed, solve_exactly
from geospot_gpu.sinkhorn.geomloss import GeomLoss, anneal
from geospot_gpu.sinkhorn.solver import Sinkhorn

log = logging.getLogger("geospot_gpu")

SELF_TOLERANCE = 0.1
"""Self terms are solved to this share of the tolerance: they take few iterations, and the width
of their intervals enters the interval of every divergence."""


class PairEngine:
    """Solves problems between regions that live on one device.

    Args:
        regions: the regions, of which the points are copied to the device once.
        method: cost and solver.
        engine: device, backend, storage and memory budget.
        warm: where pairs start from, and where their potentials are kept; GeomLoss's loop starts
            anew.

    Raises:
        GeospotError: the cost needs features that the regions do not have, or there is no such
            device.
    """

    def __init__(
        self, regions: Regions, method: Method, engine: Engine, warm: WarmStarts | None = None
    ) -> None:
        check_compatible(regions, method.cost)
        classes = classes_of(regions, method.cost)
        self.method, self.warm = method, warm
        self._asked_for = engine.backend, engine.storage
        if isinstance(method.solver, EMD):
            check_installed()
            if engine.backend not in ("auto", "torch"):
                warn_once(f"engine.backend={engine.backend} has no effect with solver=emd: torch")
            self._asked_for = "torch", engine.storage
        self.device = engine.torch_device()
        self.regions = regions
        self.sizes = regions.sizes
        self.points = PointArrays(
            self._features(),
            upload(regions.xyz, self.device, method.dtype),
            upload(regions.weight, self.device, method.dtype),
            None if classes is None else upload(torch.from_numpy(classes), self.device),
        )
        self._class_starts = None
        if classes is not None and isinstance(method.solver, Sinkhorn):
            self._class_starts = ClassStarts(regions, classes, method.cost, method.epsilon)
        self.budget = engine.budget_bytes()
        self.sampling_error = SamplingError(regions, self.points)
        self._iterate: solved.Iterate = iterate
        if isinstance(method.solver, GeomLoss):
            self._iterate = partial(anneal, cost=method.cost, scaling=method.solver.scaling)

    @property
    def cost(self) -> GroundCost:
        """The ground cost."""
        return self.method.cost

    @property
    def solver(self) -> Solver:
        """What solves a problem."""
        return self.method.solver

    def self_terms(self, index: Indices, needs: Collection[Need] = ()) -> SelfTerms:
        """OT of each region at ``index`` [K] with itself.

        Args:
            index: positions of the regions.
            needs: where ``half_samples`` are among them, what they need of these is kept.
        """
        if isinstance(self.solver, EMD):  # nothing has to move
            ot, lower, upper = np.zeros((3, len(index)))
            return SelfTerms(ot, lower, upper, np.ones(len(index), bool))
        found = self._solve(index, index, needs, symmetric=True)
        names = ("ot_value", "ot_lower", "ot_upper", "converged")
        return SelfTerms(*(found[name] for name in names))

    def pairs(self, left: Indices, right: Indices, needs: Collection[Need] = ()) -> Columns:
        """OT between the regions at ``left`` [K] and ``right`` [K].

        Args:
            left, right: positions of the regions.
            needs: what else is solved.

        Returns:
            The columns of :class:`~geospot_gpu.sinkhorn.bounds.Transport`, ``kernel`` and
            ``seconds``, each [K]; with ``half_samples`` also ``std_error`` and ``half_ot_value``,
            with ``coverage`` both coverages, with ``nearest`` nearest costs.
        """
        if isinstance(self.solver, EMD):
            self._check_sizes(left, right)
        if "half_samples" in needs and len(unknown := self.sampling_error.unknown(left, right)):
            self.self_terms(unknown, needs)
        return self._solve(left, right, needs, symmetric=False)

    def kernels(
        self, left: Indices, right: Indices, storage: str | None = None
    ) -> Iterator[tuple[Indices, Kernel]]:
        """Kernels of batches of pairs of regions [K], with the positions of their pairs.

        Args:
            left, right: positions of the regions.
            storage: ``streamed`` where costs are read once; as the engine has it if not given.
        """
        for spec, positions in self._plan(self.sizes[left], self.sizes[right], storage):
            index = left[positions], right[positions]
            source, target = self.clouds(index[0]), self.clouds(index[1])
            with self._memory(*index):
                kernel = self._build(spec, self.cost, source, target)
            yield positions, kernel

    def kernel(self, source: CloudBatch, target: CloudBatch) -> Kernel:
        """The kernel over clouds of one's own, of points on the device."""
        entries = int((source.size * target.size).max())
        spec = choose_kernel(self.workload, entries, *self._asked_for)
        return self._build(spec, self.cost, source, target)

    def potentials(
        self, left: int, right: int, *, rho: float | None = None
    ) -> tuple[Kernel, Potentials]:
        """One pair's kernel and potentials, as a batch of one.

        That they did not converge is a warning.

        Args:
            left, right: positions of the two regions; the symmetric problem where they are one.
            rho: price of the source marginal, for the potentials of coverage.
        """
        check_entropic(self.solver, "what potentials tell of a pair")
        source, target = (self.clouds(np.array([k])) for k in (left, right))
        ((spec, _),) = self._plan(source.size, target.size)
        settings = self._settings(symmetric=left == right)
        if rho is not None:
            settings = settings._replace(damping=damping(rho, self.solver.epsilon))
        with self._memory(np.array([left]), np.array([right])):
            kernel = self._build(spec, self.cost, source, target)
            found = self._iterate(kernel, settings)
        error = float(found.marginal_error.max())
        if error > settings.tolerance:
            names = self.regions.names
            log.warning(
                f"{names[left]} - {names[right]} did not converge (marginal error {error:.1e}): "
                f"raise {self.solver.remedy}"
            )
        return kernel, found

    def batches(self, left: Indices, right: Indices) -> Indices:
        """Numbers of the batches in which pairs of regions [K] are solved, [K]."""
        found = np.zeros(len(left), np.int64)
        for number, (_, positions) in enumerate(self._plan(self.sizes[left], self.sizes[right])):
            found[positions] = number
        return found

    def clouds(self, index: Indices) -> CloudBatch:
        """The regions at ``index`` [B], as a batch."""
        return CloudBatch(self.points, self.regions.offsets[index], self.sizes[index])

    @property
    def workload(self) -> Workload:
        """What all problems have in common."""
        return self._workload(self.points.dimension, self.budget)

    def _workload(self, dimension: int | None, budget: int) -> Workload:
        dimension, device = 3 if dimension is None else dimension, self.device
        return Workload(self.cost, dimension, self.method.dtype, device.type, budget, device.index)

    def _features(self) -> Tensor | Halves | None:
        """The features on the device: in halves alone where the kernels read nothing else.

        Under ``scaling="pair_max"`` torch looks for the largest costs, and looks at whole numbers.
        """
        features = self.regions.features
        if features is None or not self.cost.uses_features:
            return None
        spec = choose_kernel(self._workload(features.shape[1], 0), 0, *self._asked_for)
        if spec.reads_halves and self.cost.scaling == "global":
            return split(features, self.device)
        return upload(features, self.device)

    def _solve(
        self, left: Indices, right: Indices, needs: Collection[Need], *, symmetric: bool
    ) -> Columns:
        parts: list[Columns] = []
        plan = self._plan(self.sizes[left], self.sizes[right])
        what = ("self terms", "regions") if symmetric else ("solving", "pairs")
        with Progress(*what, total=len(left), below=False) as progress:
            since = time.perf_counter()
            batches = self._begun(plan, left, right, needs, symmetric=symmetric)
            for spec, positions, arrive in batches:
                columns = arrive()
                if "variance" in columns:
                    columns["std_error"] = np.sqrt(
                        columns.pop("variance")
                    )  # torch's is off by bits
                elif "half_ot_value" in columns:
                    self.sampling_error.keep_values(left[positions], columns)
                work = (self.sizes[left] * self.sizes[right])[positions]
                seconds, since = time.perf_counter() - since, time.perf_counter()
                columns["kernel"] = np.full(len(positions), spec.name)
                columns["seconds"] = seconds * work / work.sum()
                parts.append(columns)
                progress.update(len(positions))
        back = np.argsort(np.concatenate([positions for _, positions in plan]))
        return {name: np.concatenate([part[name] for part in parts])[back] for name in parts[0]}

    def _begun(
        self,
        plan: list[tuple[KernelSpec, Indices]],
        left: Indices,
        right: Indices,
        needs: Collection[Need],
        *,
        symmetric: bool,
    ) -> Iterator[tuple[KernelSpec, Indices, Callable[[], Columns]]]:
        """Batches with their results; on a GPU each of them once the next one is under way."""
        begun: deque[tuple[KernelSpec, Indices, Callable[[], Columns]]] = deque()
        for spec, positions in plan:
            index = left[positions], right[positions]
            with self._memory(*index):
                found = self._solve_batch(spec, index, needs, symmetric=symmetric)
                begun.append((spec, positions, Arriving(found).columns))
            if self.device.type == "cpu" or len(begun) > 1:
                yield begun.popleft()
        yield from begun

    def _solve_batch(
        self,
        spec: KernelSpec,
        index: tuple[Indices, Indices],
        needs: Collection[Need],
        *,
        symmetric: bool,
    ) -> Found:
        source, target = self.clouds(index[0]), self.clouds(index[1])
        if isinstance(self.solver, EMD):
            return self._solve_exactly(self.solver, spec, (source, target), needs)
        settings = self._settings(symmetric=symmetric)
        kernel = self._build(spec, self.cost, source, target)
        warm = None
        if self._class_starts is not None and not (symmetric or kernel.has_class_sums):
            settings = settings._replace(start=self._class_starts.of(*index, target))
        if self.warm is not None and not symmetric:
            warm = self.warm.of(self._digests(*index), target)
            settings = settings._replace(start=warm.start(settings.start))
        if "nearest" in needs:
            kernel.expect_nearest()
        potentials = self._iterate(kernel, settings)
        if warm is not None:
            warm.keep(potentials.next_g)
        build = partial(self._build, spec)
        how = self.cost, check_entropic(self.solver, "iterating"), self._iterate, settings
        batch = solved.Solved(index, kernel, build, *how, potentials)
        found = solved.transport(batch)
        if "coverage" in needs and not symmetric:
            found |= solved.coverage(batch, found["converged"])
        if "nearest" in needs and not symmetric:
            found |= solved.nearest(kernel)
        if "half_samples" in needs:
            found["half_ot_value"] = solved.half_samples(batch, self.sampling_error)
            if symmetric:
                self.sampling_error.keep(source, potentials)
            else:
                spread = self.sampling_error.variance(index, batch.clouds, potentials)
                found["variance"] = spread
        return found

    def _solve_exactly(
        self,
        solver: EMD,
        spec: KernelSpec,
        clouds: tuple[CloudBatch, CloudBatch],
        needs: Collection[Need],
    ) -> Found:
        kernel = self._build(spec, self.cost, *clouds)
        if "nearest" in needs:
            kernel.expect_nearest()
        found: Found = solve_exactly(kernel, self.cost, solver)._asdict()
        return found | solved.nearest(kernel) if "nearest" in needs else found

    def _check_sizes(self, left: Indices, right: Indices) -> None:
        """Raise where a pair of regions [K] is too large for exact transport."""
        n, m, names = self.sizes[left], self.sizes[right], self.regions.names
        k = int(np.argmax(n * m)) if len(n) else 0
        if len(n) and n[k] * m[k] > MOST_COSTS:
            raise GeospotError(
                f"{names[left[k]]} ({n[k]} points) - {names[right[k]]} ({m[k]}): solver=emd takes "
                f"pairs of up to {MOST_COSTS / 1e6:g} million costs: set regions.max_points="
                f"{int(MOST_COSTS**0.5)} or less, or use solver=sinkhorn"
            )

    def _plan(
        self, n: Indices, m: Indices, storage: str | None = None
    ) -> list[tuple[KernelSpec, Indices]]:
        """Batches of positions with the kernel for each."""
        workload, (backend, asked) = self.workload, self._asked_for
        entries, of_pair = np.unique(n * m, return_inverse=True)
        asked = storage or asked
        specs = [choose_kernel(workload, int(e), backend, asked) for e in entries]
        batches = []
        for spec in dict.fromkeys(specs):
            chosen = np.array([other is spec for other in specs])
            members = np.flatnonzero(chosen[of_pair])
            limits, ours = spec.limits(workload), (n[members], m[members])
            growth = spec.growth(*ours)
            for batch in batches_of_similar_size(*ours, *limits, growth):
                batches.append((spec, members[batch]))
        log.debug(
            "%d pairs in %d batches on %s, by %s",
            *(len(n), len(batches), self.device, ", ".join({spec.name for spec, _ in batches})),
        )
        return batches

    def _build(
        self, spec: KernelSpec, cost: GroundCost, source: CloudBatch, target: CloudBatch
    ) -> Kernel:
        # Exact transport takes costs of a kernel, and nothing that rests on its epsilon.
        return spec.build(cost, source, target, self.solver.epsilon or 1.0, self.budget)

    def _settings(self, *, symmetric: bool) -> IterationSettings:
        solver = check_entropic(self.solver, "iterating")
        if symmetric:
            check_self_terms(self.cost)
        tolerance = solver.tolerance * (SELF_TOLERANCE if symmetric else 1.0)
        if isinstance(solver, GeomLoss):  # how long it iterates is in its schedule
            return IterationSettings(tolerance, 0, symmetric=symmetric)
        return IterationSettings(tolerance, solver.max_iterations, solver.relaxation, symmetric)

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
