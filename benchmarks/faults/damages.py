"""Stored files that are damaged at random, and what those who read them say."""

from __future__ import annotations

import io
import logging
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import geospot_gpu as gs
from benchmarks.faults import layout, world
from benchmarks.faults.world import World

OUTCOMES = ("refused", "recomputed aloud", "harmless", "silent changes", "tracebacks")
FAILURES = OUTCOMES[3:]
SWEEP = (*world.FEATURES, f"regions.include=[{','.join(world.FEW)}]")
_EARLIER = (*world.FEATURES, "regions.include=[r0,r1,r2]")
READERS: dict[str, tuple[str, ...]] = {
    "open_run": (),
    "sweep": SWEEP,
    "transfer": (
        *("transfer", "sweep=run", "scores=few.csv", "scores.kind=accuracy", "out=report"),
    ),
    "explain": (*world.COMMANDS["explain"][:-1], "out=explained"),
    "select": (*world.COMMANDS["select"][:-1], "out=selected"),
}
_PLACES = {"transfer": "report", "explain": "explained", "select": "selected", "sweep": "run"}
"""Folders that the commands write their results to."""
_OF_KIND = {
    **dict.fromkeys(("matrix", "heatmap", "regions to look at", "record"), ("sweep",)),
    "report": ("transfer",),
}
"""Who reads a file again, where not all do."""


class Damaged(NamedTuple):
    """One damage, and what a reader made of it."""

    kind: str
    how: str
    reader: str
    outcome: str
    said: str


Bytes = Callable[[bytes, np.random.Generator], bytes]


def _flip(content: bytes, generator: np.random.Generator, mask: int) -> bytes:
    at = int(generator.integers(len(content)))
    return content[:at] + bytes([content[at] ^ mask]) + content[at + 1 :]


BYTES: dict[str, Bytes] = {
    "flip a bit": lambda content, g: _flip(content, g, 1 << int(g.integers(8))),
    "flip a byte": lambda content, g: _flip(content, g, int(g.integers(1, 256))),
    "truncate": lambda content, g: content[: int(g.integers(len(content)))],
    "empty": lambda content, g: b"",
    "zeros": lambda content, g: bytes(len(content)),
    "append": lambda content, g: content + g.bytes(int(g.integers(1, 64))),
}
MOVES = ("swap with its like", "replace by another run's", "duplicate under another name")


def files_of(folder: Path) -> dict[str, list[Path]]:
    """All files that geospot wrote in a trial's folder, by kind."""
    found = layout.kinds(folder / "run") | {"embeddings": layout.cached(folder / "cache")}
    found["report"] = sorted(path for path in (folder / "report").glob("*") if path.is_file())
    return {kind: paths for kind, paths in found.items() if paths}


def damage(path: Path, how: str, others: list[Path], generator: np.random.Generator) -> bool:
    """Damage a file; returns whether anything has changed.

    Args:
        path: the file.
        how: one of :data:`BYTES` or :data:`MOVES`.
        others: for a swap those of its kind, for a replacement those of another run.
        generator: of random numbers.
    """
    before = path.read_bytes()
    if how in BYTES:
        if not before:
            return False
        path.write_bytes(BYTES[how](before, generator))
    elif how == MOVES[2]:
        digest = path.stem[-32:]  # where it is named by one
        copied = path.stem.replace(digest, generator.bytes(16).hex()) if len(digest) == 32 else ""
        path.with_name(f"{copied or world.COPY}{path.suffix}").write_bytes(before)
        return True
    else:
        others = [other for other in others if other != path]
        if not others:
            return False
        other = others[int(generator.integers(len(others)))]
        path.write_bytes(other.read_bytes())
        if how == MOVES[0]:
            other.write_bytes(before)
    return path.read_bytes() != before


