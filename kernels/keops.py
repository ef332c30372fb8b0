"""KeOps kernel: the cost as a formula, compiled and reduced without ever being stored."""

from __future__ import annotations

import contextlib
import io
import logging
from functools import cache
from typing import Any

import torch
from torch import Tensor

from geospot_gpu import caches
from geospot_gpu.cost import GroundCost
from geospot_gpu.kernels.clouds import CloudBatch, required
from geospot_gpu.kernels.contract import Kernel, PlanSums, Side, safe_log
from geospot_gpu.kernels.reference import streamed_limit
from geospot_gpu.kernels.spec import KernelSpec, Limits, formula_alone
from geospot_gpu.kernels.tiles import CostTiles, tile_entries
from geospot_gpu.sphere import EARTH_RADIUS_KM

# Features beyond which KeOps, which uses no matrix product, loses to streamed tiles on a GPU. On a
# CPU it never wins: see docs/benchmarks/speed.md, "KeOps on a CPU".
_MOST_FEATURES = 32

log = logging.getLogger("geospot_gpu")


class KeopsKernel(Kernel):
    """Reductions of a KeOps LazyTensor; on a GPU best where points have few features.

    Every formula and dimension is compiled once per machine, which takes seconds. Both directions
    of a softmin therefore share one formula, with the clouds exchanged.
    """

    tiles: CostTiles

    def __init__(
        self, tiles: CostTiles, source: CloudBatch, target: CloudBatch, epsilon: float
    ) -> None:
        super().__init__(source, target, epsilon)
        self.tiles = tiles

    def softmin(self, potential: Tensor, side: Side, epsilon: float | None = None) -> Tensor:
        epsilon = epsilon or self.epsilon
        here, there = self.oriented(side)
        log_weights = safe_log(there.weight) + potential / epsilon
        exponents = _columns(log_weights) - self._costs(here, there) * (1.0 / epsilon)
        reduced: Tensor = exponents.logsumexp(dim=2)
        return -epsilon * reduced.view_as(here.weight)

    def nearest(self) -> tuple[Tensor, Tensor]:
        source, target = self.source, self.target
        absent = [torch.where(c.weight > 0, 0.0, 1e30).to(c.dtype) for c in (source, target)]
        by_row = (self._costs(source, target) + _columns(absent[1])).min(dim=2)
        by_column = (self._costs(target, source) + _columns(absent[0])).min(dim=2)
        return by_row.view_as(source.weight), by_column.view_as(target.weight)

    def _density(self, f: Tensor, g: Tensor, here: CloudBatch, there: CloudBatch) -> Any:
        exponents = _rows(f) + _columns(g) - self._costs(here, there)
        return (exponents * (1.0 / self.epsilon)).exp()

    def marginals(self, f: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        source, target = self.source, self.target
        over_a = (self._density(f, g, source, target) * _columns(target.weight)).sum(dim=2)
        over_b = (self._density(g, f, target, source) * _columns(source.weight)).sum(dim=2)
        return over_a.view_as(f), over_b.view_as(g)

    def plan_sums(self, f: Tensor, g: Tensor, u: Tensor, v: Tensor) -> PlanSums:
        density = self._density(f, g, self.source, self.target) + _rows(u) * _columns(v)
        costs = self._costs(self.source, self.target)
        both = (density * costs).concat(density.xlogx()) * _columns(self.target.weight)
        rows: Tensor = both.sum(dim=2).view(*self.source.shape, 2)
        sums = (rows.double() * self.source.weight.double()[:, :, None]).sum(1)
        return PlanSums(*sums.unbind(1))

    def select(self, index: Tensor) -> KeopsKernel:
        return KeopsKernel(
            self.tiles.select(index),
            self.source.select(index),
            self.target.select(index),
            self.epsilon,
        )

    def _costs(self, source: CloudBatch, target: CloudBatch) -> Any:
        """The ground cost [B, n, m] as a formula."""
        lazy_tensor = import_keops().LazyTensor
        here, there = source.part(), target.part()
        cost, terms = self.tiles.cost, []
        if cost.uses_features:
            x, y = _rows(required(here.features)), _columns(required(there.features))
            if cost.feature == "cosine":
                feature = 1.0 - (x | y)
            else:
                feature = x.sqdist(y)
                feature = feature if cost.feature == "sqeuclidean" else feature.sqrt()
            terms.append(feature * lazy_tensor(self.tiles.feature_factor[..., None]))
        if cost.uses_geography:
            x, y = _rows(here.xyz), _columns(there.xyz)
            # Half the angle, from both ends: exact near zero and near the antipode alike.
            angle = x.sqdist(y).sqrt().atan2((x + y).sqnorm2().sqrt())
            factor = self.tiles.geo_factor * (2.0 * EARTH_RADIUS_KM)
            terms.append(angle * lazy_tensor(factor[..., None]))
        return sum(terms[1:], terms[0])


def _rows(values: Tensor) -> Any:
    """Values [B, n] or [B, n, d] of the points in rows."""
    values = values if values.dim() == 3 else values[:, :, None]
    return import_keops().LazyTensor(values[:, :, None, :].contiguous())


def _columns(values: Tensor) -> Any:
    """Values [B, m] or [B, m, d] of the points in columns."""
    values = values if values.dim() == 3 else values[:, :, None]
    return import_keops().LazyTensor(values[:, None, :, :].contiguous())


@cache
def import_keops() -> Any:
    """The module ``pykeops.torch``, without the lines that KeOps prints to standard output."""
    with quiet_import():
        import pykeops.torch
    pykeops.set_verbose(False)
    return pykeops.torch


@contextlib.contextmanager
def quiet_import() -> Any:
    """Log at debug level what an import that pulls in KeOps prints to standard output."""
    caches.provide("KEOPS_CACHE_FOLDER")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        yield
    if printed.getvalue():
        log.debug(printed.getvalue().strip())


@cache
def keops_problem(device: str | torch.device) -> str | None:
    """Why KeOps cannot run on a device, in one clause; None where a small reduction works."""
    try:
        x = torch.zeros(1, 2, 1, device=device)
        float((_rows(x) + _columns(x)).sum(dim=2).sum())
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("pykeops_"):
            return "its formulas cannot be compiled here (is there a C++ compiler?)"
        return "pykeops is not installed"
    except Exception as error:  # a read-only home, missing CUDA headers: all fail in their own way
        reason = (str(error).strip().splitlines() or [""])[0]
        return f"{type(error).__name__}: {reason}"
    return None


def _build(
    cost: GroundCost, source: CloudBatch, target: CloudBatch, epsilon: float, budget: int
) -> KeopsKernel:
    entries = tile_entries(source.dtype, budget, source.device.type)
    return KeopsKernel(CostTiles(cost, source, target, entries), source, target, epsilon)


STREAMED = KernelSpec(
    backend="keops",
    storage="streamed",
    problem=lambda workload, entries: formula_alone(workload.cost),
    limits=lambda workload: Limits(streamed_limit(workload), workload.points(in_place=False)),
    build=_build,
    by_default=lambda work: work.device == "cuda" and work.dimension <= _MOST_FEATURES,
    missing=lambda workload: keops_problem(workload.place),
)
