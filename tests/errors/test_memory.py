from __future__ import annotations

import json
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from geospot_gpu.config import objects
from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.memory import OutOfMemory, out_of_memory
from tests.helpers.commands import Geospot

# --- every library says it in its own way


def of_numpy() -> None:
    np.empty(1 << 58, np.uint8)


def of_torch() -> None:
    torch.empty(1 << 58, dtype=torch.uint8)


def of_arrow() -> None:
    pa.allocate_buffer(1 << 58)


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def wrapped() -> None:
    """As readers do with whatever a library raises."""
    try:
        of_numpy()
    except Exception as error:
        raise GeospotError("a.csv: cannot be read") from error


KINDS = {
    "numpy": (of_numpy, " (256 PiB asked for)"),
    "torch": (of_torch, " (2.68e+08 GiB asked for)"),
    "arrow": (of_arrow, " (2.68e+08 GiB asked for)"),
    "wrapped": (wrapped, " (256 PiB asked for)"),
    "python": (raising(MemoryError()), ""),
    "numba": (raising(MemoryError("Allocation failed (probably too large).")), ""),
    "cuda": (
        raising(torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")),
        " (20 GiB asked for)",
    ),
    "cublas": (raising(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling")), ""),
    "pandas": (
        raising(pd.errors.ParserError("Error tokenizing data. C error: out of memory")),
        "",
    ),
    "scipy": (
        raising(MemoryError("Unable to allocate 1.5 MiB for an array with shape (1,)")),
        " (1.5 MiB asked for)",
    ),
    "geos": (raising(RuntimeError("std::bad_alloc")), ""),
    "gdal": (raising(RuntimeError("GDAL: cannot allocate 5120 bytes")), " (5 KiB asked for)"),
    "mmap": (raising(OSError(12, "Cannot allocate memory")), ""),
    "import": (raising(ImportError("a.so: failed to map segment from shared object")), ""),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_told(kind: str) -> None:
    fail, asked = KINDS[kind]
    with pytest.raises(OutOfMemory) as error, out_of_memory("reading a.csv", "split it"):
        fail()
    assert str(error.value) == f"out of memory while reading a.csv{asked}: split it"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        GeospotError("column 'out of memory' is missing"),
        OSError(28, "No space left on device"),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
def test_other_errors_pass(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, out_of_memory("a", "b"):
        raise error
    assert caught.value is error


def said_again() -> None:
    """As the command line does."""
    try:
        with out_of_memory("solving a - b", "c"):
            raise MemoryError
    except GeospotError as error:
        raise GeospotError(str(error)) from error


def test_what_is_said_first_stays() -> None:
    with pytest.raises(GeospotError, match="solving a - b: c"), out_of_memory("running", "d"):
        said_again()


# --- real ones, phase by phase

_CHILD = '''
import contextlib, importlib, json, os, resource, signal, sys, traceback

import numpy, pandas, pyarrow.parquet, torch
import matplotlib.pyplot, geopandas
from geospot_gpu import cli
for module in ("commands.sweep", "commands.select", "commands.nearest", "encoders.geoclip"):
    importlib.import_module(f"geospot_gpu.{module}")


def size():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def limit(margin):
    resource.setrlimit(resource.RLIMIT_AS, (size() + margin, resource.RLIM_INFINITY))


filling = []


def limited(holder, name, margin):
    """Let the function find only so much memory when it begins."""
    parts = holder.split(":")
    owner = importlib.import_module(parts[0])
    for part in parts[1:]:
        owner = getattr(owner, part)
    holders = owner.__mro__ if isinstance(owner, type) else [owner]
    real = next(vars(one)[name] for one in holders if name in vars(one))
    inner = real.__func__ if isinstance(real, classmethod) else real

    def first(*arguments, **options):
        limit(0)
        with contextlib.suppress(MemoryError):  # what was freed before would serve otherwise
            while True:
                filling.append(bytearray(1 << 16))
        limit(margin)
        return inner(*arguments, **options)

    setattr(owner, name, classmethod(first) if isinstance(real, classmethod) else first)


for number, case in enumerate(json.load(sys.stdin)):
    child = os.fork()
    if child == 0:
        with open(f"{number}.out", "w") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        if case["limit"]:
            limited(*case["limit"])
        signal.alarm(60)
        sys.argv = ["geospot", *case["arguments"].split()]
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        except BaseException:
            traceback.print_exc()
            code = 99
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
'''

MIB = 1 << 20
_SWEEP = "sweep points=table points.region=r regions.max_points=null"
_LARGE = f"{_SWEEP} points.path=large.csv"
_KEPT = "engine.storage=kept engine.memory_budget=64GiB"
_TILES = f"{_SWEEP} points.path=medium.csv encoder=none {_KEPT}"
_SMALL = "points=table points.path=small.csv points.region=r encoder=none regions.min_points=1"

PHASES = {
    "reading": (
        f"{_LARGE} encoder=none",
        ("geospot_gpu.points.readers.tables", "_table", 4 * MIB),
        "reading large.csv",
    ),
    "encoding": (
        f"{_LARGE} encoder=geoclip",
        ("geospot_gpu.encoders.geoclip:GeoClip", "encode", 64 * MIB),
        "encoding 300,000 points",
    ),
    "features": (
        f"{_LARGE} encoder=precomputed encoder.path=large.npy encoder.id=id",
        ("geospot_gpu.encoders.precomputed:Precomputed", "encode", 64 * MIB),
        "encoding 300,000 points",
    ),
    "building": (
        f"{_LARGE} encoder=none",
        ("geospot_gpu.regions.drawing", "merge_duplicates", 2 * MIB),
        "building regions",
    ),
    "self terms": (
        _TILES,
        ("geospot_gpu.engine.pair_engine:PairEngine", "_solve_batch", 32 * MIB),
        "solving a (6000 points) - a (6000)",
    ),
    "solving": (
        f"{_TILES} outputs=[transport_cost]",
        ("geospot_gpu.engine.pair_engine:PairEngine", "_solve_batch", 32 * MIB),
        "solving a (6000 points) - b (6000)",
    ),
    "selection": (
        "select sweep=done target=a budget=5 over=points pool=large.csv",
        ("geospot_gpu.selection.pool:Pool", "of_table", 4 * MIB),
        "preparing the pool",
    ),
    "picture": (
        f"nearest {_SMALL} target=a",
        ("geospot_gpu.pictures.maps:Map", "_draw_land", 1 * MIB),
        "drawing a picture",
    ),
}
"""Command, the function at whose beginning only so much memory is left, and what is said."""


@pytest.fixture(scope="module")
def phases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """Exit code and output of a command for each phase, which runs out of memory there."""
    folder = tmp_path_factory.mktemp("memory")
    generator = np.random.default_rng(0)
    for name, count in {"large": 300_000, "medium": 12_000, "small": 60}.items():
        lon, lat = generator.uniform([[-180], [-60]], [[180], [60]], (2, count))
        names = np.repeat(["a", "b"], count // 2)
        table = pd.DataFrame({"id": np.arange(count), "r": names, "lon": lon, "lat": lat})
        table.to_csv(folder / f"{name}.csv", index=False)
    np.save(folder / "large.ids.npy", np.arange(300_000))
    np.lib.format.open_memmap(folder / "large.npy", "w+", np.float32, (300_000, 256))
    cases: list[Any] = [{"arguments": f"sweep {_SMALL} out=done", "limit": None}]
    for number, (arguments, limit, _) in enumerate(PHASES.values()):
        cases.append({"arguments": f"{arguments} out=run{number}", "limit": limit})
    ran = subprocess.run(
        [sys.executable, "-c", _CHILD],
        input=json.dumps(cases),
        cwd=folder,
        env=os.environ | {"GEOSPOT_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    codes = list(map(int, ran.stdout.split()))
    texts = [(folder / f"{number}.out").read_text() for number in range(len(cases))]
    assert codes[0] == 0, texts[0]
    return dict(zip(PHASES, zip(codes[1:], texts[1:], strict=True), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_without_memory(phase: str, phases: dict[str, tuple[int, str]]) -> None:
    code, text = phases[phase]
    assert code == 1, text
    assert "Traceback" not in text
    assert text.splitlines()[-1].startswith(f"error: out of memory while {PHASES[phase][2]}"), text


_TOWNS = "points=table points.path=towns.csv points.region=town encoder=none regions.min_points=1"


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Jobs run out of memory outside of any phase where their number is in this list."""
    numbers: list[int] = []
    real, calls = objects.make_regions, iter(range(9))

    def regions(*arguments: Any) -> Any:
        if next(calls) in numbers:
            raise MemoryError("Unable to allocate 7.50 GiB for an array")
        return real(*arguments)

    monkeypatch.setattr(objects, "make_regions", regions)
    return numbers


def test_outside_of_any_phase(failing: list[int], towns: Path, geospot_here: Geospot) -> None:
    failing += [0]
    done = geospot_here("sweep", *_TOWNS.split(), "out=run")
    assert done.returncode == 1
    assert done.stderr == (
        "error: out of memory while running geospot sweep (7.5 GiB asked for): take fewer regions "
        "or points (regions.exclude, regions.min_points, regions.max_points)\n"
    )


def test_a_job_of_a_multirun(failing: list[int], towns: Path, geospot_here: Geospot) -> None:
    """The others run."""
    failing += [1]
    done = geospot_here("sweep", *_TOWNS.split(), "out=grid", "-m", "solver.epsilon=0.1,0.2,0.3")
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert line.startswith("error: job 1: out of memory while running geospot sweep (7.5 GiB")
    assert done.stdout.count("pairs total=6 computed=6") == 2


def test_what_ran_out_lets_go_of_memory() -> None:
    """A multirun keeps the errors of its jobs to the end, but not what those jobs held."""
    held: list[weakref.ref[Any]] = []

    def fail() -> None:
        large = np.empty(10)
        held.append(weakref.ref(large))
        raise MemoryError

    with pytest.raises(OutOfMemory) as error, out_of_memory("a", "b"):
        fail()
    assert error.value.__cause__ is not None
    assert held[0]() is None
