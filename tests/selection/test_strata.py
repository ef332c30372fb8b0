"""Which points of a target say how well a model does there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import geospot_gpu as gs
from geospot_gpu.errors import GeospotError
from geospot_gpu.selection.strata import stratified


def regions() -> gs.Regions:
    """Forty points of t along the equator, with a on their left and b on their right."""
    lon = [*range(40), -2, -1, 41, 42]
    return gs.Regions.from_points(lon=lon, lat=[0] * 44, region=["t"] * 40 + list("aabb"))


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 1000))
def test_none_is_drawn_twice(points: int, count: int, seed: int) -> None:
    count = min(points, count)
    found = stratified(np.arange(points), count, np.random.default_rng(seed))
    assert len(set(found.tolist())) == count


@pytest.mark.parametrize(("points", "count"), [(7, 3), (5, 4), (3, 2), (9, 4), (4, 4)])
def test_every_point_is_as_likely(points: int, count: int) -> None:
    """So that the plain mean is unbiased, of whatever is measured."""
    generator, draws = np.random.default_rng(0), 1000
    found = np.concatenate([stratified(np.arange(points), count, generator) for _ in range(draws)])
    share = np.bincount(found, minlength=points) / draws
    np.testing.assert_allclose(share, count / points, atol=4 * np.sqrt(0.25 / draws))


def test_each_stratum_has_one() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        found = np.sort(stratified(np.arange(20)[::-1], 5, generator))
        assert (found // 4).tolist() == [0, 1, 2, 3, 4]


def test_strata_know_what_a_model_from_the_sources_gets_wrong() -> None:
    """Where errors grow with the distance to the source, the mean is nearly exact."""
    both = regions()
    error, spread = np.arange(40) ** 2 / 100, []
    for seed in range(16):
        table = gs.select_points(both, "t", 8, purpose="score", have=["a"], seed=seed).table
        spread.append(error[table["lon"].to_numpy(int)].mean() - error.mean())
    assert abs(np.mean(spread)) < 3 * np.std(spread) / np.sqrt(16)
    by_chance = error.std(ddof=1) * np.sqrt(1 / 8 - 1 / 40)
    assert np.std(spread) < 0.5 * by_chance


def test_points_are_those_of_the_target_in_random_order() -> None:
    found = gs.select_points(regions(), "t", 8, purpose="score", seed=3)
    assert (found.targets, found.available, found.guarantee) == (["t"], 40, None)
    assert set(found.table["region"]) == {"t"}
    assert set(found.table["by"]) == {"score"}
    assert found.table["weight"].tolist() == [0.125] * 8
    assert not found.table["lon"].is_monotonic_increasing
    again = gs.select_points(regions(), "t", 8, purpose="score", seed=3)
    assert again.table.equals(found.table)
    everything = gs.select_points(regions(), "t", 99, purpose="score").table
    assert sorted(everything["lon"]) == list(range(40))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"purpose": "x"}, "purpose='x' is unknown: use one of train, score"),
        ({"method": "importance"}, "method=importance has no effect on purpose=score: leave it"),
        ({"target": ["t", "a"]}, "purpose=score: give one target, as each has a score of its own"),
        ({"exclude": ["a", "b"]}, "purpose=score: no other region is left that a model could be"),
        ({"budget": None}, "budget is needed: give how many points to choose"),
    ],
)
def test_what_is_no_sample_says_why(settings: dict[str, object], message: str) -> None:
    asked = {"target": "t", "budget": 3, "purpose": "score"} | settings
    with pytest.raises(GeospotError) as error:
        gs.select_points(regions(), **asked)  # type: ignore[arg-type]
    assert message in str(error.value)
