"""A command is a module, its settings, its line in the list, and a file in conf/: four edits."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from geospot_gpu import cli
from geospot_gpu.config import settings
from tests.helpers.commands import Geospot

MODULE = '''
from dataclasses import dataclass

from omegaconf import DictConfig

from geospot_gpu.config.composed import checked
from geospot_gpu.config.schema import MISSING
from geospot_gpu.outcome import say
from geospot_gpu.points.readers import read_points


@dataclass
class CountConfig:
    """All of ``geospot count``; it stands in settings.py."""

    path: str = MISSING
    out: str = "-"
    least: int = 2


def count(config: DictConfig) -> None:
    typed = checked(config, CountConfig)
    say(f"points={len(read_points(typed.path))} least={typed.least}")
'''
CONF = """
defaults:
  - settings
  - command: quiet
  - _self_
  - override hydra/hydra_logging: none
  - override hydra/job_logging: none

hydra:
  help:
    app_name: geospot count
    template: |-
      geospot count: how many points there are

      $CONFIG
"""
"""As it stands in conf/count.yaml."""


@pytest.fixture
def count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "count_command.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    schema = importlib.import_module("count_command").CountConfig
    monkeypatch.setitem(settings.SCHEMAS, "count", schema)
    monkeypatch.setitem(cli.COMMANDS, "count", ("count_command", "how many points there are"))
    store = ConfigStore.instance()
    store.store(name="count", node=OmegaConf.create(CONF))
    yield
    del store.repo["count.yaml"]


@pytest.mark.usefixtures("count")
def test_a_command_is_known_everywhere(
    geospot_here: Geospot,
    towns: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["geospot", "--help"])
    cli.main()
    assert "  count     how many points there are\n" in capfd.readouterr().out
    assert "path: ???\nout: '-'\nleast: 2\n" in geospot_here("count", "--help").stdout
    assert "did you mean 'count'?" in geospot_here("cuont").stderr
    assert "path is needed: give path=..." in geospot_here("count").stderr
    path = f"path={towns}"
    assert "did you mean 'least'?" in geospot_here("count", path, "leest=1").stderr
    assert "least: Value 'x'" in geospot_here("count", path, "least=x").stderr
    done = geospot_here("count", path, "least=3")
    assert done.stdout == "points=120 least=3\n", done.stderr
