"""What benchmarks compare with is right, and districts are what they say."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.peers import ACCURACY, PEERS, Peer, installed, tuned
from benchmarks.workloads import kd_leaves, problem, sampled_pairs
from tests.clouds import random_regions


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
