"""A batch of problems on a GPU, and the launches of Triton's programs over it."""

from __future__ import annotations

import contextlib
import copy
import math
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

from geospot_gpu.kernels.clouds import CloudBatch, PointArrays
from geospot_gpu.kernels.contract import Side, safe_log
from geospot_gpu.kernels.gpu import passes
from geospot_gpu.kernels.gpu.finish import PENDING
from geospot_gpu.kernels.gpu.layout import LINES, SLAB, Bands, View, begins, ceil_div
from geospot_gpu.kernels.gpu.tiles import (
    CLASSES,
    COSINE,
    MOST_CLASSES,
    PITCH,
    SQUARE,
    Kept,
    Points,
    Problems,
)
from geospot_gpu.kernels.gpu.tiling import Pass, Tiling, card, choose
from geospot_gpu.kernels.tiles import CostTiles
from geospot_gpu.sphere import EARTH_RADIUS_KM

# A program of a step over kept costs has at least so many rows, whose column sums are one partial
# result: 8 bytes for each 128 of costs; and a problem at most so many programs, whose results one
# program folds.
_STEP_ROWS, _MOST_BANDS = 64, 128
# Costs that it has at once, where rows are short.
_STEP_COSTS = 1024
# Columns beyond which rows do not stay in registers, and the tile to read them by.
_WHOLE, _WIDE = 4096, (16, 512)
_ALL_COLUMNS = 1 << 30


