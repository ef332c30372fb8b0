"""Divergences between unions of regions and targets; costs between two regions are found once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geospot_gpu.arrays import Indices
from geospot_gpu.devices import upload
from geospot_gpu.engine.arriving import Arriving
from geospot_gpu.engine.pair_engine import SELF_TOLERANCE, PairEngine
from geospot_gpu.kernels.clouds import CloudBatch
from geospot_gpu.kernels.contract import IterationSettings, Kernel, Potentials
from geospot_gpu.kernels.costs import costs_between, kernel_of_costs
from geospot_gpu.kernels.halves import Halves
from geospot_gpu.kernels.iterate import iterate
from geospot_gpu.progress import Progress
from geospot_gpu.sinkhorn.bounds import certify
from geospot_gpu.sinkhorn.solver import Sinkhorn

Array = NDArray[np.float64]

_BATCH_ENTRIES = {"cpu": 1 << 23, "cuda": 1 << 28}


class Mixture(NamedTuple):
    """A union of regions."""

    members: tuple[int, ...]
    """Their positions."""
    counts: tuple[float, ...]
    """How many samples are taken of each: the shares they have of the union's mass."""


class Distance(NamedTuple):
    """The divergence of a union from the targets, by their shares."""

    value: float
    lower: float
    upper: float
    """Certified bounds."""
    converged: bool
    of_target: Array
    """First variation of the divergence at every target point, times its mass: centred, [M]."""
    of_member: dict[int, Array]
    """The same at the points of each member, centred within it, [n]."""


class _Solved(NamedTuple):
    kernel: Kernel
    potentials: Potentials
    found: Arriving

    @property
    def value(self) -> Array:
        """OT values [U]."""
        return self.found.columns()["ot_value"]


