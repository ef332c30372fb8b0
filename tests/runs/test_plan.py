"""Pairs in batches: each once, of similar work and size."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from geospot_gpu.engine.batching import batches_of_similar_size
from geospot_gpu.runs.plan import plan_blocks

sizes = st.lists(st.tuples(st.integers(1, 10**5), st.integers(1, 10**5)), max_size=200)


def assert_partition(batches: list[NDArray[np.int64]], count: int) -> None:
    assert sorted(np.concatenate([[], *batches]).tolist()) == list(range(count))
    assert all(len(batch) > 0 for batch in batches)


@given(pairs=sizes, device=st.sampled_from(["cpu", "cuda"]))
def test_a_plan_covers_every_pair_exactly_once(pairs: list[tuple[int, int]], device: str) -> None:
    n, m = np.array(pairs, np.int64).reshape(-1, 2).T
    batches = plan_blocks(n, m, device)
    assert_partition(batches, len(pairs))
    again = plan_blocks(n, m, device)
    assert [batch.tolist() for batch in batches] == [batch.tolist() for batch in again]
    # Equal work: beyond its largest pair, no batch is larger than the share that it aims at.
    least = {"cpu": 2 * 10**7, "cuda": 10**9}[device]
    share = max(least, int((n * m).sum()) // 400)
    assert all((n * m)[batch].sum() <= share + (n * m)[batch].max() for batch in batches)


@given(pairs=sizes, limit=st.integers(1, 10**8), seed=st.integers(0, 10))
def test_batches_of_similar_size_cover_everything_within_the_limit(
    pairs: list[tuple[int, int]], limit: int, seed: int
) -> None:
    n, m = np.array(pairs, np.int64).reshape(-1, 2).T
    growth = np.random.default_rng(seed).choice([1.2, 4.0], len(n))
    batches = batches_of_similar_size(n, m, limit, 300, growth)
    assert_partition(batches, len(pairs))
    for batch in batches:
        padded = len(batch) * int(n[batch].max()) * int(m[batch].max())
        assert len(batch) == 1 or padded <= limit
        (ratio,) = set(growth[batch])
        assert n[batch].max() <= ratio * n[batch].min() * (1 + 1e-9)
        assert m[batch].max() <= ratio * m[batch].min() * (1 + 1e-9)
