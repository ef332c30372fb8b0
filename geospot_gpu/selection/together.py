"""What a point of a target costs from samples of several regions together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geospot_gpu.arrays import Indices
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.progress import Progress
from geospot_gpu.selection.quota import UNLIKELY, Draw, absences, pieces, seen_from

Array = NDArray[np.float64]


def costs_together(
    engine: PairEngine,
    targets: Indices,
    sources: Indices,
    quota: Sequence[int] | Indices,
    *,
    steps: bool = False,
) -> Array:
    """Expected cost of every target point from the nearest of samples of all sources.

    Samples are drawn without replacement, each without regard to the others, so the chance that
    none has a point nearer than c is the product of the chances of each. What is expected of all
    is less than the least that is expected of one, and by much where many sources give few points.

    Args:
        engine: the regions and their cost.
        targets: positions of target regions, whose points follow each other in the rows.
        sources: positions of the regions that samples are drawn from, [R].
        quota: how many points of each, [R]; all where it has no more.
        steps: whether costs from the first k sources alone are wanted, too.

    Returns:
        Costs [M, 1] in units of the scaled ground cost, infinite where nothing is drawn; with
        ``steps`` [M, R], of the first source, of the first two, and so on.
    """
    found = []
    points, others = (int(engine.sizes[k].sum()) for k in (targets, sources))
    with Progress("comparing", "points", total=points) as progress:
        for t in targets.tolist():
            for rows in pieces(int(engine.sizes[t]), others):
                samples = _Samples(rows.stop - rows.start, engine)
                columns = []
                for r, q in zip(sources.tolist(), quota, strict=True):
                    samples.add(seen_from(engine, t, rows, r), int(q))
                    if steps:
                        columns.append(samples.expected())
                found.append(torch.stack(columns or [samples.expected()], dim=1))
                progress.update(rows.stop - rows.start)
    return torch.cat(found).cpu().numpy()


class _Samples:
    """Samples that are there so far, as some points of a target see them.

    Attributes:
        costs: of the points that may be nearest, in order, [m, k].
        hazard: by how much each lowers the logarithm of the chance that no sample has a nearer
            point, [m, k].
    """

    def __init__(self, count: int, engine: PairEngine) -> None:
        device = engine.device
        self.costs = torch.empty(count, 0, device=device, dtype=engine.points.mass.dtype)
        self.hazard = torch.empty(count, 0, device=device, dtype=torch.float64)
        self._beyond = torch.full((count, 1), torch.inf, device=device)
        self._waiting: list[tuple[Tensor, Tensor]] = []

    def add(self, draw: Draw, quota: int) -> None:
        """One more sample."""
        most = int((draw.costs < self._beyond).sum(dim=1).max())
        if min(quota, draw.points, most) < 1:
            return
        ordered, absent = absences(draw, quota, most)
        log = absent.log()
        hazard = (log[:, :-1] - log[:, 1:]).nan_to_num(nan=torch.inf, posinf=torch.inf)
        self._waiting.append((ordered, hazard))
        if sum(costs.shape[1] for costs, _ in self._waiting) > self.costs.shape[1]:
            self._join()

    def expected(self) -> Tensor:
        """Expected smallest cost, [m]."""
        self._join()
        if self.costs.shape[1] == 0:
            return self.hazard.new_full((len(self.costs),), torch.inf)
        alive = self._alive(self.hazard)
        fall = alive[:, :-1] - alive[:, 1:]
        return (fall * self.costs.double()).sum(dim=1) / (1.0 - alive[:, -1])

    def _join(self) -> None:
        """Bring all in order, without what lies behind a sample for certain."""
        parts = [(self.costs, self.hazard), *self._waiting]
        self._waiting = []
        costs, order = torch.cat([costs for costs, _ in parts], dim=1).sort(dim=1)
        hazard = torch.cat([hazard for _, hazard in parts], dim=1).gather(1, order)
        alive = self._alive(hazard)
        likely = (alive[:, :-1] > UNLIKELY).sum(dim=1, keepdim=True)
        most = int(likely.max()) if len(likely) else 0
        self.costs, self.hazard = costs[:, :most], hazard[:, :most]
        if most:
            last = self.costs.gather(1, likely - 1)
            ended = alive.gather(1, likely) <= UNLIKELY
            self._beyond = torch.where(ended, last, torch.inf)

    @staticmethod
    def _alive(hazard: Tensor) -> Tensor:
        """Chance that none of the first k points is in a sample, [m, k + 1]."""
        return torch.nn.functional.pad(torch.exp(-hazard.cumsum(dim=1)), (1, 0), value=1.0)
