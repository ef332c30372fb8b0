"""A small batch of problems whose answers are known in float64: are those of a kernel the same?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from geospot_gpu.cost import GroundCost
from geospot_gpu.kernels import reference
from geospot_gpu.kernels.clouds import CloudBatch, PointArrays, required
from geospot_gpu.kernels.contract import IterationSettings, Kernel
from geospot_gpu.kernels.iterate import iterate
from geospot_gpu.kernels.spec import KernelSpec

MOST_APART = {
    "softmin": 1e-5,
    "marginals": 5e-5,
    "plan sums": 5e-5,
    "nearest costs": 1e-5,
    "iterations": 1e-3,
    "damped iterations": 1e-3,
}
"""What a kernel computes, and how far from float64 that may be, relative to the largest value.

Twenty times what float32 comes to and more, and less than what 11 bits do, on which iterations
alone may be."""

COST = GroundCost(geo_weight=0.5)
BETWEEN_CLASSES = GroundCost(
    geo_weight=0.5, label_weight=0.3, class_costs=((0.0, 1.0, 0.4), (0.7, 0.2, 0.0))
)
"""With classes, two of sources and three of targets."""
FEATURES = 200
"""Of each point: for several steps of a product."""

# Several blocks of the largest tiles, the last of them not full, and a problem of few points; where
# Triton interprets its programs, which is slow, one block that is not full.
_SIZES = {False: ((130, 5), (70, 129)), True: ((66,), (65,))}
_EPSILON = 0.1
_BUDGET = 1 << 28
# What kernels compute alike: not all of them let classes exchange their mass.
_FEW = IterationSettings(tolerance=0.0, max_iterations=3, relaxed=False, by_class=False)


class _Problem(NamedTuple):
    """Clouds on both sides, and potentials and factors on both sides of each problem."""

    source: CloudBatch
    target: CloudBatch
    f: Tensor
    g: Tensor
    u: Tensor
    v: Tensor

    def to(self, device: torch.device, dtype: torch.dtype) -> _Problem:
        """The same numbers elsewhere."""

        def moved(cloud: CloudBatch) -> CloudBatch:
            own = cloud.points
            arrays = required(own.features), own.xyz, own.mass
            features, xyz, mass = (x.to(device, dtype) for x in arrays)
            classes = required(own.classes).to(device)
            return replace(cloud, points=PointArrays(features, xyz, mass, classes))

        vectors = (x.to(device, dtype) for x in self[2:])
        return _Problem(moved(self.source), moved(self.target), *vectors)


def differences(
    spec: KernelSpec, device: torch.device, cost: GroundCost = COST
) -> dict[str, float]:
    """How far a kernel on a device is from float64, in the numbers of :data:`MOST_APART`.

    Args:
        spec: of the kernel.
        device: where it computes.
        cost: :data:`COST` or :data:`BETWEEN_CLASSES`.

    Returns:
        The largest difference of each, relative to the largest value; NaN where a number is none.
    """
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    problem = _problem(interpreted).to(device, torch.float32)
    kernel = spec.build(cost, problem.source, problem.target, _EPSILON, _BUDGET)
    found: dict[str, float] = {}
    pairs = zip(_numbers(kernel, problem), _exact(cost, interpreted), strict=True)
    for (name, ours), (_, exact) in pairs:
        apart = (ours.double().cpu() - exact).abs().max() / exact.abs().max()
        found[name] = float(torch.maximum(apart, torch.tensor(found.get(name, 0.0))))
    return found


def wrong(found: dict[str, float]) -> str | None:
    """What of that is too far apart, in one clause; None where nothing is."""
    bad = [f"{name} by {found[name]:.1e}" for name in found if not found[name] <= MOST_APART[name]]
    return f"its numbers are wrong: {', '.join(bad)} of the largest value" if bad else None


@cache
def _problem(interpreted: bool) -> _Problem:
    """The clouds, in float32 on the CPU: features that lie near a space of few dimensions."""
    random = np.random.default_rng(13)
    basis = random.normal(size=(4, FEATURES))

    def clouds(sizes: tuple[int, ...], classes: int) -> CloudBatch:
        total = sum(sizes)
        features = random.normal(size=(total, 4)) @ basis + random.normal(size=(total, FEATURES))
        xyz, mass = random.normal(size=(total, 3)), random.uniform(0.2, 1.0, total)
        start = np.cumsum([0, *sizes[:-1]])
        for low, n in zip(start, sizes, strict=True):
            mass[low : low + n] /= mass[low : low + n].sum()
        unit = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (features, xyz))
        one, two, three = (torch.tensor(x, dtype=torch.float32) for x in (*unit, mass))
        points = PointArrays(one, two, three, torch.arange(total) % classes)
        return CloudBatch(points, start.astype(np.int64), np.array(sizes, np.int64))

    source, target = map(clouds, _SIZES[interpreted], (2, 3))
    vectors = (0.2 * random.random(side.shape) for side in (source, target) * 2)
    return _Problem(source, target, *(torch.tensor(x, dtype=torch.float32) for x in vectors))


@cache
def _exact(cost: GroundCost, interpreted: bool) -> list[tuple[str, Tensor]]:
    """The numbers in float64, by torch on the CPU."""
    problem = _problem(interpreted).to(torch.device("cpu"), torch.float64)
    kernel = reference.KEPT.build(cost, problem.source, problem.target, _EPSILON, _BUDGET)
    return list(_numbers(kernel, problem))


def _numbers(kernel: Kernel, problem: _Problem) -> Iterator[tuple[str, Tensor]]:
    """All that a kernel computes of a problem, without what is at padding."""
    f, g, u, v = problem[2:]
    rows, columns = problem.source.weight > 0, problem.target.weight > 0
    yield "softmin", kernel.softmin(g, "source")[rows]
    yield "softmin", kernel.softmin(f, "target")[columns]
    over_a, over_b = kernel.marginals(f, g)
    yield "marginals", over_a[rows]
    yield "marginals", over_b[columns]
    for value in kernel.plan_sums(f, g, u, v):
        yield "plan sums", value
    to_target, to_source = kernel.nearest()
    yield "nearest costs", to_target[rows]
    yield "nearest costs", to_source[columns]
    for name, damping in (("iterations", 1.0), ("damped iterations", 0.9)):
        found = iterate(kernel, _FEW._replace(damping=damping))
        yield name, found.f[rows]
        yield name, found.g[columns]
        yield name, found.next_g[columns]
