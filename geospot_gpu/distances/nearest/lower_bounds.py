"""Lower bounds on OT values that cost less than solving them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geospot_gpu.arrays import Indices
from geospot_gpu.distances.nearest.moments import sums
from geospot_gpu.distances.nearest.rounded import cost_error, rounded, rounds
from geospot_gpu.engine.arriving import Arriving
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.feature_costs import find
from geospot_gpu.kernels import make_kernel
from geospot_gpu.kernels.clouds import CloudBatch, required
from geospot_gpu.kernels.contract import IterationSettings, Kernel
from geospot_gpu.kernels.iterate import iterate
from geospot_gpu.kernels.precision import full_precision
from geospot_gpu.progress import Progress
from geospot_gpu.sinkhorn.bounds import ot_value, rounding_error

Array = NDArray[np.float64]

# Points between regions that are computed in vain rather than in a cloud of their own.
_GAP = 500


class HalfSteps:
    """Lower bounds on OT values from one half-step: the dual value of ``g = 0`` and its softmin.

    It reads every cost once. Where the processor multiplies bfloat16 numbers twice as fast, cosine
    costs are found from features rounded to those, and the bounds allow for it.

    Args:
        engine: the regions, cost and epsilon.
    """

    def __init__(self, engine: PairEngine) -> None:
        self._engine, self._points, self._loss = engine, engine.points, 0.0
        if rounds(engine.cost, engine.points):
            near = rounded(engine.points)
            self._points, self._loss = near.points, cost_error(engine.cost, near, near)

    def __call__(self, target: int, index: Indices) -> Array:
        """Bounds [K] on the OT values between the regions at ``index`` [K], rising, and the target.

        Regions that lie side by side in memory are one cloud, with what lies between them where
        that is little.
        """
        engine, regions = self._engine, self._engine.regions
        if engine.device.type == "cuda":
            return half_step_values(engine, index, np.full(len(index), target))
        goal = CloudBatch(self._points, regions.offsets[[target]], engine.sizes[[target]])
        values = np.empty(len(index))
        start, stop = regions.offsets[index], regions.offsets[index + 1]
        gaps = np.flatnonzero(start[1:] - stop[:-1] > _GAP) + 1
        with Progress("bounding", "regions", total=len(index), below=False) as progress:
            for some in np.split(np.arange(len(index)), gaps) if len(index) else ():
                low, high = int(start[some[0]]), int(stop[some[-1]])
                cloud = CloudBatch(self._points, np.array([low]), np.array([high - low]))
                problem = engine.cost, cloud, goal, engine.solver.epsilon, engine.budget
                kernel = make_kernel(*problem, storage="streamed")
                g = torch.zeros_like(goal.weight)
                f = kernel.softmin(g, "source")
                largest = f.double().abs().amax(1)
                margin = float(rounding_error(kernel, engine.cost, f, g, largest)[0])
                total = torch.cumsum(cloud.weight[0].double() * f[0], 0).cpu().numpy()
                total = np.concatenate([[0.0], total])
                values[some] = total[stop[some] - low] - total[start[some] - low] - margin
                progress.update(len(some))
        return values - self._loss


def half_step_values(engine: PairEngine, left: Indices, right: Indices) -> Array:
    """Lower bounds [K] on the OT values of pairs of regions: dual values after half an iteration.

    As :class:`HalfSteps` finds them, in batches of pairs, whichever regions lie side by side.
    """

    def value(kernel: Kernel) -> Tensor:
        g = torch.zeros_like(kernel.target.weight)
        f = kernel.softmin(g, "source")
        margin = rounding_error(kernel, engine.cost, f, g, f.double().abs().amax(1))
        return (kernel.source.weight.double() * f.double()).sum(1) - margin

    return _of_kernels(engine.kernels(left, right, "streamed"), len(left), value)


def whole_step_values(engine: PairEngine, left: Indices, right: Indices) -> Array:
    """Lower bounds [K] on the OT values of pairs of regions: dual values after one iteration."""
    settings = IterationSettings(tolerance=1.0, max_iterations=1)

    def value(kernel: Kernel) -> Tensor:
        solved = iterate(kernel, settings)
        found = ot_value(kernel, solved)
        return found - rounding_error(kernel, engine.cost, solved.f, solved.next_g, found)

    return _of_kernels(engine.kernels(left, right), len(left), value)


def _of_kernels(
    batches: Iterable[tuple[Indices, Kernel]], count: int, value: Callable[[Kernel], Tensor]
) -> Array:
    """A value of each of ``count`` pairs, [K]: no batch waits for those before."""
    found = [(positions, Arriving({"value": value(kernel)})) for positions, kernel in batches]
    values = np.empty(count)
    for positions, arriving in found:
        values[positions] = arriving.columns()["value"]
    return values


def self_value_bounds(engine: PairEngine) -> Array:
    """Upper bounds [R] on the OT values of all regions with themselves, without solving any.

    Leaving all mass where it is costs its entropy, ``-eps sum a log a``, and what rounding makes of
    the cost of not moving.
    """
    weight = engine.points.mass.double()
    entropy = sums(engine.regions, -weight * weight.clamp(min=1e-300).log()).numpy()
    return engine.solver.epsilon * entropy + _cost_of_staying(engine)


@full_precision()
def _cost_of_staying(engine: PairEngine) -> float:
    """Largest cost between a point and itself.

    It is zero but for features not of length one, and costs of a user's own.
    """
    cost, points = engine.cost, engine.points
    if not cost.own_feature and not (cost.uses_features and cost.feature == "cosine"):
        return 0.0
    dimension = required(engine.regions.features).shape[1]
    unit = torch.finfo(torch.float32).eps / 2.0  # of features
    share = (1.0 - cost.geo_weight) / cost.feature_scale
    if cost.own_feature:
        own, features = find(cost.feature), required(points.features)
        length = points.feature_norm.amax().double()
        error = own.roundings(dimension) * unit * float(own.largest(length, length, dimension))
        return share * (max(float(own(features[:, None], features[:, None]).amax()), 0.0) + error)
    rounding = 2.0 * (math.sqrt(dimension) + 8.0) * unit
    away = 1.0 - float(points.feature_norm.amin()) ** 2
    return share * (max(away, 0.0) + rounding)
