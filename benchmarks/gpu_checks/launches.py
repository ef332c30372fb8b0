"""The launches of the GPU's kernel at real shapes, written down instead of run.

Tiles, warps and types are those that :class:`~geospot_gpu.kernels.gpu.batch.Batch` chooses for a
card of the architecture, so that nothing here has to follow when it changes its mind.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from benchmarks.gpu_checks.cards import LIMITS
from geospot_gpu.cost import GroundCost
from geospot_gpu.kernels.clouds import CloudBatch, PointArrays
from geospot_gpu.kernels.contract import IterationSettings, Side
from geospot_gpu.kernels.gpu import batch as batches
from geospot_gpu.kernels.gpu.batch import Batch
from geospot_gpu.kernels.gpu.finish import FAR, PENDING
from geospot_gpu.kernels.gpu.iteration import step
from geospot_gpu.kernels.gpu.loop import begin
from geospot_gpu.kernels.gpu.tiles import Kept
from geospot_gpu.kernels.gpu.tiling import Card
from geospot_gpu.kernels.tiles import CostTiles

_TYPES = {
    torch.float16: "*fp16",
    torch.float32: "*fp32",
    torch.float64: "*fp64",
    torch.uint16: "*u16",
    torch.int32: "*i32",
    torch.int64: "*i64",
}
_SOURCE: Side = "source"
_TARGET: Side = "target"


class Launch(NamedTuple):
    """A pass of Triton with all that it is compiled from."""

    label: str
    function: Any
    types: tuple[tuple[str, Any], ...]
    """Names and types of its arguments; constants have ``constexpr``."""
    constants: tuple[tuple[str, Any], ...]
    options: tuple[tuple[str, Any], ...]
    """Of the compiler: ``num_warps`` and the like."""


class Problem(NamedTuple):
    """Two clouds and what is done with them."""

    name: str
    cost: GroundCost
    features: int
    points: tuple[int, int]
    """Of the source and of the target."""
    passes: Collection[str]
    """Of ``cheap exact marginals plan keep step damped``."""


_MIXED = GroundCost(geo_weight=0.5)
_FEATURES = GroundCost(geo_weight=0.0)
_GEOGRAPHY = GroundCost(geo_weight=1.0)
_SQUARES = GroundCost(feature="sqeuclidean", geo_weight=0.0)
_LARGE, _SMALL = (300, 300), (60, 60)

PROBLEMS = (
    Problem(
        "mixed, D 512", _MIXED, 512, _LARGE,
        ("cheap", "exact", "marginals", "plan", "keep"),
    ),
    Problem("mixed, D 512, small", _MIXED, 512, _SMALL, ("exact", "plan", "keep")),
    Problem(
        "features, D 512", _FEATURES, 512, _LARGE, ("cheap", "exact", "marginals", "plan", "keep")
    ),
    Problem("squares, D 64", _SQUARES, 64, _LARGE, ("cheap", "exact", "plan", "keep")),
    Problem("squares, D 200", _SQUARES, 200, _LARGE, ("exact",)),
    Problem("squares, D 3", _SQUARES, 3, _LARGE, ("exact", "plan")),
    Problem("geography", _GEOGRAPHY, 1, _LARGE, ("cheap", "marginals", "plan", "keep")),
    Problem("geography, small", _GEOGRAPHY, 1, _SMALL, ("cheap", "plan", "keep")),
    Problem("60 columns", _MIXED, 64, _SMALL, ("step",)),
    Problem("1024 columns", _MIXED, 64, (65, 1024), ("step",)),
    Problem("1024 columns", _MIXED, 64, (65, 1024), ("step", "damped")),
    Problem("2048 columns", _MIXED, 64, (65, 2048), ("step",)),
    Problem("more columns", _MIXED, 64, (65, 4097), ("step",)),
)  # fmt: skip
"""What real sweeps come to."""


def launches(architecture: int, problems: Collection[Problem] = PROBLEMS) -> list[Launch]:
    """All launches of the problems on cards of an architecture, each once."""
    card = Card(LIMITS[architecture].block, architecture // 10 == 10)
    with mock.patch.object(batches, "card", return_value=card):
        return list(dict.fromkeys(launch for problem in problems for launch in _launches(problem)))


def _launches(problem: Problem) -> Iterator[Launch]:
    found: list[Launch] = []

    def note(_: Batch, function: Any, work: Tensor, *arguments: Any, **options: Any) -> None:
        found.append(_launch(problem.name, function, (work, *arguments), options))

    with mock.patch.object(Batch, "launch", note):
        source, target = (_cloud(points, problem.features) for points in problem.points)
        tiles = CostTiles(problem.cost, source, target, 1 << 20)
        _run(Batch(tiles, source, target, 0.05), problem.passes)
    yield from found


def _run(batch: Batch, passes: Collection[str]) -> None:
    """What a kernel asks of the batch."""
    settings = IterationSettings(1e-3, 1, damping=0.5 if "damped" in passes else 1.0)
    state = begin(batch, settings)
    f, g, new_f, new_g = state.f, state.g, state.after, state.next_g
    for exact in (name == "exact" for name in ("cheap", "exact") if name in passes):
        step(batch, state, settings, _SOURCE, PENDING.value, exact=exact, quick=False)
    if "marginals" in passes:
        batch.marginals(f, g, new_f, new_g)
        batch.marginals(f, g, new_f, new_g, (new_f, new_g))
    if "plan" in passes:
        batch.plan_sums(f, g, f, g)
    batch.keeps = True
    if "keep" in passes:
        assert batch.kept
    if "step" in passes:
        batch.kept = Kept(torch.zeros(1, dtype=torch.uint16), f.long(), f[0], f[0])
        step(batch, state, settings, _SOURCE, FAR.value, exact=False, quick=False)
        if batch.quick:
            for damped in (_SOURCE, _TARGET):
                step(batch, state, settings, damped, PENDING.value, exact=False, quick=True)


def _cloud(points: int, features: int) -> CloudBatch:
    xyz = torch.eye(3)[torch.arange(points) % 3]
    arrays = PointArrays(torch.ones(points, features), xyz, torch.full((points,), 1.0 / points))
    return CloudBatch(arrays, np.zeros(1, np.int64), np.full(1, points))


def _launch(
    problem: str, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> Launch:
    names = function.arg_names
    types = dict(zip(names, map(_type, arguments), strict=False))
    constants = {name: value for name, value in keywords.items() if name in names}
    options = {name: value for name, value in keywords.items() if name not in names}
    label = " ".join([function.__name__, *(k.lower() for k, v in constants.items() if v is True)])
    if "BM" in constants:  # others do not depend on the problem
        label = f"{label.removesuffix(' geo')}: {problem}"
    types |= dict.fromkeys(constants, "constexpr")
    ordered = tuple((name, types[name]) for name in names)
    return Launch(label, function, ordered, tuple(constants.items()), tuple(options.items()))


def _type(value: Any) -> Any:
    """The name that Triton gives to the type of an argument."""
    if isinstance(value, tuple):
        inner = [_type(field) for field in value]
        return type(value)(*inner) if hasattr(value, "_fields") else tuple(inner)
    if isinstance(value, Tensor):
        return _TYPES[value.dtype]
    return "fp32" if isinstance(value, float) else "i32"
