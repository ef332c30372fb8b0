"""Warm starts: fewer iterations, the same answers, and nothing where nothing fits."""

from __future__ import annotations

import numpy as np
import pytest

import geospot_gpu as gs
from tests.helpers.clouds import random_regions

CPU = gs.Engine(device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["single", "high"])
@pytest.mark.parametrize(
    "second",
    [(0.5, 0.01), (0.4, 0.01), (0.5, 0.015)],
    ids=["the same again", "another geo_weight", "another epsilon"],
)
def test_a_warm_start_saves_iterations_and_keeps_the_answer(
    precision: str, second: tuple[float, float]
) -> None:
    regions = random_regions([150, 90, 40, 160, 130], spread=0.5)
    warm = gs.WarmStarts()

    def solve(geo_weight: float, epsilon: float, warm: gs.WarmStarts | None) -> object:
        return gs.pairwise(
            regions,
            cost=gs.GroundCost(geo_weight=geo_weight),
            solver=gs.Sinkhorn(epsilon=epsilon, precision=precision),  # type: ignore[arg-type]
            engine=CPU,
            warm=warm,
        )

    solve(0.5, 0.01, warm)
    cold, started = solve(*second, None), solve(*second, warm)
    pairs = np.triu_indices(len(regions), 1)
    iterations = [run.iterations.values[pairs].mean() for run in (cold, started)]  # type: ignore[attr-defined]
    assert iterations[1] < iterations[0]
    assert started.converged.all()  # type: ignore[attr-defined]
    np.testing.assert_allclose(started.ot_value, cold.ot_value, rtol=1e-5)  # type: ignore[attr-defined]
    # Both intervals hold the true value, so that they overlap.
    assert (started.lower <= cold.upper).all()  # type: ignore[attr-defined]
    assert (cold.lower <= started.upper).all()  # type: ignore[attr-defined]


def test_potentials_beyond_the_limit_are_not_kept() -> None:
    regions = random_regions([30, 20, 10])
    warm = gs.WarmStarts(max_bytes=0)
    first, again = (gs.pairwise(regions, engine=CPU, warm=warm) for _ in range(2))
    np.testing.assert_array_equal(first.iterations, again.iterations)
