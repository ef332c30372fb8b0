"""Other implementations of balanced entropic transport, set up as their experts would.

A peer is a function of a list of problems and one setting of its accuracy; it computes the cost of
every problem and returns one value each. :func:`tuned` finds the loosest setting that is accurate.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import ot
import torch
from torch import Tensor

from benchmarks.workloads import EPSILON, Problem

ACCURACY = 1e-3
Values = list[float]


class Peer(NamedTuple):
    """One way to solve problems."""

    name: str
    solve: Callable[[Sequence[Problem], float], Values]
    settings: tuple[float, ...]
    """Settings of its accuracy, the loosest first."""
    transport: bool
    """Whether its values are transport costs; OT values otherwise."""
    package: str = "ot"


def published(a: Tensor, b: Tensor, cost: Tensor, stop: float = 1e-8) -> tuple[float, bool]:
    """Transport cost as the paper computes it, and whether it had to be computed twice.

    Plain Sinkhorn with at most 1,000 iterations and a threshold of 1e-8; where that warns of
    numerical errors, once more in the log domain.
    """
    settings: dict[str, Any] = {"numItermax": 1000, "stopThr": stop}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = float(ot.sinkhorn2(a, b, cost, EPSILON, **settings))
    again = any("numerical errors" in str(warning.message) for warning in caught)
    if again:
        settings |= {"method": "sinkhorn_log", "warn": False}
        value = float(ot.sinkhorn2(a, b, cost, EPSILON, **settings))
    return value, again


def pot_as_published(problems: Sequence[Problem]) -> tuple[Values, int]:
    """Transport costs of the paper's problems in float32, and how many were solved twice."""
    solved = []
    for p in problems:
        assert p.pair_max
        solved.append(published(p.a / p.a.sum(), p.b / p.b.sum(), p.cost()))
    return [value for value, _ in solved], sum(again for _, again in solved)


def pot_torch(
    problems: Sequence[Problem], stop: float, kind: torch.dtype = torch.float32
) -> Values:
    values = []
    for p in problems:
        a, b, cost = (x.to(kind) for x in (p.a, p.b, p.cost()))
        settings = {"numItermax": 1000, "stopThr": stop, "warn": False}
        values.append(float(ot.sinkhorn2(a / a.sum(), b / b.sum(), cost, EPSILON, **settings)))
    return values


def pot_numpy(problems: Sequence[Problem], stop: float, kind: Any = np.float32) -> Values:
    values = []
    for p in problems:
        a, b, cost = (np.asarray(x.numpy(), kind) for x in (p.a, p.b, p.cost()))
        settings = {"numItermax": 1000, "stopThr": stop, "warn": False}
        values.append(float(ot.sinkhorn2(a / a.sum(), b / b.sum(), cost, EPSILON, **settings)))
    return values


def geomloss_tensorized(problems: Sequence[Problem], scaling: float) -> Values:
    from geospot_gpu.kernels.keops import quiet_import

    with quiet_import():
        from geomloss import SamplesLoss
    values = []
    for p in problems:
        cost = p.cost()

        def of(x: Any, y: Any, cost: Tensor = cost) -> Tensor:
            return cost[None] if x.shape[1] == cost.shape[0] else cost.T[None]

        loss = SamplesLoss(
            "sinkhorn", p=1, blur=EPSILON, scaling=scaling, cost=of, debias=False,
            diameter=float(cost.max()), backend="tensorized",
        )  # fmt: skip
        # Its points are only handed to the cost; one coordinate that differs in length will do.
        x, y = torch.zeros(1, len(p.a), 1), torch.zeros(1, len(p.b), 1)
        values.append(float(loss(p.a[None], x, p.b[None], y)))
    return values


