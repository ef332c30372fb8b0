"""Costs between feature vectors: each declared once, those that come along and a user's own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geospot_gpu.errors import GeospotError, checks

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class FeatureCost:
    """A cost between feature vectors x and y: symmetric and not negative.

    Certified intervals are true as far as ``largest`` and ``roundings`` are: a computed cost may
    differ from the exact one of the same vectors by ``roundings(D) * u * largest(|x|, |y|, D)``, u
    being 2^-24 in float32 and 2^-53 in float64.

    Args:
        name: what ``GroundCost(feature=...)`` calls it. Stored results know it by this name alone:
            give a function that changed another one.
        function: ``function(x, y)``: a new tensor of costs [B, n, m] between features [B, n, D]
            and [B, m, D], of their type and on their device. It must not change them, and should
            need no memory for [B, n, m, D] numbers.
        largest: ``largest(length_x, length_y, D)``, lengths [B] in float64: no cost between vectors
            that are no longer is larger.
        roundings: ``roundings(D)``, how many roundings of the size of the largest cost there are.
            Of a sum of D terms that do not cancel there are D + 2.

    Raises:
        GeospotError: the name is none, or one of the others is no function.
    """

    name: str
    function: Callable[[Tensor, Tensor], Tensor]
    largest: Callable[[Tensor, Tensor, int], Tensor]
    roundings: Callable[[int], float]

    def __post_init__(self) -> None:
        if not checks.text(self.name, "name").isidentifier():
            raise GeospotError(f"name={self.name!r}: give a feature cost a name of letters and _")
        for argument in ("function", "largest", "roundings"):
            if not callable(getattr(self, argument)):
                raise GeospotError(f"feature cost {self.name}: {argument} must be a function")

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Costs [B, n, m] between features [B, n, D] and [B, m, D], contiguous.

        Raises:
            GeospotError: the function gives anything else.
        """
        costs = self.function(x, y)
        wanted = (*x.shape[:2], y.shape[1])
        if getattr(costs, "shape", None) != wanted or costs.dtype != x.dtype:
            kind = f"{getattr(costs, 'dtype', type(costs).__name__)}"
            raise GeospotError(
                f"feature cost {self.name}: its function gave {kind} of shape "
                f"{tuple(getattr(costs, 'shape', ()))}: give {x.dtype} of shape {wanted}"
            )
        return costs.contiguous()


def _sqeuclidean(x: Tensor, y: Tensor) -> Tensor:
    product = (x @ y.mT).mul_(-2.0)
    return product.add_(x.square().sum(-1)[:, :, None]).add_(y.square().sum(-1)[:, None, :])


def _euclidean(x: Tensor, y: Tensor) -> Tensor:
    """From differences: through a product, the square root would amplify its rounding."""
    import torch

    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def _of_sums(dimension: int) -> float:
    """Roundings of sums of so many terms, whose errors are independent (Higham & Mary 2019)."""
    return float(dimension**0.5) + 2.0


BUILT_IN = (
    FeatureCost(
        "cosine",
        lambda x, y: (x @ y.mT).mul_(-1.0).add_(1.0),
        lambda x, y, dimension: 1.0 + x * y,
        _of_sums,
    ),
    FeatureCost("sqeuclidean", _sqeuclidean, lambda x, y, dimension: (x + y).square(), _of_sums),
    FeatureCost("euclidean", _euclidean, lambda x, y, dimension: x + y, _of_sums),
)
"""Those that every backend knows."""

REGISTER: tuple[FeatureCost, ...] = BUILT_IN
"""All feature costs."""

_LOCK = threading.Lock()


def register_feature_cost(cost: FeatureCost) -> None:
    """Add a feature cost of one's own, which torch computes on any device.

    It lasts as long as the process; examples/own_cost.py has one. Where it is used, a few costs are
    compared with what it says of itself.

    Args:
        cost: the cost, under a name of its own.

    Raises:
        GeospotError: there is another of its name.
    """
    global REGISTER
    checks.instance(cost, FeatureCost, "cost")
    with _LOCK:
        if any(known.name == cost.name for known in REGISTER):
            raise GeospotError(f"feature cost {cost.name}: there is one of this name: give another")
        REGISTER = (*REGISTER, cost)


def find(name: object) -> FeatureCost:
    """The feature cost of a name.

    Raises:
        GeospotError: there is none.
    """
    for cost in REGISTER:
        if isinstance(name, str) and cost.name == name:
            return cost
    raise GeospotError(
        f"cost.feature={checks.shown(name)} is unknown: use one of "
        f"{', '.join(cost.name for cost in REGISTER)}, or register it by "
        "geospot_gpu.register_feature_cost"
    )


def check_claims(cost: FeatureCost, features: Tensor) -> None:
    """Raise where a feature cost is not what it says, as a few points show.

    Args:
        cost: one of a user's own.
        features: of some points, [n, D].
    """
    double = features.float().double()[None]
    length, dimension = double.norm(dim=-1).amax(1), double.shape[-1]
    try:
        exact, largest = cost(double, double), float(cost.largest(length, length, dimension))
        rough, roundings = cost(double.float(), double.float()), float(cost.roundings(dimension))
    except GeospotError:
        raise
    except Exception as error:
        raise GeospotError(
            f"feature cost {cost.name}: it fails for features of {dimension} numbers "
            f"({type(error).__name__}: {error})"
        ) from error
    off = 2.0**-23 * roundings * largest  # both are rounded, the first one less
    if not exact.isfinite().all() or float(exact.amin()) < -off:
        problem = f"it gives {float(exact.amin()):.4g}: a cost is a number that is not negative"
    elif float((exact - exact.mT).abs().amax()) > off:
        problem = "it is not symmetric: function(x, y) must be that of (y, x)"
    elif float(exact.amax()) > largest + off:
        problem = f"it gives {float(exact.amax()):.4g}, and largest only {largest:.4g}: raise that"
    elif not float((rough - exact).abs().amax()) <= off:
        problem = (
            f"float32 and float64 differ by {float((rough - exact).abs().amax()):.2g}, and by "
            f"roundings and largest only {off:.2g} are allowed: raise them"
        )
    else:
        return
    raise GeospotError(f"feature cost {cost.name}: {problem}")
