"""What a point of a target costs from a sample of a region, before the sample is drawn."""

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
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.kernels.costs import costs_between
from geospot_gpu.progress import Progress

Array = NDArray[np.float64]

_TILE_ENTRIES = 1 << 22
UNLIKELY = 1e-9
"""Order statistics less likely than this to be the smallest of a sample are left out."""


def quota_costs(
    engine: PairEngine, targets: Indices, sources: Indices, quota: Sequence[int] | Indices
) -> Array:
    """Expected cost of every target point from the nearest point of a sample of each source.

    A sample of ``quota`` points is drawn without replacement; a point of a source that is the
    target itself never stands for itself.

    Args:
        engine: the regions and their cost.
        targets: positions of target regions, whose points follow each other in the rows.
        sources: positions of the regions that samples are drawn from, [R].
        quota: how many points of each, [R]; all where it has no more.

    Returns:
        Costs [M, R] in units of the scaled ground cost.
    """
    rows = []
    with Progress("comparing", "regions", total=len(targets) * len(sources)) as progress:
        for t in targets:
            columns = []
            for r, q in zip(sources, quota, strict=True):
                columns.append(_expected(engine, int(t), int(r), int(q)))
                progress.update()
            rows.append(torch.stack(columns, dim=1))
    return torch.cat(rows).double().cpu().numpy()


class Draw(NamedTuple):
    """A region that samples are drawn from, as some points of a target see it."""

    costs: Tensor
    """[m, n]."""
    weight: Tensor
    """Masses of its points, [m, n]; zero where a point would stand for itself."""
    points: int
    """How many there are, repeated ones counted."""
    alike: bool
    """Whether all masses are the same."""


def seen_from(engine: PairEngine, t: int, rows: slice, r: int) -> Draw:
    """Region ``r`` from the points ``rows`` of region ``t``."""
    goal, source = (engine.clouds(np.array([k])) for k in (t, r))
    some = replace(goal, start=goal.start + rows.start, size=np.array([rows.stop - rows.start]))
    costs = costs_between(engine.cost, some, source)
    mass = engine.regions.weight[slice(*engine.regions.offsets[r : r + 2].tolist())]
    mass = mass.cpu().to(source.dtype)
    weight = source.weight.double().expand(len(costs), len(mass))
    if own := r == t:
        index = torch.arange(rows.start, rows.stop, device=weight.device)[:, None]
        weight = weight.scatter(1, index, 0.0)
    alike = not own and bool((mass == mass[0]).all())
    return Draw(costs, weight, int(engine.regions.n_points[r]) - own, alike)


def pieces(points: int, others: int) -> list[slice]:
    """Rows of a matrix of costs [points, others] that are found at once."""
    step = max(1, _TILE_ENTRIES // max(others, 1))
    return [slice(low, min(points, low + step)) for low in range(0, points, step)]


def _expected(engine: PairEngine, t: int, r: int, quota: int) -> Tensor:
    """Expected smallest cost of each point of region ``t`` to a sample of region ``r``, [m]."""
    m, n = (int(engine.sizes[k]) for k in (t, r))
    draws = (seen_from(engine, t, rows, r) for rows in pieces(m, n))
    return torch.cat([expected_minimum(*d[:3], quota, alike=d.alike) for d in draws])


def expected_minimum(
    costs: Tensor, weight: Tensor, count: int, quota: int, *, alike: bool | None = None
) -> Tensor:
    """Expected smallest of the costs of a sample without replacement, row by row.

    No point among the nearest, which carry the share s of all mass, is in a sample of q out of N
    points with probability ``C(N - sN, q) / C(N, q)``; the factorials of what is not a whole number
    are those of the gamma function. Exact for points of equal mass and for repeated points.

    Args:
        costs: [m, n].
        weight: masses of the points, [m, n]; a point of mass zero is never drawn.
        count: N, how many points there are, repeated ones counted.
        quota: q, how many are drawn; all where there are no more.
        alike: whether all masses are the same, where that is known; a GPU is asked otherwise.

    >>> costs = torch.tensor([[3.0, 1.0, 2.0]])
    >>> weight = torch.ones(1, 3)
    >>> [round(float(expected_minimum(costs, weight, 3, q)[0]), 4) for q in (1, 2, 3)]
    [2.0, 1.3333, 1.0]
    """
    quota = min(quota, count)
    if quota < 1:
        return costs.new_full((len(costs),), torch.inf, dtype=torch.float64)
    if alike is None:
        alike = bool((weight == weight[:1, :1]).all())
    if alike and count == costs.shape[1]:
        absent = _absent(torch.arange(count + 1).double(), count, quota)
        likely = int((absent[:-1] > UNLIKELY).sum())
        first = upload((absent[:-1] - absent[1:])[:likely], costs.device)
        smallest = torch.topk(costs, likely, dim=1, largest=False, sorted=True).values
        return smallest.double() @ first / first.sum()
    ordered, absent = absences(Draw(costs, weight, count, False), quota)
    return ((absent[:, :-1] - absent[:, 1:]) * ordered.double()).sum(1) / (1.0 - absent[:, -1])


def absences(draw: Draw, quota: int, most: int | None = None) -> tuple[Tensor, Tensor]:
    """The smallest costs in order, and the chance that a sample has none of the first k.

    Args:
        draw: costs [m, n] and masses.
        quota: how many points are drawn, at least one.
        most: how many of the costs are wanted; all if not given.

    Returns:
        Costs [m, most], and chances [m, most + 1].
    """
    count, quota, most = draw.points, min(quota, draw.points), most or draw.costs.shape[1]
    ordered, order = draw.costs.topk(most, dim=1, largest=False, sorted=True)
    if draw.alike and count == draw.costs.shape[1]:
        absent = upload(_absent(torch.arange(most + 1).double(), count, quota), ordered.device)
        return ordered, absent.expand(len(ordered), -1)
    mass = draw.weight.double()
    before = torch.cumsum(mass.gather(1, order) / mass.sum(1, keepdim=True), 1)
    before = torch.nn.functional.pad(before, (1, 0)).clamp(max=1.0)
    return ordered, _absent(count * before, count, quota)


def _absent(nearest: Tensor, count: int, quota: int) -> Tensor:
    """Probability that a sample of ``quota`` of ``count`` has none of the ``nearest``."""
    left = (count - nearest).round(decimals=9)
    whole = torch.tensor(float(count), dtype=torch.float64)
    logarithm = (
        torch.lgamma(left + 1.0)
        - torch.lgamma((left - quota).clamp(min=0.0) + 1.0)
        + torch.lgamma(whole - quota + 1.0)
        - torch.lgamma(whole + 1.0)
    )
    return torch.where(left >= quota, logarithm.exp(), 0.0)