class Batch:
    """Problems between two batches of clouds, and passes over their costs.

    Args:
        tiles: the cost and its factors per problem; not euclidean.
        source, target: the clouds, in float32.
        epsilon: entropic regularisation.
        keep: whether steps that need not be exact read costs that are kept.
    """

    def __init__(
        self,
        tiles: CostTiles,
        source: CloudBatch,
        target: CloudBatch,
        epsilon: float,
        *,
        keep: bool = False,
    ) -> None:
        self.source, self.target = source, target
        self.unit = epsilon * math.log(2.0)
        self._views: dict[tuple[Side, tuple[int, int]], View] = {}
        self._factors = (
            tiles.feature_factor.flatten(),
            tiles.geo_factor.flatten() * (2.0 * EARTH_RADIUS_KM),
        )
        self.log_weight = {
            "source": safe_log(source.weight) / math.log(2.0),
            "target": safe_log(target.weight) / math.log(2.0),
        }
        self.all = torch.ones(len(source), dtype=torch.int32, device=source.device)
        self.each = torch.arange(len(source), dtype=torch.int32, device=source.device)
        self._room: dict[str, tuple[Tensor, Tensor]] = {}
        self.keeps = keep
        cost = tiles.cost
        kind = 0 if tiles.class_costs is None else CLASSES.value
        if cost.uses_features:
            kind |= {"cosine": COSINE.value, "sqeuclidean": SQUARE.value}[cost.feature]
        self._tables = _tables(tiles.class_costs)
        self._points = {"source": source.points, "target": target.points}
        self._constants: dict[str, Any] = {
            "KIND": kind,
            "GEO": cost.uses_geography,
            "D": source.points.halves.high.shape[1] if cost.uses_features else 0,
        }

    def tiling(self, which: Pass) -> Tiling:
        """The tiles of a pass."""
        widest = max(self.source.shape[1], self.target.shape[1])
        return choose(which, self._constants["D"], widest, card(self.source.device))

    def view(self, side: Side, which: Pass = "softmin") -> View:
        """The problems seen from a side, in tiles of a pass."""
        key = side, self.tiling(which).tile
        if key not in self._views:
            here, there = self.source, self.target
            if side == "target":
                here, there = there, here
            self._views[key] = View(here, there, key[1], exchanged=side == "target")
        return self._views[key]

    def at(self, epsilon: float) -> Batch:
        """The same batch at another epsilon."""
        other = copy.copy(self)
        other.unit = epsilon * math.log(2.0)
        return other

    def softmin(
        self,
        potential: Tensor,
        side: Side,
        softmin: Tensor,
        relax: tuple[Tensor, Tensor, Tensor] | None = None,
        *,
        mode: Tensor | None = None,
        damping: float = 1.0,
        exact: bool,
    ) -> None:
        """Softmin of a potential of the other side, into ``softmin``.

        Args:
            potential: contiguous, [B, M] if side is ``source``.
            side: where the softmin is.
            softmin: [B, N] if side is ``source``.
            relax: old potential [B, N], omega [B], and where the relaxed potential goes [B, N].
            mode: int32 [B]; only problems that are pending are written. All are if None.
            damping: what the softmin is multiplied by.
            exact: compute costs to 22 bits, instead of 11.
        """
        mode = self.all if mode is None else mode
        view, partials = self.view(side), self.log_sums(potential, side, mode, exact=exact)
        self.fold_logs(view, view.part, view.slots, mode, partials, softmin, relax, damping)

    def log_sums(
        self, potential: Tensor, side: Side, mode: Tensor, *, exact: bool
    ) -> tuple[Tensor, Tensor]:
        """Partial sums, as peaks and totals."""
        view = self.view(side)
        other: Side = "target" if side == "source" else "source"
        partials = self.partials(side)
        self.launch(
            passes.log_sums,
            view.work,
            *self._sides(side, exact),
            self.problems(view),
            potential,
            self.log_weight[other],
            mode,
            *partials,
            1.0 / self.unit,
            self._product_unit(),
            potential.shape[1],
            EXACT=exact,
            **self._constants,
            **self.tiling("softmin").constants(),
        )
        return partials

    def partials(self, side: Side | Literal["bands"]) -> tuple[Tensor, Tensor]:
        """Room for partial sums of the rows of a side, or of the columns of ``bands``."""
        if side not in self._room:
            size = self.bands.sums if side == "bands" else self.view(side).partials
            like = self.source.points.xyz
            self._room[side] = like.new_empty(size), like.new_empty(size)
        return self._room[side]

    @cached_property
    def bands(self) -> Bands:
        """Programs of a step over kept costs."""
        widest = max(64, 1 << (int(self.target.size.max()) - 1).bit_length())
        tile = (max(4, _STEP_COSTS // widest), widest) if widest <= _WHOLE else _WIDE
        most = _MOST_BANDS if widest <= _WHOLE else _ALL_COLUMNS
        return Bands(self.source, self.target, tile, _STEP_ROWS, most)

    @property
    def whole(self) -> bool:
        """Whether steps over kept costs hold whole rows in registers."""
        return self.bands.tile[1] >= int(self.target.size.max())

    @property
    def quick(self) -> bool:
        """Whether there are quick steps."""
        return self.keeps and self.whole

    @cached_property
    def kept(self) -> Kept:
        """The costs, computed once to learn their range, and once more to keep them."""
        view, factor = self.view("source", "keep"), self._factors[0]
        pitch = ceil_div(self.target.size, PITCH.value)
        entries = int((self.source.size * pitch).sum()) * PITCH.value
        values = torch.empty(entries, dtype=torch.uint16, device=factor.device)
        start = view.longs(begins(self.source.size * pitch))
        slot, width = view.slot
        # Apart: the second row of a table would begin at any multiple of four bytes.
        limits = factor.new_empty(len(view.work)), factor.new_empty(len(view.work))
        self._keep_pass(Kept(values, start, factor, factor), limits, write=False)
        table = factor.new_full((len(factor) * width,), torch.inf)
        lowest = table.index_put((slot,), limits[0]).view(-1, width).amin(1)
        highest = table.neg().index_put((slot,), limits[1]).view(-1, width).amax(1)
        step = (highest - lowest) / 65535.0
        kept = Kept(values, start, lowest, torch.where(step > 0, step, 1.0))
        self._keep_pass(kept, limits, write=True)
        return kept

    def _keep_pass(self, kept: Kept, limits: tuple[Tensor, Tensor], *, write: bool) -> None:
        view = self.view("source", "keep")
        self.launch(
            passes.keep_costs,
            view.work,
            *self._sides("source", exact=False),
            self.problems(view),
            kept,
            *limits,
            self._product_unit(),
            WRITE=write,
            EXACT=False,
            **self._constants,
            **self.tiling("keep").constants(),
        )

    def marginals(
        self,
        f: Tensor,
        g: Tensor,
        over_a: Tensor,
        over_b: Tensor,
        nearest: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        """Add the marginals of the plan's density to ``over_a`` [B, N] and ``over_b`` [B, M].

        And lower ``nearest``, [B, N] and [B, M], to the smallest cost of each point, if given.
        """
        view, columns = self.view("source", "plan"), self.view("target", "plan")
        part, size = view.slab_parts
        outs = [(over_a, over_b), *([nearest] if nearest is not None else [])]
        rooms = [(f.new_empty(view.partials), f.new_empty(size)) for _ in outs]
        for first, work in view.slabs:
            places = self.all, part, *rooms[0], *rooms[-1]
            self._integrate(
                work, (f, g, f, g), places, first, marginals=True, nearest=nearest is not None
            )
            for k, (room, out) in enumerate(zip(rooms, outs, strict=True)):
                span, least = (first, SLAB), k > 0
                self._fold_sums(columns, part, view.blocks, room[1], out[1], span, least=least)
        for k, (room, out) in enumerate(zip(rooms, outs, strict=True)):
            span, least = (0, _ALL_COLUMNS), k > 0
            self._fold_sums(view, view.part, view.slots, room[0], out[0], span, least=least)

    def plan_sums(self, f: Tensor, g: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Transport cost and entropy of the plan with ``u v`` added, float64 [2, B]."""
        view = self.view("source", "plan")
        slot, width = view.slot
        sums = torch.zeros(2, len(f) * width, dtype=torch.float64, device=f.device)
        self._integrate(view.work, (f, g, u, v), (slot, slot, *sums, *sums), 0, marginals=False)
        return sums.view(2, -1, width).sum(2)

    def _integrate(
        self,
        work: Tensor,
        vectors: tuple[Tensor, ...],
        places: tuple[Tensor, ...],
        first_block: int,
        *,
        marginals: bool,
        nearest: bool = False,
    ) -> None:
        f, g = vectors[:2]
        self.launch(
            passes.plan_integrals,
            work,
            *self._sides("source", exact=True),
            self.problems(self.view("source", "plan")),
            *(vector.contiguous() for vector in vectors),
            self.source.weight,
            self.target.weight,
            *places,
            1.0 / self.unit,
            self._product_unit(),
            f.shape[1],
            g.shape[1],
            first_block,
            MARGINALS=marginals,
            NEAREST=nearest,
            EXACT=True,
            **self._constants,
            **self.tiling("plan").constants(),
        )

    def fold_logs(
        self,
        view: View,
        part: Tensor,
        slots: Tensor,
        pending: Tensor,
        partials: tuple[Tensor, Tensor],
        softmin: Tensor,
        relax: tuple[Tensor, Tensor, Tensor] | None = None,
        damping: float = 1.0,
        mode: int = PENDING.value,
    ) -> None:
        before, omega, after = relax or (softmin, softmin, softmin)
        self.launch(
            passes.fold_logs,
            view.lines,
            view.n,
            part,
            slots,
            pending,
            *partials,
            before,
            omega,
            softmin,
            after,
            self.unit,
            damping,
            softmin.shape[1],
            mode,
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
        *,
        least: bool,
    ) -> None:
        arguments = view.n, part, slots, partial, out, out.shape[1], *span
        self.launch(passes.fold_sums, view.lines, *arguments, LEAST=least, BLOCK=LINES)

    def problems(self, view: View) -> Problems:
        factors, tables = self._factors, self._tables
        table = factors[0] if tables is None else tables[view.exchanged]
        return Problems(
            view.here, view.n, view.there, view.m, view.chunk, view.part, *factors, table
        )

    def _sides(self, side: Side, exact: bool) -> tuple[Points, Points]:
        """The points of rows and of columns."""
        source, target = (self._arrays(points, exact) for points in self._points.values())
        return (source, target) if side == "source" else (target, source)

    def _arrays(self, points: PointArrays, exact: bool) -> Points:
        classes = points.xyz if self._tables is None else points.small_classes
        if not self._constants["D"]:
            return Points(points.xyz, points.xyz, points.xyz, points.xyz, classes)
        halves = points.halves
        square = halves.square if exact else halves.high_square
        return Points(halves.high, halves.low, square, points.xyz, classes)

    def _product_unit(self) -> float:
        """What a product of stored features counts for."""
        if not self._constants["D"]:
            return 1.0
        return math.prod(points.halves.unit for points in self._points.values())

    def launch(self, kernel: Any, work: Tensor, *arguments: Any, **constants: Any) -> None:
        """Run one program per row of ``work``."""
        on_gpu = work.device.type == "cuda"
        with torch.cuda.device(work.device) if on_gpu else contextlib.nullcontext():
            # Products and sums fused: said here, since the default depends on Triton's version.
            kernel[(len(work),)](work, *arguments, enable_fp_fusion=True, **constants)


def _tables(costs: Tensor | None) -> tuple[Tensor, Tensor] | None:
    """Costs between classes as seen from both sides, their rows padded."""
    if costs is None:
        return None
    there, back = (pad(x, (0, MOST_CLASSES.value - x.shape[1])) for x in (costs, costs.mT))
    return there, back
