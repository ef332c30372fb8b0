"""A pair of weight k counts as k pairs alike, in every statistic, relabelling and resample."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from geospot_gpu.transfer.correlation.kendall import kendall
from geospot_gpu.transfer.correlation.resampling import Pairs, relabelled, resampled
from geospot_gpu.transfer.correlation.statistics import STATISTICS, correlations, mid_ranks, varies

Array = NDArray[np.float64]
SCIPY: dict[str, Any] = {
    "pearson": stats.pearsonr,
    "spearman": stats.spearmanr,
    "kendall": stats.kendalltau,
}


def values(seed: int, count: int, decimals: int) -> tuple[Array, Array, NDArray[np.int64]]:
    """Related values below 1 with many ties or none, and whole weights."""
    generator = np.random.default_rng(seed)
    x = generator.random(count).round(decimals)
    y = (0.5 * x + 0.5 * generator.random(count)).round(decimals)
    return x, y, generator.integers(1, 6, count)


@given(
    seed=st.integers(0, 2**20), count=st.integers(3, 60), decimals=st.sampled_from([0, 1, 2, 12])
)
def test_whole_weights_are_copies(seed: int, count: int, decimals: int) -> None:
    x, y, weight = values(seed, count, decimals)
    if min(np.ptp(x), np.ptp(y)) == 0.0:
        assert np.isnan(list(correlations(x, y, weight / weight.sum()).values())).all()
        return
    found = correlations(x, y, weight / weight.sum())
    for name, of in SCIPY.items():
        copied = of(np.repeat(x, weight), np.repeat(y, weight)).statistic
        assert found[name] == pytest.approx(copied, abs=1e-12), name
    alike = correlations(x, y, np.full(count, 1.0 / count))
    for name, of in SCIPY.items():
        assert alike[name] == pytest.approx(of(x, y).statistic, abs=1e-12), name


@given(seed=st.integers(0, 2**20), count=st.integers(2, 40), decimals=st.sampled_from([0, 1, 12]))
def test_tau_is_its_definition(seed: int, count: int, decimals: int) -> None:
    """Tau-b of all two, each with the product of its weights, some of them 0."""
    x, y, _ = values(seed, count, decimals)
    weight = np.random.default_rng(seed).random((3, count)) ** 3
    weight[1] *= np.random.default_rng(seed).random(count) < 0.5
    weight[:, :2] += 0.1
    weight /= weight.sum(1, keepdims=True)
    sign_x, sign_y = (np.sign(side[:, None] - side) for side in (x, y))
    for row, tau in zip(weight, kendall(x, y, weight), strict=True):
        product = np.outer(row, row)
        norm = np.sqrt((product * sign_x**2).sum() * (product * sign_y**2).sum())
        if norm < 1e-12:
            assert np.isnan(tau)
        else:
            assert tau == pytest.approx((product * sign_x * sign_y).sum() / norm, abs=1e-9)


@given(seed=st.integers(0, 2**20), decimals=st.sampled_from([1, 12]))
def test_equal_weights_give_the_usual_ranks(seed: int, decimals: int) -> None:
    x, _, _ = values(seed, 30, decimals)
    found = mid_ranks(x, np.full((1, 30), 1.0 / 30))[0]
    np.testing.assert_allclose(30 * found + 0.5, stats.rankdata(x), atol=1e-12)


def test_rounding_is_no_variation() -> None:
    equal = np.full(5, 0.2)
    assert not varies(np.array([0.3, 0.1 + 0.2, 0.3, 0.3, 0.3]), equal)
    assert varies(np.array([0.3, 0.3001, 0.3, 0.3, 0.3]), equal)


def matrices(
    seed: int, regions: int, *, holes: bool, weighted: bool
) -> tuple[Array, Array, NDArray[np.int64]]:
    """A distance, a loss that grows with it, and whole weights, 0 where there is no pair."""
    generator = np.random.default_rng(seed)
    distance, loss = generator.random((2, regions, regions))
    weight = generator.integers(1, 4, loss.shape) if weighted else np.ones(loss.shape, int)
    if holes:
        weight[0, 3] = weight[4, 2] = 0
    np.fill_diagonal(weight, 0)
    return distance, (loss + distance) / 2.0, weight


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_relabellings_move_the_distance_and_nothing_else(holes: bool, weighted: bool) -> None:
    """All 120 of five regions, by copies of pairs."""
    distance, loss, weight = matrices(1, 5, holes=holes, weighted=weighted)
    pairs = Pairs.of(weight.astype(float))
    orders = np.array(list(itertools.permutations(range(5))))
    times = weight[weight > 0]

    def copied(order: NDArray[np.int64]) -> dict[str, float]:
        sides = [np.repeat(m[weight > 0], times) for m in (distance[np.ix_(order, order)], loss)]
        return {name: float(of(*sides).statistic) for name, of in SCIPY.items()}

    expected = [copied(order) for order in orders]
    found = relabelled({"d": distance}, loss[weight > 0][None], pairs, orders, taus=120)["d"]
    for name in STATISTICS:
        every = np.array([one[name] for one in expected])
        assert found[name].value[0] == pytest.approx(every[0])  # the first order is that given
        extreme = np.sum(np.abs(every) >= abs(every[0]) - 1e-9)
        assert found[name].p[0] == pytest.approx((1 + extreme) / 121)


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_resamples_are_pairs_of_the_regions_drawn(holes: bool, weighted: bool) -> None:
    distance, loss, weight = matrices(2, 7, holes=holes, weighted=weighted)
    pairs = Pairs.of(weight.astype(float))
    draws = np.random.default_rng(0).integers(0, 7, (20, 7))
    draws[0] = 3  # one region alone has no pairs
    found = resampled({"d": distance}, loss[weight > 0], pairs, draws, taus=20)["d"]
    assert all(np.isnan(found[name][0]) for name in STATISTICS)
    for k, draw in enumerate(draws[1:], 1):
        grid = np.ix_(draw, draw)
        times = weight[grid].ravel()
        sides = [np.repeat(matrix[grid].ravel(), times) for matrix in (distance, loss)]
        for name, of in SCIPY.items():
            assert found[name][k] == pytest.approx(of(*sides).statistic), name


def test_several_losses_are_judged_as_each_alone() -> None:
    distance, loss, weight = matrices(3, 8, holes=True, weighted=True)
    other = np.random.default_rng(5).random(loss.shape)
    pairs = Pairs.of(weight.astype(float))
    orders = np.array([np.random.default_rng(k).permutation(8) for k in range(50)])
    losses = np.stack([pairs.take(loss), pairs.take(other)])
    distances = {"coverage": distance, "n_source": other.T}
    both = relabelled(distances, losses, pairs, orders, taus=9)
    for k in range(2):
        alone = relabelled(distances, losses[[k]], pairs, orders, taus=9)
        for name, by_statistic in alone.items():
            for statistic, one in by_statistic.items():
                together = both[name][statistic]
                assert together.value[k] == pytest.approx(one.value[0])
                assert together.p[k] == one.p[0]
                assert (one.p_family is None) == (name == "n_source")
