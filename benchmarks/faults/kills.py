"""Commands that are killed, in every phase, and run again."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.faults import layout, world
from benchmarks.faults.trials import Ended, Kill
from benchmarks.faults.world import World

_OLD = 2 * 3600.0
_ALONE = {"sweep", "nearest"}
"""Commands that need no sweep."""
_TRIES = 4
"""A command that ends before it is killed is tried again, this often."""


class Killed(NamedTuple):
    """One kill and what became of it."""

    kind: str
    """The command."""
    phase: str
    how: str
    lost: Counter[str]
    """Units by kind that were finished before it and computed again after it."""
    problems: list[str]


class Course(NamedTuple):
    """The undisturbed run of a command: when its phases begin, and how often it renames."""

    phases: dict[str, list[float]]
    """For every time that a phase begins, the seconds until the next one does."""
    renames: int


def course_of(done: Ended) -> Course:
    phases: dict[str, list[float]] = {}
    begun = [event for event in done.events if event.kind == "begin"]
    ends = [event.time for event in begun[1:]] + [done.events[-1].time + 0.05]
    for event, end in zip(begun, ends, strict=True):
        phases.setdefault(str(event.what), []).append(end - event.time)
    return Course(phases, sum(event.kind == "rename" for event in done.events))


def prepare(place: World, commands: Sequence[str]) -> dict[str, Course]:
    """Run the commands undisturbed, each in a folder named after it, with nothing cached."""
    shutil.copytree(place.folder("empty"), place.folder("planted"))
    world.plant(place.folder("planted"))
    if not set(commands) <= _ALONE:
        place.undisturbed("swept", "planted", world.FEATURES)
        shutil.rmtree(place.folder("swept") / "cache")
        world.plant(place.folder("swept"))
    courses = {}
    for command in commands:
        done = place.undisturbed(command, _start(command), world.COMMANDS[command])
        courses[command] = course_of(done)
        place.undisturbed(f"{command}-earlier", _start(command), world.EARLIER[command])
        shutil.rmtree(place.folder(f"{command}-earlier") / "cache")
        for path in layout.kinds(place.folder(f"{command}-earlier") / "run")["baselines"]:
            path.unlink()
        world.plant(place.folder(f"{command}-earlier"))
    return courses


def _start(command: str) -> str:
    """The folder that a command is run in a copy of."""
    return "planted" if command in _ALONE else "swept"


def kill(place: World, command: str, number: int, seed: int, course: Course) -> Killed:
    """Kill a command once, see what it left, run it again and compare."""
    generator = np.random.default_rng([seed, number])
    start = f"{command}-earlier" if number // 2 % 2 else _start(command)
    arguments, expected = world.COMMANDS[command], place.folder(command)
    for attempt in range(_TRIES):
        folder = place.copy(start, f"{command}-{number}-{attempt}")
        at_rename = number % 4 == 3 and course.renames > 0
        term = number % 8 == 6
        if at_rename:
            rename = (
                int(generator.integers(course.renames)) + 1,
                ("before", "after")[number // 4 % 2],
            )
            how = f"{rename[1]} rename {rename[0]}"
            done = place.server.run(arguments, folder, rename=rename)
        else:
            names = list(course.phases)
            name = names[(number - number // 4) % len(names)]
            lengths = course.phases[name]
            occurrence = 0 if attempt else int(generator.integers(len(lengths)))
            delay = float(generator.uniform(0.0, lengths[occurrence]))
            how = f"{'TERM' if term else 'KILL'} {delay:.3f} s into {name} {occurrence + 1}"
            sent = signal.SIGTERM if term else signal.SIGKILL
            done = place.server.run(arguments, folder, kill=Kill(name, occurrence + 1, delay, sent))
        if done.killed and (done.code < 0 or done.code == 130):
            break
        shutil.rmtree(folder)
    else:
        return Killed(command, done.phase, how, Counter(), ["it always ended before"])
    problems: list[str] = []
    if done.code == 130:
        if "Traceback" in done.err:
            problems.append(f"a traceback: {done.err.strip().splitlines()[-1]}")
        problems += [f"SIGTERM leaves {p.name}" for p in layout.temporaries(folder)]
    target = "run" if command == "sweep" else "out"
    earlier = place.folder(f"{command}-earlier") / target
    problems += world.mixed(folder / target, {"before": earlier, "after": expected / target})
    aged, fresh = _spoil(folder, old=number % 2 == 0)
    again = place.server.run(arguments, folder)
    problems += again.problems()
    problems += [f"{p.relative_to(folder)} is an hour old and stays" for p in aged if p.exists()]
    problems += [
        f"{p.relative_to(folder)} is young and was removed" for p in fresh if not p.exists()
    ]
    problems += world.touched(folder)
    problems += world.sweep_differences(folder / "run", expected / "run") * (command != "nearest")
    problems += world.output_differences(folder / target, expected / target)
    lost: Counter[str] = Counter()
    for kind in layout.KEPT[command]:
        twice = done.finished(kind) & again.finished(kind)
        lost[kind] = sum(twice.values())
        most = layout.CHUNK.get(kind, sum(again.finished(kind).values()))
        most *= layout.AT_ONCE.get(kind, 1)
        if lost[kind] > most:
            problems.append(
                f"{lost[kind]} finished units of {kind} were computed again, more than {most}"
            )
    if not problems:
        shutil.rmtree(folder)
    return Killed(command, done.phase, how, lost, problems)


def _spoil(folder: Path, *, old: bool) -> tuple[list[Path], list[Path]]:
    """Make what is half written unreadable, and old; returns the old ones and the others."""
    left = layout.temporaries(folder)
    then = time.time() - _OLD
    for path in left:
        for file in [path] if path.is_file() else [p for p in path.iterdir() if p.is_file()]:
            file.write_bytes(b"half written")
            if old:
                os.utime(file, (then, then))
        if old:
            os.utime(path, (then, then))
    return (left, []) if old else ([], left)


def table(found: Sequence[Killed]) -> list[dict[str, object]]:
    """One row per command and phase."""
    rows = []
    for command, phase in dict.fromkeys((one.kind, one.phase) for one in found):
        some = [one for one in found if (one.kind, one.phase) == (command, phase)]
        most = {kind: max(one.lost[kind] for one in some) for kind in layout.KEPT[command]}
        again = ", ".join(f"{count} of {kind}" for kind, count in most.items() if count)
        rows.append(
            {
                "experiment": f"{command} killed",
                "where": phase,
                "trials": len(some),
                "outcome": f"computed again, at most: {again or 'nothing'}",
                "failures": sum(bool(one.problems) for one in some),
            }
        )
    order = list(world.COMMANDS)
    return sorted(rows, key=lambda row: order.index(str(row["experiment"]).split()[0]))


def kills(
    place: World,
    count: int,
    seed: int,
    commands: Sequence[str],
    spread: Callable[..., list[Killed]],
) -> list[Killed]:
    """Kill every command ``count`` times."""
    courses = prepare(place, commands)
    jobs = [
        (place, command, number, seed, courses[command])
        for number in range(count)
        for command in commands
    ]
    return spread("kills", kill, jobs)
