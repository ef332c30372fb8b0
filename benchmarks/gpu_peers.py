"""Other implementations on the same problems: one balanced problem per pair, cost included."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu_tools import seconds
from geospot_gpu.cost import GroundCost
from geospot_gpu.kernels.clouds import CloudBatch, Part
from geospot_gpu.kernels.keops import keops_problem
from geospot_gpu.kernels.precision import full_precision
from geospot_gpu.kernels.tiles import CostTiles
from geospot_gpu.sphere import EARTH_RADIUS_KM

EQUAL = 1e-3
"""Relative error of an OT value at which a peer counts as equally accurate."""
_SCALINGS = (0.5, 0.7, 0.9, 0.95)

Pair = tuple[CloudBatch, CloudBatch]


def installed(package: str) -> str | None:
    """Why a peer cannot be timed; None if it can."""
    return None if importlib.util.find_spec(package) else f"{package} is not installed"


def geomloss(
    pairs: list[Pair], cost: GroundCost, epsilon: float, reference: Tensor, backend: str
) -> dict[str, object]:
    """GeomLoss's SamplesLoss at the coarsest annealing that is accurate enough.

    Args:
        pairs: clouds, one pair at a time.
        cost: cosine cost, mixed or not.
        epsilon: entropic regularisation.
        reference: OT values, float64 [K].
        backend: ``tensorized`` or ``online``.
    """
    problem = installed("geomloss")
    if problem is None and backend == "online":
        problem = installed("pykeops") or keops_problem(pairs[0][0].device.type)
    if problem is not None:
        return {"not timed": problem}
    from geomloss import SamplesLoss

    packed = [(_pack(x, cost), _pack(y, cost)) for x, y in pairs]
    diameter = 2.0  # of cosine costs and of the mixture: no cost is larger

    def ground_cost(x: Tensor, y: Tensor) -> Tensor:
        tiles = CostTiles(cost, *pairs[0], 1 << 26)
        return tiles.tile(_unpack(x, cost), _unpack(y, cost))

    def values(scaling: float) -> Tensor:
        loss = SamplesLoss(
            "sinkhorn", p=1, blur=epsilon, scaling=scaling, diameter=diameter, debias=False,
            cost=ground_cost if backend == "tensorized" else _formula(packed[0][0], cost),
            backend=backend,
        )  # fmt: skip
        solved = [
            loss(x.weight[0], px, y.weight[0], py)
            for (x, y), (px, py) in zip(pairs, packed, strict=True)
        ]
        return torch.stack([value.flatten()[0] for value in solved]).double().cpu()

    return _attempt(lambda: equally_accurate(values, reference))


def equally_accurate(values: Callable[[float], Tensor], reference: Tensor) -> dict[str, object]:
    """Time the first scaling of GeomLoss's annealing that is accurate enough, or the last."""
    scaling, error = 0.0, float("inf")
    with full_precision():
        for scaling in _SCALINGS:
            error = float((values(scaling) / reference - 1.0).abs().max())
            if error <= EQUAL:
                break
        taken = seconds(lambda: values(scaling), repeats=3)
    return {
        "seconds": taken,
        "scaling": scaling,
        "largest relative error": error,
        "equally accurate": error <= EQUAL,
    }


def _formula(x: Tensor, cost: GroundCost) -> str:
    """The ground cost as KeOps writes it, over the columns that :func:`_pack` lays out."""
    size = x.shape[-1]
    features = size - 5 if cost.uses_geography else size - 1
    terms = [f"(Elem(X,{size - 1}) - (Extract(X,0,{features})|Extract(Y,0,{features})))"]
    if cost.uses_geography:
        chord = f"Sqrt(SqDist(Extract(X,{features},3),Extract(Y,{features},3)))"
        terms.append(
            f"(Elem(X,{size - 2}) * Asin(Clamp({chord} * IntInv(2), IntCst(0), IntCst(1))))"
        )
    return "(" + " + ".join(terms) + ")"


def _pack(cloud: CloudBatch, cost: GroundCost) -> Tensor:
    """Scaled features, unit vectors, cost of half a radian, largest feature cost: [n, d]."""
    part, share = cloud.part(), (1.0 - cost.geo_weight) / cost.feature_scale
    assert part.features is not None
    ones = torch.ones_like(part.xyz[0, :, :1])
    columns = [part.features[0] * share**0.5]
    if cost.uses_geography:
        columns += [part.xyz[0], ones * (cost.geo_weight / cost.geo_scale * 2.0 * EARTH_RADIUS_KM)]
    return torch.cat([*columns, ones * share], dim=1).contiguous()


def _unpack(points: Tensor, cost: GroundCost) -> Part:
    """Of batches [1, n, d]."""
    features = points.shape[-1] - (5 if cost.uses_geography else 1)
    share = (1.0 - cost.geo_weight) / cost.feature_scale
    xyz = points[..., features : features + 3] if cost.uses_geography else points[..., :3]
    return Part(points[..., :features] / share**0.5, xyz)


def flash_sinkhorn(
    x: Tensor, y: Tensor, epsilon: float, iterations: int, reference: float
) -> dict[str, object]:
    """FlashSinkhorn's alternating solver on squared distances, a fixed number of iterations."""
    problem = installed("flash_sinkhorn")
    if problem is not None:
        return {"not timed": problem}
    import flash_sinkhorn as peer

    def once(tf32: bool) -> dict[str, object]:
        loss: Any = peer.SamplesLoss(
            "sinkhorn", blur=epsilon**0.5, backend="alternating", use_epsilon_scaling=False,
            eps=epsilon, n_iters=iterations, debias=False, allow_tf32=tf32,
        )  # fmt: skip
        error = abs(float(loss(x, y)) / reference - 1.0)
        taken = seconds(lambda: loss(x, y), repeats=3)
        return {"seconds": taken, "relative difference to ours": error}

    return {
        "TF32": _attempt(lambda: once(True)),
        "float32": _attempt(lambda: once(False)),
    }


def _attempt(run: Callable[[], dict[str, object]]) -> dict[str, object]:
    """What ``run`` returns, or why it failed: out of memory, no compiler."""
    try:
        return run()
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        return {"failed": f"{type(error).__name__}: {reason}"[:300]}
