"""What every kernel offers: the reductions over a ground cost that transport is built on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geospot_gpu.kernels.halves import Halves, split

Side = Literal["source", "target"]


class Part(NamedTuple):
    """The coordinates of some points of every cloud of a batch, padded."""

    features: Tensor | None
    """[B, n, D], or None where the cost has no feature part."""
    xyz: Tensor
    """Unit vectors, [B, n, 3]."""


@dataclass(frozen=True, eq=False)
class PointArrays:
    """Points of many clouds, end to end.

    Args:
        features: [P, D], or None where the cost has no feature part.
        xyz: unit vectors, [P, 3]; their type is that of the computation.
        mass: [P]; sums to one over each cloud.
    """

    features: Tensor | None
    xyz: Tensor
    mass: Tensor

    @cached_property
    def coordinates(self) -> Tensor:
        """The unit vectors, coordinate by coordinate, [3, P]."""
        return self.xyz.T.contiguous()

    @cached_property
    def feature_norm(self) -> Tensor:
        """Length of each feature vector, [P]."""
        norm: Tensor = torch.linalg.vector_norm(required(self.features), dim=1)
        return norm

    @cached_property
    def halves(self) -> Halves:
        """The features, each number in two halves, for matrix units."""
        return split(required(self.features))


@dataclass(frozen=True, eq=False)
class Cloud:
    """A batch of B weighted point clouds, each of them consecutive rows of shared arrays.

    Nothing is copied until a padded view is asked for: there, missing points repeat the last of
    the cloud with weight zero, so that every cost is finite and extremes need no mask.

    Args:
        points: the arrays.
        start: first row of each cloud, int64 [B], on the CPU.
        size: how many rows each has, int64 [B], on the CPU.
        width: points per cloud of the padded views; the largest size if None.
    """

    points: PointArrays
    start: NDArray[np.int64]
    size: NDArray[np.int64]
    width: int | None = None

    @classmethod
    def padded(cls, features: Tensor | None, xyz: Tensor, weight: Tensor) -> Cloud:
        """Clouds of equally many points: features [B, N, D], xyz [B, N, 3], weight [B, N]."""
        batch, n = weight.shape
        features = None if features is None else features.flatten(0, 1)
        return cls(
            PointArrays(features, xyz.flatten(0, 1), weight.flatten()),
            np.arange(batch, dtype=np.int64) * n,
            np.full(batch, n, dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.start)

    @property
    def shape(self) -> tuple[int, int]:
        """B and N of the padded views."""
        return len(self.size), self.width or int(self.size.max())

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the computation."""
        return self.points.xyz.dtype

    @property
    def device(self) -> torch.device:
        """Where the arrays live."""
        return self.points.xyz.device

    @cached_property
    def _rows(self) -> Tensor | slice:
        """Rows of the padded clouds, [B, N]; a slice where there is but one cloud."""
        start, size, width = self.start[:, None], self.size[:, None], self.shape[1]
        if len(self) == 1 and width == self.size[0]:
            return slice(int(self.start[0]), int(self.start[0]) + width)
        rows = start + np.minimum(np.arange(width), size - 1)
        return torch.from_numpy(rows).to(self.device)

    def padded_values(self, values: Tensor, points: slice = slice(None)) -> Tensor:
        """Values [P] or [P, d] of the points at positions ``points`` of every cloud, padded.

        Returns:
            [B, n] or [B, n, d]; a view where there is one cloud.
        """
        if isinstance(self._rows, slice):
            return values[self._rows][points][None]
        return values[self._rows[:, points]]

    def gather_features(self, clouds: slice, out: Tensor) -> Tensor:
        """Features of some clouds of a batch of several, padded, [b, N, D].

        Args:
            clouds: which of them.
            out: memory for at least b N rows of D numbers.
        """
        features = required(self.points.features)
        assert isinstance(self._rows, Tensor)
        rows = self._rows[clouds]
        torch.index_select(features, 0, rows.flatten(), out=out[: rows.numel()])
        return out[: rows.numel()].view(*rows.shape, -1)

    @cached_property
    def weight(self) -> Tensor:
        """Masses, padded with zeros, [B, N]."""
        inside = torch.from_numpy(np.arange(self.shape[1]) < self.size[:, None])
        return self.padded_values(self.points.mass) * inside.to(self.device)

    def part(self, points: slice = slice(None)) -> Part:
        """The points at positions ``points`` of every cloud."""
        xyz, features = self.points.xyz, self.points.features
        if features is not None:
            features = self.padded_values(features, points).to(self.dtype)
        return Part(features, self.padded_values(xyz, points))

    def select(self, index: Tensor) -> Cloud:
        """The clouds at ``index`` [B'] of the batch."""
        chosen = index.cpu().numpy()
        width = self.shape[1]
        return replace(self, start=self.start[chosen], size=self.size[chosen], width=width)


class PlanSums(NamedTuple):
    """Two integrals of a plan ``P = a b q``, each [B], in float64."""

    transport_cost: Tensor
    """<P, C>."""
    entropy: Tensor
    """sum_ij a_i b_j q_ij log q_ij: for a plan of mass one, KL(P, a x b)."""


