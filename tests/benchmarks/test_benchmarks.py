"""What benchmarks compare with is right, and districts are what they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import binomtest

import geospot_gpu as gs
from benchmarks import verdicts
from benchmarks.peers import (
    ACCURACY,
    PEERS,
    Peer,
    installed,
    pot_as_published,
    published,
    tuned,
)
from benchmarks.selection.paper import greedy_union
from benchmarks.selection.statistics import SHOWN, compare, holm
from benchmarks.side_by_side import PAPER
from benchmarks.workloads import kd_leaves, problem, sampled_pairs
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.transfer.correlation import correlate as correlation
from tests.helpers.clouds import random_regions


def test_leaves_are_equal_and_hold_every_point_once() -> None:
    generator = np.random.default_rng(0)
    leaves = kd_leaves(generator.uniform(-180, 180, 1000), generator.uniform(-90, 90, 1000), 5)
    assert len(leaves) == 32
    assert {len(leaf) for leaf in leaves} == {31, 32}
    np.testing.assert_array_equal(np.sort(np.concatenate(leaves)), np.arange(1000))


def test_sampled_pairs_are_different_pairs() -> None:
    left, right = sampled_pairs(12, 66)
    assert (left < right).all()
    assert len(set(zip(left.tolist(), right.tolist(), strict=True))) == 66


@pytest.mark.parametrize("peer", PEERS, ids=[peer.name for peer in PEERS])
def test_peers_solve_the_same_problem(peer: Peer) -> None:
    if not installed(peer):
        pytest.skip(f"{peer.package} is not installed")
    regions = random_regions([40, 30, 25], spread=0.3)
    problems = [problem(regions, i, j, 0.9) for i, j in ((0, 1), (0, 2))]
    _, worst = tuned(peer, problems, [one.exact() for one in problems])
    assert worst <= ACCURACY


def test_the_papers_problem_is_solved_as_the_paper_does() -> None:
    """Costs over their largest, as ``scaling="pair_max"``; by logarithms where plain ones fail."""
    regions = random_regions([40, 30], spread=0.3)
    for geo_weight in (0.0, 0.5, 1.0):
        one = problem(regions, 0, 1, geo_weight)._replace(pair_max=True)
        assert float(one.cost().max()) == pytest.approx(1.0)
        (value,), twice = pot_as_published([one])
        assert twice == 0
        assert value == pytest.approx(one.exact()[1], rel=1e-4)
        cost = gs.GroundCost(geo_weight=geo_weight, scaling="pair_max")
        engine = gs.Engine(device="cpu")
        ours = PairEngine(regions, Method(cost, PAPER), engine).pairs(np.array([0]), np.array([1]))
        assert ours["transport_cost"][0] == pytest.approx(value, rel=1e-4)


def test_what_underflows_is_solved_again_by_logarithms() -> None:
    cost = torch.tensor([[0.99, 1.0], [1.0, 0.99]])
    value, again = published(torch.tensor([0.5, 0.5]), torch.tensor([0.5, 0.5]), cost)
    assert again
    share = 1.0 / (1.0 + np.exp(-1.0))  # of the mass that stays where it is cheaper
    assert value == pytest.approx(1.0 - 0.01 * share, rel=1e-6)


def test_the_published_choice_extends_the_best_union() -> None:
    """Half of the target is like one region and half like another: together they are it."""
    generator = np.random.default_rng(0)

    def cloud(*centres: int) -> torch.Tensor:
        places = np.concatenate([5 * np.eye(6)[[c] * 20] for c in centres])
        vectors = torch.from_numpy(places + 0.3 * generator.normal(size=places.shape))
        return torch.nn.functional.normalize(vectors, dim=1)

    features = [cloud(0, 1), cloud(3), cloud(0), cloud(4), cloud(1)]
    assert set(greedy_union(features, 0, 2)) == {2, 4}
    assert len(greedy_union(features, 0, 4)) == 4


def test_holm_corrects_for_the_number_of_tests() -> None:
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03])), [0.03, 0.06, 0.06])
    assert holm(np.full(3, 0.9)).tolist() == [1.0, 1.0, 1.0]


def test_comparisons_see_what_is_there() -> None:
    """Scatter better than random regions and worse than the union at every target."""
    generator = np.random.default_rng(0)
    level = dict.fromkeys(SHOWN, 0.5) | {"scatter": 0.7, "random": 0.4, "union": 0.9}
    rows = [
        (method, k, samples, target, level[method] + 0.01 * generator.normal())
        for method in SHOWN
        for k, samples in ((1, 100), (2, 200))
        for target in range(12)
    ]
    table = pd.DataFrame(rows, columns=["method", "regions", "samples", "target", "score"])
    found = compare({"task": table}, {"task": "accuracy"}, {"task": "predicts"})
    of_task, overall = found["task"], found["over all"]
    assert (of_task["verdict"], of_task["recommended"]) == ("predicts", "points by importance")
    assert of_task["coverage beats random for"] == "100.0% of 12 targets"
    by_method = {row["method"]: row for row in of_task["methods"]}
    assert (by_method["union"]["mean rank"], by_method["scatter"]["mean rank"]) == (1.0, 2.0)
    worse, better = (
        overall[f"settings in which scatter is significantly {verdict} than"]
        for verdict in ("worse", "better")
    )
    assert "union 2, " in worse
    assert "random 0, " in worse
    assert "random 2, " in better
    assert overall["settings"] == 2
    rows = found["scatter less others: mean difference, Holm's p"]["methods"]
    cells = {row["method"]: row["task, 200"] for row in rows}
    assert cells["union"].startswith("**-0.2")
    assert cells["random"].startswith("+0.3")
    (own,) = (
        row for row in found["recommended less others: mean difference, Holm's p"]["methods"]
        if row["method"] == "scatter"
    )  # fmt: skip
    assert own["task, 100"].startswith("**-0.2")


@pytest.mark.slow
def test_verdicts_on_noise_are_those_of_correlate(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (correlation, verdicts):
        monkeypatch.setattr(module, "PERMUTATIONS", 199)
    monkeypatch.setattr(correlation, "RESAMPLES", 5)
    monkeypatch.setattr(correlation, "KENDALL", 5)
    monkeypatch.setattr(verdicts, "TOGETHER", 30)
    generator = np.random.default_rng(0)
    names = ("divergence", "coverage", "centroid_cosine", "n_source")
    matrices = {name: generator.random((14, 14)) for name in names}
    for setting in ("missing pairs", "constant columns"):
        given = verdicts.problem(setting, 12, 3, {"equal": matrices, "unequal": matrices})
        said = verdicts.judged(given, 3)
        for loss, one in zip(given.losses, said, strict=True):
            table, verdict = correlation.correlate(given.distances, loss, seed=3)
            overall = table[(table["scope"] == "overall") & (table["statistic"] == "spearman")]
            assert one.significant == (overall["p_family"].min() <= 0.05)
            assert one.predicts == (verdict.distance if verdict.verdict == "predicts" else None)


def test_lower_bounds_are_those_of_scipy() -> None:
    for hits, trials in ((0, 50), (3, 50), (65, 1000), (50, 50)):
        test = binomtest(hits, trials, alternative="greater")
        bound = test.proportion_ci(confidence_level=0.99, method="exact").low
        assert verdicts.lower_bound(hits, trials) == pytest.approx(bound)
