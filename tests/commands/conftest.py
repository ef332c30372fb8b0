from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.helpers.commands import Geospot, code_of
from tests.helpers.scored import PLAIN, points, scores
from tests.helpers.swept import TOWNS, Run


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the scored points, their scores and a sweep of them, which nobody changes."""
    folder = tmp_path_factory.mktemp("scored")
    points().to_csv(folder / "points.csv", index=False)
    scores().to_csv(folder / "scores.csv", index=False)
    assert code_of("sweep", *PLAIN, "out=run", folder=folder) == 0
    return folder


@pytest.fixture
def run(swept: Path, tmp_path: Path, geospot_here: Geospot) -> Geospot:
    """``geospot`` in a folder with a copy of that."""
    shutil.copytree(swept, tmp_path, dirs_exist_ok=True)
    return geospot_here


@pytest.fixture
def sweep(geospot: Geospot, towns: Path) -> Run:
    """Run ``geospot sweep`` on the towns with more arguments."""
    return lambda *arguments, **environment: geospot("sweep", *TOWNS, *arguments, **environment)


@pytest.fixture
def here(geospot_here: Geospot, towns: Path) -> Run:
    """The same in this process."""
    return lambda *arguments: geospot_here("sweep", *TOWNS, *arguments)
