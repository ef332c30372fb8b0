"""What a kernel says of itself: where it runs, how much it takes at once, and how it is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from geospot_gpu.cost import GroundCost
from geospot_gpu.kernels.clouds import CloudBatch
from geospot_gpu.kernels.contract import Kernel

SIMILAR = 1.2
"""Ratio between the sizes that share a batch that is padded: at most its square is wasted."""
RAGGED = 4.0
"""The same where nothing is padded."""

# A batch of small dense problems: large enough to amortise the calls, small enough for the cache.
BATCH_ENTRIES = {"cpu": 1 << 24, "cuda": 1 << 30}
_BATCH_FEATURES = {"cpu": 64 * 2**20, "cuda": 4 * 2**30}  # bytes of features copied into a batch

Sizes = NDArray[np.int64]
Storage = Literal["kept", "streamed"]


class Workload(NamedTuple):
    """What problems have in common, but for their sizes."""

    cost: GroundCost
    dimension: int
    """Numbers that tell a point: its features where the cost reads them, or its unit vector."""
    dtype: torch.dtype
    device: str
    """``cpu`` or ``cuda``."""
    budget: int
    """Memory for costs in bytes."""
    gpu: int | None = None
    """Which of the GPUs; None on a CPU, or where it is the current one."""

    @property
    def place(self) -> torch.device:
        """The device itself."""
        return torch.device(self.device if self.gpu is None else f"{self.device}:{self.gpu}")

    @classmethod
    def of(cls, cost: GroundCost, cloud: CloudBatch, budget: int) -> Workload:
        """That of problems with a batch of clouds on one side."""
        dimension = cloud.points.dimension if cost.uses_features else None
        dimension, device = 3 if dimension is None else dimension, cloud.device
        return cls(cost, dimension, cloud.dtype, device.type, budget, device.index)

    def points(self, *, in_place: bool) -> int:
        """How many points the clouds of one batch may have.

        Args:
            in_place: the kernel reads features where they are, instead of copying them into it.
        """
        numbers = 1 if in_place and self.cost.scaling == "global" else self.dimension
        room = min(_BATCH_FEATURES[self.device], self.budget // 4)
        return room // (self.dtype.itemsize * numbers)


class Limits(NamedTuple):
    """How much a batch may hold."""

    entries: int
    """Costs, its problems padded to the largest."""
    points: int
    """Points on both sides."""


def anywhere(workload: Workload) -> None:
    """Of a kernel that is never missing."""
    return


def everywhere(workload: Workload) -> bool:
    """Of a kernel that ``auto`` considers for any workload."""
    return True


def padded(n: Sizes, m: Sizes) -> NDArray[np.float64]:
    """The growth of a kernel that pads its batches."""
    return np.full(len(n), SIMILAR)


def torch_alone(cost: GroundCost) -> str | None:
    """Why no loops of ours can evaluate a cost, in one clause; None where they can."""
    if cost.own_feature:
        return f"cost.feature={cost.feature} is computed in torch alone"
    return None


def formula_alone(cost: GroundCost) -> str | None:
    """Why a formula of features and places alone is not enough, in one clause; None if it is."""
    if cost.class_costs is not None:
        return "it knows no costs between classes"
    return torch_alone(cost)


@dataclass(frozen=True)
class KernelSpec:
    """An entry of the registry.

    Args:
        backend: what computes, as ``engine.backend=`` asks for it.
        storage: ``kept`` where costs are computed once, ``streamed`` where they are computed anew
            in every pass; ``engine.storage=`` asks for it.
        problem: ``problem(workload, entries)``: why it cannot solve problems of so many costs
            each, in one clause; None where it can.
        limits: of a batch.
        build: ``build(cost, source, target, epsilon, budget)``: the kernel over a batch of clouds,
            whose tiles may take ``budget`` bytes.
        growth: ``growth(n, m)``: for problems of n x m costs [K], the ratio between the sizes
            that may share a batch.
        by_default: whether ``engine.backend=auto`` considers it for a workload.
        missing: ``missing(workload)``: why it cannot run on the device at all, in one clause;
            None where it can. Where ``auto`` considers it, it goes on without it, and says so.
        reads_halves: whether of features it reads the halves alone.
    """

    backend: str
    storage: Storage
    problem: Callable[[Workload, int], str | None]
    limits: Callable[[Workload], Limits]
    build: Callable[[GroundCost, CloudBatch, CloudBatch, float, int], Kernel]
    growth: Callable[[Sizes, Sizes], NDArray[np.float64]] = padded
    by_default: Callable[[Workload], bool] = everywhere
    missing: Callable[[Workload], str | None] = anywhere
    reads_halves: bool = False

    @property
    def name(self) -> str:
        """What results say, as ``torch kept``."""
        return f"{self.backend} {self.storage}"
