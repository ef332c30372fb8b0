"""A batch of problems on a GPU, and the launches of Triton's programs over it."""

from __future__ import annotations

import contextlib
import math
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from geospot_gpu.kernels.clouds import CloudBatch, PointArrays
from geospot_gpu.kernels.contract import Iterates, Side, safe_log
from geospot_gpu.kernels.gpu import passes
from geospot_gpu.kernels.gpu.layout import LINES, SLAB, View, begins, ceil_div
from geospot_gpu.kernels.gpu.tiles import COSINE, PITCH, SQUARE, Kept, Points, Problems
from geospot_gpu.kernels.tiles import CostTiles
from geospot_gpu.sphere import EARTH_RADIUS_KM

# Tiles, and how many warps share one: 128 x 128 x 64 feeds a matrix unit; regions of a few tens of
# points would fill a quarter of it. One choice per batch, no tuning at run time.
_TILE, _SMALL_TILE = (128, 128), (64, 64)
_DEPTH = 64
# A program of a step over kept costs has so many rows, whose column sums are one partial result:
# 8 bytes for each 128 of costs. It holds so many costs in registers at once.
_STEP_ROWS, _STEP_COSTS = 64, 1 << 14
# Columns beyond which a block of rows does not stay in registers, and the tile to read it by.
_WHOLE, _WIDE = 2048, (16, 512)
_ALL_COLUMNS = 1 << 30


