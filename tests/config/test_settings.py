"""Settings: where they are written down, and who may know how they were read."""

from __future__ import annotations

import subprocess
import sys


def test_who_opens_a_run_loads_nothing_of_hydra() -> None:
    code = "import sys, geospot_gpu.runs.run, geospot_gpu.config.objects; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "geospot_gpu.config.settings" in done.stdout.split()
    assert not {"hydra", "omegaconf"} & set(done.stdout.split())
