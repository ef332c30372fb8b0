"""Commands, in a process of their own and in this one."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from geospot_gpu import cli

Geospot = Callable[..., "subprocess.CompletedProcess[str]"]

GEOSPOT = Path(sys.executable).with_name("geospot")
"""The installed command, as a user would call it."""


def code_of(*arguments: str, folder: Path) -> int:
    """The exit code of ``geospot`` with the given arguments, run in this process."""
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["geospot", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
    return int(stop.value.code or 0)
