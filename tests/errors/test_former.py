"""Settings by their former names: refused where they are typed, understood in manifests."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import geospot_gpu as gs
from geospot_gpu.errors.former import KERNELS, no_kernel, translated
from geospot_gpu.runs.reading import required_manifest
from geospot_gpu.runs.store import Store
from tests.helpers.commands import Geospot

POINTS = "lon,lat,r\n0,0,a\n1,2,a\n9,1,b\n8,3,b\n"


@pytest.mark.parametrize("name", KERNELS)
def test_what_kernel_chose_can_still_be_chosen(name: str) -> None:
    gs.Engine(**KERNELS[name])  # type: ignore[arg-type]  # of what is text alone
    with pytest.raises(gs.GeospotError, match=rf"^kernel={name} is now engine\."):
        gs.Engine(kernel=name)


def test_a_name_that_never_was_is_shown_in_short() -> None:
    assert str(no_kernel("x" * 999)) == (
        f"kernel={'x' * 60} is now engine.backend=... engine.storage=..."
    )


@pytest.mark.parametrize(
    "config",
    [7, None, {}, {"kernel": "dense"}, {"kernel": {"name": "evil"}}, {"kernel": {"name": ["a"]}}],
)
def test_what_was_never_written_is_left_to_be_refused(config: object) -> None:
    assert translated(config) == config


def test_a_run_of_before_opens(geospot_here: Geospot, tmp_path: Path) -> None:
    """Whose manifest has a kernel."""
    (tmp_path / "points.csv").write_text(POINTS)
    arguments = [
        *("sweep", "points=table", "points.path=points.csv", "points.region=r", "encoder=none"),
        *("regions.min_points=1", "out=run", "device=cpu"),
    ]
    assert geospot_here(*arguments).returncode == 0
    store = Store(tmp_path / "run")
    manifest = required_manifest(store)
    config = json.loads(json.dumps(manifest["config"]))
    assert config["engine"].pop("backend") == config["engine"].pop("storage") == "auto"
    before = manifest | {"config": config | {"kernel": {"name": "streaming"}}}
    name = store.write_manifest(before)
    shutil.copy(tmp_path / "run" / "manifests" / name, tmp_path / "run" / "manifest.json")
    found = gs.Run.open(tmp_path / "run")
    assert (found.engine.backend, found.engine.storage) == ("auto", "streamed")
