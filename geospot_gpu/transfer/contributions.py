"""Which places drive the divergence of two regions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from geospot_gpu.cost import GroundCost
from geospot_gpu.engine.method import Solver, check_entropic, method_for
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.engine.settings import Engine, settled
from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.names import Name
from geospot_gpu.regions import Regions
from geospot_gpu.regions.collection import which_points
from geospot_gpu.sinkhorn.coverage import importance


@out_of_memory("sharing out a divergence", "sweep with a smaller regions.max_points")
def contributions(
    regions: Regions,
    *,
    source: Name,
    target: Name,
    cost: GroundCost,
    solver: Solver,
    engine: Engine,
) -> pd.DataFrame:
    """What every point contributes to the divergence between two regions.

    A point of the source contributes its mass times ``f_ab - f_aa``, one of the target its mass
    times ``g_ab - g_bb``: the first variation of the divergence, debiased (Feydy et al. 2019,
    Interpolating between OT and MMD, section 3). Potentials are defined up to a constant, which is
    chosen so that either side sums to half of the divergence. A negative contribution belongs to a
    place where the other region has more than its share: moving more mass there would bring the
    two closer.

    Args:
        regions: a collection with both regions.
        source, target: their names, or whatever else names them.
        cost: ground cost.
        solver: its ``rho`` is the price at which points of the source get their importance.
        engine: device, kernel and memory budget.

    Returns:
        One row per distinct point: ``lon``, ``lat`` (degrees; where points have no coordinates
        ``row``, in their table and counted from 1), ``region``, ``side`` (``source`` or
        ``target``), ``weight``, ``contribution``, and ``importance``: how much more a source point
        counts for the target than at home, which are weights for training; null on the target side.

    Raises:
        GeospotError: a name is unknown, or both are the same.
    """
    method, engine = method_for(regions, cost, solver), settled(engine)
    entropic = check_entropic(method.solver, "geospot explain")
    i, j = regions.position(source, "source"), regions.position(target, "target")
    names = [regions.names[i], regions.names[j]]
    if i == j:
        raise GeospotError(f"source and target are both {names[0]}: their divergence is zero")
    pair_engine = PairEngine(regions, method, engine)
    kernel, between = pair_engine.potentials(i, j)
    a, b = (cloud.weight[0].double() for cloud in (kernel.source, kernel.target))
    f, g = between.f[0].double(), between.next_g[0].double()
    f, g = f - _self_potential(pair_engine, i), g - _self_potential(pair_engine, j)
    shift = ((b * g).sum() - (a * f).sum()) / 2.0
    values = torch.cat([a * (f + shift), b * (g - shift)]).cpu().numpy()
    weights = np.full(len(values), np.nan)
    covering, covered = pair_engine.potentials(i, j, rho=entropic.rho)
    weights[: len(a)] = importance(covering, covered)[0].cpu().numpy()
    rows = [np.arange(*regions.offsets[k : k + 2]) for k in (i, j)]
    at = np.concatenate(rows)
    return which_points(regions, at).assign(
        region=np.repeat(np.array(names, object), [len(x) for x in rows]),
        side=np.repeat(["source", "target"], [len(x) for x in rows]),
        weight=torch.cat([a, b]).cpu().numpy(),
        contribution=values,
        importance=weights,
    )


def _self_potential(engine: PairEngine, k: int) -> Tensor:
    """The symmetric potential of a region with itself, float64 [n]."""
    _, solved = engine.potentials(k, k)
    return (solved.f[0].double() + solved.next_g[0].double()) / 2.0
