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
CHANGE = 1e-4
"""Of a factor in one step, below which the small iteration ends."""
LEAST = 1e-30
"""Sums of the plan that say nothing."""
OF_THE_ERROR = 0.5
"""Share of the marginal error that has to be one of classes: steps within classes are disturbed."""
_LOOK = 5
"""Small steps after which it is looked whether factors still change."""
Array = NDArray[np.float64]


def joined(by_class: Tensor, epsilon: float) -> Tensor:
    """The softmin over all points, [B, M], of those over the points of each class, [B, K, M]."""
    found: Tensor = -epsilon * torch.logsumexp(by_class / -epsilon, dim=1)
    return found


def balance(
    kernel: Kernel, f: Tensor, g: Tensor, by_class: Tensor, error: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Move all potentials of a class alike, so that classes exchange the mass that they have to.

    With the plan's sums ``Q_kl`` over the points of every two classes, factors ``u`` and ``v`` are
    found such that ``u_k Q_kl v_l`` has the marginals of the classes, and ``eps log u`` and ``eps
    log v`` are added to the potentials. That is done where classes make up most of the error.

    Args:
        kernel: of the problems.
        f, g: potentials, [B, N] and [B, M].
        by_class: softmins of f over the sources of each class, [B, K, M].
        error: violation of the marginals, [B].

    Returns:
        The potentials, and the softmin of the first.
    """
    epsilon, (source, target) = kernel.epsilon, (kernel.source, kernel.target)
    sources, targets = source.class_masks.double(), target.class_masks.double()
    density = target.weight[:, None] * ((g[:, None] - by_class) / epsilon).exp()
    mass = (density.double() @ targets.mT).cpu().numpy()
    rows, columns = (
        (masks @ clouds.weight.double()[:, :, None])[:, :, 0].cpu().numpy()
        for masks, clouds in ((sources, source), (targets, target))
    )
    amiss = np.abs(mass.sum(1) - columns).sum(1) >= OF_THE_ERROR * error.double().cpu().numpy()
    left, right = np.zeros_like(rows), np.zeros_like(columns)
    if amiss.any():
        factors = _factors(mass[amiss], rows[amiss], columns[amiss])
        left[amiss], right[amiss] = (epsilon * np.log(factor) for factor in factors)
    moves = [torch.from_numpy(values).to(f.device) for values in (left, right)]
    return (
        f + (moves[0][:, None] @ sources)[:, 0].to(f.dtype),
        g + (moves[1][:, None] @ targets)[:, 0].to(g.dtype),
        joined(by_class - moves[0][:, :, None].to(by_class.dtype), epsilon),
    )


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