class Schedule(NamedTuple):
    """How to iterate."""

    tolerance: float
    """Largest L1 violation of a marginal at which a problem counts as solved."""
    max_iterations: int
    relaxed: bool = True
    """Over-relax where that is faster; False is plain Sinkhorn."""
    symmetric: bool = False
    """Both sides are the same clouds: average two half-steps instead of alternating them."""
    start: Tensor | None = None
    """Potentials [B, M] of the target side to start from; zero if None."""
    damping: float = 1.0
    """What the softmin on the source side is multiplied by. Less than one leaves the source
    marginal free at a price (Chizat et al. 2018, Scaling algorithms for unbalanced optimal
    transport problems, table 1)."""


class Potentials(NamedTuple):
    """What an iteration ends with, for a batch of B problems.

    ``f`` is the exact softmin of ``g``, so that the plan's source marginal is exact (damped and
    shifted where that marginal is free);
    ``next_g`` is the exact softmin of ``f``, which tells the plan's target marginal:
    ``b exp((g - next_g) / eps)``. Values at padding are finite and mean nothing.
    """

    f: Tensor
    """[B, N]"""
    g: Tensor
    """[B, M]"""
    next_g: Tensor
    """[B, M]"""
    iterations: Tensor
    """[B], int64"""
    marginal_error: Tensor
    """[B]: the larger L1 violation of a marginal that the last iteration found."""


class Kernel(ABC):
    """Reductions over the costs C [B, N, M] between two batches of clouds, at one epsilon.

    Potentials are [B, N] on the source side and [B, M] on the target side. Implementations
    differ in what they keep (everything, nothing, a formula), never in what they return.
    """

    def __init__(self, source: Cloud, target: Cloud, epsilon: float) -> None:
        self.source = source
        self.target = target
        self.epsilon = epsilon

    @property
    def feature_roundoff(self) -> float:
        """Relative error of one product of features in the evidence.

        That is in the last half-steps, marginals and sums over the plan; the certified interval
        allows for it. Unless a kernel says otherwise, the unit roundoff of the computation's type.
        """
        return torch.finfo(self.source.dtype).eps / 2.0

    def oriented(self, side: Side) -> tuple[Cloud, Cloud]:
        """The clouds on ``side``, and those opposite."""
        return (self.source, self.target) if side == "source" else (self.target, self.source)

    @abstractmethod
    def softmin(self, potential: Tensor, side: Side) -> Tensor:
        """The potential on ``side`` that is optimal against ``potential`` on the other side.

        ``softmin(g, "source")_i = -eps log sum_j exp(log b_j + (g_j - C_ij) / eps)``, and the same
        with the roles exchanged for ``"target"``: one exact half-step of Sinkhorn.
        """

    def step(
        self, f: Tensor, g: Tensor, omega: Tensor, damping: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One iteration of alternating half-steps, the first one relaxed by ``omega`` [B].

        Kernels that find both softmins in one pass over the costs override this.

        Returns:
            The softmin of ``g`` times ``damping``, the potential ``f + omega (that - f)``, and its
            softmin.
        """
        next_f = damping * self.softmin(g, "source")
        f = torch.lerp(f, next_f, omega[:, None])
        return next_f, f, self.softmin(f, "target")

    def iterate(self, schedule: Schedule) -> Potentials | None:
        """All iterations at once, in kernels that need not return to Python between them."""
        return None

    def prefix(self, index: Tensor, source: Cloud, target: Cloud) -> Kernel | None:
        """The same costs over fewer points, in kernels that keep them where they can be cut.

        Args:
            index: which problems, [B'].
            source, target: their clouds, each with the first points of what it was.
        """
        return None

    def transposed(self) -> Kernel | None:
        """The same costs with the sides exchanged, in kernels that keep them."""
        return None

    @abstractmethod
    def nearest(self) -> tuple[Tensor, Tensor]:
        """The smallest cost of each point to the points opposite, [B, N] and [B, M]."""

    @abstractmethod
    def marginals(self, f: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        """Marginals [B, N] and [B, M] of ``a_i b_j exp((f_i + g_j - C_ij) / eps)`` over a and b.

        They are sums of the very numbers that :meth:`plan_sums` integrates.
        """

    @abstractmethod
    def plan_sums(self, f: Tensor, g: Tensor, u: Tensor, v: Tensor) -> PlanSums:
        """Integrals of the plan with density ``q_ij = exp((f_i + g_j - C_ij) / eps) + u_i v_j``."""

    @abstractmethod
    def select(self, index: Tensor) -> Kernel:
        """The kernel of the problems at ``index`` [B'] of the batch."""


def marginal_error(weight: Tensor, potential: Tensor, softmin: Tensor, epsilon: float) -> Tensor:
    """L1 violation [B] of one marginal, from its potential and the softmin that would mend it."""
    return (weight * torch.expm1((potential - softmin) / epsilon).abs()).sum(1)


def best_shift(weight: Tensor, potential: Tensor, damping: float, epsilon: float) -> Tensor:
    """What to add to a damped potential [B, N], and to take from the other, to raise the dual most.

    Without it constants converge slowly where the price of a free marginal is high (Séjourné,
    Vialard & Peyré 2022, Faster unbalanced optimal transport, section 3). [B, 1]
    """
    rho = epsilon * damping / (1.0 - damping)
    return rho * (safe_log(weight) - potential / rho).logsumexp(1, keepdim=True)


def safe_log(weight: Tensor) -> Tensor:
    """log(weight), very negative but finite where the weight is zero (padding)."""
    return torch.where(weight > 0, weight, torch.ones_like(weight)).log() + torch.where(
        weight > 0, 0.0, -1e30
    )


def required(features: Tensor | None) -> Tensor:
    """The features, which a cost with a feature part must have been given."""
    assert features is not None
    return features
