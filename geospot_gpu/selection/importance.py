"""Weights for training points: what coverage of a target makes of a pool."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from geospot_gpu.devices import upload
from geospot_gpu.progress import Progress
from geospot_gpu.selection.pool import PoolCosts
from geospot_gpu.sinkhorn.coverage import damping
from geospot_gpu.sinkhorn.solver import Sinkhorn

Array = NDArray[np.float64]

_ENTRIES = 1 << 22
_LEAST_NEIGHBOURS = 64


@dataclass(frozen=True)
class Importance:
    """Points of a pool that count for the targets.

    Attributes:
        chosen: their positions in the pool, the weightiest first, [K].
        weight: share of the plan's mass that starts from each, [K]; they sum to one.
        distance: mean cost of the plan.
        marginal_error: L1 violation of the target's marginal.
        converged: whether it is within the tolerance.
    """

    chosen: NDArray[np.int64]
    weight: Array
    distance: float
    marginal_error: float
    converged: bool


def nearest_of_pool(costs: PoolCosts, count: int) -> tuple[NDArray[np.int64], Array]:
    """The ``count`` points of the pool nearest to each target point, and their costs, [M, k] each.

    Every cost is looked at once, piece by piece.
    """
    count = min(count, len(costs.pool))
    device, targets = costs.mass.device, len(costs.mass)
    best = torch.full((targets, count), torch.inf, device=device, dtype=costs.mass.dtype)
    place = torch.zeros(targets, count, dtype=torch.int64, device=device)
    with Progress("comparing", "points", total=len(costs.pool)) as progress:
        for index, part in costs.pieces():
            tile = costs.tile(part).T
            # As the lists fill up, fewer and fewer targets meet a point that belongs on theirs.
            some = (tile.amin(1) < best[:, -1]).nonzero()[:, 0]
            here = upload(torch.from_numpy(index), device).expand(len(some), -1)
            both = torch.cat([best[some], tile[some]], dim=1)
            where = torch.cat([place[some], here], dim=1)
            best[some], kept = both.topk(count, dim=1, largest=False)
            place[some] = where.gather(1, kept)
            progress.update(len(index))
    return place.cpu().numpy(), best.double().cpu().numpy()


def default_neighbours(costs: PoolCosts) -> int:
    """Neighbours of each target point that plans are made of: all where the pool is not large."""
    return max(_LEAST_NEIGHBOURS, _ENTRIES // len(costs.mass))


def drawn(weight: Array, count: int, seed: int) -> NDArray[np.int64]:
    """Positions drawn one after another without replacement, each with chances by its weight.

    All at once, by the smallest of exponential waiting times with the weights as rates (Efraimidis
    & Spirakis 2006, Weighted random sampling with a reservoir). Those without weight come last.

    Args:
        weight: not negative, [n].
        count: how many to draw, at most n.
        seed: of the draw.

    >>> sorted(drawn(np.array([0.0, 0.6, 0.4]), 2, seed=0).tolist())
    [1, 2]
    """
    waits = np.random.default_rng(seed).exponential(size=len(weight))
    with np.errstate(divide="ignore"):
        order: NDArray[np.int64] = np.lexsort((waits, waits / weight))
    return order[:count]


def importance_weights(
    costs: PoolCosts, solver: Sinkhorn, rho: float, neighbours: int | None = None
) -> Importance:
    """Source marginal of the coverage plan from the pool to the targets.

    The plan takes each target point's mass from its nearest points of the pool only. That is the
    whole plan where they are all of the pool; elsewhere it is a good one while ``rho`` is small,
    for a high price spreads the mass over points far away, too.

    Iterated as in Chizat et al. 2018, Scaling algorithms for unbalanced optimal transport problems,
    table 1, with the best shift after each step (Séjourné, Vialard & Peyré 2022, section 3).

    Args:
        costs: between the pool and the targets.
        solver: for its epsilon, tolerance and largest number of iterations.
        rho: price of using points of the pool other than evenly.
        neighbours: how many points of the pool each target point may take from; as many as memory
            allows if not given.
    """
    place, cost = nearest_of_pool(costs, neighbours or default_neighbours(costs))
    pool, entry = np.unique(place.ravel(), return_inverse=True)
    entry = entry.reshape(place.shape)
    b = costs.mass.double().cpu().numpy()
    a = 1.0 / len(costs.pool)
    epsilon, damped = solver.epsilon, damping(rho, solver.epsilon)
    order = np.argsort(entry.ravel(), kind="stable")
    first = np.searchsorted(entry.ravel()[order], np.arange(len(pool)))
    scaled = cost / epsilon
    log_b = np.log(np.maximum(b, 1e-300))[:, None]

    def by_pool(values: Array) -> Array:
        """Log-sum-exp of entries over the points of the pool, [P]."""
        ordered = values.ravel()[order]
        peak = np.maximum.reduceat(ordered, first)
        total = np.add.reduceat(np.exp(ordered - peak[entry.ravel()[order]]), first)
        found: Array = peak + np.log(total)
        return found

    g = cost.min(axis=1) / epsilon  # potentials are in units of epsilon
    error = np.inf
    for _ in range(solver.max_iterations):
        f = -damped * by_pool(log_b + g[:, None] - scaled)
        # Points off all lists carry nothing: their share of the marginal stays away.
        low = (-f * epsilon / rho).max()
        f = f + rho / epsilon * (low + np.log(a * np.exp(-f * epsilon / rho - low).sum()))
        exponent = np.log(a) + f[entry] - scaled
        peak = exponent.max(axis=1)
        next_g = -(peak + np.log(np.exp(exponent - peak[:, None]).sum(axis=1)))
        error = float(b @ np.abs(np.expm1(np.clip(g - next_g, -50.0, 50.0))))
        g = next_g
        if error <= solver.tolerance:
            break
    plan = b[:, None] * np.exp(np.log(a) + f[entry] + g[:, None] - scaled)
    weight = np.bincount(entry.ravel(), plan.ravel(), len(pool))
    heavy = np.argsort(-weight, kind="stable")
    return Importance(
        pool[heavy],
        weight[heavy] / weight.sum(),
        float((plan * cost).sum()),
        error,
        error <= solver.tolerance,
    )
