"""What every kernel offers: the reductions over a ground cost that transport is built on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Side = Literal["source", "target"]


class Cloud(NamedTuple):
    """A padded batch of B weighted point clouds.

    Attributes:
        features: [B, N, D], or None where the cost has no feature part.
        xyz: unit vectors [B, N, 3].
        weight: [B, N]; each row sums to one. Padding repeats a point of the cloud with weight
            zero, so that every cost is finite and extremes over a row need no mask.
    """

    features: Tensor | None
    xyz: Tensor
    weight: Tensor

    def select(self, index: Tensor) -> Cloud:
        """The clouds at ``index`` [B'] of the batch."""
        features = None if self.features is None else self.features[index]
        return Cloud(features, self.xyz[index], self.weight[index])


class PlanSums(NamedTuple):
    """Two integrals of a plan ``P = a b q``, each [B], in float64."""

    transport_cost: Tensor
    """<P, C>."""
    entropy: Tensor
    """sum_ij a_i b_j q_ij log q_ij: for a plan of mass one, KL(P, a x b)."""


class Kernel(ABC):
    """Reductions over the costs C [B, N, M] between two batches of clouds, at one epsilon.

    Potentials are [B, N] on the source side and [B, M] on the target side. Implementations
    differ in what they keep (everything, nothing, a formula), never in what they return.
    """

    def __init__(self, source: Cloud, target: Cloud, epsilon: float) -> None:
        self.source = source
        self.target = target
        self.epsilon = epsilon

    def oriented(self, side: Side) -> tuple[Cloud, Cloud]:
        """The clouds on ``side``, and those opposite."""
        return (self.source, self.target) if side == "source" else (self.target, self.source)

    @abstractmethod
    def softmin(self, potential: Tensor, side: Side) -> Tensor:
        """The potential on ``side`` that is optimal against ``potential`` on the other side.

        ``softmin(g, "source")_i = -eps log sum_j exp(log b_j + (g_j - C_ij) / eps)``, and the same
        with the roles exchanged for ``"target"``: one exact half-step of Sinkhorn.
        """

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


def safe_log(weight: Tensor) -> Tensor:
    """log(weight), very negative but finite where the weight is zero (padding)."""
    return torch.where(weight > 0, weight, torch.ones_like(weight)).log() + torch.where(
        weight > 0, 0.0, -1e30
    )


def required(features: Tensor | None) -> Tensor:
    """The features, which a cost with a feature part must have been given."""
    assert features is not None
    return features
