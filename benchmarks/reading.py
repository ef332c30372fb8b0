"""Five million rows of CSV in gzip, as of GBIF: seconds and memory of reading them as points.

    python -m benchmarks.reading FOLDER

FOLDER keeps the file, which takes a minute to write.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from benchmarks.record import save

ROWS = 5_000_000
_PIECE = 500_000
_READERS = {
    "read_points": "geospot_gpu.read_points({path!r}, text=['countryCode'])",
    "read_table": "geospot_gpu.points.readers.read_table(Path({path!r}), ['countryCode'])",
    "pandas.read_csv alone": "pandas.read_csv({path!r}, keep_default_na=False, na_values=[''], "
    "low_memory=False)",
}


def write(path: Path) -> None:
    """Occurrences with ids, names, places, dates and remarks; some fields are empty."""
    generator = np.random.default_rng(0)
    species = np.array([f"Genus{k % 97} species{k}" for k in range(5_000)])
    countries = np.array(["DE", "FR", "PE", "NA", "US", "KE", "IN", "FJ"])
    with gzip.open(path, "wb", compresslevel=6) as file:
        for low in range(0, ROWS, _PIECE):
            n = min(_PIECE, ROWS - low)
            year = generator.integers(1950, 2025, n)
            day = [
                f"{y}-{m:02d}-{d:02d}"
                for y, m, d in zip(
                    year, generator.integers(1, 13, n), generator.integers(1, 29, n), strict=True
                )
            ]
            table = pa.table(
                {
                    "gbifID": 4_000_000_000 + low + np.arange(n),
                    "species": species[generator.integers(0, len(species), n)],
                    "countryCode": countries[generator.integers(0, len(countries), n)],
                    "decimalLatitude": np.round(generator.uniform(-60, 75, n), 6),
                    "decimalLongitude": np.round(generator.uniform(-180, 180, n), 6),
                    "coordinateUncertaintyInMeters": pa.array(
                        generator.integers(1, 5_000, n), mask=generator.random(n) < 0.4
                    ),
                    "eventDate": day,
                    "year": year,
                    "issue": ["COORDINATE_ROUNDED;GEODETIC_DATUM_ASSUMED_WGS84"] * n,
                }
            )  # fmt: skip
            options = pyarrow.csv.WriteOptions(include_header=low == 0)
            pyarrow.csv.write_csv(table, file, options)


def measure(path: Path, expression: str) -> dict[str, float]:
    """What an expression takes in a process of its own that has loaded all it needs."""
    code = (
        "import time; from pathlib import Path; import pandas, pyarrow.csv, geopandas\n"
        "import geospot_gpu.points.readers\n"
        "clocks = time.perf_counter(), time.process_time()\n"
        f"found = {expression.format(path=str(path))}\n"
        f"assert len(found) == {ROWS}\n"
        "print(time.perf_counter() - clocks[0], time.process_time() - clocks[1])"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    seconds, busy = map(float, child.stdout.read().split())
    _, status, usage = os.wait4(child.pid, 0)
    assert status == 0
    return {
        "seconds": round(seconds, 1),
        "seconds of processor": round(busy, 1),
        "peak memory, GiB": round(usage.ru_maxrss / 2**20, 2),
    }


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "points.csv.gz"
    if not path.exists():
        write(path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)
    loaded = measure(path, f"range({ROWS})")["peak memory, GiB"]
    figures: dict[str, object] = {
        "rows": f"{ROWS:,}",
        "columns": 9,
        "file, MiB": round(path.stat().st_size / 2**20, 1),
        "process that has read nothing, GiB": loaded,
    }
    for name, expression in _READERS.items():
        found = measure(path, expression)
        figures |= {f"{name}, {what}": value for what, value in found.items()}
    save("reading", figures)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
