from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.helpers.stored import shards, sweep


@pytest.fixture
def two_shards(tmp_path: Path, towns: Path) -> Path:
    """A run of four towns in two shards: of the three pairs of three of them, and of the rest."""
    out = tmp_path / "run"
    sweep(out, towns, "lima", "oslo", "rome")
    sweep(out, towns)
    assert sorted(len(pq.read_table(path)) for path in shards(out)) == [3, 3]
    return out
