"""What samples of candidates cost the targets of a problem."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.arrays import Indices
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.errors import GeospotError
from geospot_gpu.selection.plan import taken_from
from geospot_gpu.selection.problem import Problem
from geospot_gpu.selection.quota import quota_costs
from geospot_gpu.selection.target_distances import TargetDistances
from geospot_gpu.selection.together import costs_together
from geospot_gpu.selection.union import Mixture, Unions
from geospot_gpu.sinkhorn.solver import Sinkhorn

Array = NDArray[np.float64]


class CandidateCosts:
    """What samples of candidates cost the targets, each computed once and when it is needed.

    Args:
        problem: candidates, targets and quotas.
        engine: the regions of the problem, their cost, and a solver.
        distances: gives the distances of ``method=nearest``.
        exhaustive: whether all unions are tried.
        seed: of what is drawn at random.
    """

    def __init__(
        self,
        problem: Problem,
        engine: PairEngine,
        distances: TargetDistances,
        exhaustive: bool,
        seed: int,
    ) -> None:
        self.problem, self.engine = problem, engine
        self.exhaustive, self.seed = exhaustive, seed
        self._distances = distances

    @cached_property
    def expected(self) -> Array:
        """Expected cost of each target point from a sample of each candidate's quota, [M, R]."""
        problem = self.problem
        return quota_costs(self.engine, problem.targets, problem.candidates, problem.quota)

    @cached_property
    def have_cost(self) -> Array:
        """Cost of each target point from what is there already, infinite without, [M]."""
        problem = self.problem
        if len(problem.have) == 0:
            return np.full(len(self.mass), np.inf)
        return self.cover([], [])[:, 0]

    def cover(
        self, order: Sequence[int], quota: Sequence[int] | Indices, *, steps: bool = False
    ) -> Array:
        """Expected cost of each target point from what is there already and samples together.

        Args:
            order: positions among the candidates, [K].
            quota: samples of each of them, [K].
            steps: whether costs after each of them are wanted.

        Returns:
            [M, 1], or with ``steps`` [M, K].
        """
        problem = self.problem
        sources = np.concatenate([problem.have, problem.candidates[list(order)]])
        counts = np.concatenate([problem.have_counts, np.asarray(quota, np.int64)])
        found = costs_together(self.engine, problem.targets, sources, counts, steps=steps)
        return found[:, len(problem.have) :] if steps else found

    @cached_property
    def mass(self) -> Array:
        """Of each target point, [M]."""
        regions, problem = self.engine.regions, self.problem
        parts = [
            share * regions.weight[slice(*regions.offsets[t : t + 2].tolist())].cpu().numpy()
            for t, share in zip(problem.targets, problem.shares, strict=True)
        ]
        return np.concatenate(parts)

    @cached_property
    def taken(self) -> Array:
        """Share of the targets that a plan of coverage takes from each candidate, [R].

        What is there already has its part of the plan, and leaves the rest to the candidates; their
        shares sum to less than one then. None is zero, however far a candidate is.
        """
        problem, solver = self.problem, self.engine.solver
        found = taken_from(
            self.engine,
            problem.targets,
            problem.shares,
            np.concatenate([problem.candidates, problem.have]),
            np.concatenate([problem.available, problem.have_counts]),
            (solver if isinstance(solver, Sinkhorn) else Sinkhorn()).epsilon,
        )
        return np.maximum(found[: len(problem.candidates)], np.finfo(float).tiny)

    @cached_property
    def start(self) -> Array:
        """Cost of each target point before anything is chosen, [M]."""
        largest = float(self.expected.max())
        return np.where(np.isfinite(self.have_cost), self.have_cost, largest)

    @cached_property
    def unions(self) -> Unions:
        """Distances of unions from the targets."""
        if not isinstance(self.engine.solver, Sinkhorn):
            raise GeospotError("method=union needs solver=sinkhorn")
        return Unions(self.engine, self.problem.targets, self.problem.shares)

    def mixture(self, order: Sequence[int]) -> Mixture:
        """What is there already and the candidates in ``order``, as they will be trained on."""
        problem = self.problem
        members = [*problem.have.tolist(), *problem.candidates[list(order)].tolist()]
        counts = [*problem.have_counts.tolist(), *problem.quota[list(order)].tolist()]
        return Mixture(tuple(members), tuple(float(count) for count in counts))

    @cached_property
    def to_targets(self) -> Array:
        """Distance from each candidate to the targets by their shares, [R]."""
        distances: Array = self._distances(self.problem) @ self.problem.shares
        return distances
