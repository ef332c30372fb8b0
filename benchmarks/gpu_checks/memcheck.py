"""Every pass in Triton's interpreter on awkward shapes: under the memory checker, beside float64.

python -m benchmarks.gpu_checks.memcheck              all cases; minutes
python -m benchmarks.gpu_checks.memcheck ragged       those with these letters
python -m benchmarks.gpu_checks.memcheck random 123   the random case of this seed
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple
from unittest import mock

if __name__ == "__main__":  # before Triton is imported
    os.environ["TRITON_INTERPRET"] = "1"

import numpy as np
import torch
from torch import Tensor

from benchmarks.gpu_checks.clouds64 import Array, Clouds, costs_between, random_clouds, softmin
from benchmarks.gpu_checks.memory import MemoryCheck
from geospot_gpu.cost import GroundCost
from geospot_gpu.kernels.contract import IterationSettings, PlanSums
from geospot_gpu.kernels.gpu import batch, layout
from geospot_gpu.kernels.gpu.finish import FAR, PENDING, State
from geospot_gpu.kernels.gpu.iteration import step
from geospot_gpu.kernels.gpu.kernel import TritonKernel
from geospot_gpu.kernels.gpu.loop import begin
from geospot_gpu.kernels.iterate import iterate
from geospot_gpu.kernels.tiles import CostTiles
from geospot_gpu.sinkhorn.bounds import certify

UNTOUCHED = -7.0
"""Stands where nothing may be written."""

_MIXED = GroundCost(geo_weight=0.5)
_GEOGRAPHY = GroundCost(geo_weight=1.0)
_FEATURES = GroundCost(geo_weight=0.0)
_SQUARES = GroundCost(feature="sqeuclidean", geo_weight=0.3, feature_scale=4.0)
_FAR = GroundCost(feature="sqeuclidean", geo_weight=0.0, feature_scale=1e6)
_RAGGED = [1, 15, 17, 47, 49], [49, 17, 1, 15, 47]


class Case(NamedTuple):
    """Problems, and what is awkward about them."""

    source: list[int]
    """Sizes of the clouds."""
    target: list[int]
    features: int = 16
    cost: GroundCost = _MIXED
    epsilon: float = 0.02
    keep: bool = True
    scale: float = 1.0
    zero_mass: bool = False
    antipodes: bool = False
    same: bool = False
    """Both sides are one and the same."""
    wide: bool = False
    """Steps over kept costs do not hold all columns at once."""
    slab: int = layout.SLAB
    solve: bool = True
    """Iterate to the end, and certify."""


CASES = {
    "ragged, D 65": Case(*_RAGGED, features=65),
    "ragged, streamed": Case([1, 15, 129], [129, 17, 47], features=3, keep=False),
    "D 3, more than a tile": Case([1, 15, 129], [129, 17, 47], features=3, solve=False),
    "D 1, squares": Case([17, 47], [49, 15], features=1, cost=_SQUARES, epsilon=0.05),
    "D 512": Case([47, 17], [49, 129], features=512, solve=False),
    "small epsilon": Case([47, 1], [49, 15], features=40, epsilon=1e-3),
    "small epsilon, geography": Case([47, 29], [49, 15], cost=_GEOGRAPHY, epsilon=1e-3),
    "zero masses": Case([47, 17, 49], [49, 15, 29], zero_mass=True),
    "identical clouds": Case([47, 17, 1], [47, 17, 1], same=True),
    "antipodes": Case([48, 16], [48, 16], cost=_GEOGRAPHY, antipodes=True),
    "wide steps": Case([47, 69, 15], [49, 70, 29], wide=True),
    "wide steps, zero masses": Case([47, 33], [49, 70], cost=_FEATURES, zero_mass=True, wide=True),
    "slabs of one block": Case([130, 260], [140, 15], slab=1, solve=False),
    "very different sizes": Case([1, 300], [300, 2], features=8, solve=False),
    "far from one, squares": Case([15, 47], [17, 49], cost=_FAR, epsilon=0.05, scale=300.0),
}

RANDOM = 8
"""How many random cases stand beside these."""


def random_case(seed: int) -> Case:
    """A case drawn at random, small enough for the interpreter.

    >>> random_case(5) == random_case(5) != random_case(6)
    True
    """
    generator = np.random.default_rng(seed)
    problems, cost = int(generator.integers(1, 4)), _COSTS[generator.integers(len(_COSTS))]
    source, target = (generator.choice(_SIZES, problems).tolist() for _ in range(2))
    flags = {name: bool(generator.random() < 0.3) for name in _FLAGS}
    if flags["antipodes"] and cost.feature == "sqeuclidean":
        flags["antipodes"] = False  # which is about the sphere
    return Case(
        source,
        target,
        features=int(generator.choice([1, 2, 7, 8, 9, 16, 31, 64, 65, 130])),
        cost=cost,
        epsilon=float(generator.choice([2e-3, 0.02, 0.1])),
        keep=bool(generator.random() < 0.7),
        solve=bool(generator.random() < 0.3),
        **flags,
    )


_COSTS = _MIXED, _GEOGRAPHY, _FEATURES, _SQUARES
_SIZES = (1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 47, 63, 64, 65, 70, 127, 129)
_FLAGS = ("zero_mass", "antipodes", "same", "wide")


def chosen(letters: str) -> dict[str, Case]:
    """The cases whose names have these letters; any seed of random cases can be named."""
    first, _, seed = letters.partition(" ")
    if first == "random" and seed.isdecimal():
        return {letters: random_case(int(seed))}
    every = CASES | {f"random {seed}": random_case(seed) for seed in range(RANDOM)}
    return {name: case for name, case in every.items() if letters in name}


class Found(NamedTuple):
    """What the passes gave, before anything is compared."""

    f: Tensor
    g: Tensor
    softmins: tuple[Tensor, Tensor]
    marginals: tuple[Tensor, Tensor]
    nearest: tuple[Tensor, Tensor]
    added: tuple[Tensor, Tensor]
    """What the plan's density has added, as their product."""
    sums: PlanSums
    near: tuple[Tensor, Tensor, Tensor]
    """Potentials before a step on cheap costs, and its factor."""
    steps: dict[str, State]
    """After it, by its kind."""
    wrong: list[str]


