"""Packages that compile find a folder, whatever the home is like; and none is made elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from geospot_gpu import caches
from geospot_gpu.errors.say import warn_once
from tests.helpers.commands import GEOSPOT


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    known = (caches.home_problem, caches._temporary, warn_once)
    for variable in (*caches.FOLDERS, "GEOSPOT_CACHE"):
        monkeypatch.setenv(variable, "")
    for cached in known:
        cached.cache_clear()
    yield
    for cached in known:
        cached.cache_clear()


def home(kind: str, tmp_path: Path) -> str:
    """A home folder in which nothing can be kept; root may write in any that is there."""
    (tmp_path / "file").write_text("")
    return {"no folder can be": "/proc/nothing", "a file": str(tmp_path / "file")}[kind]


def test_a_home_with_room_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert caches.home_problem() is None
    for variable in caches.FOLDERS:
        caches.provide(variable)
        assert not os.environ[variable]


@pytest.mark.parametrize("kind", ["no folder can be", "a file"])
def test_folders_are_in_the_cache_that_is_named(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HOME", home(kind, tmp_path))
    monkeypatch.setenv("GEOSPOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TRITON_CACHE_DIR", "mine")
    caches.provide_all()
    assert os.environ["TRITON_CACHE_DIR"] == "mine"
    assert os.environ["KEOPS_CACHE_FOLDER"] == str(tmp_path / "cache" / "keops")
    assert os.environ["MPLCONFIGDIR"] == str(tmp_path / "cache" / "matplotlib")
    assert os.environ["NUMBA_CACHE_DIR"] == str(tmp_path / "cache" / "numba")
    assert not caplog.messages


@pytest.mark.parametrize("kind", ["no folder can be", "a file"])
def test_without_any_cache_one_line_says_what_to_set(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HOME", home(kind, tmp_path))
    for variable in ("TRITON_CACHE_DIR", "KEOPS_CACHE_FOLDER"):
        caches.provide(variable)
        assert Path(os.environ[variable]).parent.is_dir()
    (message,) = caplog.messages
    assert message.startswith(f"the home folder {os.environ['HOME']} cannot be written (")
    assert message.endswith("what is compiled goes at the end; set GEOSPOT_CACHE")


def test_no_home_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.expanduser", str)
    assert caches.home_problem() == "there is no home folder"


def without_home(folder: Path, home: str, **more: str) -> dict[str, str]:
    """The environment of a process whose home is of no use."""
    hidden = ("XDG_CACHE_HOME", *caches.FOLDERS)
    return {k: v for k, v in os.environ.items() if k not in hidden} | {"HOME": home} | more


@pytest.mark.slow
@pytest.mark.parametrize("home", ["~", "/proc/nothing"])
def test_keops_makes_no_folder_where_it_is(home: str, tmp_path: Path) -> None:
    code = "from geospot_gpu.kernels.keops import import_keops as k; print(k().__name__)"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=without_home(tmp_path, home),
        capture_output=True,
        text=True,
    )
    assert ran.stdout == "pykeops.torch\n", ran.stderr
    assert not list(tmp_path.iterdir())
    assert ran.stderr.count("set GEOSPOT_CACHE") == 1


@pytest.mark.slow
def test_triton_compiles_into_the_cache(tmp_path: Path) -> None:
    """Its real compiler, ahead of time: without a folder it would raise."""
    compiled = pytest.importorskip("benchmarks.gpu_checks.compiled")
    if (problem := compiled.problem()) is not None:
        pytest.skip(problem)
    code = (
        "import sys; from geospot_gpu import caches; caches.provide('TRITON_CACHE_DIR');"
        "from benchmarks.gpu_checks import aot;"
        "sys.argv = ['aot', '120', '--only', 'fold_sums']; aot.main()"
    )
    environment = without_home(tmp_path, "/proc/nothing", GEOSPOT_CACHE=str(tmp_path / "cache"))
    environment.pop("TRITON_INTERPRET", None)
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert list((tmp_path / "cache" / "triton").rglob("*.cubin"))


@pytest.mark.slow
@pytest.mark.parametrize("cache", [True, False])
def test_the_command_works_with_a_home_that_cannot_be_written(
    cache: bool, towns: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    environment = without_home(folder, "/proc/nothing")
    if cache:
        environment["GEOSPOT_CACHE"] = str(tmp_path / "cache")
    ran = subprocess.run(
        [
            *(str(GEOSPOT), "sweep", "points=table", f"points.path={towns}", "encoder=none"),
            *("points.region=town", "regions.min_points=1", "solver=geomloss", "out=run"),
        ],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stderr.count("GEOSPOT_CACHE") == (0 if cache else 1), ran.stderr
    assert [path.name for path in folder.iterdir()] == ["run"]
