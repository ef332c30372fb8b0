from __future__ import annotations

import pkgutil
from pathlib import Path
from typing import Any

import pytest

from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.kept import kept, with_notes
from tests.helpers.commands import Geospot

GOES_ON = "are kept, and the same command goes on from there"


@pytest.fixture
def sweep(geospot_here: Geospot, towns: Path) -> Geospot:
    """Run ``geospot sweep`` on the towns with more arguments."""
    fixed = "points=table points.path=towns.csv points.region=town encoder=none out=run"
    return lambda *more: geospot_here("sweep", *fixed.split(), "regions.min_points=1", *more)


def last(text: str) -> str:
    """The last line, without the progress bar before it."""
    return text.splitlines()[-1].rpartition("\r")[2]


def interrupt(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt


def nth(count: int, real: Any, error: type[BaseException] = KeyboardInterrupt) -> Any:
    """A function that fails when it is called for the nth time."""
    calls = iter(range(count))

    def failing(*arguments: Any, **options: Any) -> Any:
        if next(calls) == count - 1:
            raise error
        return real(*arguments, **options)

    return failing


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of one pair each."""
    for limit in ("_LARGEST_GROUP", "_MOST_PAIRS"):
        monkeypatch.setattr(f"geospot_gpu.runs.plan.{limit}", 1)


INTERRUPTED = {
    # Where: what is interrupted, when it is called for which time, and what is kept.
    "reading": ("geospot_gpu.points.readers.tables._table", 1, ""),
    "building": ("geospot_gpu.regions.drawing.merge_duplicates", 3, ""),
    "encoding first": ("geospot_gpu.encoders.geoclip.unit_rows", 1, ""),
    "encoding": ("geospot_gpu.encoders.geoclip.unit_rows", 3, f"; encoded points {GOES_ON}"),
    "solving first": ("geospot_gpu.distances.solve.PairSolver.solve", 1, ""),
    "solving": ("geospot_gpu.distances.solve.PairSolver.solve", 2, f"; finished batches {GOES_ON}"),
}


@pytest.mark.slow
@pytest.mark.usefixtures("one_by_one")
@pytest.mark.parametrize("where", INTERRUPTED)
def test_an_interruption_says_what_is_kept(
    where: str, sweep: Geospot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    function, count, kept = INTERRUPTED[where]
    monkeypatch.setenv("GEOSPOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("geospot_gpu.encoders.cache.MOST", 20)
    monkeypatch.setattr(function, nth(count, pkgutil.resolve_name(function)))
    arguments = ["encoder=geoclip"] if where.startswith("encoding") else []
    done = sweep(*arguments)
    assert done.returncode == 130
    assert last(done.stderr) == f"interrupted{kept}"


def test_encoding_without_a_cache_keeps_nothing(
    sweep: Geospot, monkeypatch: pytest.MonkeyPatch, towns: Path
) -> None:
    monkeypatch.setenv("GEOSPOT_CACHE", str(towns))
    monkeypatch.setattr("geospot_gpu.encoders.cache.MOST", 20)
    function = "geospot_gpu.encoders.geoclip.unit_rows"
    monkeypatch.setattr(function, nth(3, pkgutil.resolve_name(function)))
    done = sweep("encoder=geoclip")
    assert last(done.stderr) == "interrupted"


OTHER_COMMANDS = [
    "nearest points=table points.path=towns.csv points.region=town target=oslo encoder=none "
    "regions.min_points=1",
    "explain sweep=run source=oslo target=rome",
    "select sweep=run target=oslo budget=5",
    "select sweep=run target=oslo budget=5 over=points",
]


@pytest.mark.slow
@pytest.mark.parametrize("command", OTHER_COMMANDS)
def test_other_commands_keep_nothing(
    command: str, sweep: Geospot, geospot_here: Geospot, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sweep().returncode == 0
    monkeypatch.setattr("geospot_gpu.engine.pair_engine.iterate", interrupt)
    monkeypatch.setattr("geospot_gpu.selection.points.cover_points", interrupt)
    monkeypatch.setattr("geospot_gpu.commands.select.select_regions", interrupt)
    done = geospot_here(*command.split(), "out=other")
    assert done.returncode == 130
    assert last(done.stderr) == "interrupted"


@pytest.mark.usefixtures("one_by_one")
def test_an_error_says_what_is_kept(sweep: Geospot, monkeypatch: pytest.MonkeyPatch) -> None:
    function = "geospot_gpu.distances.solve.PairSolver.solve"
    monkeypatch.setattr(function, nth(2, pkgutil.resolve_name(function), MemoryError))
    error = last(sweep().stderr)
    assert error.startswith("error: out of memory while running geospot sweep: take fewer regions")
    assert error.endswith(f"; finished batches {GOES_ON}")


def test_notes_outlast_that_an_error_is_raised_anew() -> None:
    def work() -> None:
        try:
            with kept("pieces", lambda: True):
                raise OSError("full")
        except OSError as error:
            raise GeospotError("the disk is full") from error

    with pytest.raises(GeospotError) as error:
        work()
    text = f"the disk is full; pieces {GOES_ON}"
    assert with_notes("the disk is full", error.value) == text
    assert with_notes(text, error.value) == text, "it is said once"