def check(case: Case, seed: int = 0) -> tuple[MemoryCheck, list[str]]:
    """Run all passes of a case; what the checker found, and where values are wrong."""
    generator = np.random.default_rng(seed)
    source = _clouds(case, case.source, generator)
    target = source if case.same else _clouds(case, case.target, generator)
    with _layout_of(case), MemoryCheck(seed) as memory:
        found = _run(case, source, target, generator)
    wrong = found.wrong
    for k in range(len(source.mass)):
        wrong += [f"{what} of problem {k}" for what in _differences(case, source, target, found, k)]
    return memory, wrong


def _clouds(case: Case, sizes: list[int], generator: np.random.Generator) -> Clouds:
    return random_clouds(
        sizes,
        case.features,
        case.cost,
        generator,
        scale=case.scale,
        zero_mass=case.zero_mass,
        antipodes=case.antipodes,
    )


@contextlib.contextmanager
def _layout_of(case: Case) -> Iterator[None]:
    with contextlib.ExitStack() as patches:
        changes: list[tuple[object, str, object]] = []
        if case.wide:
            changes += [(batch, "_WHOLE", 16), (batch, "_WIDE", (16, 32))]
        if case.slab != layout.SLAB:
            changes += [(layout, "SLAB", case.slab), (batch, "SLAB", case.slab)]
            changes += [(layout, "_LEAST_TILES", 1)]
        for owner, name, value in changes:
            patches.enter_context(mock.patch.object(owner, name, value))
        yield


def _run(case: Case, source: Clouds, target: Clouds, generator: np.random.Generator) -> Found:
    a, b = source.batch, target.batch
    tiles = CostTiles(case.cost, a, b, 1 << 20)
    kernel = TritonKernel(tiles, a, b, case.epsilon, case.keep)
    f, g = (
        torch.tensor(generator.uniform(-0.1, 0.1, cloud.shape), dtype=torch.float32)
        for cloud in (a, b)
    )
    omega = torch.tensor(generator.uniform(1.0, 1.8, len(a)), dtype=torch.float32)
    softmins = kernel.softmin(g, "source"), kernel.softmin(f, "target")
    kernel.expect_nearest()
    marginals, nearest = kernel.marginals(f, g), kernel.nearest()
    added = torch.rand_like(f), torch.rand_like(g)
    sums = kernel.plan_sums(f, g, *added)
    # Steps begin after an iteration, as quick ones have to, and a bit away from it.
    noise = [
        5.0 * case.epsilon * torch.tensor(generator.uniform(-1, 1, x.shape), dtype=torch.float32)
        for x in (f, g)
    ]
    near_g = kernel.softmin(kernel.softmin(g, "source"), "target") + noise[1]
    near_f = kernel.softmin(near_g, "source") + noise[0]
    settings, steps = IterationSettings(1e-3, 60), dict[str, State]()
    fields = {"softmin_f": f, "after": f, "next_g": g}
    for name, quick in (("step", False), ("quick step", True)):
        if quick and not kernel.batch.quick:
            continue
        out = {x: torch.full_like(like, UNTOUCHED) for x, like in fields.items()}
        state = begin(kernel.batch, settings)._replace(
            f=near_f.clone(), g=near_g.clone(), omega=omega.clone(), **out
        )
        state.limit.fill_(settings.max_iterations)
        step(kernel.batch, state, settings, "source", PENDING.value, exact=False, quick=quick)
        steps[name] = state
    wrong = []
    if case.solve:
        solved = iterate(kernel, settings)
        evidence = certify(kernel, case.cost, solved, 1e-3)
        found = {**solved._asdict(), **evidence._asdict()}
        damped = settings._replace(damping=0.5)
        for name, one in (("", kernel), ("transposed ", kernel.transposed())):
            if one is not None:
                values = iterate(one, damped)._asdict()
                found |= {f"{name}damped {key}": value for key, value in values.items()}
        wrong += [
            f"{name} is not finite"
            for name, values in found.items()
            if not torch.isfinite(values).all()
        ]
        if (evidence.ot_lower > evidence.ot_upper).any():
            wrong.append("an interval is empty")
    near = near_f, near_g, omega
    return Found(f, g, softmins, marginals, nearest, added, sums, near, steps, wrong)


