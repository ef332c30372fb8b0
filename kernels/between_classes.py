"""What Sinkhorn's iteration finds last where costs know classes: how much mass goes between them.

Where shares of classes differ, mass has to change its class, and does so by few points: potentials
that differ by class alone are the slow modes of the iteration. They are no more than two numbers
for each class, and the problem that they solve, between the sums of the plan over every two
classes, is as small: its own Sinkhorn iteration is run to the end within one of the large one. This
is aggregation and disaggregation, which speeds up the iteration of nearly uncoupled Markov chains
(Koury, McAllister & Stewart 1984, Iterative methods for computing stationary distributions of
nearly completely decomposable Markov chains), for scalings of a matrix.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geospot_gpu.kernels.contract import Kernel

MOST_STEPS = 100
"""Of the small iteration within one of the large one."""
CHANGE = 1e-3
"""Of a factor in one step, below which the small iteration ends."""
LEAST = 1e-30
"""Sums of the plan that say nothing."""
OF_THE_ERROR = 0.5
"""Share of the marginal error that has to be one of classes: steps within classes are disturbed."""
REST = 5
"""Iterations in torch from one that found classes in order to the next that looks at them."""
_LOOK = 5
"""Small steps after which it is looked whether factors still change."""
Array = NDArray[np.float64]


class Exchange:
    """The problems between the classes of a batch, and in which iterations they are looked at.

    Args:
        kernel: of the batch.
        due: the first iteration to look at.
    """

    def __init__(self, kernel: Kernel, due: int = 1) -> None:
        self._epsilon = kernel.epsilon
        self._weight = kernel.target.weight
        clouds = kernel.source, kernel.target
        self._masks = [cloud.class_masks.to(self._weight.dtype) for cloud in clouds]
        self._shares = [
            _numbers((mask @ cloud.weight[:, :, None])[:, :, 0])
            for mask, cloud in zip(self._masks, clouds, strict=True)
        ]
        self.due = due
        """The iteration that is next looked at."""

    def balance(
        self,
        iteration: int,
        f: Tensor,
        g: Tensor,
        class_sums: tuple[Tensor, Tensor],
        error: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor] | None:
        """Move all potentials of a class alike, so that classes exchange the mass they have to.

        With the plan's sums ``Q_kl`` over the points of every two classes, factors ``u`` and ``v``
        are found such that ``u_k Q_kl v_l`` has the marginals of the classes, and ``eps log u`` and
        ``eps log v`` are added to the potentials. That is done where classes make up most of the
        error.

        Args:
            iteration: which one this is.
            f, g: potentials, [B, N] and [B, M].
            class_sums: those of f, see :meth:`~geospot_gpu.kernels.contract.Kernel.class_sums`.
            error: violation of the marginals, [B]; infinite where nothing is to move.

        Returns:
            The potentials, and the softmin of the first; None where all stay what they are.
        """
        epsilon, (sources, targets), (rows, columns) = self._epsilon, self._masks, self._shares
        reference, sums = class_sums
        scaling = ((g - reference) / epsilon).exp_().mul_(self._weight)
        mass = _numbers(sums @ (scaling[:, :, None] * targets.mT))
        amiss = np.abs(mass.sum(1) - columns).sum(1) >= OF_THE_ERROR * _numbers(error)
        self.due = iteration + (1 if amiss.any() else REST)
        if not amiss.any():
            return None
        left, right = np.ones_like(rows), np.ones_like(columns)
        left[amiss], right[amiss] = _factors(mass[amiss], rows[amiss], columns[amiss])
        top = left.max(1, keepdims=True)
        logs = epsilon * np.log(left), epsilon * np.log(right), epsilon * np.log(top)
        u, to_f, to_g, shift = (torch.from_numpy(one).to(f) for one in (left / top, *logs))
        moved = (u[:, None] @ sums)[:, 0].clamp_(min=torch.finfo(f.dtype).tiny)
        return (
            f + (to_f[:, None] @ sources)[:, 0],
            g + (to_g[:, None] @ targets)[:, 0],
            reference - epsilon * moved.log_() - shift,
        )


def _numbers(values: Tensor) -> Array:
    return values.double().cpu().numpy()


def _factors(mass: Array, rows: Array, columns: Array) -> tuple[Array, Array]:
    """Factors [B, K] and [B, L] of sums [B, K, L] that give them these marginals; 1 without any."""
    left, right = np.ones_like(rows), np.ones_like(columns)
    for step in range(1, MOST_STEPS + 1):
        left = rows / np.maximum((mass @ right[:, :, None])[:, :, 0], LEAST)
        before, right = right, columns / np.maximum((left[:, None] @ mass)[:, 0], LEAST)
        if step % _LOOK == 0 and (np.abs(right - before) <= CHANGE * before).all():
            break
    known = [(factor > 0.0) & (factor < 1.0 / LEAST) for factor in (left, right)]
    return np.where(known[0], left, 1.0), np.where(known[1], right, 1.0)
