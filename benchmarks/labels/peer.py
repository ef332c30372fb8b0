"""The same problems as POT takes them: a dense cost of features and labels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import ot
import torch
from numpy.typing import NDArray
from torch import Tensor

import geospot_gpu as gs
from benchmarks.peers import ACCURACY, STOPS
from benchmarks.workloads import EPSILON
from geospot_gpu.engine.classes import classes_of


class Augmented(NamedTuple):
    """A pair of labelled clouds, as OTDD has it (Alvarez-Melis & Fusi 2020, section 4)."""

    x: Tensor
    """Features of length one, float32, [n, D] and [m, D] of the two sides."""
    y: Tensor
    at_x: Tensor
    """Classes, [n] and [m]."""
    at_y: Tensor
    a: Tensor
    """Weights, [n] and [m]."""
    b: Tensor
    table: Tensor
    """Distances between classes, [K, K]."""

    def cost(self, kind: torch.dtype) -> Tensor:
        """The whole cost, [n, m]."""
        feature = 1.0 - self.x.to(kind) @ self.y.to(kind).T
        return feature + self.table.to(kind)[self.at_x][:, self.at_y]


def problem(regions: gs.Regions, cost: gs.GroundCost, i: int, j: int) -> Augmented:
    """The pair (i, j) of a collection."""
    classes = classes_of(regions, cost)
    assert classes is not None
    assert regions.features is not None
    sides = []
    for k in (i, j):
        rows = slice(*regions.offsets[k : k + 2].tolist())
        sides.append(
            (regions.features[rows], torch.from_numpy(classes[rows]), regions.weight[rows])
        )
    (x, at_x, a), (y, at_y, b) = sides
    return Augmented(x, y, at_x, at_y, a, b, torch.tensor(cost.class_table, dtype=torch.float64))


def exact(one: Augmented) -> tuple[float, float]:
    """OT value and transport cost, by POT in float64 to 1e-9, or 50,000 iterations.

    In the kernel domain, whose exponentials float64 holds up to costs of 700 epsilon: iterations in
    the log domain take fifty times as long, and some pairs need all of them.
    """
    costs, a, b = one.cost(torch.float64).numpy(), one.a.double().numpy(), one.b.double().numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan = ot.sinkhorn(
            a / a.sum(), b / b.sum(), costs, reg=EPSILON, method="sinkhorn",
            numItermax=50_000, stopThr=1e-9,
        )  # fmt: skip
    assert np.isfinite(plan).all()
    transport, positive = float((plan * costs).sum()), plan > 0
    relative = plan[positive] / np.outer(a / a.sum(), b / b.sum())[positive]
    return transport + EPSILON * float((plan[positive] * np.log(relative)).sum()), transport


def transport_costs(
    problems: Sequence[Augmented], stop: float, kind: torch.dtype
) -> NDArray[np.float64]:
    """Transport costs by ``ot.sinkhorn2`` in the kernel domain, costs included."""
    found = []
    settings = {"numItermax": 10_000, "stopThr": stop, "warn": False}
    for one in problems:
        a, b = one.a.to(kind), one.b.to(kind)
        found.append(
            float(ot.sinkhorn2(a / a.sum(), b / b.sum(), one.cost(kind), EPSILON, **settings))
        )
    return np.array(found)


def loosest(
    problems: Sequence[Augmented], truth: NDArray[np.float64]
) -> tuple[float, torch.dtype, float]:
    """The loosest threshold, in float32 if that will do, that is accurate, and its worst error."""
    for kind in (torch.float32, torch.float64):
        for stop in STOPS:
            with warnings.catch_warnings():  # of numerical errors: that is what is found here
                warnings.simplefilter("ignore")
                values = transport_costs(problems, stop, kind)
            worst = float(np.nan_to_num(np.abs(values / truth - 1.0), nan=np.inf).max())
            if worst <= ACCURACY:
                return stop, kind, worst
    return stop, kind, worst
