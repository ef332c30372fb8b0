"""ResNet50, timm and open_clip against their own code, with weights that are made on the spot."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.helpers.folders import ROOT


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What a process found that embedded with each of them; see the helper on why it is one."""
    folder = tmp_path_factory.mktemp("networks")
    run = subprocess.run(
        [sys.executable, "-m", "tests.helpers.networks", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, dict[str, Any]] = json.loads(run.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("library", "name", "dimension"),
    [
        ("resnet50", "resnet50", 2048),
        ("timm", "timm-test_vit", 64),
        ("open_clip", "open_clip-tiny", 32),
    ],
)
def test_vectors_are_those_of_the_library(
    library: str, name: str, dimension: int, done: dict[str, dict[str, Any]]
) -> None:
    found = done[library]
    assert found["shape"] == [3, dimension]
    assert found["gap"] < 1e-4
    assert re.fullmatch(rf"{name}-[0-9a-f]{{16}}", found["version"])


@pytest.mark.slow
def test_weights_of_another_architecture_are_refused(done: dict[str, dict[str, Any]]) -> None:
    asked = {"resnet50": "resnet50", "timm": "timm/test_resnet", "open_clip": "open_clip/tinier"}
    for library, model in asked.items():
        said = done[library]["misfit"]
        assert re.search(rf"is of another model than embed\.model={model} \(.+\): name the", said)
        assert "\n" not in said
        assert len(said) < 500


@pytest.mark.slow
def test_architectures_that_do_not_exist_are_refused(done: dict[str, dict[str, Any]]) -> None:
    assert "timm has no such architecture: did you mean 'resnet5" in done["timm"]["unknown"]
    assert "open_clip has no such architecture: did you mean 'Vi" in done["open_clip"]["unknown"]
