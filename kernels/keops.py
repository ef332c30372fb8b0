"""KeOps kernel: the cost as a formula, compiled and reduced without ever being stored."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from geospot_gpu.kernels.contract import Cloud, Kernel, PlanSums, Side, safe_log
from geospot_gpu.kernels.tiles import CostTiles
from geospot_gpu.sphere import EARTH_RADIUS_KM


class KeopsKernel(Kernel):
    """Reductions of a KeOps LazyTensor; best where points have few features."""

    name = "keops"

    def __init__(self, tiles: CostTiles, source: Cloud, target: Cloud, epsilon: float) -> None:
        super().__init__(source, target, epsilon)
        self.tiles = tiles
        self._costs = self._formula()

    def _formula(self) -> Any:
        from pykeops.torch import LazyTensor

        def points(values: Tensor, side: Side) -> Any:
            values = values.contiguous()
            return LazyTensor(values[:, :, None] if side == "source" else values[:, None, :])

        cost = self.tiles.cost
        terms = []
        if cost.uses_features:
            assert self.source.features is not None and self.target.features is not None
            x = points(self.source.features, "source")
            y = points(self.target.features, "target")
            if cost.feature == "cosine":
                feature = 1.0 - (x | y)
            elif cost.feature == "sqeuclidean":
                feature = x.sqdist(y)
            else:
                feature = x.sqdist(y).sqrt()
            terms.append(feature * LazyTensor(self.tiles.feature_factor[..., None]))
        if cost.uses_geography:
            x = points(self.source.xyz, "source")
            y = points(self.target.xyz, "target")
            # Half-angles from both ends: exact near zero and near the antipode alike.
            angle = x.sqdist(y).sqrt().atan2((x + y).sqnorm2().sqrt())
            factor = self.tiles.geo_factor * (2.0 * EARTH_RADIUS_KM)
            terms.append(angle * LazyTensor(factor[..., None]))
        return sum(terms[1:], terms[0])

    def _column(self, values: Tensor, side: Side) -> Any:
        from pykeops.torch import LazyTensor

        values = values.contiguous()
        return LazyTensor(
            values[:, :, None, None] if side == "source" else values[:, None, :, None]
        )

    def softmin(self, potential: Tensor, side: Side) -> Tensor:
        there = self.target if side == "source" else self.source
        log_weights = safe_log(there.weight) + potential / self.epsilon
        other: Side = "target" if side == "source" else "source"
        exponents = self._column(log_weights, other) - self._costs * (1.0 / self.epsilon)
        reduced = exponents.logsumexp(dim=2 if side == "source" else 1)
        return -self.epsilon * reduced.view_as((self.source if side == "source" else self.target).weight)

    def plan_sums(self, f: Tensor, g: Tensor, u: Tensor, v: Tensor) -> PlanSums:
        exponents = self._column(f, "source") + self._column(g, "target") - self._costs
        density = (exponents * (1.0 / self.epsilon)).exp()
        density = density + self._column(u, "source") * self._column(v, "target")
        weights = self._column(self.target.weight, "target")

        def integral(values: Any) -> Tensor:
            rows: Tensor = (values * weights).sum(dim=2).view_as(self.source.weight)
            return (rows.double() * self.source.weight.double()).sum(1)

        transport = integral(density * self._costs)
        entropy = integral(density.xlogx())
        return PlanSums(transport, transport + self.epsilon * entropy)

    def select(self, index: Tensor) -> KeopsKernel:
        return KeopsKernel(
            self.tiles.select(index),
            self.source.select(index),
            self.target.select(index),
            self.epsilon,
        )


def keops_problem() -> str | None:
    """Why KeOps cannot run here, in one clause; None where a small reduction works."""
    try:
        from pykeops.torch import LazyTensor

        x = torch.zeros(2, 1)
        float((LazyTensor(x[:, None]) + LazyTensor(x[None])).sum(dim=1).sum())
    except ImportError as error:  # pykeops missing, or its compiled module could not be built
        return f"it cannot be imported or compiled ({type(error).__name__}: {error})".split("\n")[0]
    except (OSError, RuntimeError) as error:  # read-only home, compiler errors
        return f"it failed ({type(error).__name__}: {error})".split("\n")[0]
    return None
