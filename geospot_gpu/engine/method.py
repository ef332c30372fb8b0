"""What a distance means: its ground cost, and what solves it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from geospot_gpu.cost import GroundCost
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.feature_costs import check_claims, find
from geospot_gpu.kernels.precision import full_precision
from geospot_gpu.regions import Regions
from geospot_gpu.sinkhorn.emd import EMD
from geospot_gpu.sinkhorn.geomloss import GeomLoss
from geospot_gpu.sinkhorn.solver import Sinkhorn

Solver = Sinkhorn | GeomLoss | EMD

_CHECKED = 32
"""Points whose costs show whether a user's function is a cost."""


@dataclass(frozen=True)
class Method:
    """Cost and solver: distances of one method compare.

    Args:
        cost: ground cost.
        solver: what solves a problem.

    Raises:
        GeospotError: one of them is of another kind.
    """

    cost: GroundCost
    solver: Solver

    def __post_init__(self) -> None:
        checks.instance(self.cost, GroundCost, "cost")
        checks.instance(self.solver, (Sinkhorn, GeomLoss, EMD), "solver")

    @property
    def epsilon(self) -> float:
        """Entropic regularisation, in units of the scaled ground cost; zero where there is none."""
        return self.solver.epsilon

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the computation."""
        return self.solver.dtype


def method_for(regions: Regions, cost: GroundCost | None, solver: Solver | None) -> Method:
    """Cost and solver where they were given, or what is taken for them.

    Raises:
        GeospotError: one of the arguments is of another kind.
    """
    checks.instance(regions, Regions, "regions", "as Regions.from_table makes them")
    cost = default_cost(regions) if cost is None else cost
    return Method(cost, Sinkhorn() if solver is None else solver)


def default_cost(regions: Regions) -> GroundCost:
    """Half features and half geography; one of them alone where regions have not both."""
    if regions.features is None:
        return GroundCost(geo_weight=1.0)
    return GroundCost(geo_weight=0.5 if regions.located else 0.0)


def _unlocated(regions: Regions) -> str:
    """The first of those that have points without coordinates."""
    point = int(np.isnan(regions.lon).argmax())
    return regions.names[int(np.searchsorted(regions.offsets, point, side="right")) - 1]


def check_entropic(solver: Solver, what: str) -> Sinkhorn | GeomLoss:
    """The solver, where it regularises.

    Args:
        solver: the solver.
        what: needs that, as in ``geospot explain``.

    Raises:
        GeospotError: it does not.
    """
    if isinstance(solver, EMD):
        raise GeospotError(
            f"{what} needs an entropic solver, and solver=emd is exact: use solver=sinkhorn with a "
            "small solver.epsilon"
        )
    return solver


def check_compatible(regions: Regions, cost: GroundCost) -> None:
    """Raise where the cost does not suit what the regions have, or have not."""
    if cost.uses_features and regions.features is None:
        raise GeospotError(
            f"cost.geo_weight={cost.geo_weight} needs features, and encoder=none gives none: "
            "choose an encoder, or set cost.geo_weight=1"
        )
    if cost.uses_geography and not regions.located:
        raise GeospotError(
            f"cost.geo_weight={cost.geo_weight:g} needs coordinates, and points of "
            f"{_unlocated(regions)} have none: set cost.geo_weight=0"
        )
    if cost.uses_features and cost.feature == "cosine" and not regions.unit_features:
        raise GeospotError(
            "cost.feature=cosine needs features of length one: set encoder.normalize=true, or use "
            "cost.feature=sqeuclidean or euclidean"
        )
    if cost.own_feature and regions.features is not None:
        step = max(1, len(regions.features) // _CHECKED)
        with full_precision():
            check_claims(find(cost.feature), regions.features[::step])
