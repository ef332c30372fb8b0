from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

import geospot_gpu as gs


@pytest.fixture(scope="module")
def cluster() -> Iterator[gs.Engine]:
    """An engine of two workers on this machine, which stay from one test to the next."""
    pytest.importorskip("ray")
    engine = gs.Engine(device="cpu", cluster=gs.Ray("local", workers=2))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as workers have: sums of more threads have other bits
    with engine.pool():
        yield engine
    torch.set_num_threads(threads)
