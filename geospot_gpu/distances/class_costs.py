"""How far apart classes are: the table that labels add to the ground cost.

As in optimal transport between labelled data sets (Alvarez-Melis & Fusi 2020, Geometric dataset
distances via optimal transport, section 4), two labels are as far apart as the features of their
points are. One table holds for a whole sweep, so that distances compare, their intervals are
certified for it, and a region has distance zero to itself.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from geospot_gpu.cost import GroundCost
from geospot_gpu.distances.solve import PairSolver
from geospot_gpu.engine.classes import check_labels, positions_of
from geospot_gpu.engine.method import Method, Solver
from geospot_gpu.engine.settings import Engine, settled
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.points.labels import are_numbers, bins, known
from geospot_gpu.regions import Regions
from geospot_gpu.sinkhorn import Sinkhorn

MOST_CLASSES = 256
_POINTS = 500
"""Of each class that its distances are found from."""
_DIGITS = 6

log = logging.getLogger("geospot_gpu")


def with_class_costs(
    cost: GroundCost,
    regions: Regions,
    *,
    solver: Solver | None = None,
    engine: Engine | None = None,
) -> GroundCost:
    """The cost with its table of distances between classes, found from regions; public as
    :func:`geospot_gpu.with_class_costs`.

    Two classes are as far apart as the Sinkhorn divergence of their points of all regions, at the
    same cost of features (of great circles where there are none). Labels that are numbers are
    binned into tenths of the points, and two bins are as far apart as their means. Either is
    divided by its mean over all pairs of different classes, so that ``label_weight`` means the
    same on all data.

    Args:
        cost: with a ``label_weight``; without one, or with a table, it is returned as it is.
        regions: the regions, all with labels.
        solver: of the divergences; :class:`~geospot_gpu.Sinkhorn` if not given.
        engine: device, backend and memory budget.

    Raises:
        GeospotError: regions have no labels, or more than 256 classes.

    >>> regions = Regions.from_points(
    ...     lon=[0, 90, 0, 90], lat=[0] * 4, region=list("aabb"), label=list("uvvu")
    ... )
    >>> cost = with_class_costs(GroundCost(geo_weight=1.0, label_weight=2.0), regions)
    >>> cost.classes, cost.class_costs, cost.class_table
    (('u', 'v'), ((0.0, 1.0), (1.0, 0.0)), ((0.0, 2.0), (2.0, 0.0)))
    """
    checks.instance(cost, GroundCost, "cost")
    checks.instance(regions, Regions, "regions", "as Regions.from_table makes them")
    if cost.label_weight is None or cost.class_costs is not None:
        return cost
    if regions.label is None:
        raise GeospotError(
            f"cost.label_weight={cost.label_weight:g} needs labels of points: name their column "
            "with points.label=..."
        )
    there = np.flatnonzero(known(regions.label))
    weight = regions.weight.cpu().numpy()[there]
    if are_numbers(regions.label):
        values = np.asarray(regions.label[there], np.float64)
        edges = bins(values, weight)
        at = np.searchsorted(edges[1:], values, side="right")
        means = np.bincount(at, weight * values) / np.bincount(at, weight)
        table = np.abs(means[:, None] - means)
        return _with(cost, table, tuple(edges.tolist()))
    names = tuple(sorted(set(regions.label[there].tolist())))
    if len(names) > MOST_CLASSES:
        raise GeospotError(
            f"cost.label_weight takes up to {MOST_CLASSES} classes, and labels have {len(names)}: "
            "give coarser labels, or numbers"
        )
    at = positions_of(regions.label, names)[there]
    plain = replace(cost, label_weight=None, geo_weight=0.0 if cost.uses_features else 1.0)
    method = Method(plain, Sinkhorn() if solver is None else solver)
    return _with(cost, _divergences(regions, names, there, at, method, settled(engine)), names)


def with_table(method: Method, regions: Regions, engine: Engine) -> Method:
    """The method with the table of its cost, found from regions where it needs one."""
    check_labels(regions, method.cost)
    cost = with_class_costs(method.cost, regions, solver=method.solver, engine=engine)
    return method if cost is method.cost else replace(method, cost=cost)


def _with(
    cost: GroundCost, table: NDArray[np.float64], classes: tuple[str, ...] | tuple[float, ...]
) -> GroundCost:
    """The cost with a table whose entries between different classes have mean one.

    Digits that another device may find otherwise are cut.
    """
    count = len(table)
    if count > 1:
        mean = table.sum() / (count * (count - 1))
        table = table / mean if mean > 0.0 else 1.0 - np.eye(count)
    rounded = [[float(f"{value:.{_DIGITS}g}") for value in row] for row in table.tolist()]
    return replace(cost, class_costs=tuple(map(tuple, rounded)), classes=classes)


def _divergences(
    regions: Regions,
    names: tuple[str, ...],
    rows: NDArray[np.int64],
    at: NDArray[np.int64],
    method: Method,
    engine: Engine,
) -> NDArray[np.float64]:
    """Divergences [K, K] between the points of classes, of which a sample is taken.

    Args:
        regions: the regions.
        names: of the classes.
        rows, at: points of known labels, and the class of each.
        method, engine: what solves.
    """
    table = np.zeros((len(names), len(names)))
    if len(names) < 2:
        return table
    clouds = _as_regions(regions, names, rows, at)
    left, right = np.triu_indices(len(names), k=1)
    solved = PairSolver(clouds, method, engine).solve(left, right, ["divergence"])
    if not solved["converged"].all():
        log.warning("distances between some classes did not converge: %s", method.solver.remedy)
    table[left, right] = np.maximum(solved["divergence"], 0.0)
    return table + table.T


def _as_regions(
    regions: Regions, names: tuple[str, ...], rows: NDArray[np.int64], at: NDArray[np.int64]
) -> Regions:
    """Classes as regions of their own, of points of all regions."""
    generator = np.random.default_rng(0)
    members = [rows[at == k] for k in range(len(names))]
    members = [
        some if len(some) <= _POINTS else np.sort(generator.choice(some, _POINTS, replace=False))
        for some in members
    ]
    sizes = np.array([len(some) for some in members])
    chosen = np.concatenate(members)
    where = torch.from_numpy(chosen).to(regions.device)
    weight = regions.weight[where]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    total = torch.stack([weight[a:b].sum() for a, b in pairwise(starts.tolist())])
    of = torch.from_numpy(np.repeat(np.arange(len(names)), sizes)).to(regions.device)
    weight = weight / total[of]
    return replace(
        regions,
        names=names,
        offsets=starts,
        xyz=regions.xyz[where],
        weight=weight,
        square_weight=weight.square(),
        features=None if regions.features is None else regions.features[where],
        lon=regions.lon[chosen],
        lat=regions.lat[chosen],
        row=regions.row[chosen],
        label=None,
        n_points=sizes,
        n_available=sizes,
        mass=np.ones(len(names)),
        digests=tuple(f"class {name}" for name in names),
        sources=(),
        counts={},
    )
