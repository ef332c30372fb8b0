"""Two commands at once in one folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.faults import damages, layout, world
from benchmarks.faults.trials import Ended
from benchmarks.faults.world import World

KINDS = (
    *("the same sweep", "other regions", "another identity", "damaged files", "other commands"),
)
_MOST_DELAY = 0.6
_SETS = {
    "first": "[r0,r1,r2,r3,r4,r5]",
    "last": "[r3,r4,r5,r6,r7,r8]",
    "low": "[r0,r1,r2,r3,r4]",
    "high": "[r5,r6,r7,r8]",
}
SWEEPS = {"all": world.GEOGRAPHY, "blurred": (*world.GEOGRAPHY, "solver.epsilon=0.02")} | {
    name: (*world.GEOGRAPHY, f"regions.include={chosen}") for name, chosen in _SETS.items()
}
_OTHER_REGIONS = (("first", "last"), ("low", "high"), ("all", "low"), ("high", "all"))
_DAMAGED = ("distances", "regions", "identity", "manifest", "manifests")
_PREDICT = (*world.COMMANDS["predict"][:-1], "targets.region=region")
OTHERS = {
    "transfer": (*world.COMMANDS["transfer"][:-1], "out=out-transfer"),
    "report": (*world.COMMANDS["transfer"][:-1], "out=out-report"),
    "select": (*world.COMMANDS["select"][:-1], "out=out-select"),
    "from r0": (*_PREDICT, "source=r0"),
    "from r1": (*_PREDICT, "source=r1"),
}
_PLACES = {
    "transfer": "out-transfer",
    "report": "out-report",
    "select": "out-select",
    "from r0": "out",
    "from r1": "out",
}
_OTHER_PAIRS = (("transfer", "report"), ("transfer", "select"), ("from r0", "from r1"))


class Raced(NamedTuple):
    """Two commands at once, and what is wrong with what they left."""

    kind: str
    commands: tuple[str, str]
    refused: int
    how: str
    problems: list[str]


def prepare(place: World, names: Collection[str]) -> None:
    """The commands of the races, undisturbed."""
    for name in SWEEPS.keys() & {"all", *names}:
        place.undisturbed(f"race-{name}", "empty", SWEEPS[name])
    shutil.copytree(place.folder("empty"), place.folder("other-points"))
    world.write_inputs(place.folder("other-points"), seed=1)
    place.undisturbed("other-sweep", "other-points", world.GEOGRAPHY)
    for name in OTHERS.keys() & set(names):
        place.undisturbed(f"race-{name}", "race-all", OTHERS[name])


def pair_of(kind: str, number: int) -> tuple[str, str]:
    """Which two commands race each other."""
    pairs = {
        "the same sweep": (("all", "all"),),
        "other regions": _OTHER_REGIONS,
        "another identity": (("all", "blurred"),),
        "damaged files": (("all", "all"), ("all", "low")),
        "other commands": _OTHER_PAIRS,
    }[kind]
    return pairs[number % len(pairs)]


def race(place: World, kind: str, number: int, seed: int) -> Raced:
    """Start two commands at about the same time, and look at what they leave."""
    generator = np.random.default_rng([seed, KINDS.index(kind), number])
    pair = pair_of(kind, number)
    if kind == "other commands":
        return _race_of_others(place, pair, number, generator)
    damaged = None
    if kind == "damaged files":
        folder = place.copy("race-all", f"race-{kind}-{number}")
        damaged = _damage(folder, place.folder("other-sweep"), number, generator)
    else:
        folder = place.copy("empty", f"race-{kind}-{number}")
    first, second = _both(place, folder, [SWEEPS[name] for name in pair], generator)
    ends = dict(zip((0, 1), (first, second), strict=True))
    problems: list[str] = []
    for k, done in ends.items():
        own = done.problems(refused=kind in ("another identity", "damaged files"))
        problems += [f"{pair[k]} {problem}" for problem in own]
    accepted = [pair[k] for k, done in ends.items() if done.code == 0]
    if kind == "another identity":
        if len(accepted) != 1:
            problems.append(f"{len(accepted)} of two identities were accepted")
        refused = [done.line for done in ends.values() if done.code == 1]
        problems += [f"refused by: {line}" for line in refused if "another sweep" not in line]
    if damaged is not None:
        refused = [done.line for done in ends.values() if done.code == 1]
        problems += [f"refused by: {line}" for line in refused if damaged.name not in line]
        if refused:  # as the user is told
            damaged.unlink(missing_ok=True)
    if accepted and not problems:
        candidates = {name: place.folder(f"race-{name}") / "run" for name in accepted}
        problems += world.mixed(folder / "run", candidates)
    for name in dict.fromkeys(pair if kind != "another identity" else accepted[:1]):
        problems += _again(place, folder, name, first_repair=damaged is not None and not accepted)
    problems += [
        f"{name} has nothing that others have not, after three runs"
        for name in layout.redundant(folder / "run")
    ]
    if not problems:
        shutil.rmtree(folder)
    how = f"{first.line or 'done'} / {second.line or 'done'}" + (f"; {damaged}" if damaged else "")
    return Raced(kind, pair, sum(done.code == 1 for done in ends.values()), how, problems)


def _both(
    place: World,
    folder: Path,
    commands: list[tuple[str, ...]],
    generator: np.random.Generator,
) -> tuple[Ended, Ended]:
    # More often short: small sweeps take no longer than that.
    delays = generator.permutation([0.0, _MOST_DELAY * generator.uniform() ** 2])
    with ThreadPoolExecutor(2) as pool:
        started = [
            pool.submit(place.server.run, arguments, folder, delay=float(delay))
            for arguments, delay in zip(commands, delays, strict=True)
        ]
        return started[0].result(), started[1].result()


def _damage(folder: Path, other: Path, number: int, generator: np.random.Generator) -> Path:
    found = layout.kinds(folder / "run")
    present = [kind for kind in _DAMAGED if found.get(kind)]
    kind = present[number // 2 % len(present)]
    hows = [*damages.BYTES, *damages.MOVES[:2]]
    theirs = layout.kinds(other / "run").get(kind, [])
    while True:
        path = found[kind][int(generator.integers(len(found[kind])))]
        how = hows[int(generator.integers(len(hows)))]
        if damages.damage(path, how, found[kind] if how == hows[-2] else theirs, generator):
            return path


def _again(place: World, folder: Path, name: str, *, first_repair: bool) -> list[str]:
    """Run a sweep again, which is to compute nothing, and compare."""
    if first_repair:
        place.server.run(SWEEPS[name], folder)
    again = place.server.run(SWEEPS[name], folder)
    expected = place.folder(f"race-{name}") / "run"
    problems = [f"{name} again {problem}" for problem in again.problems()]
    if again.code == 0:
        for kind in ("self terms", "solving"):
            if count := sum(again.finished(kind).values()):
                problems.append(f"{name} again computes {count} units of {kind}")
        problems += [f"{name} {one}" for one in world.sweep_differences(folder / "run", expected)]
        problems += [f"{name} {one}" for one in world.output_differences(folder / "run", expected)]
    return problems


def _race_of_others(
    place: World, pair: tuple[str, str], number: int, generator: np.random.Generator
) -> Raced:
    folder = place.copy("race-all", f"race-others-{number}")
    both = _both(place, folder, [OTHERS[name] for name in pair], generator)
    problems = [
        f"{name} {one}" for name, done in zip(pair, both, strict=True) for one in done.problems()
    ]
    different = {
        name: world.output_differences(
            folder / _PLACES[name], place.folder(f"race-{name}") / _PLACES[name]
        )
        for name in pair
    }
    if len({_PLACES[name] for name in pair}) == 1:
        if all(different.values()):
            problems.append(f"outputs are not of one run: {different}")
    else:
        problems += [f"{name}: {one}" for name, found in different.items() for one in found]
    again = place.server.run(OTHERS[pair[0]], folder)
    problems += [f"again {one}" for one in again.problems()]
    if count := sum(again.finished("baselines").values()):
        problems.append(f"{pair[0]} again computes {count} baselines")
    if twice := layout.twice(folder / "run"):
        problems.append(f"{twice} baselines are there twice after three runs")
    if not problems:
        shutil.rmtree(folder)
    refused = sum(done.code == 1 for done in both)
    return Raced("other commands", pair, refused, "", problems)


def races(place: World, count: int, seed: int, spread: Callable[..., list[Raced]]) -> list[Raced]:
    """Race ``count`` pairs of sweeps, and a quarter as many of other commands."""
    each = range(-(-count // 4))
    prepare(place, {name for kind in KINDS for number in each for name in pair_of(kind, number)})
    jobs = [(place, kind, number, seed) for number in each for kind in KINDS]
    return spread("races", race, jobs)


def table(found: Sequence[Raced]) -> list[dict[str, object]]:
    """One row per kind of race."""
    rows = []
    for kind in KINDS:
        some = [one for one in found if one.kind == kind]
        refused = sum(one.refused for one in some)
        rows.append(
            {
                "experiment": "two at once",
                "where": kind,
                "trials": len(some),
                "outcome": f"{2 * len(some) - refused} done, {refused} refused in a line",
                "failures": sum(bool(one.problems) for one in some),
            }
        )
    return rows
