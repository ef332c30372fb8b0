from __future__ import annotations

import os

# Before torch is imported: threads that spin while they wait slow a shared machine down by ten.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:  # there is a process for every core already
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hydra._internal.hydra import Hydra
from hypothesis import settings
from matplotlib.figure import Figure

if not torch.cuda.is_available():  # before Triton is imported, by torch.compile at the latest
    os.environ["TRITON_INTERPRET"] = "1"

import geospot_gpu as gs
from tests.helpers.commands import GEOSPOT, Geospot, code_of
from tests.helpers.examples import examples
from tests.helpers.hasty import hurry
from tests.helpers.s3 import ObjectServer

# How long an example takes says something about the machine, not about the code.
settings.register_profile("geospot", deadline=None, max_examples=examples(100))
settings.load_profile("geospot")


@pytest.fixture
def geospot(tmp_path: Path) -> Geospot:
    """Run ``geospot`` with the given arguments in an empty folder."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(GEOSPOT), *arguments],
            cwd=tmp_path,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


@pytest.fixture
def geospot_here(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Geospot:
    """The same in this process, which need not import torch again."""

    def run(*arguments: str, folder: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        capfd.readouterr()
        code = code_of(*arguments, folder=folder)
        captured = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, code, captured.out, captured.err)

    return run


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectServer]:
    """Object storage with an empty bucket, which the environment tells of."""
    server = ObjectServer()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    yield server
    server.stop()


def _begin(figure: Figure, path: Path, **_: object) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n")


RENDER = Figure.savefig


@pytest.fixture(scope="session", autouse=True)
def _quick() -> Iterator[None]:
    """More than half of the time of a short command is what hardly any test is about.

    Hydra composes all settings twice, first to learn ``hydra.mode``, which no test sets. Pictures
    are composed, but rendered only in tests marked ``draws``.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hydra, "get_mode", lambda *_, **__: None)
        patch.setattr(Figure, "savefig", _begin)
        yield


@pytest.fixture(autouse=True)
def _rendered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("draws"):
        monkeypatch.setattr(Figure, "savefig", RENDER)


@pytest.fixture
def few_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands on scores as they are, but hasty, where what they find is not what is tested."""
    hurry(monkeypatch)


@pytest.fixture
def towns(tmp_path: Path) -> Path:
    """A CSV of 120 points around four towns, 30 each, in ``towns.csv``."""
    generator = np.random.default_rng(0)
    centres = {
        "lima": (-77.0, -12.0),
        "oslo": (10.7, 59.9),
        "rome": (12.5, 41.9),
        "suva": (178.4, -18.1),
    }
    frames = [
        pd.DataFrame(
            {
                "id": [f"{town}{k}" for k in range(30)],
                "town": town,
                "lon": (lon + generator.normal(0, 2, 30) + 180) % 360 - 180,
                "lat": lat + generator.normal(0, 2, 30),
            }
        )
        for town, (lon, lat) in centres.items()
    ]
    path = tmp_path / "towns.csv"
    pd.concat(frames).to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def gallery() -> gs.Regions:
    """The gallery countries with at most 250 points each."""
    return gs.Regions.from_gallery(max_points=250)
