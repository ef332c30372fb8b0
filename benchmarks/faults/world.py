"""Small sweeps, and every command on them as it is when nobody disturbs it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.image
import numpy as np
import pandas as pd

import geospot_gpu as gs
from benchmarks.faults import layout
from benchmarks.faults.trials import Ended, Server

NAMES = [f"r{k}" for k in range(9)]
FEW = NAMES[:5]
POINTS = 20
SWEEP = (
    *("sweep", "points=table", "points.path=points.csv", "points.region=region"),
    *("regions.min_points=1", "device=cpu"),
)
GEOGRAPHY = (*SWEEP, "encoder=none", "out=run")
FEATURES = (*SWEEP, "encoder=geoclip", "out=run")
_SCORES = ("sweep=run", "scores=scores.csv", "scores.kind=accuracy", "out=out")
COMMANDS = {
    "sweep": FEATURES,
    "transfer": ("transfer", *_SCORES),
    "predict": ("predict", *_SCORES, "targets=new.csv", "targets.region=region"),
    "explain": ("explain", "sweep=run", "source=r0", "target=r1", "out=out"),
    "select": (
        *("select", "sweep=run", "target=r3", "budget=40", "max_regions=3"),
        *("method=nearest", "by=energy_distance", "out=out"),
    ),
    "nearest": ("nearest", *FEATURES[1:-1], "target=r3", "k=3", "out=out"),
}
EARLIER = {
    "sweep": (*FEATURES, f"regions.include=[{','.join(FEW)}]"),
    "transfer": ("transfer", "sweep=run", "scores=few.csv", "scores.kind=accuracy", "out=out"),
    "predict": (*COMMANDS["predict"], "source=r0"),
    "explain": ("explain", "sweep=run", "source=r0", "target=r2", "out=out"),
    "select": (*COMMANDS["select"], "exclude=[r0,r1]"),
    "nearest": (*COMMANDS["nearest"][:-3], "target=r5", "k=2", "out=out"),
}
"""The same with other settings, whose results are replaced."""
FOREIGN = (
    *("run/notes.txt", "run/distances/notes.txt", "out/notes.txt", "cache/embeddings/notes.txt"),
    *("run/.draft.tmp", "out/.draft.tmp", "cache/embeddings/.draft.tmp"),
)
COPY = "copy"
"""Name of a copy of a result, which is the user's own."""
MISSING = "pairs are missing"
_TIMES = ("seconds",)
_CLOSE = {"rtol": 1e-4, "atol": 1e-6}


def write_inputs(folder: Path, seed: int = 0) -> None:
    """Points of nine regions, scores that fall with distance, and new regions."""
    generator = np.random.default_rng(seed)
    count = len(NAMES)
    centres = np.column_stack([generator.uniform(-20, 50, count), generator.uniform(0, 60, count)])
    places = np.repeat(centres, POINTS, axis=0) + generator.normal(0, 3, (count * POINTS, 2))
    table = pd.DataFrame({"region": np.repeat(NAMES, POINTS)})
    table = table.assign(lon=places[:, 0], lat=places[:, 1])
    table.to_csv(folder / "points.csv", index=False)
    new = table[table["region"].isin(NAMES[:2])].assign(lat=lambda some: some["lat"] + 5.0)
    new.assign(region="new " + new["region"]).to_csv(folder / "new.csv", index=False)
    away = np.linalg.norm(centres[:, None] - centres, axis=2)
    score = (0.9 - 0.008 * away + 0.02 * generator.normal(size=away.shape)).clip(0, 1)
    i, j = (side.ravel() for side in np.indices(away.shape))
    names = np.array(NAMES)
    scores = pd.DataFrame({"source": names[i], "target": names[j], "score": score.ravel()})
    scores.to_csv(folder / "scores.csv", index=False)
    few = scores["source"].isin(FEW) & scores["target"].isin(FEW)
    scores[few].to_csv(folder / "few.csv", index=False)


class World(NamedTuple):
    """Folders that are copied for every trial."""

    root: Path
    server: Server

    def folder(self, name: str) -> Path:
        """One with inputs, in which a command has been run undisturbed or nothing was."""
        return self.root / name

    def copy(self, name: str, trial: str) -> Path:
        """A copy for one trial."""
        target = self.root / "trials" / trial
        shutil.copytree(self.folder(name), target)
        return target

    def undisturbed(self, name: str, start: str, *commands: tuple[str, ...]) -> Ended:
        """Copy a folder and run commands in it; returns how the last ended."""
        shutil.copytree(self.folder(start), self.folder(name))
        for arguments in commands:
            done = self.server.run(arguments, self.folder(name))
            if done.code != 0:
                raise RuntimeError(f"undisturbed, {' '.join(arguments)}: {done.err}")
        return done


