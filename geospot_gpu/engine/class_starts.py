"""Where to start from where costs know classes: potentials of the classes alone."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geospot_gpu.arrays import Indices
from geospot_gpu.cost import GroundCost
from geospot_gpu.devices import upload
from geospot_gpu.kernels.clouds import CloudBatch, required
from geospot_gpu.regions import Regions

_ITERATIONS, _LOOK, _CHANGE = 300, 50, 1e-3
"""The most, after how many each it is looked whether potentials, over epsilon, still change."""
_LARGEST = 200.0
"""Costs over epsilon, of which exponentials and their ratios are numbers in float64."""


class ClassStarts:
    """Potentials that move shares of classes, and know nothing else.

    For kernels that know no sums by class, whose iterations find last what differs by class alone
    (:mod:`geospot_gpu.kernels.between_classes`). The problem between the shares, K x K, takes next
    to no time by Sinkhorn's iteration in float64, on the CPU; points start from the potential of
    their class. On dams and climates that saves three and two tenths of the iterations.

    Args:
        regions: the regions.
        classes: of all their points, [N].
        cost: with a table of classes.
        epsilon: of the solver.
    """

    def __init__(
        self, regions: Regions, classes: Indices, cost: GroundCost, epsilon: float
    ) -> None:
        assert cost.class_table is not None
        table = np.array(cost.class_table)
        self._epsilon = max(epsilon, float(table.max()) / _LARGEST)
        self._near = np.exp(-table / self._epsilon)
        self._shares = np.zeros((len(regions), len(table)))
        of = np.repeat(np.arange(len(regions)), regions.sizes)
        np.add.at(self._shares, (of, classes), regions.weight.cpu().numpy())

    def of(self, left: Indices, right: Indices, target: CloudBatch) -> Tensor:
        """Potentials of targets, [B, M].

        Args:
            left, right: positions of the two regions of each pair, [B].
            target: the right ones.
        """
        found = torch.from_numpy(self._between(self._shares[left], self._shares[right]))
        of_class = upload(found.to(target.dtype), target.device)
        at = target.padded_values(required(target.points.classes))
        return of_class.gather(1, at.expand(len(of_class), -1))

    def _between(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        """Potentials of the classes of the right side, [B, K]."""
        back = np.ascontiguousarray(self._near.T)
        right = before = np.ones_like(b)
        for iteration in range(1, _ITERATIONS + 1):
            left = 1.0 / ((b * right) @ back)
            right = 1.0 / ((a * left) @ self._near)
            if iteration % _LOOK == 0:
                if np.abs(np.log(right / before)).max() < _CHANGE:
                    break
                before = right
        return np.asarray(self._epsilon * np.log(right))