def ott_jax(problems: Sequence[Problem], threshold: float, logarithms: bool = False) -> Values:
    """Batched over problems of one padded size, compiled once per size."""
    step = 64 if max(len(p.a) for p in problems) <= 64 else 256
    groups: dict[tuple[int, int], list[int]] = {}
    for k, p in enumerate(problems):
        shape = (-(-len(p.a) // step) * step, -(-len(p.b) // step) * step)
        groups.setdefault(shape, []).append(k)
    values = np.zeros(len(problems))
    for (n, m), members in groups.items():
        batch = min(256 if step == 64 else 1, len(members))
        for start in range(0, len(members), batch):
            some = members[start : start + batch]
            filled = [problems[k] for k in (some * batch)[:batch]]
            arrays = [_padded([side(p) for p in filled], size) for side, size in _sides(n, m)]
            solved = _ott(threshold, filled[0].geo_weight, logarithms)(*arrays)
            values[some] = np.asarray(solved)[: len(some)]
    return values.tolist()


def _sides(n: int, m: int) -> list[tuple[Callable[[Problem], Tensor], int]]:
    return [
        (lambda p: p.x, n), (lambda p: p.y, m), (lambda p: torch.deg2rad(p.degrees_x), n),
        (lambda p: torch.deg2rad(p.degrees_y), m), (lambda p: p.a, n), (lambda p: p.b, m),
    ]  # fmt: skip


def _padded(tensors: list[Tensor], size: int) -> np.ndarray:
    out = np.zeros((len(tensors), size, *tensors[0].shape[1:]), np.float32)
    for row, values in zip(out, tensors, strict=True):
        row[: len(values)] = values.numpy()
    return out


@cache
def _ott(threshold: float, geo_weight: float, logarithms: bool) -> Any:
    """The compiled solver of a batch."""
    import jax
    import jax.numpy as jnp
    from ott.geometry.geometry import Geometry
    from ott.problems.linear.linear_problem import LinearProblem
    from ott.solvers.linear.sinkhorn import Sinkhorn

    from geospot_gpu.sphere import EARTH_RADIUS_KM, HALF_CIRCUMFERENCE_KM

    solver = Sinkhorn(threshold=threshold, max_iterations=1000, lse_mode=logarithms)

    def value(x: Any, y: Any, u: Any, v: Any, a: Any, b: Any) -> Any:
        cost = (1.0 - geo_weight) * (1.0 - x @ y.T)
        if geo_weight > 0.0:
            haversine = (
                jnp.sin((u[:, None, 1] - v[:, 1]) / 2) ** 2
                + jnp.cos(u[:, None, 1])
                * jnp.cos(v[:, 1])
                * jnp.sin((u[:, None, 0] - v[:, 0]) / 2) ** 2
            )
            km = 2 * EARTH_RADIUS_KM * jnp.arcsin(jnp.sqrt(jnp.clip(haversine, 0, 1)))
            cost = cost + geo_weight / HALF_CIRCUMFERENCE_KM * km
        out = solver(LinearProblem(Geometry(cost_matrix=cost, epsilon=EPSILON), a=a, b=b))

        def side(weight: Any, potential: Any) -> Any:
            some = weight > 0
            own = jnp.where(some, potential - EPSILON * jnp.log(jnp.where(some, weight, 1.0)), 0.0)
            return jnp.sum(weight * jnp.where(some, own, 0.0))

        return side(a, out.f) + side(b, out.g)

    return jax.jit(jax.vmap(value))


STOPS = (1e-1, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5, 1e-6)
PEERS = [
    Peer("POT tuned (torch)", pot_torch, STOPS, transport=True),
    Peer("POT tuned (torch, float64)", partial(pot_torch, kind=torch.float64), STOPS, True),
    Peer("POT tuned (NumPy)", pot_numpy, STOPS, transport=True),
    Peer("POT tuned (NumPy, float64)", partial(pot_numpy, kind=np.float64), STOPS, transport=True),
    Peer("OTT-JAX", ott_jax, (1e-1, 1e-2, 1e-3), transport=False, package="ott"),
    Peer(
        "OTT-JAX (logarithms)", partial(ott_jax, logarithms=True), (1e-1, 1e-2, 1e-3),
        transport=False, package="ott",
    ),
    Peer(
        "GeomLoss tensorized", geomloss_tensorized, (0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99),
        transport=False, package="geomloss",
    ),
]  # fmt: skip


def installed(peer: Peer) -> bool:
    return find_spec(peer.package) is not None


def tuned(
    peer: Peer, problems: Sequence[Problem], exact: Sequence[tuple[float, float]]
) -> tuple[float, float]:
    """The loosest setting within :data:`ACCURACY` of the exact values, and its worst error.

    Where none is, the last one.
    """
    expected = np.array([transport if peer.transport else value for value, transport in exact])
    for setting in peer.settings:
        with warnings.catch_warnings():  # of numerical errors: that is what is found here
            warnings.simplefilter("ignore")
            values = np.array(peer.solve(problems, setting))
        worst = float(np.nan_to_num(np.abs(values / expected - 1.0), nan=np.inf).max())
        if worst <= ACCURACY:
            break
    return setting, worst
