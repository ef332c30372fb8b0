"""The choice of regions as GeoSpOT publishes it, with POT."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.peers import published

STOP = 1e-6
"""Published is 1e-8, which takes twice as many iterations and changes no choice that was tried."""


def union_distance(x: Tensor, y: Tensor) -> float:
    """Transport cost between two clouds of unit features [n, D] and [m, D], all points alike.

    Cosine costs over the largest one of the pair, Sinkhorn's plan, and what that plan costs; where
    plain Sinkhorn warns of numerical errors, its plan by logarithms.
    """
    cost = 1.0 - x @ y.T
    cost = cost / cost.max()
    a, b = (cost.new_full((size,), 1.0 / size) for size in cost.shape)
    return published(a, b, cost, STOP)[0]


def greedy_union(features: list[Tensor], target: int, most: int) -> list[int]:
    """Regions in the order of the greedy choice; in a union every point counts alike.

    Args:
        features: unit features [n, D] of every region.
        target: position of the target, which is no candidate.
        most: how many to choose.
    """
    order: list[int] = []
    left = [r for r in range(len(features)) if r != target]
    while len(order) < most:
        best = min(
            left,
            key=lambda r: union_distance(
                torch.cat([features[k] for k in [*order, r]]), features[target]
            ),
        )
        order.append(best)
        left.remove(best)
    return order