def make_world(root: Path, server: Server) -> World:
    """Inputs, in the folder ``empty``."""
    (root / "empty").mkdir(parents=True)
    (root / "trials").mkdir()
    write_inputs(root / "empty")
    return World(root, server)


def plant(folder: Path) -> None:
    """Files of the user's own where commands write."""
    for name in FOREIGN:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine\n")
        os.utime(path, (0, 0))  # however old they are


def touched(folder: Path) -> list[str]:
    """Which of them are not as they were."""
    return [
        f"{name} was touched"
        for name in FOREIGN
        if not (folder / name).exists() or (folder / name).read_text() != "mine\n"
    ]


def sweep_differences(found: Path, expected: Path, regions: list[str] | None = None) -> list[str]:
    """Where a sweep, as it is opened, is not the undisturbed one.

    Args:
        found, expected: folders of sweeps.
        regions: those that ``found`` has of ``expected``; all if not given.
    """
    try:
        ours, theirs = gs.open_run(found), gs.open_run(expected)
    except gs.GeospotError as error:
        return [f"cannot be opened: {error}"]
    if regions is not None:
        theirs = theirs.sel(source=regions, target=regions)
    if ours.source.to_numpy().tolist() != theirs.source.to_numpy().tolist():
        return [f"has the regions {', '.join(ours.source.to_numpy())}"]
    value, lower, upper = (theirs[name].to_numpy() for name in ("divergence", "lower", "upper"))
    missing = np.isnan(ours.divergence.to_numpy()) & ~np.isnan(value)
    different = [f"{int(missing.sum()) // 2} {MISSING}"] if missing.any() else []
    for name in theirs.data_vars:
        if name not in _TIMES and theirs[name].dtype.kind in "fib":
            a, b = (side[name].to_numpy().astype(float)[~missing] for side in (ours, theirs))
            if not np.allclose(a, b, equal_nan=True, rtol=1e-4, atol=2e-5):
                different.append(f"{name} differs")
    inside = (ours.lower.to_numpy() <= upper) & (lower <= ours.upper.to_numpy())
    if not (inside | missing | np.isnan(value)).all():
        different.append("a divergence is outside of its interval")
    return different


def output_differences(found: Path, expected: Path) -> list[str]:
    """Where the files of results are not those of the undisturbed command."""
    ours, theirs = _outputs(found), _outputs(expected)
    for some in (ours, theirs):
        some.pop("manifest.json", None)  # says which paths and machine, too
    different = [f"{name} is missing" for name in theirs.keys() - ours.keys()]
    different += [f"{name} is there" for name in ours.keys() - theirs.keys()]
    for name in theirs.keys() & ours.keys():
        if not same_content(ours[name], theirs[name]):
            different.append(f"{name} differs")
    return different


def _outputs(folder: Path) -> dict[str, Path]:
    own = {Path(name).name for name in FOREIGN} | set(layout.NO_RESULTS)
    return {
        path.name: path
        for path in folder.glob("*")
        if path.is_file() and path.name not in own and path.name[0] != "." and path.stem != COPY
    }


def same_content(a: Path, b: Path) -> bool:
    """Whether two files of results say the same, but for times and the last digits."""
    if a.read_bytes() == b.read_bytes():
        return True
    try:
        ours, theirs = _read(a), _read(b)
    except Exception:
        return False
    return _same(ours, theirs)


def _read(path: Path) -> Any:
    if path.suffix == ".png":
        return (matplotlib.image.imread(path) * 255).astype(int)
    if path.suffix in (".json", ".geojson"):
        return json.loads(path.read_text())
    table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    return {str(name): table[name].tolist() for name in table.columns}


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and float((abs(a - b) > 24).mean()) < 0.002
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(k in _TIMES or _same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, int | float):
        return bool(np.isclose(a, b, equal_nan=True, **_CLOSE))
    return bool(a == b)


def of_whom(folder: Path, candidates: dict[str, Path]) -> dict[str, set[str]]:
    """Whose each of the results is that are there, by the undisturbed ones of the candidates."""
    found = {}
    for name, path in _outputs(folder).items():
        same = _same_run if name == "manifest.json" else same_content
        found[name] = {
            whose
            for whose, expected in candidates.items()
            if (expected / name).exists() and same(path, expected / name)
        }
    return found


def _same_run(a: Path, b: Path) -> bool:
    """Whether two manifests are of the same regions and identity."""
    ours, theirs = _read(a), _read(b)
    return all(ours[key] == theirs[key] for key in ("sources", "identity"))


def mixed(folder: Path, candidates: dict[str, Path]) -> list[str]:
    """Whether results that are there are not all of one of the candidates."""
    whose = of_whom(folder, candidates)
    if not whose or set.intersection(*whose.values()):
        return []
    said = (f"{name} of {' or '.join(sorted(of)) or 'neither'}" for name, of in whose.items())
    return [f"results are not of one run: {', '.join(said)}"]