class Unions:
    """Compares unions of regions with targets.

    The costs between two regions serve in every union that has both, and the potentials of a union
    are where its extensions start from, so that a greedy step costs a row of regions, not a sweep.

    Args:
        engine: regions, cost on one scale, and a solver that is :class:`~geospot_gpu.Sinkhorn`.
        targets: positions of the target regions, [T].
        shares: what each counts, [T]; they sum to one.
    """

    def __init__(self, engine: PairEngine, targets: Indices, shares: Array) -> None:
        assert isinstance(engine.solver, Sinkhorn)
        self._engine, self._solver = engine, engine.solver
        self._targets, self._shares = [int(t) for t in targets], shares
        self._blocks: dict[tuple[int, int], Tensor] = {}
        self._free = engine.budget
        self._own: dict[tuple[int, ...], Tensor] = {}
        self._toward: dict[tuple[int, tuple[int, ...]], Tensor] = {}
        self._of_targets = [self._solve([Mixture((t,), (1.0,))], None) for t in self._targets]

    def values(self, unions: Sequence[Mixture]) -> Array:
        """Divergence of each union [U] from the targets."""
        total = np.zeros(len(unions))
        with Progress("comparing", "unions", total=len(unions)) as progress:
            for batch in self._batches(unions):
                some = [unions[k] for k in batch]
                found = [self._solve(some, t).found for t in (None, *self._targets)]
                selves, *values = (arriving.columns()["ot_value"] for arriving in found)
                total[batch] = -selves / 2.0
                for value, share, own in zip(values, self._shares, self._of_targets, strict=True):
                    total[batch] += share * (value - own.value[0] / 2.0)
                progress.update(len(batch))
        return total

    def distance(self, union: Mixture) -> Distance:
        """The divergence of one union with its evidence; extensions will start from it."""
        selves = self._solve([union], None)
        sizes = [int(self._engine.sizes[k]) for k in union.members]
        weight = selves.kernel.source.weight[0].double()
        on_union = -_mean_potential(selves)
        of_target, ends = [], []
        for t, share, own in zip(self._targets, self._shares, self._of_targets, strict=True):
            between = self._solve([union], t)
            ends.append((share, between.found, own.found))
            on_union = on_union + share * between.potentials.f[0].double()
            on_target = between.potentials.next_g[0].double() - _mean_potential(own)
            of_target.append(share * _centred(on_target, between.kernel.target.weight[0].double()))
            self._toward[t, union.members] = between.potentials.next_g[0]
        self._own[union.members] = selves.potentials.next_g[0]
        parts = zip(torch.split(on_union, sizes), torch.split(weight, sizes), strict=True)
        on_members = [_centred(part, mass) for part, mass in parts]
        on_all = torch.cat([*of_target, *on_members]).cpu().numpy()
        members = np.split(on_all[len(on_all) - sum(sizes) :], np.cumsum(sizes)[:-1])
        value, lower, upper, converged = _combined(selves.found, ends)
        return Distance(
            value,
            lower,
            upper,
            converged,
            on_all[: len(on_all) - sum(sizes)],
            dict(zip(union.members, members, strict=True)),
        )

    def _batches(self, unions: Sequence[Mixture]) -> list[list[int]]:
        """Unions that are solved together: as many as keep their costs in reach."""
        most = min(_BATCH_ENTRIES[self._engine.device.type], self._engine.budget // 16)
        batches: list[list[int]] = []
        entries = 0
        for k, union in enumerate(unions):
            size = int(self._engine.sizes[list(union.members)].sum()) ** 2
            if not batches or entries + size > most:
                batches.append([])
                entries = 0
            batches[-1].append(k)
            entries += size
        return batches

    def _solve(self, unions: Sequence[Mixture], target: int | None) -> _Solved:
        """OT between unions and a target, or between unions and themselves."""
        engine, solver = self._engine, self._solver
        source = self._clouds(unions)
        goals = [union.members if target is None else (target,) for union in unions]
        goal = source if target is None else self._clouds([Mixture(g, (1.0,)) for g in goals])
        settings = IterationSettings(
            solver.tolerance * (SELF_TOLERANCE if target is None else 1.0),
            solver.max_iterations,
            solver.relaxation,
            symmetric=target is None,
            start=self._starts(unions, target, goal),
        )
        if isinstance(engine.points.features, Halves):  # found anew as fast as they would be read
            kernel = engine.kernel(source, goal)
        else:
            sides = zip(unions, goals, strict=True)
            costs = [self._costs(union.members, members) for union, members in sides]
            problem = engine.cost, costs, source, goal, solver.epsilon, engine.budget
            kernel = kernel_of_costs(*problem)
        potentials = iterate(kernel, settings)
        found = certify(kernel, engine.cost, potentials, settings.tolerance)._asdict()
        kept = ("ot_value", "ot_lower", "ot_upper", "converged")
        return _Solved(kernel, potentials, Arriving({name: found[name] for name in kept}))

    def _starts(self, unions: Sequence[Mixture], target: int | None, goal: CloudBatch) -> Tensor:
        """Potentials [U, M] to start from, zero where none are known."""
        start = torch.zeros_like(goal.weight)
        known = [self._start(union.members, target) for union in unions]
        places = [k * start.shape[1] + np.arange(len(row)) for k, row in enumerate(known)]
        some = [row for row in known if len(row)]
        if some:
            index = torch.from_numpy(np.concatenate(places))
            start.view(-1)[upload(index, start.device)] = torch.cat(some)
        return start

    def _start(self, members: tuple[int, ...], target: int | None) -> Tensor:
        """Potentials to start from: those of the longest part of the union that is known."""
        for stop in range(len(members), 0, -1):
            part = members[:stop]
            if target is not None and (target, part) in self._toward:
                return self._toward[target, part]
            if target is None and part in self._own:
                return self._own[part]
        return torch.zeros(0)

    def _clouds(self, unions: Sequence[Mixture]) -> CloudBatch:
        """Unions as a batch, every member with its share of the mass."""
        points, offsets = self._engine.points, self._engine.regions.offsets
        rows, shares = [], []
        for union in unions:
            total = sum(union.counts)
            for k, count in zip(union.members, union.counts, strict=True):
                rows.append(np.arange(offsets[k], offsets[k + 1]))
                shares.append(np.full(len(rows[-1]), count / total))
        device, dtype = points.mass.device, points.mass.dtype
        arrays = points.take(upload(torch.from_numpy(np.concatenate(rows)), device))
        share = upload(torch.from_numpy(np.concatenate(shares)), device, dtype)
        size = np.array([int(self._engine.sizes[list(u.members)].sum()) for u in unions])
        arrays = replace(arrays, mass=arrays.mass * share)
        return CloudBatch(arrays, np.cumsum(size) - size, size)

    def _costs(self, rows: tuple[int, ...], columns: tuple[int, ...]) -> Tensor:
        """Costs between two unions, [n, m], from those between their members."""
        return torch.cat(
            [torch.cat([self._block(i, j) for j in columns], dim=1) for i in rows], dim=0
        )

    def _block(self, i: int, j: int) -> Tensor:
        """Costs between two regions, kept while there is room."""
        if i > j:
            return self._block(j, i).T
        if (i, j) in self._blocks:
            return self._blocks[i, j]
        engine = self._engine
        x, y = (engine.clouds(np.array([k])) for k in (i, j))
        block = costs_between(engine.cost, x, y)
        if block.nbytes <= self._free:
            self._free -= block.nbytes
            self._blocks[i, j] = block
        return block


def _combined(
    selves: Arriving, ends: Sequence[tuple[float, Arriving, Arriving]]
) -> tuple[float, float, float, bool]:
    """Value, bounds and convergence of a divergence from targets.

    Args:
        selves: of the union with itself.
        ends: for each target its share, the union with it, and it with itself.
    """
    own = selves.columns()
    value, lower, upper = (-float(own[x][0]) / 2.0 for x in ("ot_value", "ot_upper", "ot_lower"))
    converged = bool(own["converged"][0])
    for share, found, found_self in ends:
        between, goal = found.columns(), found_self.columns()
        value += share * float(between["ot_value"][0] - goal["ot_value"][0] / 2.0)
        lower += share * float(between["ot_lower"][0] - goal["ot_upper"][0] / 2.0)
        upper += share * float(between["ot_upper"][0] - goal["ot_lower"][0] / 2.0)
        converged &= bool(between["converged"][0] and goal["converged"][0])
    return float(value), float(lower), float(upper), converged


def _mean_potential(solved: _Solved) -> Tensor:
    """The symmetric potential of a cloud with itself, float64 [n]."""
    potentials = solved.potentials
    return (potentials.f[0].double() + potentials.next_g[0].double()) / 2.0


def _centred(values: Tensor, mass: Tensor) -> Tensor:
    """Values less their mean, times their masses."""
    return mass * (values - (mass * values).sum() / mass.sum())