class _Heard(logging.Handler):
    """Warnings of one reader."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def run_here(arguments: tuple[str, ...]) -> tuple[int, str]:
    """Run a command in this process; returns its code and what it said."""
    from geospot_gpu import cli

    sys.argv = ["geospot", *arguments]
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        try:
            cli.main()
        except SystemExit as stop:
            return int(stop.code or 0), said.getvalue()
    return 0, said.getvalue()


def read(reader: str, folder: Path, expected: Path) -> tuple[str, str]:
    """What a reader makes of a folder: the outcome, and what was said."""
    heard = _Heard()
    log = logging.getLogger("geospot_gpu")
    log.addHandler(heard)
    os.chdir(folder)
    os.environ["GEOSPOT_CACHE"] = str(folder / "cache")
    try:
        if READERS[reader]:
            code, said = run_here(READERS[reader])
            if code != 0:
                errors = [line for line in said.splitlines() if line.startswith("error:")]
                return ("refused" if len(errors) == 1 else "tracebacks"), said[-300:]
        else:
            gs.open_run(folder / "run")
        if reader in ("open_run", "sweep"):
            different = world.sweep_differences(folder / "run", expected / "run")
        else:
            different = []
        if reader in _PLACES:
            place = _PLACES[reader]
            different += world.output_differences(folder / place, expected / place)
    except gs.GeospotError as error:
        return "refused", str(error)
    except Exception:
        return "tracebacks", traceback.format_exc()[-1500:]
    finally:
        log.removeHandler(heard)
    aloud = "; ".join(heard.lines)
    missing = different and all(world.MISSING in one for one in different)
    if missing and heard.lines and reader == "open_run":
        return "refused", aloud
    if different:
        return "silent changes", f"{'; '.join(different)} ({aloud})"
    return ("recomputed aloud" if aloud else "harmless"), aloud


def trial(root: Path, number: int, seed: int) -> list[Damaged]:
    """Damage one file, and have it read."""
    generator = np.random.default_rng([seed, number])
    expected = root / "whole"
    folder = root / "trials" / f"damage-{number}"
    shutil.copytree(expected, folder)
    found = files_of(folder)
    kinds, hows = list(found), [*BYTES, *MOVES]
    kind, how = kinds[number % len(kinds)], hows[number // len(kinds) % len(hows)]
    path = found[kind][int(generator.integers(len(found[kind])))]
    others = found[kind] if how == MOVES[0] else files_of(root / "other").get(kind, [])
    if kind == "manifest":
        others += found.get("manifests", [])  # of an earlier run in the folder
    if not damage(path, how, others, generator):
        how = "flip a bit"
        if not damage(path, how, [], generator):
            how = "append"
            damage(path, how, [], generator)
    readers = _OF_KIND.get(kind, tuple(READERS))
    if kind == "embeddings":
        readers = tuple(name for name in readers if name != "open_run")
    chosen = generator.permutation(len(readers))[:2]
    results = []
    for k in chosen:
        outcome, said = read(readers[k], folder, expected)
        said = said.replace(str(folder), "").replace(str(root), "")
        results.append(
            Damaged(kind, f"{how} {path.relative_to(folder)}", readers[k], outcome, said)
        )
    if not any(one.outcome in FAILURES for one in results):
        shutil.rmtree(folder)
    return results


def trials(
    say: Callable[..., None], root: str, first: int, step: int, count: int, seed: int
) -> None:
    """Every ``step``-th trial, in a process of its own; each is said when it is done."""
    for number in range(first, count, step):
        say("trial", [list(one) for one in trial(Path(root), number, seed)])


def prepare(place: World) -> None:
    """A finished sweep over an earlier one, with its report, and another of other points."""
    place.undisturbed("whole", "empty", _EARLIER, *filter(None, READERS.values()))
    shutil.copytree(place.folder("empty"), place.folder("empty-other"))
    world.write_inputs(place.folder("empty-other"), seed=1)
    place.undisturbed("other", "empty-other", SWEEP, READERS["transfer"])


def damages(
    place: World, count: int, seed: int, progress: Callable[[int], object]
) -> list[Damaged]:
    """Damage ``count`` files, on all cores."""
    prepare(place)
    step = os.cpu_count() or 1
    found: list[Damaged] = []

    def hear(event: list[Any]) -> None:
        if event[0] == "trial":
            found.extend(Damaged(*one) for one in event[1])
            progress(1)

    def work(first: int) -> int:
        arguments = (str(place.root), first, step, count, seed)
        return place.server.call("benchmarks.faults.damages:trials", arguments, hear)

    with ThreadPoolExecutor(step) as pool:
        if any(pool.map(work, range(step))):
            raise RuntimeError("a process that damages files ended early")
    return found


def table(found: Sequence[Damaged]) -> list[dict[str, object]]:
    """One row per kind of file."""
    rows = []
    for kind in dict.fromkeys(one.kind for one in found):
        some = [one for one in found if one.kind == kind]
        counts = {outcome: sum(one.outcome == outcome for one in some) for outcome in OUTCOMES}
        rows.append(
            {
                "experiment": "a damaged file is read",
                "where": kind,
                "trials": len(some),
                "outcome": ", ".join(f"{count} {outcome}" for outcome, count in counts.items()),
                "failures": sum(counts[outcome] for outcome in FAILURES),
            }
        )
    return rows
