from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.browser import Opened, Opens, open_browser
from tests.helpers.commands import code_of
from tests.helpers.hasty import hurry
from tests.helpers.reported import FOLDERS, PLAIN, points, scores


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sweep, what all commands make of it, and its report."""
    folder = tmp_path_factory.mktemp("reported")
    points().to_csv(folder / "points.csv", index=False)
    scores().to_csv(folder / "scores.csv", index=False)
    scored = ("sweep=run", "scores=scores.csv", "scores.kind=accuracy", "scores.change=raw")
    grid = ("targets.degrees=45", "targets.points=20", "threshold=0.5")
    few = ("regions.include=[r00,r01,r02,r03]", "outputs=[divergence]")
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        for command in (
            ("sweep", *PLAIN, "out=run"),
            ("transfer", *scored, "out=transfer"),
            ("predict", *scored, *grid, "out=predict"),
            ("select", "sweep=run", "target=r03", "budget=60", "max_regions=3", "out=select"),
            ("explain", "sweep=run", "source=r01", "target=r07", "out=explain"),
            ("sweep", "-m", *PLAIN, *few, "solver.epsilon=0.01,0.05", "out=multirun"),
            ("report", "sweep=run", *FOLDERS, "out=report.html"),
        ):
            assert code_of(*command, folder=folder) == 0
    return folder


@pytest.fixture(scope="session")
def opens() -> Iterator[Opens]:
    """Open a page in Chromium."""
    found = shutil.which("chromium")
    if found is None:
        reason = "chromium is not installed (apt-get install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with open_browser(found) as opens:
        yield opens


@pytest.fixture
def opened(opens: Opens, made: Path) -> Iterator[Opened]:
    """The report, of which nothing was touched yet; in the end nothing must have gone wrong."""
    with opens(made / "report.html") as shown:
        yield shown
    assert shown.faults == []
