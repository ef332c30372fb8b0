"""A user whom the system does not know, as containers run them, has no home."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from geospot_gpu.files import expanded
from tests.helpers.commands import GEOSPOT, Geospot

UNKNOWN = "54321"


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"region": list("ABC") * 5})
    table["lon"], table["lat"] = generator.uniform(0, 50, (2, 15))
    table.to_csv(tmp_path / "points.csv", index=False)
    return tmp_path


@pytest.fixture
def _no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)


BASE = ("points=table", "encoder=none", "points.region=region", "regions.min_points=1")


@pytest.mark.usefixtures("_no_home")
@pytest.mark.parametrize(
    "arguments",
    [
        ("sweep", *BASE, "points.path=~/points.csv", "out=o"),
        ("sweep", *BASE, "points.path=points.csv", "against.path=~/points.csv", "out=o"),
        ("explain", "sweep=~/run", "source=A", "target=B", "out=o"),
        ("select", "sweep=~/run", "target=A", "budget=3", "out=o"),
        ("transfer", "sweep=~/run", "scores=~/scores.csv", "scores.kind=accuracy", "out=o"),
    ],
)
def test_a_home_that_is_not_there_is_one_line(
    geospot_here: Geospot, inside: Path, arguments: tuple[str, ...]
) -> None:
    done = geospot_here(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ~/")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_the_home_folder_in_every_input(
    geospot_here: Geospot, inside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(inside))
    assert expanded("~/points.csv") == inside / "points.csv"
    (inside / "else").mkdir()
    done = geospot_here(
        *("sweep", *BASE, "points.path=~/points.csv", "out=../run"), folder=inside / "else"
    )
    assert done.returncode == 0, done.stderr
    done = geospot_here("explain", "sweep=~/run", "source=A", "target=B", "out=o")
    assert done.returncode == 0, done.stderr


def test_compiled_code_without_a_folder(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    loops = pytest.importorskip("geospot_gpu.kernels.cpu.loops")
    monkeypatch.setattr(loops.config, "DISABLE_JIT", 0)
    monkeypatch.setattr(loops.config, "CACHE_DIR", "")

    def no_locator(self: object) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr("numba.core.registry.CPUDispatcher.enable_caching", no_locator)
    assert not loops._can_be_cached()
    monkeypatch.undo()
    monkeypatch.setattr(loops.config, "CACHE_DIR", "")
    monkeypatch.setattr("os.path.expanduser", str)
    assert not loops._can_be_cached()
    assert [record.getMessage() for record in caplog.records] == [
        "no folder is there for compiled code, which takes a minute in every run: set "
        "GEOSPOT_CACHE or NUMBA_CACHE_DIR"
    ] * 2


@pytest.mark.slow
def test_the_real_command_as_a_user_without_a_home(inside: Path) -> None:
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0 or setpriv is None:
        pytest.skip("only root becomes another user")
    other = [setpriv, "--reuid", UNKNOWN, "--regid", UNKNOWN, "--clear-groups"]
    reachable = subprocess.run([*other, sys.executable, "-c", "import numpy"], cwd="/")
    folder = Path("/tmp") / f"geospot-no-home-{os.getpid()}"  # others may not enter tmp_path
    if reachable.returncode != 0:
        pytest.skip("other users cannot run this Python")
    folder.mkdir()
    try:
        shutil.copy(inside / "points.csv", folder)
        os.chown(folder, int(UNKNOWN), int(UNKNOWN))
        environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME")}
        done = subprocess.run(
            [
                *(*other, str(GEOSPOT), "sweep", *BASE[:1], *BASE[2:], "points.path=points.csv"),
                *("encoder=geoclip", "solver=geomloss", "out=run"),
            ],
            cwd=folder,
            env=environment | {"GEOSPOT_CACHE": str(folder / "cache")},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        names = {path.name for path in folder.iterdir()}
        assert names == {"points.csv", "cache", "run"}
    finally:
        shutil.rmtree(folder)