def _differences(case: Case, source: Clouds, target: Clouds, found: Found, k: int) -> Iterator[str]:
    """What of problem ``k`` is not as it is in float64."""
    a, b, epsilon = source.mass[k], target.mass[k], case.epsilon
    n, m = len(a), len(b)
    costs = costs_between(source, target, k, case.cost)
    f, g = _of(found.f, k, n), _of(found.g, k, m)
    largest = float(np.abs(costs).max()) + 0.2
    row_softmin, column_softmin = softmin(costs, g, b, epsilon), softmin(costs.T, f, a, epsilon)
    for name, ours, truth in (
        ("softmin of rows", _of(found.softmins[0], k, n), row_softmin),
        ("softmin of columns", _of(found.softmins[1], k, m), column_softmin),
        ("nearest of rows", _of(found.nearest[0], k, n), costs[:, b > 0.0].min(1)),
        ("nearest of columns", _of(found.nearest[1], k, m), costs[a > 0.0].min(0)),
    ):
        if not np.abs(ours - truth).max() <= 2e-6 * max(1.0, largest):
            yield name
    exponents = np.maximum((f[:, None] + g - costs) / epsilon, -126.0 * np.log(2.0))
    if exponents.max() < np.log(1e35):  # times its logarithm it is still a float32
        density, limit = np.exp(exponents), 3e-6 * largest / epsilon + 2e-5
        for name, ours, truth in (
            ("marginal of rows", _of(found.marginals[0], k, n), density @ b),
            ("marginal of columns", _of(found.marginals[1], k, m), a @ density),
        ):
            if not np.abs(ours / truth - 1.0).max() <= limit:
                yield name
        density += np.outer(_of(found.added[0], k, n), _of(found.added[1], k, m))
        for name, sums, each in (
            ("transport cost", found.sums.transport_cost, costs),
            ("entropy", found.sums.entropy, np.log(density)),
        ):
            truth, size = (a @ (density * values) @ b for values in (each, np.abs(each) + 1e-3))
            if not abs(float(sums[k]) - truth) <= 4.0 * limit * size:
                yield name
    omega = float(found.near[2][k])
    f, g = _of(found.near[0], k, n), _of(found.near[1], k, m)
    row_softmin = softmin(costs, g, b, epsilon)
    relaxed = f + omega * (row_softmin - f)
    column_softmin = softmin(costs.T, relaxed, a, epsilon)
    limit = omega * 2.0 * _roundoff_of_cheap(case, source, target, k, costs, largest)
    for name, state in found.steps.items():
        if int(state.mode[k]) == FAR.value:
            yield f"{name}: refused"
        for side, ours, truth in (
            ("rows", _of(state.softmin_f, k, n), row_softmin),
            ("columns", _of(state.next_g, k, m), column_softmin),
        ):
            if not np.abs(ours - truth).max() <= limit:
                yield f"{name}, {side}"
        for values, size in ((state.softmin_f, n), (state.after, n), (state.next_g, m)):
            if not (values[k, size:] == UNTOUCHED).all():
                yield f"{name}: padding is written"


def _roundoff_of_cheap(
    case: Case, source: Clouds, target: Clouds, k: int, costs: Array, largest: float
) -> float:
    """Of a cost from features of 11 bits, kept in 16."""
    of_product = 2.0
    if case.cost.feature == "sqeuclidean":
        squares = [(side.features[k] ** 2).sum(1).max() for side in (source, target)]
        of_product = 2.0 * max(1.0, *squares)
    feature = (1.0 - case.cost.geo_weight) / case.cost.feature_scale * of_product
    kept = float(np.ptp(costs)) / 65535.0
    return kept + 2.0**-10 * feature + 1e-5 * max(1.0, largest)


def _of(values: Tensor, k: int, size: int) -> Array:
    found: Array = values[k, :size].double().numpy()
    return found


def main() -> None:
    torch.set_num_threads(1)
    failed = []
    for name, case in chosen(" ".join(sys.argv[1:])).items():
        began = time.perf_counter()
        memory, wrong = check(case)
        bad = [*wrong, *(f"{what} ({count})" for what, count in memory.problems.items())]
        print(
            f"{name:26s} {'FAILED ' + '; '.join(bad) if bad else 'ok'} | {memory.launches} launches"
            f", {memory.accesses} accesses | {time.perf_counter() - began:.0f} s",
            flush=True,
        )
        failed += [name] if bad else []
    if failed:
        raise SystemExit(f"these cases fail: {'; '.join(failed)}")


if __name__ == "__main__":
    main()
