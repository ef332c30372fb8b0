"""Sampling error against the truth: the spread over samples, and what all points say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import geospot_gpu as gs
from geospot_gpu.engine.method import Method
from geospot_gpu.runs.sweep import run_sweep

CPU = gs.Engine(device="cpu")
GEOGRAPHY = gs.GroundCost(geo_weight=1.0, geo_scale=3000.0)
SOLVER = gs.Sinkhorn(epsilon=0.05)
POPULATION, SAMPLE = 1600, 200


def population(max_points: int | None, seed: int = 0, *, weighted: bool = False) -> gs.Regions:
    """Two overlapping clouds of points, or samples of them."""
    generator = np.random.default_rng(7)
    lon = generator.normal(0.0, 6.0, (2, POPULATION)) + np.array([[0.0], [20.0]])
    lat = generator.normal(0.0, 6.0, (2, POPULATION)) * np.array([[1.0], [2.0]])
    return gs.Regions.from_points(
        lon=lon.ravel(),
        lat=lat.ravel(),
        region=["a"] * POPULATION + ["b"] * POPULATION,
        weight=generator.lognormal(0.0, 1.2, 2 * POPULATION) if weighted else None,
        max_points=max_points,
        seed=seed,
    )


def distance(regions: gs.Regions) -> dict[str, float]:
    run = gs.pairwise(regions, cost=GEOGRAPHY, solver=SOLVER, engine=CPU)
    return {str(name): float(values.values[0, 1]) for name, values in run.data_vars.items()}


@pytest.fixture(scope="module")
def samples() -> dict[str, np.ndarray]:
    """Distances of sixty independent samples."""
    found = [distance(population(SAMPLE, seed)) for seed in range(60)]
    return {name: np.array([one[name] for one in found]) for name in found[0]}


@pytest.mark.slow
def test_standard_error_is_the_spread_over_samples(samples: dict[str, np.ndarray]) -> None:
    """A standard deviation of 60 values is good to 9 %; four times that is allowed."""
    spread = samples["divergence"].std(ddof=1)
    assert 0.64 < np.median(samples["std_error"]) / spread < 1.36


def test_bias_is_what_samples_have_too_much_in_the_mean(samples: dict[str, np.ndarray]) -> None:
    excess = samples["divergence"] - distance(population(None))["divergence"]
    noise = excess.std(ddof=1) / np.sqrt(len(excess))
    estimates = samples["bias"]
    noise += estimates.std(ddof=1) / np.sqrt(len(estimates))
    assert abs(estimates.mean() - excess.mean()) < 4 * noise


def test_all_points_leave_no_sampling_error() -> None:
    everything = distance(population(None))
    assert everything["std_error"] == 0.0
    assert everything["bias"] == 0.0


def test_a_larger_share_of_the_points_leaves_less() -> None:
    """Half of the points instead of an eighth: (1 - 1/2) / 4 over (1 - 1/8) of the variance."""
    few = np.median([distance(population(SAMPLE, seed))["std_error"] for seed in range(8)])
    many = np.median([distance(population(4 * SAMPLE, seed))["std_error"] for seed in range(8)])
    assert many / few == pytest.approx(np.sqrt(0.5 / 4 / 0.875), rel=0.15)


def test_nothing_is_claimed_near_zero() -> None:
    """Two samples of one distribution, whose divergence is nothing but sampling."""
    generator = np.random.default_rng(0)
    lon, lat = generator.normal(0.0, 6.0, (2, 2000))
    regions = gs.Regions.from_points(
        lon=lon, lat=lat, region=["a"] * 1000 + ["b"] * 1000, max_points=100
    )
    near = distance(regions)
    assert np.isnan(near["std_error"])
    assert np.isnan(near["bias"])


def test_it_is_found_with_and_without_the_divergence() -> None:
    regions = population(SAMPLE)
    alone = gs.pairwise(regions, cost=GEOGRAPHY, solver=SOLVER, engine=CPU, outputs=["std_error"])
    assert "divergence" not in alone
    assert "bias" not in alone
    every = gs.pairwise(regions, cost=GEOGRAPHY, solver=SOLVER, engine=CPU)
    np.testing.assert_array_equal(alone.std_error, every.std_error)


def test_regions_of_very_different_size_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    generator = np.random.default_rng(0)
    regions = gs.Regions.from_points(
        lon=generator.uniform(0, 10, 330),
        lat=generator.uniform(0, 10, 330),
        region=["big"] * 300 + ["small"] * 30,
        max_points=120,
    )
    for _ in range(2):
        run_sweep(tmp_path, regions, method=Method(GEOGRAPHY, SOLVER), engine=CPU)
    assert caplog.text.count("differ more than 3 times in points") == 2
    assert "1 of 1 pairs, such as big (120) and small (30)" in caplog.text
    run = gs.open_run(tmp_path)
    fresh = gs.pairwise(regions, cost=GEOGRAPHY, solver=SOLVER, engine=CPU)
    for name in ("std_error", "bias"):
        np.testing.assert_array_equal(run[name], fresh[name].astype(np.float32))


@pytest.mark.slow
def test_weighted_points_have_the_spread_of_weighted_samples() -> None:
    """Masses of very different size leave more error than as many equal ones."""
    found = [distance(population(SAMPLE, seed, weighted=True)) for seed in range(60)]
    spread = np.std([one["divergence"] for one in found], ddof=1)
    assert 0.64 < np.median([one["std_error"] for one in found]) / spread < 1.36
    equal = np.median([distance(population(SAMPLE, seed))["std_error"] for seed in range(8)])
    assert spread > 1.3 * equal


@pytest.mark.slow
def test_a_place_drawn_often_counts_as_often() -> None:
    """Duplicates are merged into one point of more mass, but they were separate draws."""
    generator = np.random.default_rng(3)
    lon = np.concatenate([generator.integers(0, 12, 4000), generator.integers(9, 25, 4000)])

    names = ["a"] * 4000 + ["b"] * 4000

    def one(seed: int) -> dict[str, float]:
        sampled = gs.Regions.from_points(
            lon=lon, lat=0.0 * lon, region=names, max_points=200, seed=seed
        )
        return distance(sampled)

    found = [one(seed) for seed in range(60)]
    spread = np.std([sample["divergence"] for sample in found], ddof=1)
    assert 0.64 < np.median([sample["std_error"] for sample in found]) / spread < 1.36