class Batch:
    """Problems between two batches of clouds, and passes over their costs.

    Args:
        tiles: the cost and its factors per problem; not euclidean.
        source, target: the clouds, in float32.
        epsilon: entropic regularisation.
    """

    def __init__(
        self, tiles: CostTiles, source: CloudBatch, target: CloudBatch, epsilon: float
    ) -> None:
        self.source, self.target = source, target
        self._unit = epsilon * math.log(2.0)
        small = max(source.shape[1], target.shape[1]) <= _SMALL_TILE[0]
        tile = _SMALL_TILE if small else _TILE
        self.views = {"source": View(source, target, tile), "target": View(target, source, tile)}
        self._factors = (
            tiles.feature_factor.flatten(),
            tiles.geo_factor.flatten() * (2.0 * EARTH_RADIUS_KM),
        )
        self._log_weight = {
            "source": safe_log(source.weight) / math.log(2.0),
            "target": safe_log(target.weight) / math.log(2.0),
        }
        self.all = torch.ones(len(source), dtype=torch.int32, device=source.device)
        nothing = source.points.xyz.new_empty(0)
        self.kept = Kept(nothing, self.all, nothing, nothing)
        self.keeps = False
        cost, features = tiles.cost, source.points.features
        kind = {"cosine": COSINE.value, "sqeuclidean": SQUARE.value}.get(cost.feature)
        self._points = {"source": source.points, "target": target.points}
        self._constants: dict[str, Any] = {
            "KIND": kind if cost.uses_features else 0,
            "GEO": cost.uses_geography,
            "D": features.shape[1] if cost.uses_features and features is not None else 1,
            "BM": tile[0],
            "BN": tile[1],
            "BK": _DEPTH,
            "num_warps": 4 if small else 8,
            "num_stages": 3,
        }

    def softmin(
        self,
        potential: Tensor,
        side: Side,
        pending: Tensor,
        softmin: Tensor,
        relax: tuple[Tensor, Tensor, Tensor] | None = None,
        *,
        exact: bool,
    ) -> None:
        """Softmin of a potential of the other side, into ``softmin``.

        Args:
            potential: contiguous, [B, M] if side is ``source``.
            side: where the softmin is.
            pending: int32 [B]; nothing is written where it is zero.
            softmin: [B, N] if side is ``source``.
            relax: old potential [B, N], omega [B], and where the relaxed potential goes [B, N].
            exact: compute costs to 22 bits; otherwise take kept ones if there are.
        """
        view = self.views[side]
        other: Side = "target" if side == "source" else "source"
        peaks = softmin.new_empty(2, view.partials)
        self._launch(
            passes.log_sums,
            view.work,
            *self._sides(side, exact),
            self._problems(view),
            self.kept,
            potential,
            self._log_weight[other],
            pending,
            *peaks,
            1.0 / self._unit,
            self._product_unit(),
            potential.shape[1],
            KEPT=self.keeps and not exact,
            TRANSPOSED=side == "target",
            EXACT=exact,
            **self._constants,
        )
        self._fold_logs(view, view.part, view.slots, pending, peaks, softmin, relax)

    def kept_step(self, to: Iterates) -> None:
        """One iteration over kept costs, which are read from memory once."""
        work, part, slots, size = self._step_plan
        widest = max(64, 1 << (int(self.target.size.max()) - 1).bit_length())
        whole = widest <= _WHOLE
        tile = (min(_STEP_ROWS, _STEP_COSTS // widest), widest) if whole else _WIDE
        peaks = to.f.new_empty(2, size)
        self._launch(
            passes.kept_step,
            work,
            self._problems(self.views["source"])._replace(part=part),
            self.kept,
            to.old_f,
            to.g,
            self._log_weight["source"],
            self._log_weight["target"],
            to.omega,
            to.pending,
            to.softmin_f,
            to.f,
            *peaks,
            1.0 / self._unit,
            self._unit,
            to.f.shape[1],
            to.g.shape[1],
            WHOLE=whole,
            ROWS=_STEP_ROWS,
            BM=tile[0],
            BN=tile[1],
            num_warps=4 if tile[0] * tile[1] <= 1 << 12 else 8,
        )
        self._fold_logs(self.views["target"], part, slots, to.pending, peaks, to.next_g)

    @cached_property
    def _step_plan(self) -> tuple[Tensor, Tensor, Tensor, int]:
        """Programs of a step, where column sums begin, slots of each problem, sums in all."""
        programs = View(self.source, self.target, (_STEP_ROWS, _ALL_COLUMNS))
        part, size = programs.column_parts
        return programs.work, part, programs.blocks, size

    def keep(self) -> None:
        """Compute the costs once to learn their range, and once more to keep them."""
        view, factor = self.views["source"], self._factors[0]
        pitch = ceil_div(self.target.size, PITCH.value)
        entries = int((self.source.size * pitch).sum()) * PITCH.value
        values = torch.empty(entries, dtype=torch.uint16, device=factor.device)
        start = view.longs(begins(self.source.size * pitch))
        slot, width = view.slot
        limits = factor.new_empty(2, len(view.work))
        self.kept = Kept(values, start, factor, factor)
        self._keep_pass(limits, write=False)
        table = factor.new_full((len(factor) * width,), torch.inf)
        lowest = table.index_put((slot,), limits[0]).view(-1, width).amin(1)
        highest = table.neg().index_put((slot,), limits[1]).view(-1, width).amax(1)
        step = (highest - lowest) / 65535.0
        self.kept = Kept(values, start, lowest, torch.where(step > 0, step, 1.0))
        self._keep_pass(limits, write=True)
        self.keeps = True

    def _keep_pass(self, limits: Tensor, *, write: bool) -> None:
        view = self.views["source"]
        self._launch(
            passes.keep_costs,
            view.work,
            *self._sides("source", exact=False),
            self._problems(view),
            self.kept,
            *limits,
            self._product_unit(),
            WRITE=write,
            EXACT=False,
            **self._constants,
        )

    def marginals(self, f: Tensor, g: Tensor, over_a: Tensor, over_b: Tensor) -> None:
        """Add the marginals of the plan's density to ``over_a`` [B, N] and ``over_b`` [B, M]."""
        view = self.views["source"]
        part, size = view.slab_parts
        by_row, by_column = f.new_empty(view.partials), g.new_empty(size)
        for first, work in view.slabs:
            places = self.all, part, by_row, by_column
            self._integrate(work, (f, g, f, g), places, first, marginals=True)
            span = first, SLAB
            self._fold_sums(self.views["target"], part, view.blocks, by_column, over_b, span)
        self._fold_sums(view, view.part, view.slots, by_row, over_a, (0, _ALL_COLUMNS))

    def plan_sums(self, f: Tensor, g: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Transport cost and entropy of the plan with ``u v`` added, float64 [2, B]."""
        view = self.views["source"]
        slot, width = view.slot
        sums = torch.zeros(2, len(f) * width, dtype=torch.float64, device=f.device)
        self._integrate(view.work, (f, g, u, v), (slot, slot, *sums), 0, marginals=False)
        return sums.view(2, -1, width).sum(2)

    def _integrate(
        self,
        work: Tensor,
        vectors: tuple[Tensor, ...],
        places: tuple[Tensor, ...],
        first_block: int,
        *,
        marginals: bool,
    ) -> None:
        f, g = vectors[:2]
        self._launch(
            passes.plan_integrals,
            work,
            *self._sides("source", exact=True),
            self._problems(self.views["source"]),
            *(vector.contiguous() for vector in vectors),
            self.source.weight,
            self.target.weight,
            *places,
            1.0 / self._unit,
            self._product_unit(),
            f.shape[1],
            g.shape[1],
            first_block,
            MARGINALS=marginals,
            EXACT=True,
            **self._constants,
        )

    def _fold_logs(
        self,
        view: View,
        part: Tensor,
        slots: Tensor,
        pending: Tensor,
        peaks: Tensor,
        softmin: Tensor,
        relax: tuple[Tensor, Tensor, Tensor] | None = None,
    ) -> None:
        before, omega, after = relax or (softmin, softmin, softmin)
        self._launch(
            passes.fold_logs,
            view.lines,
            view.n,
            part,
            slots,
            pending,
            *peaks,
            before,
            omega,
            softmin,
            after,
            self._unit,
            softmin.shape[1],
            RELAX=relax is not None,
            BLOCK=LINES,
        )

    def _fold_sums(
        self,
        view: View,
        part: Tensor,
        slots: Tensor,
        partial: Tensor,
        out: Tensor,
        span: tuple[int, int],
    ) -> None:
        arguments = view.n, part, slots, partial, out, out.shape[1], *span
        self._launch(passes.fold_sums, view.lines, *arguments, BLOCK=LINES)

    def _problems(self, view: View) -> Problems:
        return Problems(
            view.here, view.n, view.there, view.m, view.chunk, view.part, *self._factors
        )

    def _sides(self, side: Side, exact: bool) -> tuple[Points, Points]:
        """The points of rows and of columns."""
        source, target = (self._arrays(points, exact) for points in self._points.values())
        return (source, target) if side == "source" else (target, source)

    def _arrays(self, points: PointArrays, exact: bool) -> Points:
        if not self._constants["KIND"]:
            return Points(points.xyz, points.xyz, points.xyz, points.xyz)
        halves = points.halves
        square = halves.square if exact else halves.high_square
        return Points(halves.high, halves.low, square, points.xyz)

    def _product_unit(self) -> float:
        """What a product of stored features counts for."""
        if not self._constants["KIND"]:
            return 1.0
        return math.prod(points.halves.unit for points in self._points.values())

    def _launch(self, kernel: Any, work: Tensor, *arguments: Any, **constants: Any) -> None:
        """Run one program per row of ``work``."""
        on_gpu = work.device.type == "cuda"
        with torch.cuda.device(work.device) if on_gpu else contextlib.nullcontext():
            # Products and sums fused: said here, since the default depends on Triton's version.
            kernel[(len(work),)](work, *arguments, enable_fp_fusion=True, **constants)
