"""The package as users get it: a wheel that works outside the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

import pytest

import geospot_gpu
from geospot_gpu.caches import FOLDERS
from tests.helpers.folders import ROOT

PYPROJECT = (ROOT / "pyproject.toml").read_text()
PROJECT: dict[str, Any] = tomllib.loads(PYPROJECT)["project"]
EXTRAS = PROJECT["optional-dependencies"]
HADOLINT = Path(sys.executable).with_name("hadolint")


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What a command that succeeds prints."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git tracks."""
    folder = tmp_path_factory.mktemp("source")
    for name in run("git", "ls-files", "-z", cwd=ROOT).split("\0")[:-1]:
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy, follow_symlinks=False)
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the copy."""
    dist = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", dist, cwd=source)
    (built,) = dist.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel installed, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    run(*pip, "install", "--no-deps", "--no-index", "--target", folder, wheel, cwd=folder)
    return folder


def test_the_wheel_holds_kernels_and_configuration_inside_the_package(
    source: Path, wheel: Path
) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    info = f"geospot_gpu-{geospot_gpu.__version__}.dist-info"
    assert {name.partition("/")[0] for name in names} == {"geospot_gpu", info}
    assert f"{info}/licenses/LICENSE" in names
    for folder in ("kernels", "conf"):
        paths = [path for path in (source / folder).rglob("*") if path.suffix in (".py", ".yaml")]
        assert paths
        assert {f"geospot_gpu/{path.relative_to(source)}" for path in paths} <= set(names)
    assert "geospot_gpu/py.typed" in names
    assert "geospot_gpu/report/assets/page.html" in names


def test_the_metadata_names_version_and_extras(wheel: Path) -> None:
    name = f"geospot_gpu-{geospot_gpu.__version__}.dist-info/METADATA"
    metadata = HeaderParser().parsestr(zipfile.ZipFile(wheel).read(name).decode())
    assert metadata["Version"] == geospot_gpu.__version__
    extras = [
        *("cpu", "gpu", "cloud", "cells", "geo", "raster", "text", "image", "emd"),
        *("cluster", "dev", "docs", "bench"),
    ]
    assert metadata.get_all("Provides-Extra") == extras
    assert metadata["License-Expression"] == "MIT"


@pytest.mark.slow
def test_the_installed_wheel_sweeps_outside_the_checkout(
    installed: Path, towns: Path, tmp_path: Path
) -> None:
    where = run(
        *(sys.executable, "-c", "import geospot_gpu; print(geospot_gpu.__file__)"),
        cwd=tmp_path,
        PYTHONPATH=str(installed),
    )
    assert Path(where.strip()).is_relative_to(installed)
    settings = (f"points.path={towns}", "points.region=town", "encoder=none")
    printed = run(
        *(installed / "bin" / "geospot", "sweep", "points=table", *settings),
        *("regions.min_points=1", "out=run"),
        cwd=tmp_path,
        PYTHONPATH=str(installed),
    )
    assert printed.splitlines()[-1] == "pairs total=6 computed=6 reused=0 unconverged=0"
    assert (tmp_path / "run" / "matrix.csv").exists()


def test_the_package_imports_without_any_other(installed: Path, tmp_path: Path) -> None:
    code = "import geospot_gpu; print(geospot_gpu.__version__)"
    printed = run(sys.executable, "-S", "-c", code, cwd=tmp_path, PYTHONPATH=str(installed))
    assert printed.strip() == geospot_gpu.__version__


@pytest.mark.parametrize(
    "requirement",
    [
        *PROJECT["dependencies"],
        *(
            one
            for extra in ("cpu", "gpu", "cloud", "cells", "geo", "raster", "text", "image", "emd")
            for one in EXTRAS[extra]
        ),
    ],
)
def test_every_dependency_has_a_floor_with_a_reason(requirement: str) -> None:
    lines = [line for line in PYPROJECT.splitlines() if f'"{requirement}"' in line]
    floor = requirement.partition(">=")[2].partition(",")[0]
    assert lines
    assert floor
    for line in lines:  # of every extra that it is in
        assert floor in line.partition("#")[2]


@pytest.mark.skipif(not HADOLINT.exists(), reason="hadolint is not installed")
def test_the_dockerfile_is_clean() -> None:
    assert run(HADOLINT, "Dockerfile", cwd=ROOT) == ""


DOCKERFILE = (ROOT / "Dockerfile").read_text()


def pinned() -> dict[str, str]:
    """Versions by package, of what the image is built from."""
    lines = [
        line.split("==")
        for kind in ("cpu", "gpu")
        for line in (ROOT / f"constraints-{kind}.txt").read_text().splitlines()
        if "==" in line
    ]
    return {name.lower().replace("_", "-"): number for name, number in lines}


def test_the_image_is_of_pinned_parts() -> None:
    (base,) = re.findall(r"^FROM (\S+)$", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"nvidia/cuda:\d+\.\d+\.\d+-base-ubuntu24\.04(@sha256:[0-9a-f]{64})?", base)
    commands = re.sub(r"\\\n\s+", "", DOCKERFILE)
    installs = re.findall(r"pip install (.*?)(?: *&&|$)", commands, re.MULTILINE)
    assert len(installs) == 3
    for install in installs:
        flags, _, packages = install.partition("--constraint constraints-gpu.txt ")
        assert flags.strip() == "--no-cache-dir"
        names = [name for name in packages.split() if not name.startswith("'.")]
        assert set(names) <= set(pinned())
    (apt,) = re.findall(r"--no-install-recommends (.*?) *&&", commands)
    assert all("=" in package for package in apt.split())


def test_cuda_of_the_image_is_that_of_its_packages() -> None:
    """What KeOps compiles against has the version of what torch runs on."""
    found = pinned()
    release = found["cuda-toolkit"].rsplit(".", 2)[0]
    assert f"FROM nvidia/cuda:{release}." in DOCKERFILE
    for part in ("nvrtc", "runtime", "crt", "cccl"):
        assert found[f"nvidia-cuda-{part}"].startswith(f"{release}.")
    major = release.partition(".")[0]
    assert f"site-packages/nvidia/cu{major}" in DOCKERFILE
    assert f"libnvrtc.so.{major} " in DOCKERFILE
    said = {"13": "driver is 580 or newer"}[major]
    assert said in DOCKERFILE
    assert "580" in (ROOT / "README.md").read_text()


def test_every_cache_of_the_image_is_open_to_every_user() -> None:
    given = dict(re.findall(r"(\w+)=(/cache\S*)", DOCKERFILE))
    assert given == {"GEOSPOT_CACHE": "/cache"} | {
        variable: f"/cache/{folder}" for variable, folder in FOLDERS.items()
    }
    assert "install --directory --mode=1777 /cache /runs" in DOCKERFILE


def test_both_container_programs_are_told_of() -> None:
    readme = (ROOT / "README.md").read_text()
    for text in (DOCKERFILE, readme):
        assert "docker run --gpus all" in text
        assert "apptainer run --nv" in text
        assert "geospot doctor" in text
