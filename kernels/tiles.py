"""Evaluating the ground cost on tiles: the only place that knows its formula in torch."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from geospot_gpu.cost import GroundCost
from geospot_gpu.feature_costs import find
from geospot_gpu.kernels.clouds import CloudBatch, Part, required
from geospot_gpu.kernels.contract import Kernel, PlanSums
from geospot_gpu.kernels.precision import full_precision
from geospot_gpu.sphere import EARTH_RADIUS_KM

LOWEST_EXPONENT = {torch.float32: -87.0, torch.float64: -700.0}
"""Where exponents are cut: smaller results would be denormal, which processors handle slowly."""

TILE_TEMPORARIES = 5
"""Arrays of the size of one tile that are alive at once."""

# Tiles of this many entries stay in a processor's cache (4 MB in float32), or keep a GPU busy.
_TILE_ENTRIES = {"cpu": 1 << 20, "cuda": 1 << 26}

# Squared chord of a right angle: beyond it asin(chord / 2) loses digits; the antipode is nearer.
_RIGHT_ANGLE = 2.0


def tile_entries(dtype: torch.dtype, budget: int, device_type: str) -> int:
    """Most entries of a tile, of which as many as are alive at once fit into ``budget`` bytes."""
    most = budget // (dtype.itemsize * TILE_TEMPORARIES)
    return max(1, min(_TILE_ENTRIES[device_type], most))


class CostTiles:
    """The ground cost between two batches of clouds, evaluated on demand.

    The cost is ``feature_factor * feature_cost + geo_factor * great_circle_km`` with one pair of
    factors per problem, [B, 1, 1]. Under ``scaling="pair_max"`` finding them takes two passes
    over all costs, in tiles of at most ``tile_entries`` entries.
    """

    def __init__(
        self, cost: GroundCost, source: CloudBatch, target: CloudBatch, tile_entries: int
    ) -> None:
        self.cost = cost
        ones = source.points.xyz.new_ones(len(source), 1, 1)
        self.feature_factor = ones * ((1.0 - cost.geo_weight) / cost.feature_scale)
        self.geo_factor = ones * (cost.geo_weight / cost.geo_scale)
        self.vanishing = torch.zeros_like(ones, dtype=torch.bool).flatten()
        """Problems [B] of which all costs, or all of one part, are zero as computed: that is no
        scale, and says no more than that they are below rounding."""
        self.class_costs: Tensor | None = None
        """Costs between classes [K, L], or None."""
        if cost.class_table is not None:
            self.class_costs = source.points.xyz.new_tensor(cost.class_table)
        if cost.scaling == "pair_max":
            self._scale_by_maxima(source, target, tile_entries)

    def _scale_by_maxima(self, source: CloudBatch, target: CloudBatch, tile_entries: int) -> None:
        def maximum(feature_factor: Tensor, geo_factor: Tensor) -> Tensor:
            self.feature_factor, self.geo_factor = feature_factor, geo_factor
            best = torch.zeros_like(feature_factor)
            for rows, columns in blocks(source, target, tile_entries):
                tile = self.tile(source.part(rows), target.part(columns))
                best = torch.maximum(best, tile.amax((1, 2), keepdim=True))
            self.vanishing |= (best == 0).flatten()
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

    def tile(self, source: Part, target: Part, *, exchanged: bool = False) -> Tensor:
        """Costs [B, n, m] between (parts of) the two batches of clouds, contiguous.

        Args:
            source, target: the parts.
            exchanged: they are given the other way round; only costs of classes tell.
        """
        tile = self._mixed(source, target)
        if self.class_costs is not None:
            table = self.class_costs.mT if exchanged else self.class_costs
            rows, columns = required(source.classes), required(target.classes)
            tile.add_(table[rows[:, :, None], columns[:, None, :]])
        return tile

    def _mixed(self, source: Part, target: Part) -> Tensor:
        """Costs by features and geography."""
        if not self.cost.uses_features:
            return great_circle_km(source.xyz, target.xyz).mul_(self.geo_factor)
        tile = self._feature_costs(source, target).clamp_(min=0.0).mul_(self.feature_factor)
        if self.cost.uses_geography:
            tile.addcmul_(great_circle_km(source.xyz, target.xyz), self.geo_factor)
        return tile

    @full_precision()
    def _feature_costs(self, source: Part, target: Part) -> Tensor:
        """A new tile, before it is scaled."""
        return find(self.cost.feature)(required(source.features), required(target.features))

    def select(self, index: Tensor) -> CostTiles:
        """The cost of the problems at ``index`` [B'] of the batch."""
        chosen = object.__new__(CostTiles)
        chosen.cost = self.cost
        chosen.feature_factor = self.feature_factor[index]
        chosen.geo_factor = self.geo_factor[index]
        chosen.vanishing = self.vanishing[index]
        chosen.class_costs = self.class_costs
        return chosen


def great_circle_km(x: Tensor, y: Tensor) -> Tensor:
    """Great-circle distances [B, n, m] in km between unit vectors [B, n, 3] and [B, m, 3].

    Taken from the difference of the vectors, which in float32 is good to a few metres at any
    distance; a dot product would be off by 160 m at 10 km. Points more than 90 degrees apart are
    measured from the antipode: toward it asin would lose half of the digits.
    """
    square = _square_distance(x, y)
    if square.device.type == "cuda":  # to ask whether any are far is to wait
        far = square > _RIGHT_ANGLE
        square = torch.where(far, _square_distance(x, -y), square)
        half = square.sqrt_().mul_(0.5).clamp_(max=1.0).asin_()
        return torch.where(far, math.pi / 2 - half, half).mul_(2.0 * EARTH_RADIUS_KM)
    if square.numel() and float(square.amax()) > _RIGHT_ANGLE:
        far = square > _RIGHT_ANGLE
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


def blocks(
    source: CloudBatch, target: CloudBatch, tile_entries: int
) -> Iterator[tuple[slice, slice]]:
    """Row and column slices of tiles that hold at most ``tile_entries`` entries each."""
    (batch, n), (_, m) = source.shape, target.shape
    columns = max(1, min(m, tile_entries // batch, max(1024, tile_entries // (batch * n))))
    rows = max(1, min(n, tile_entries // (batch * columns)))
    for i in range(0, n, rows):
        for j in range(0, m, columns):
            yield slice(i, min(n, i + rows)), slice(j, min(m, j + columns))


def smallest(
    source: CloudBatch,
    target: CloudBatch,
    tile_entries: int,
    tile: Callable[[slice, slice], Tensor],
) -> tuple[Tensor, Tensor]:
    """Smallest cost of each point to the points opposite, [B, N] and [B, M], tile by tile."""
    by_row, by_column = (torch.full_like(c.weight, torch.inf) for c in (source, target))
    for rows, columns in blocks(source, target, tile_entries):
        costs = tile(rows, columns)
        absent = [c.weight[:, part] == 0 for c, part in ((source, rows), (target, columns))]
        best = costs.masked_fill(absent[1][:, None, :], torch.inf).amin(2)
        by_row[:, rows] = torch.minimum(by_row[:, rows], best)
        best = costs.masked_fill(absent[0][:, :, None], torch.inf).amin(1)
        by_column[:, columns] = torch.minimum(by_column[:, columns], best)
    return by_row, by_column


class TiledKernel(Kernel):
    """A kernel that sees the costs as tiles of at most ``tile_entries`` entries."""

    tiles: CostTiles

    def __init__(
        self,
        tiles: CostTiles,
        source: CloudBatch,
        target: CloudBatch,
        epsilon: float,
        tile_entries: int,
    ) -> None:
        super().__init__(source, target, epsilon)
        self.tiles = tiles
        self.tile_entries = tile_entries

    @abstractmethod
    def cost_tile(self, rows: slice, columns: slice) -> Tensor:
        """Costs [B, n, m] of the given source and target points; not to be written to."""

    def nearest(self) -> tuple[Tensor, Tensor]:
        return smallest(self.source, self.target, self.tile_entries, self.cost_tile)

    def largest_cost(self) -> Tensor:
        """The largest of all costs of the batch, a scalar."""
        spans = blocks(self.source, self.target, self.tile_entries)
        return torch.stack([self.cost_tile(*span).amax() for span in spans]).amax()

    def _factored_density(
        self, f: Tensor, g: Tensor, rows: slice, columns: slice, costs: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Vectors p, q and a tile D such that ``exp((f_i + g_j - C_ij) / eps) = p_i q_j D_ij``."""
        f, g = f[:, rows], g[:, columns]
        density = (f[:, :, None] + g[:, None, :]).sub_(costs).mul_(1.0 / self.epsilon)
        density.clamp_(min=LOWEST_EXPONENT[f.dtype]).exp_()
        return torch.ones_like(f), torch.ones_like(g), density

    def marginals(self, f: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        over_a, over_b = torch.zeros_like(f), torch.zeros_like(g)
        for rows, columns in blocks(self.source, self.target, self.tile_entries):
            costs = self.cost_tile(rows, columns)
            p, q, density = self._factored_density(f, g, rows, columns, costs)
            a, b = self.source.weight[:, rows], self.target.weight[:, columns]
            over_a[:, rows] += p * row_sums(density, q * b)
            over_b[:, columns] += q * column_sums(density, p * a)
        return over_a, over_b

    def plan_sums(self, f: Tensor, g: Tensor, u: Tensor, v: Tensor) -> PlanSums:
        transport = torch.zeros(len(f), dtype=torch.float64, device=f.device)
        entropy = torch.zeros_like(transport)
        for rows, columns in blocks(self.source, self.target, self.tile_entries):
            costs = self.cost_tile(rows, columns)
            p, q, density = self._factored_density(f, g, rows, columns, costs)
            a, b = self.source.weight[:, rows].double(), self.target.weight[:, columns]
            u_part, v_part = u[:, rows], v[:, columns]
            mass = density * p[:, :, None] * q[:, None, :]
            mass.addcmul_(u_part[:, :, None], v_part[:, None, :])
            mass.clamp_(min=torch.finfo(mass.dtype).tiny)  # its logarithm stays finite
            by_row = row_sums(mass * costs, b), row_sums(mass.log().mul_(mass), b)
            transport += (a * by_row[0].double()).sum(1)
            entropy += (a * by_row[1].double()).sum(1)
        return PlanSums(transport, entropy)


@full_precision()
def row_sums(matrix: Tensor, weights: Tensor) -> Tensor:
    """``sum_j matrix_ij weights_j``, [B, n], of matrices [B, n, m] and weights [B, m]."""
    return torch.bmm(matrix, weights[:, :, None])[:, :, 0]


@full_precision()
def column_sums(matrix: Tensor, weights: Tensor) -> Tensor:
    """``sum_i weights_i matrix_ij``, [B, m], of matrices [B, n, m] and weights [B, n]."""
    return torch.bmm(weights[:, None, :], matrix)[:, 0, :]
