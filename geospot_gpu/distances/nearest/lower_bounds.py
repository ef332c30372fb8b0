"""Lower bounds on Sinkhorn divergences that cost less than solving them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geospot_gpu.arrays import Indices
from geospot_gpu.devices import upload
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
from geospot_gpu.regions import Regions
from geospot_gpu.sinkhorn.bounds import ot_value, rounding_error
from geospot_gpu.sphere import EARTH_RADIUS_KM

Array = NDArray[np.float64]

# Great circles are conditionally negative definite: their series in Legendre polynomials,
# pi/2 - sum over odd l of c_l P_l(cos), has positive c_l only (Schoenberg 1942). This is c_1.
_FIRST_DEGREE = 3.0 * math.pi / 8.0
# Points between regions that are computed in vain rather than in a cloud of their own.
_GAP = 500
# Roundings that a mean of n vectors is charged, for each sqrt(n).
_ROUNDINGS = 4.0


class MomentBounds:
    """A bound from the means and spreads of regions: no cost between two points is evaluated.

    Where a cost is conditionally negative definite, it is the squared distance of embeddings in a
    Hilbert space. Moving one cloud there changes the divergence by the squared distance of the
    means alone, so that ``S(a, b)`` is that of the centred clouds, which is not negative (Feydy et
    al. 2019, theorem 1), plus the energy distance
    ``E C(x, y) - E C(x, x') / 2 - E C(y, y') / 2``. All ground costs are, but of those that a user
    has registered nothing is known.

    The energy distance is the sum of those of its parts. Cosine and squared Euclidean costs need
    the means of the features alone. For great circles and Euclidean costs it is at least the
    distance of the means less twice both mean distances from them; for great circles also the part
    of their Legendre series that is linear, again a difference of means.

    Args:
        engine: the regions and their cost; one scale for all pairs.
    """

    def __init__(self, engine: PairEngine) -> None:
        self._cost, regions = engine.cost, engine.regions
        if self._cost.own_feature:
            return
        if self._cost.uses_features:
            assert regions.features is not None
            self._features = _Centres(regions, regions.features)
            if self._cost.feature == "euclidean":
                spread = _distance(regions.features, self._features.of_points(regions))
                self._feature_spread = _sums(regions, regions.weight * spread)
        if self._cost.uses_geography:
            self._places = _Centres(regions, regions.xyz)
            self._direction = torch.nn.functional.normalize(self._places.mean, dim=1)
            centres = self._direction.repeat_interleave(_lengths(regions), dim=0)
            angle = _angle(regions.xyz, centres.to(regions.device))
            self._spread = _sums(regions, regions.weight * angle)

    def __call__(self, target: int, index: Indices) -> Array:
        """Bounds [K] on the divergences between the target and the regions at ``index`` [K]."""
        cost, some = self._cost, torch.from_numpy(index)
        if cost.own_feature:
            return np.full(len(index), -np.inf)
        bound = torch.zeros(len(index), dtype=torch.float64)
        if cost.uses_features:
            share = (1.0 - cost.geo_weight) / cost.feature_scale
            bound += share * self._of_features(target, some)
        if cost.uses_geography:
            km = EARTH_RADIUS_KM * self._of_places(target, some)
            bound += cost.geo_weight / cost.geo_scale * km
        return bound.numpy()

    def _of_features(self, target: int, some: Tensor) -> Tensor:
        away = self._features.away(target, some)
        if self._cost.feature == "cosine":
            return away.square() / 2.0
        if self._cost.feature == "sqeuclidean":
            return away.square()
        both = self._feature_spread[some] + self._feature_spread[target]
        return (away - 2.0 * both).clamp(min=0.0)

    def _of_places(self, target: int, some: Tensor) -> Tensor:
        """In radians."""
        linear = self._places.away(target, some).square()
        angle = _angle(self._direction[some], self._direction[target])
        away = angle - 2.0 * (self._spread[some] + self._spread[target])
        return torch.maximum(_FIRST_DEGREE / 2.0 * linear, away)


class _Centres:
    """Mean vectors [R, d] of regions, on the CPU, and what rounding may have done to them."""

    def __init__(self, regions: Regions, vectors: Tensor) -> None:
        self.mean = torch.nn.functional.embedding_bag(
            torch.arange(len(vectors), device=vectors.device),
            vectors,
            torch.from_numpy(regions.offsets[:-1]).to(vectors.device),
            mode="sum",
            per_sample_weights=regions.weight.to(vectors.dtype),
        ).cpu()
        unit = torch.finfo(vectors.dtype).eps / 2.0
        largest = float(torch.linalg.vector_norm(vectors, dim=1).amax())
        self._error = _ROUNDINGS * math.sqrt(float(regions.sizes.max())) * unit * largest

    def of_points(self, regions: Regions) -> Tensor:
        """The mean vector of the region of every point, [N, d]."""
        return self.mean.repeat_interleave(_lengths(regions), dim=0).to(regions.device)

    def away(self, target: int, some: Tensor) -> Tensor:
        """At least that far are the means at ``some`` [K] from that of the target, float64."""
        away = _distance(self.mean[some], self.mean[target]) - 2.0 * self._error
        return away.clamp(min=0.0)


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
        with Progress("bounding", "regions", total=len(index)) as progress:
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
    entropy = _sums(engine.regions, -weight * weight.clamp(min=1e-300).log()).numpy()
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


def _lengths(regions: Regions) -> Tensor:
    return torch.from_numpy(regions.sizes)


def _sums(regions: Regions, values: Tensor) -> Tensor:
    """Sums [R] of values [N] of points over regions, float64 on the CPU."""
    lengths = upload(_lengths(regions), values.device)
    return torch.segment_reduce(values.double(), "sum", lengths=lengths).cpu()


def _distance(x: Tensor, y: Tensor) -> Tensor:
    distance: Tensor = torch.linalg.vector_norm(x.double() - y.double(), dim=-1)
    return distance


def _angle(x: Tensor, y: Tensor) -> Tensor:
    """Angle between unit vectors, in radians."""
    return 2.0 * (_distance(x, y) / 2.0).clamp(max=1.0).asin()
