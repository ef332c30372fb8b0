"""What the index of single places tells of regions, beside distances of whole regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.distances.baselines import baselines
from geospot_gpu.distances.pairwise import pairwise
from geospot_gpu.distances.solve import chosen_outputs
from geospot_gpu.regions import Regions
from geospot_gpu.runs.run import Run
from geospot_gpu.transfer.applicability.profile import LeftOut

Array = NDArray[np.float64]
LEAST = 8
"""Regions with scores that a comparison needs."""
_SOLVED = ("nearest", "coverage")


@dataclass(frozen=True, eq=False)
class Comparison:
    """Absolute errors of the scores of regions, each expected from all other regions.

    Attributes:
        places: of the relation of single samples with the dissimilarity index, [R].
        distances: of a straight line through a distance from the training points to each region,
            by its name, [R].
        mean: of always the mean, [R].
    """

    places: Array
    distances: Mapping[str, Array]
    mean: Array

    @property
    def best_distance(self) -> str:
        """The distance with the smallest mean error."""
        return min(self.distances, key=lambda name: float(self.distances[name].mean()))

    @property
    def summary(self) -> dict[str, Any]:
        """The figures, as ``summary.json`` has them; what is gained over the mean, and how sure."""
        best = self.best_distance
        gains = {"places": self._gain(self.places), best: self._gain(self.distances[best])}
        return {
            "regions": len(self.mean),
            "error_of_places": float(self.places.mean()),
            "error_of_distances": {name: float(x.mean()) for name, x in self.distances.items()},
            "error_of_mean": float(self.mean.mean()),
            "gain": {name: {"gain": gain, "std_error": se} for name, (gain, se) in gains.items()},
        }

    @property
    def text(self) -> str:
        """Which of them tells more, in a sentence.

        One tells more than the mean where it gains more than two standard errors of the difference
        over regions.
        """
        best = self.best_distance
        ways = {
            "dissimilarity of places": self.places,
            f"{best} of whole regions": self.distances[best],
        }
        told = "; ".join(f"{way} {error.mean():.3g}" for way, error in ways.items())
        better = [way for way, error in ways.items() if _clear(*self._gain(error))]
        verdict = f"{' and '.join(better) or 'neither'} clearly tells more than the mean"
        if len(better) == 2:
            verdict = "both clearly tell more than the mean"
        return (
            f"mean absolute error for {len(self.mean)} regions left out: {told}; always the mean "
            f"{self.mean.mean():.3g}: {verdict}"
        )

    def _gain(self, error: Array) -> tuple[float, float]:
        """By how much an error is below that of the mean, and its standard error."""
        gain = self.mean - error
        return float(gain.mean()), float(gain.std(ddof=1) / np.sqrt(len(gain)))


def compare(found: LeftOut, distances: Mapping[str, Array]) -> Comparison:
    """Errors of regions that are left out, by each way to expect their scores.

    Args:
        found: scores of the regions, and what samples of all others let expect, [R].
        distances: from the training points to these regions, by name, [R].
    """
    score = found.score
    others = (score.sum() - score) / (len(score) - 1)
    return Comparison(
        np.abs(found.residual),
        {name: np.abs(line_left_out(away, score) - score) for name, away in distances.items()},
        np.abs(others - score),
    )


def distances_to(training: Regions, targets: Regions, run: Run) -> dict[str, Array]:
    """Distances from a cloud of training points to regions, as the run measures them, [R] each.

    They are ``nearest``, ``coverage`` where the solver gives it, and the mean ``dissimilarity``.
    """
    cloud, regions = (side.space(side.spaces[0]) if side.spaces else side
                      for side in (training, targets))  # fmt: skip
    outputs = [name for name in chosen_outputs(None, run.solver) if name in _SOLVED]
    solved = pairwise(
        cloud, regions, cost=run.cost, solver=run.solver, outputs=outputs, engine=run.engine
    )
    found = {name: solved[name].to_numpy()[0].astype(np.float64) for name in outputs}
    together = cloud.concatenated(regions)
    right = np.arange(1, len(together))
    simple = baselines(together, np.zeros_like(right), right, ["dissimilarity"])
    return found | {"dissimilarity": simple["dissimilarity_source_to_target"].to_numpy()}


def line_left_out(x: Array, y: Array) -> Array:
    """Of each point what the straight line through all others says, [n].

    >>> line_left_out(np.arange(4.0), np.array([0.0, 1.0, 2.0, 9.0])).round(6).tolist()[3]
    3.0
    """
    found = np.empty_like(y)
    for k in range(len(y)):
        others = np.arange(len(y)) != k
        a, b = x[others], y[others]
        away = a - a.mean()
        slope = away @ b / (away @ away) if (away @ away) > 0.0 else 0.0
        found[k] = b.mean() + slope * (x[k] - a.mean())
    return found


def _clear(gain: float, std_error: float) -> bool:
    return gain > 2.0 * std_error
