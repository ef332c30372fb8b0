"""Which places drive a distance of a run: the twin of ``geospot explain``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from geospot_gpu.displayed import Displayed
from geospot_gpu.errors import checks
from geospot_gpu.names import Name
from geospot_gpu.runs.run import Run
from geospot_gpu.transfer.contributions import contributions


@dataclass(frozen=True)
class Explanation(Displayed):
    """What the points of two regions contribute to their divergence.

    Attributes:
        source, target: names of the regions.
        points: one row per distinct point, as :func:`~geospot_gpu.contributions` has them.
    """

    source: str
    target: str
    points: pd.DataFrame

    @property
    def divergence(self) -> float:
        """Of the two regions: what all points contribute."""
        return float(self.points["contribution"].sum())

    @property
    def verdict(self) -> str:
        """A sentence."""
        contribution = self.points["contribution"]
        negative = float(contribution.clip(upper=0.0).sum())
        return (
            f"{self.source} - {self.target}: divergence {self.divergence:.4f}, half of it from "
            f"either side; {int((contribution < 0).sum())} of {len(contribution)} places "
            f"contribute less than nothing ({negative:.4f}): the other region has more than its "
            "share there"
        )

    @property
    def summary(self) -> dict[str, Any]:
        """The figures, as ``summary.json`` has them."""
        return {
            "verdict": self.verdict,
            "divergence": self.divergence,
            "points": len(self.points),
        }


def explain_distance(run: Run, source: Name, target: Name) -> Explanation:
    """What every point of two regions of a run contributes to their divergence.

    Args:
        run: the run.
        source, target: names of its regions.

    Raises:
        GeospotError: a name is unknown, both are the same, or the run's points are not there any
            more.
    """
    checks.instance(run, Run, "run", "as Run.open gives it")
    points = contributions(
        run.regions,
        source=source,
        target=target,
        cost=run.cost,
        solver=run.solver,
        engine=run.engine,
    )
    first, last = points["region"].iloc[[0, -1]]
    return Explanation(first, last, points)
