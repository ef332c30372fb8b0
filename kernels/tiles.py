"""Evaluating the ground cost on tiles: the only place that knows its formula in torch."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor

from geospot_gpu.cost import GroundCost
from geospot_gpu.kernels.contract import Cloud, Kernel, PlanSums, required
from geospot_gpu.sphere import EARTH_RADIUS_KM

LOWEST_EXPONENT = {torch.float32: -87.0, torch.float64: -700.0}
"""Where exponents are cut: smaller results would be denormal, which processors handle slowly."""

# Squared chord beyond which asin(chord / 2) loses digits: 162 degrees apart.
_NEARLY_ANTIPODAL = 3.9


class CostTiles:
    """The ground cost between two batches of clouds, evaluated on demand.

    The cost is ``feature_factor * feature_cost + geo_factor * great_circle_km`` with one pair of
    factors per problem, [B, 1, 1]. Under ``scaling="pair_max"`` finding them takes two passes
    over all costs, in tiles of at most ``tile_entries`` entries.
    """

    def __init__(self, cost: GroundCost, source: Cloud, target: Cloud, tile_entries: int) -> None:
        self.cost = cost
        ones = torch.ones_like(source.weight[:, :1, None])
        self.feature_factor = ones * ((1.0 - cost.geo_weight) / cost.feature_scale)
        self.geo_factor = ones * (cost.geo_weight / cost.geo_scale)
        if cost.scaling == "pair_max":
            self._scale_by_maxima(source, target, tile_entries)

    def _scale_by_maxima(self, source: Cloud, target: Cloud, tile_entries: int) -> None:
        def maximum(feature_factor: Tensor, geo_factor: Tensor) -> Tensor:
            self.feature_factor, self.geo_factor = feature_factor, geo_factor
            best = torch.zeros_like(feature_factor)
            for rows, columns in blocks(source, target, tile_entries):
                tile = self.tile(part(source, rows), part(target, columns))
                best = torch.maximum(best, tile.amax((1, 2), keepdim=True))
            return torch.where(best > 0, best, torch.ones_like(best))

        ones, zeros = torch.ones_like(self.geo_factor), torch.zeros_like(self.geo_factor)
        weight = self.cost.geo_weight
        feature = ones * (1.0 - weight)
        geo = ones * weight
        if self.cost.uses_features:
            feature = feature / maximum(ones, zeros)
        if self.cost.uses_geography:
            geo = geo / maximum(zeros, ones)
        mixed = maximum(feature, geo)
        self.feature_factor, self.geo_factor = feature / mixed, geo / mixed

    def tile(self, source: Cloud, target: Cloud) -> Tensor:
        """Costs [B, n, m] between (parts of) the two batches of clouds."""
        tile: Tensor | None = None
        if self.cost.uses_features:
            tile = self._feature_tile(source, target).mul_(self.feature_factor)
        if self.cost.uses_geography:
            km = great_circle_km(source.xyz, target.xyz)
            tile = km.mul_(self.geo_factor) if tile is None else tile.addcmul_(km, self.geo_factor)
        assert tile is not None
        return tile

    def _feature_tile(self, source: Cloud, target: Cloud) -> Tensor:
        x, y = required(source.features), required(target.features)
        if self.cost.feature == "euclidean":
            # From differences: through a product, the square root would amplify its rounding.
            return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
        product = torch.matmul(x, y.mT)
        if self.cost.feature == "cosine":
            return product.neg_().add_(1.0)
        squares = x.square().sum(-1)[:, :, None] + y.square().sum(-1)[:, None, :]
        return squares.sub_(product, alpha=2.0).clamp_(min=0.0)

    def select(self, index: Tensor) -> CostTiles:
        """The cost of the problems at ``index`` [B'] of the batch."""
        chosen = object.__new__(CostTiles)
        chosen.cost = self.cost
        chosen.feature_factor = self.feature_factor[index]
        chosen.geo_factor = self.geo_factor[index]
        return chosen


def great_circle_km(x: Tensor, y: Tensor) -> Tensor:
    """Great-circle distances [B, n, m] in km between unit vectors [B, n, 3] and [B, m, 3].

    Taken from the difference of the vectors, which in float32 is good to a few metres at any
    distance; a dot product would be off by 160 m at 10 km. Nearly antipodal points are measured
    from the antipode, where asin would lose half of the digits.
    """
    square = _square_distance(x, y)
    if square.numel() and float(square.amax()) > _NEARLY_ANTIPODAL:
        far = square > _NEARLY_ANTIPODAL
        to_antipode = _square_distance(x, -y)[far].sqrt().mul_(0.5).clamp_(max=1.0).asin_()
        km = square.sqrt_().mul_(0.5).clamp_(max=1.0).asin_()
        km[far] = math.pi / 2 - to_antipode
        return km.mul_(2.0 * EARTH_RADIUS_KM)
    return square.sqrt_().mul_(0.5).asin_().mul_(2.0 * EARTH_RADIUS_KM)


def _square_distance(x: Tensor, y: Tensor) -> Tensor:
    square = (x[:, :, None, 0] - y[:, None, :, 0]).square_()
    for axis in (1, 2):
        difference = x[:, :, None, axis] - y[:, None, :, axis]
        square.addcmul_(difference, difference)
    return square


def part(cloud: Cloud, rows: slice) -> Cloud:
    """The points ``rows`` of every cloud of the batch."""
    features = None if cloud.features is None else cloud.features[:, rows]
    return Cloud(features, cloud.xyz[:, rows], cloud.weight[:, rows])


def blocks(source: Cloud, target: Cloud, tile_entries: int) -> Iterator[tuple[slice, slice]]:
    """Row and column slices of tiles that hold at most ``tile_entries`` entries each."""
    batch, n = source.weight.shape
    m = target.weight.shape[1]
    columns = max(1, min(m, tile_entries // batch, max(1024, tile_entries // (batch * n))))
    rows = max(1, min(n, tile_entries // (batch * columns)))
    for i in range(0, n, rows):
        for j in range(0, m, columns):
            yield slice(i, min(n, i + rows)), slice(j, min(m, j + columns))


class TiledKernel(Kernel):
    """A kernel that sees the costs as tiles of at most ``tile_entries`` entries."""

    def __init__(
        self, tiles: CostTiles, source: Cloud, target: Cloud, epsilon: float, tile_entries: int
    ) -> None:
        super().__init__(source, target, epsilon)
        self.tiles = tiles
        self.tile_entries = tile_entries

    @abstractmethod
    def cost_tile(self, rows: slice, columns: slice) -> Tensor:
        """Costs [B, n, m] of the given source and target points; not to be written to."""

    def largest_cost(self) -> Tensor:
        """The largest of all costs of the batch, a scalar."""
        spans = blocks(self.source, self.target, self.tile_entries)
        return torch.stack([self.cost_tile(*span).amax() for span in spans]).amax()

    def _density(self, f: Tensor, g: Tensor, rows: slice, columns: slice, costs: Tensor) -> Tensor:
        density = f[:, rows, None] + g[:, None, columns]
        density.sub_(costs).mul_(1.0 / self.epsilon)
        return density.clamp_(min=LOWEST_EXPONENT[f.dtype]).exp_()

    def marginals(self, f: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        over_a, over_b = torch.zeros_like(f), torch.zeros_like(g)
        for rows, columns in blocks(self.source, self.target, self.tile_entries):
            density = self._density(f, g, rows, columns, self.cost_tile(rows, columns))
            a, b = self.source.weight[:, rows], self.target.weight[:, columns]
            over_a[:, rows] += torch.bmm(density, b[:, :, None])[:, :, 0]
            over_b[:, columns] += torch.bmm(a[:, None, :], density)[:, 0, :]
        return over_a, over_b

    def plan_sums(self, f: Tensor, g: Tensor, u: Tensor, v: Tensor) -> PlanSums:
        transport = torch.zeros(len(f), dtype=torch.float64, device=f.device)
        entropy = torch.zeros_like(transport)
        for rows, columns in blocks(self.source, self.target, self.tile_entries):
            costs = self.cost_tile(rows, columns)
            a, b = self.source.weight[:, rows], self.target.weight[:, columns]
            density = self._density(f, g, rows, columns, costs)
            density.addcmul_(u[:, rows, None], v[:, None, columns])
            transport += _integral(a, density * costs, b)
            entropy += _integral(a, density.log().mul_(density), b)
        return PlanSums(transport, entropy)


def _integral(a: Tensor, values: Tensor, b: Tensor) -> Tensor:
    """sum_ij a_i values_ij b_j, [B], with the outer sum in float64."""
    rows = torch.bmm(values, b[:, :, None])[:, :, 0]
    return (rows.double() * a.double()).sum(1)
