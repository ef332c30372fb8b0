"""Settings: where they are written down, and who may know how they were read."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

import geospot_gpu as gs
from geospot_gpu.config.composed import default_values
from geospot_gpu.config.overrides import text_settings
from geospot_gpu.config.schema import MISSING, built
from geospot_gpu.config.settings import SCHEMAS
from geospot_gpu.config.signatures import Settings, arguments, with_arguments_of
from geospot_gpu.encoders import ENCODERS
from geospot_gpu.points import Points


def test_who_opens_a_run_loads_nothing_of_hydra_or_ray() -> None:
    code = "import sys, geospot_gpu.runs.run, geospot_gpu.config.objects; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "geospot_gpu.config.settings" in done.stdout.split()
    assert not {"hydra", "omegaconf", "ray"} & set(done.stdout.split())


ADDED = """
import contextlib, json, sys
import numpy as np
from geospot_gpu import cli
from geospot_gpu.encoders import ENCODERS, Encoder

class Constant(Encoder):
    reads_coordinates = True

    def __init__(self, size: int = 3, *, label: str | None = None) -> None:
        self.version = f"constant-{size}"
        self.size = size

    version = ""

    def encode(self, points, rows, device):
        return np.full((len(rows), self.size), self.size**-0.5, np.float32)

ENCODERS["constant"] = Constant
"""
"""An encoder as somebody adds it: one class, and one registration."""
COMMANDS = """
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["geospot", *arguments]
    for stream in (sys.stdout, sys.stderr):
        print("----", file=stream, flush=True)
    with contextlib.suppress(SystemExit):
        cli.main()
"""


def test_an_encoder_is_one_class_and_one_registration(towns: Path, tmp_path: Path) -> None:
    sweep = ("sweep", "points=table", f"points.path={towns}", "points.region=town", "out=run")
    few = ("regions.min_points=1", "regions.max_points=5", "device=cpu", "encoder=constant")
    commands = [
        ("sweep", "encoder=constant", "--help"),
        (*sweep, *few, "encoder.size=x"),
        (*sweep, *few, "encoder.sise=4"),
        (*sweep, *few, "encoder.size=4", "encoder.label=1_2"),
        ("explain", "sweep=run", "source=lima", "target=oslo", "out=explained"),
    ]
    ran = subprocess.run(
        [sys.executable, "-c", ADDED + COMMANDS, json.dumps(commands)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    shown = ran.stdout.split("----\n")[1]
    errors = ran.stderr.split("----\n")[1:]
    assert f"encoder   {', '.join([*ENCODERS, 'constant'])}\n" in shown
    assert "encoder:\n  name: constant\n  size: 3\n  label: null\n" in shown
    assert "encoder.size: Value 'x'" in errors[1]
    assert "did you mean 'encoder.size'?" in errors[2]
    assert not [said for said in errors[3:] if "error:" in said]
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["identity"]["encoder"] == "constant-4"
    assert manifest["config"]["encoder"] == {"name": "constant", "size": 4, "label": "1_2"}
    assert (tmp_path / "explained" / "summary.json").exists()


def test_a_setting_is_one_argument() -> None:
    """What is added to a signature is a setting, and is passed on."""

    def build(points: Points, *, least: int = 2, names: Sequence[str] = ()) -> tuple[object, ...]:
        return points, least, names

    @with_arguments_of(build, without=["points"])
    @dataclass
    class Group(Settings):
        by: str = "auto"

    group = Group()
    assert vars(group) == {"by": "auto", "least": 2, "names": []}
    found = built(Group, {"least": 7, "names": ["1_2"]}, "config", {})
    assert arguments(found, build) == {"least": 7, "names": ["1_2"]}
    assert text_settings(Group, {}) == {"by", "names"}


@pytest.mark.parametrize("command", SCHEMAS)
def test_no_default_is_written_twice(command: str) -> None:
    """Values in conf/ differ from those of the signatures; else they would be forgotten there."""
    conf = Path(gs.__file__).parent / "conf"
    defaults = default_values(SCHEMAS[command])
    for path in [conf / f"{command}.yaml", *conf.glob("*/*.yaml")]:
        values: Any = OmegaConf.to_container(OmegaConf.load(path))
        group = defaults if path.parent == conf else defaults.get(path.parent.name, {})
        for name, value in values.items():
            assert name in ("defaults", "hydra") or group.get(name) != value or name == "feature"


TWINS: list[tuple[str, Callable[..., Any], str]] = [
    ("nearest", gs.nearest_regions, ""),
    ("select", gs.select_regions, ""),
    ("select", gs.select_points, "pool"),
    ("transfer", gs.read_scores, "scores"),
    ("transfer", gs.correlate, ""),
    ("predict", gs.read_scores, "scores"),
    ("predict", gs.Predictor, ""),
    ("explain", gs.contributions, ""),
]
"""What commands call, and a group in which some of its arguments are settings."""
OBJECTS = ("regions", "against", "cost", "solver", "engine", "pool", "prices", "distances")
TABLES = ("table", "loss", "weight", "pairs", "parts", "knowledge", "kind", "progress")


@pytest.mark.parametrize(("command", "function", "group"), TWINS)
def test_a_command_defaults_to_what_python_does(
    command: str, function: Callable[..., Any], group: str
) -> None:
    """Rooms above that of settings have no schema made of their signatures: these are compared."""

    @with_arguments_of(function, without=(*OBJECTS, *TABLES))
    @dataclass
    class Twin(Settings):
        pass

    values = default_values(SCHEMAS[command])
    values |= values.get(group, {})
    for name, value in default_values(Twin).items():
        assert name in values, f"{name} is no setting of {command}"
        assert values[name] == value or MISSING in (values[name], value) or value == []
