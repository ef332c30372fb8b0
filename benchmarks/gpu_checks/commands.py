"""Run every command on a pretended GPU, beside the same on the CPU: the same tables come out.

python -m benchmarks.gpu_checks.commands             all of them; a minute or two
python -m benchmarks.gpu_checks.commands sweep       those with these letters, after the sweeps
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple
from unittest import mock

if __name__ == "__main__":  # before Triton is imported
    os.environ["TRITON_INTERPRET"] = "1"

import numpy as np
import pandas as pd
import torch

from benchmarks.gpu_checks.budgets import COMMANDS, excess
from benchmarks.gpu_checks.pretended import Pretended
from geospot_gpu import cli
from geospot_gpu.transfer.correlation import correlate as correlation
from geospot_gpu.transfer.predictor import predictor
from geospot_gpu.transfer.predictor.candidates import candidates

MOST_APART = 2e-3
"""Largest difference from the CPU, relative to the largest number of a column."""

_REGIONS, _POINTS = 8, 4
_SETTINGS = ("solver.epsilon=0.05", "regions.min_points=1")
_TABLE = ("points=table", "points.path=points.csv", "points.region=region")
_FEATURES = ("encoder=precomputed", "encoder.path=features.npy", "encoder.id=id")
_SCORES = ("sweep=plain", "scores=scores.csv", "scores.kind=accuracy", "scores.change=raw")


class Command(NamedTuple):
    """What is asked."""

    name: str
    arguments: tuple[str, ...]


CALLS = {
    "sweep": Command("sweep", (*_TABLE, *_FEATURES, *_SETTINGS, "out=run")),
    "sweep, no features": Command("sweep", (*_TABLE, "encoder=none", *_SETTINGS, "out=plain")),
    "nearest": Command(
        "nearest", (*_TABLE, *_FEATURES, *_SETTINGS, "target=r1", "k=2", "out=near")
    ),
    "select, regions": Command(
        "select", ("sweep=run", "target=r1", "budget=8", "max_regions=2", "out=regions")
    ),
    "select, union": Command(
        "select",
        ("sweep=run", "target=r1", "budget=8", "method=union", "max_regions=2", "out=union"),
    ),
    "select, points": Command(
        "select", ("sweep=run", "target=r1", "over=points", "budget=5", "out=points")
    ),
    "explain": Command("explain", ("sweep=run", "source=r1", "target=r2", "out=explained")),
    "transfer": Command("transfer", (*_SCORES, "out=report")),
    "predict": Command(
        "predict", (*_SCORES, "targets=new.csv", "targets.region=region", "out=predicted")
    ),
}
"""Each command; the first two are what the others read. Those take the GPU where there is one."""

_SWEEPS = ("sweep", "sweep, no features")


def write_inputs(folder: Path) -> None:
    """Points of some regions with features, scores of pairs, and points of a new region."""
    generator = np.random.default_rng(0)
    total = _REGIONS * _POINTS
    region = np.repeat([f"r{k}" for k in range(_REGIONS)], _POINTS)
    lon, lat = generator.uniform(-60, 60, total), generator.uniform(-50, 50, total)
    ids = [f"p{k}" for k in range(total)]
    frame = pd.DataFrame({"id": ids, "region": region, "lon": lon, "lat": lat})
    frame.to_csv(folder / "points.csv", index=False)
    frame[:_POINTS].assign(region="new", lat=-lat[:_POINTS]).to_csv(folder / "new.csv", index=False)
    features = (
        generator.normal(size=(total, 6))
        + generator.normal(size=(_REGIONS, 6))[np.repeat(np.arange(_REGIONS), _POINTS)]
    )
    np.save(folder / "features.npy", features.astype(np.float32))
    np.save(folder / "features.ids.npy", np.array(ids))
    names = [f"r{k}" for k in range(_REGIONS)]
    pairs = pd.DataFrame([(s, t) for s in names for t in names], columns=["source", "target"])
    pairs.assign(score=generator.uniform(0.4, 0.9, len(pairs))).to_csv(
        folder / "scores.csv", index=False
    )


def run(call: Command, folder: Path, device: str) -> None:
    """Run a command in a folder, in this process; raises where it fails."""
    said, arguments = io.StringIO(), [call.name, *call.arguments]
    arguments += [f"device={device}"] if call.name in ("sweep", "nearest") else []
    # What they find in noise is not what is checked: they may be hasty.
    every = candidates([-1], positive=False)
    models = {name: every[name] for name in ("mean", "median")} | {"linear": every["mean"]}
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
        mock.patch.object(sys, "argv", ["geospot", *arguments]),
        mock.patch.object(predictor, "candidates", return_value=models),
        mock.patch.object(correlation, "KENDALL", 9),
    ):
        try:
            cli.main()
        except SystemExit as stop:
            if stop.code:
                raise RuntimeError(said.getvalue().strip()) from None


def differences(one: Path, other: Path) -> list[str]:
    """Where tables of two folders differ."""
    found, compared = [], 0
    for path in sorted(one.rglob("*.csv")) + sorted(one.rglob("*.parquet")):
        name = path.relative_to(one)
        read = pd.read_csv if path.suffix == ".csv" else pd.read_parquet
        if "pairs" in name.parts or "baselines" in name.parts or not (other / name).exists():
            continue  # shards, named by what is in them
        left, right = read(path), read(other / name)
        compared += 1
        for column in left.select_dtypes("number").columns:
            if column.startswith(("seconds", "iterations")):
                continue
            a, b = left[column].to_numpy(float), right[column].to_numpy(float)
            limit = MOST_APART * max(1e-3, float(np.nanmax(np.abs(b), initial=0.0)))
            if a.shape != b.shape or not np.allclose(a, b, rtol=0, atol=limit, equal_nan=True):
                found.append(f"{name}, {column}")
    return found if compared else ["there is no table"]


def check(folder: Path, letters: str = "") -> list[str]:
    """Run the commands in a folder; what is wrong."""
    wrong = []
    for name in ("cuda:0", "cpu"):
        (folder / name).mkdir()
        write_inputs(folder / name)
    for name, call in CALLS.items():
        if letters not in name and name not in _SWEEPS:
            continue
        gpu, began = Pretended(), time.perf_counter()
        try:
            run(call, folder / "cpu", "cpu")
            with gpu:
                gpu.probe("cuda:0")
                run(call, folder / "cuda:0", "cuda:0")
        except Exception as error:  # whatever a GPU would have raised
            wrong.append(f"{name}: {type(error).__name__}: {error}")
            print(f"{name:20s} FAILED {wrong[-1]}", flush=True)
            continue
        out = next(text for text in call.arguments if text.startswith("out=")).removeprefix("out=")
        bad = differences(folder / "cuda:0" / out, folder / "cpu" / out)
        bad += excess(gpu.counts, COMMANDS[name])
        bad += [] if gpu.counts else ["nothing ran on the device"]
        counts = ", ".join(f"{count} {what}" for what, count in sorted(gpu.counts.items()))
        spent = time.perf_counter() - began
        print(
            f"{name:20s} {'FAILED ' + '; '.join(bad) if bad else 'ok'} | {counts} | {spent:.0f} s"
        )
        wrong += [f"{name}: {what}" for what in bad]
    return wrong


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        if wrong := check(Path(folder), " ".join(sys.argv[1:])):
            raise SystemExit(f"these commands fail on a GPU: {'; '.join(wrong)}")


if __name__ == "__main__":
    main()
