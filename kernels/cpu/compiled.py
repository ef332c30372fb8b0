"""Compiled kernel: float32 on a CPU, the costs kept or streamed, every pass over them in Numba."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geospot_gpu.kernels.clouds import CloudBatch, required
from geospot_gpu.kernels.contract import (
    IterationSettings,
    Kernel,
    PlanSums,
    Potentials,
    Side,
    safe_log,
)
from geospot_gpu.kernels.cpu import ground_costs, iterations, loops
from geospot_gpu.kernels.cpu.threads import spread
from geospot_gpu.kernels.precision import full_precision
from geospot_gpu.kernels.tiles import CostTiles
from geospot_gpu.sphere import EARTH_RADIUS_KM

# A lone problem this large is worth cutting into rows, one share to a thread.
_LARGE = 1 << 17
# Up to this size a call to torch for the products of features takes longer than our loop.
_SMALL = 1 << 13


class Panel(NamedTuple):
    """Costs of rows ``low:high`` of every problem, and how the work on them is cut."""

    costs: NDArray[np.float32]
    layout: loops.Layout
    shares: int
    """Items to a problem."""


class CompiledKernel(Kernel):
    """Passes over costs that read each row once for both directions.

    Small problems run from the first iteration to the last on one thread each
    (:mod:`~geospot_gpu.kernels.cpu.iterations`). A large one is cut into rows: a step takes the
    log-sum-exp of a row, and adds the same exponentials, rescaled, to the sums of the columns.

    Args:
        tiles: the ground cost.
        source, target: the clouds.
        epsilon: entropic regularisation.
        panel_entries: most costs to hold at once; None keeps them all.
    """

    tiles: CostTiles

    def __init__(
        self,
        tiles: CostTiles,
        source: CloudBatch,
        target: CloudBatch,
        epsilon: float,
        panel_entries: int | None,
    ) -> None:
        super().__init__(source, target, epsilon)
        self.tiles = tiles
        self._panel_entries = panel_entries
        self._buffer = torch.empty(0)
        self._kept = self._panel(0, source.shape[1]) if panel_entries is None else None

    @classmethod
    def of_costs(
        cls,
        costs: Sequence[Tensor],
        tiles: CostTiles,
        source: CloudBatch,
        target: CloudBatch,
        epsilon: float,
    ) -> CompiledKernel:
        """A kernel over costs that are at hand, one matrix [n, m] per problem."""
        kernel = object.__new__(cls)
        Kernel.__init__(kernel, source, target, epsilon)
        kernel.tiles, kernel._panel_entries = tiles, None
        ends = np.cumsum(source.size * target.size)
        position = ends - source.size * target.size
        flat = torch.cat([matrix.flatten() for matrix in costs]).numpy()
        layout = _layout(position, target.size, 0, source.size, target.size)
        kernel._kept = Panel(flat, *layout)
        return kernel

    @property
    def costs(self) -> Tensor:
        """The costs of a single problem that are kept, [n, m]."""
        assert self._kept is not None
        n, m = int(self.source.size[0]), int(self.target.size[0])
        return torch.from_numpy(self._kept.costs).view(n, m)

    def _panels(self) -> Iterator[Panel]:
        """All costs, in panels of consecutive rows; a panel is forgotten when the next is asked."""
        if self._kept is not None:
            yield self._kept
            return
        assert self._panel_entries is not None
        (batch, n), m = self.source.shape, self.target.shape[1]
        rows = max(1, self._panel_entries // (batch * m))
        for low in range(0, n, rows):
            yield self._panel(low, min(n, low + rows))

    def _panel(self, low: int, high: int) -> Panel:
        cost, source, target = self.tiles.cost, self.source, self.target
        rows = np.clip(source.size, low, high) - low
        ends = np.cumsum(rows * target.size)
        position, entries = ends - rows * target.size, int(ends[-1])
        layout, shares = _layout(position, target.size, low, rows, target.size)
        if len(self._buffer) < entries:
            self._buffer = torch.empty(entries)
        costs = self._buffer[:entries]
        product = squares = None
        if cost.uses_features:
            product, squares = self._feature_cost(costs, layout, low, rows)
        none = np.empty(0, np.float32)
        factors = torch.cat(
            [self.tiles.feature_factor, self.tiles.geo_factor * (2.0 * EARTH_RADIUS_KM)], dim=1
        )
        _in_items(
            ground_costs.mix,
            layout,
            costs.numpy(),
            product or (np.float32(0.0), np.float32(0.0)),
            squares or (none, none),
            factors[:, :, 0].numpy(),
            source.points.coordinates.numpy(),
            target.points.coordinates.numpy(),
            source.start,
            target.start,
            self._classes(),
        )
        return Panel(costs.numpy(), layout, shares)

    def _classes(self) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
        """Classes of the points of both sides, and costs between them; empty if there are none."""
        table = self.tiles.class_costs
        if table is None:
            none = np.empty(0, np.int32)
            return none, none, np.empty((0, 0), np.float32)
        sides = (self.source.points.small_classes, self.target.points.small_classes)
        return sides[0].numpy(), sides[1].numpy(), table.contiguous().numpy()

    def _class_rows(
        self,
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64], int]:
        """Classes of both sides, where each problem's points start, and how many rows have."""
        of_a, of_b, _ = self._classes()
        starts = np.stack([self.source.start, self.target.start], axis=1)
        return of_a, of_b, starts, self.source.points.class_count if len(of_a) else 1

    def _feature_cost(
        self, costs: Tensor, layout: loops.Layout, low: int, rows: NDArray[np.int64]
    ) -> tuple[
        tuple[np.float32, np.float32], tuple[NDArray[np.float32], NDArray[np.float32]] | None
    ]:
        """Products of features into costs; what they count for, and the squares beside them."""
        feature, source, target = self.tiles.cost.feature, self.source, self.target
        xs, ys = required(source.points.features), required(target.points.features)
        small = source.size * target.size <= _SMALL
        if feature == "euclidean" or xs.dtype != costs.dtype:
            small[:] = False
        own = layout._replace(items=layout.items[small[layout.items[:, 0]]])
        if len(own.items):
            features = xs.numpy(), ys.numpy()
            _in_items(
                ground_costs.products, own, costs.numpy(), features, source.start, target.start
            )
        ends = np.cumsum(rows * target.size)
        starts = (ends - rows * target.size, rows, target.size, source.start + low, target.start)
        for at, n, m, i, j in zip(*(values[~small].tolist() for values in starts), strict=True):
            self._product(xs[i : i + n], ys[j : j + m], costs[at : at + n * m].view(n, m))
        if feature == "sqeuclidean":
            squares = tuple(c.points.feature_norm.square().numpy() for c in (source, target))
            return (np.float32(0.0), np.float32(-2.0)), (squares[0], squares[1])
        if feature == "euclidean":
            return (np.float32(0.0), np.float32(1.0)), None
        return (np.float32(1.0), np.float32(-1.0)), None

    @full_precision()
    def _product(self, x: Tensor, y: Tensor, out: Tensor) -> None:
        """Products, or distances, of features [n, D] and [m, D] into out [n, m]."""
        if self.tiles.cost.feature == "euclidean":
            # From differences: through a product, the square root would amplify its rounding.
            out.copy_(torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist"))
        elif x.dtype == out.dtype:
            torch.mm(x, y.T, out=out)
        else:  # features that were rounded on purpose
            out.copy_(x @ y.T)

    def iterate(self, settings: IterationSettings) -> Potentials | None:
        entries = int((self.source.size * self.target.size).sum())
        if self._kept is None or (len(self.source) == 1 and entries > _LARGE):
            return None  # step by step, each of them in parallel over rows
        a, b = self.source.weight, self.target.weight
        f, next_g = torch.zeros_like(a), torch.zeros_like(b)
        g = torch.zeros_like(b) if settings.start is None else settings.start.clone()
        iterations_, errors = (np.zeros(len(f), kind) for kind in (np.int64, np.float32))
        layout = self._kept.layout
        first = layout.items[:: self._kept.shares, 3].copy()
        spread(
            iterations.solve,
            len(f),
            first,
            layout.stride,
            np.stack([self.source.size, self.target.size], axis=1),
            self._kept.costs,
            *(x.numpy() for x in (a, b)),
            self.epsilon,
            (*settings[:4], settings.damping, settings.by_class),
            self._class_rows(),
            *(x.numpy() for x in (f, g, next_g)),
            iterations_,
            errors,
        )
        counts, found = torch.from_numpy(iterations_), torch.from_numpy(errors)
        return Potentials(f, g, next_g, counts, found)

    def prefix(
        self, index: Tensor, source: CloudBatch, target: CloudBatch
    ) -> CompiledKernel | None:
        if self._kept is None:
            return None
        costs, layout, shares = self._kept
        position, stride = layout.items[::shares, 3][index.numpy()], layout.stride[index.numpy()]
        chosen = object.__new__(CompiledKernel)
        Kernel.__init__(chosen, source, target, self.epsilon)
        chosen.tiles, chosen._panel_entries = self.tiles.select(index), None
        chosen._kept = Panel(costs, *_layout(position, stride, 0, source.size, target.size))
        return chosen

    def transposed(self) -> CompiledKernel | None:
        if self._kept is None:
            return None
        costs, layout, _ = self._kept
        stride = self.source.size
        ends = np.cumsum(stride * layout.size)
        position, to = ends - stride * layout.size, np.empty(int(ends[-1]), np.float32)
        _in_items(loops.transpose, layout, costs, position, stride, to)
        other = object.__new__(CompiledKernel)
        Kernel.__init__(other, self.target, self.source, self.epsilon)
        other.tiles, other._panel_entries = self.tiles, None
        other._kept = Panel(to, *_layout(position, stride, 0, self.target.size, stride))
        return other

    def nearest(self) -> tuple[Tensor, Tensor]:
        by_row, by_column = (
            torch.full_like(c.weight, torch.inf) for c in (self.source, self.target)
        )
        for costs, layout, shares in self._panels():
            own = torch.full((len(layout.items), self.target.shape[1]), torch.inf)
            _in_items(loops.nearest, layout, costs, by_row.numpy(), own.numpy())
            by_column = torch.minimum(by_column, own.view(-1, shares, own.shape[1]).amin(1))
        return by_row, by_column

    def softmin(self, potential: Tensor, side: Side, epsilon: float | None = None) -> Tensor:
        epsilon = epsilon or self.epsilon
        here, there = self.oriented(side)
        weights = (safe_log(there.weight) + potential / epsilon).numpy()
        if side == "source":
            out = torch.zeros_like(here.weight)
            for costs, layout, _ in self._panels():
                _in_items(loops.softmin_rows, layout, costs, weights, epsilon, out.numpy())
            return out
        total = torch.full_like(here.weight, -torch.inf)
        for costs, layout, shares in self._panels():
            peak, sums = (torch.zeros(len(layout.items), here.shape[1]) for _ in range(2))
            _in_items(
                loops.softmin_columns,
                layout,
                costs,
                weights,
                epsilon,
                peak.numpy(),
                sums.numpy(),
            )
            logarithms = (sums.log() + peak).view(-1, shares, here.shape[1])
            total = torch.logaddexp(total, logarithms.logsumexp(1))
        return torch.where(here.weight > 0, -epsilon * total, 0.0)

    @property
    def has_class_sums(self) -> bool:
        return self.tiles.class_costs is not None

    def class_sums(self, f: Tensor) -> tuple[Tensor, Tensor] | None:
        """One pass: costs of a panel are there for all classes, and rows of others are left out."""
        source = self.source
        weights = safe_log(source.weight) + f / self.epsilon
        ones = source.class_masks
        total = torch.full((len(f), ones.shape[1], self.target.shape[1]), -torch.inf)
        for costs, layout, shares in self._panels():
            for k in range(ones.shape[1]):
                own = torch.where(ones[:, k], weights, -torch.inf).numpy()
                peak, sums = (torch.zeros(len(layout.items), total.shape[2]) for _ in range(2))
                out = peak.numpy(), sums.numpy()
                _in_items(loops.softmin_columns, layout, costs, own, self.epsilon, *out)
                logarithms = (sums.log() + peak).view(len(f), shares, -1)
                total[:, k] = torch.logaddexp(total[:, k], logarithms.logsumexp(1))
        peak = torch.where(self.target.weight > 0, total.amax(1), 0.0)
        # At padding, where values are to be finite and mean nothing.
        sums = torch.where(self.target.weight[:, None] > 0, (total - peak[:, None]).exp(), 1.0)
        return -self.epsilon * peak, sums

    def step(
        self, f: Tensor, g: Tensor, omega: Tensor, damping: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        a, b = self.source.weight, self.target.weight
        new, next_f, columns = f.clone(), torch.zeros_like(f), torch.zeros_like(g)
        for costs, layout, shares in self._panels():
            own = torch.zeros(len(layout.items), g.shape[1])
            vectors = [x.numpy() for x in (omega, a, b, new, g, next_f, own)]
            _in_items(loops.step, layout, costs, self.epsilon, damping, *vectors)
            columns += own.view(-1, shares, g.shape[1]).sum(1)
        if bool((columns[b > 0] < 1e-30).any()):  # columns too far from all rows for float32
            return next_f, new, self.softmin(new, "target")
        columns = torch.where(b > 0, columns / b, 1.0)
        return next_f, new, g - self.epsilon * columns.log()

    def marginals(self, f: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        over_a, over_b = torch.zeros_like(f), torch.zeros_like(g)
        vectors = [x.contiguous().numpy() for x in (f, g, self.source.weight, self.target.weight)]
        for costs, layout, shares in self._panels():
            own = torch.zeros(len(layout.items), g.shape[1])
            _in_items(
                loops.marginals, layout, costs, self.epsilon, *vectors, over_a.numpy(), own.numpy()
            )
            over_b += own.view(-1, shares, g.shape[1]).sum(1)
        return over_a, over_b

    def plan_sums(self, f: Tensor, g: Tensor, u: Tensor, v: Tensor) -> PlanSums:
        weights = self.source.weight, self.target.weight
        vectors = [x.contiguous().numpy() for x in (f, g, u, v, *weights)]
        total = torch.zeros(len(f), 2, dtype=torch.float64)
        for costs, layout, shares in self._panels():
            own = torch.zeros(len(layout.items), 2, dtype=torch.float64)
            _in_items(loops.integrals, layout, costs, self.epsilon, *vectors, own.numpy())
            total += own.view(-1, shares, 2).sum(1)
        return PlanSums(*total.unbind(1))

    def select(self, index: Tensor) -> CompiledKernel:
        source, target = self.source.select(index), self.target.select(index)
        entries = self._panel_entries
        return CompiledKernel(self.tiles.select(index), source, target, self.epsilon, entries)


def _in_items(loop: Callable[..., None], layout: loops.Layout, *arguments: object) -> None:
    """Run a loop over all items of a layout."""
    spread(loop, len(layout.items), layout, *arguments)


def _layout(
    position: NDArray[np.int64],
    stride: NDArray[np.int64],
    low: int,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> tuple[loops.Layout, int]:
    """Rows ``low:low + rows`` of every problem, cut into equal shares where problems are few."""
    threads = torch.get_num_threads()
    shares = 1 if len(rows) >= threads else max(1, min(threads, int(rows.min())))
    edges = rows[:, None] * np.arange(shares + 1) // shares
    begin, end = edges[:, :-1], edges[:, 1:]
    problem = np.broadcast_to(np.arange(len(rows))[:, None], begin.shape)
    at = position[:, None] + begin * stride[:, None]
    items = np.stack([problem, begin + low, end + low, at], axis=2).reshape(-1, 4)
    return loops.Layout(items, stride, columns), shares
