"""What every kernel offers: the reductions over a ground cost that transport is built on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from geospot_gpu.kernels.clouds import CloudBatch
from geospot_gpu.kernels.halves import ROUNDOFF, Halves

Side = Literal["source", "target"]


class PlanSums(NamedTuple):
    """Two integrals of a plan ``P = a b q``, each [B], in float64."""

    transport_cost: Tensor
    """<P, C>."""
    entropy: Tensor
    """sum_ij a_i b_j q_ij log q_ij: for a plan of mass one, KL(P, a x b)."""


class IterationSettings(NamedTuple):
    """Where an iteration starts, how it steps, and when it ends."""

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
    by_class: bool = True
    """Let classes exchange their mass within an iteration, in kernels with sums by class
    (:mod:`~geospot_gpu.kernels.between_classes`); False is Sinkhorn's iteration alone."""


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


class Scaled(Protocol):
    """Factors of a ground cost; see :class:`~geospot_gpu.kernels.tiles.CostTiles`."""

    feature_factor: Tensor
    """Of feature costs, for each problem, [B, 1, 1]."""
    geo_factor: Tensor
    """Of great circles in km, [B, 1, 1]."""
    vanishing: Tensor
    """Whether all costs of a problem, or all of one part, are zero as computed, bool [B]."""


class Kernel(ABC):
    """Reductions over the costs C [B, N, M] between two batches of clouds, at one epsilon.

    Potentials are [B, N] on the source side and [B, M] on the target side. Implementations
    differ in what they keep (everything, nothing, a formula), never in what they return.
    """

    tiles: Scaled
    """The cost, and its factors for each problem."""

    def __init__(self, source: CloudBatch, target: CloudBatch, epsilon: float) -> None:
        self.source = source
        self.target = target
        self.epsilon = epsilon

    @property
    def feature_roundoff(self) -> float:
        """Relative error of one product of features in the evidence.

        That is in the last half-steps, marginals and sums over the plan; the certified interval
        allows for it. Unless a kernel says otherwise, the unit roundoff of the computation's type,
        or what features that are there in halves have lost.
        """
        if isinstance(self.source.points.features, Halves):
            return ROUNDOFF
        return torch.finfo(self.source.dtype).eps / 2.0

    def oriented(self, side: Side) -> tuple[CloudBatch, CloudBatch]:
        """The clouds on ``side``, and those opposite."""
        return (self.source, self.target) if side == "source" else (self.target, self.source)

    @abstractmethod
    def softmin(self, potential: Tensor, side: Side, epsilon: float | None = None) -> Tensor:
        """The potential on ``side`` that is optimal against ``potential`` on the other side.

        ``softmin(g, "source")_i = -eps log sum_j exp(log b_j + (g_j - C_ij) / eps)``, and the same
        with the roles exchanged for ``"target"``: one exact half-step of Sinkhorn.

        Args:
            potential: [B, M] if side is ``source``.
            side: where the softmin is.
            epsilon: another one than the kernel's, on the way to it; costs may then be as rough as
                those that the kernel iterates on.
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

    def iterate(self, settings: IterationSettings) -> Potentials | None:
        """All iterations at once, in kernels with a loop of their own; None where there is none."""
        return None

    @property
    def has_class_sums(self) -> bool:
        """Whether :meth:`class_sums` is there, and the costs know classes."""
        return False

    def class_sums(self, f: Tensor) -> tuple[Tensor, Tensor] | None:
        """The softmin of f [B, N] in parts, one for the sources of each class.

        ``softmin(f, "target") = reference - eps log(sums.sum(1))``, of which that over one class
        has the logarithm of its sums alone. Together they cost what one softmin does.

        Returns:
            reference [B, M] and sums [B, K, M]; None where potentials have gone too far for that.
        """
        return None

    def prefix(self, index: Tensor, source: CloudBatch, target: CloudBatch) -> Kernel | None:
        """The same costs over fewer points, in kernels that keep them where they can be cut.

        Args:
            index: which problems, [B'].
            source, target: their clouds, each with the first points of what it was.
        """
        return None

    def transposed(self) -> Kernel | None:
        """The same costs with the sides exchanged, in kernels that keep them."""
        return None

    def expect_nearest(self) -> None:  # noqa: B027 (most kernels have no use for it)
        """Say that :meth:`nearest` will be asked for: it may be had in a pass that others need."""

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
        """The kernel of the problems at ``index`` [B'] of the batch, which is on the CPU."""


def safe_log(weight: Tensor) -> Tensor:
    """log(weight), very negative but finite where the weight is zero (padding)."""
    return torch.where(weight > 0, weight, torch.ones_like(weight)).log() + torch.where(
        weight > 0, 0.0, -1e30
    )
