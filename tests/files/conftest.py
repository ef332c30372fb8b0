from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.results import command


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder with results."""
    command(tmp_path / "out", "old")
    return tmp_path / "out"
