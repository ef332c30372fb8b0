"""The default sweep, as a user runs it: wall time and peak memory, nothing cached.

python -m benchmarks.sweep
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.record import Stopwatch, save


def command() -> dict[str, object]:
    """The default sweep in a process of its own, nothing cached."""
    with tempfile.TemporaryDirectory() as folder, Stopwatch() as watch:
        script = Path(sys.executable).with_name("geospot")
        ran = subprocess.run(
            [str(script), "sweep", f"out={folder}/world"],
            env=os.environ | {"GEOSPOT_CACHE": f"{folder}/cache"},
            capture_output=True,
            text=True,
            check=True,
        )
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return {
        "default sweep": ran.stdout.splitlines()[-1],
        "default sweep, seconds (limit 180)": round(watch.seconds, 1),
        "default sweep, limit over time": round(180 / watch.seconds, 1),
        "default sweep, peak memory, GiB (limit 6)": round(peak, 2),
    }


if __name__ == "__main__":
    save("sweep", command())
