from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.helpers.stored import blocks, sweep


@pytest.fixture
def two_blocks(tmp_path: Path, towns: Path) -> Path:
    """A run of four towns in two blocks: of the three pairs of three of them, and of the rest."""
    out = tmp_path / "run"
    sweep(out, towns, "lima", "oslo", "rome")
    sweep(out, towns)
    assert sorted(len(pq.read_table(path)) for path in blocks(out)) == [3, 3]
    return out
