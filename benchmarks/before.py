"""What a change did to the time that people wait: the same work by two checkouts, in turn.

python -m benchmarks.before OLD

Every task runs in processes of its own, in turn by either checkout, so that noise strikes both;
either computes what its users ask for: divergences alone (with standard errors where a version
cannot leave them out), all outputs, neighbours, and the command ``geospot predict``.
"""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

ROUNDS = 3
HERE = Path(__file__).parents[1]
TARGETS = (3, 500, 1000, 1500, 2000)
"""Districts whose neighbours are sought."""


def divergences(regions: object) -> None:
    import geospot_gpu as gs

    if "outputs" in inspect.signature(gs.pairwise).parameters:
        gs.pairwise(regions, outputs=["divergence"], engine=gs.Engine("cpu"))  # type: ignore[arg-type]
    else:
        solver = gs.Sinkhorn(rho=None)  # type: ignore[arg-type]
        gs.pairwise(regions, solver=solver, engine=gs.Engine("cpu"))  # type: ignore[arg-type]


def everything(regions: object) -> None:
    import geospot_gpu as gs

    gs.pairwise(regions, engine=gs.Engine("cpu"))  # type: ignore[arg-type]


def work(task: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """A task, and little of the same, which compiles."""
    import geospot_gpu as gs
    from benchmarks.workloads import districts

    what, _, which = task.partition(", ")
    function = divergences if which == "divergences" else everything
    if what == "countries":
        regions = gs.Regions.from_gallery()
        return lambda: function(regions), lambda: function(regions.subset(regions.names[:4]))
    if what == "giants":
        regions = gs.Regions.from_gallery(max_points=None, include=["US", "GB"])
        few = gs.Regions.from_gallery(max_points=20, include=["US", "GB"])
        return lambda: function(regions), lambda: function(few)
    regions = districts()
    if what == "districts":
        some = regions.subset(regions.names[:300])
        return lambda: function(some), lambda: function(regions.subset(regions.names[:8]))
    names = [regions.names[k] for k in TARGETS]

    def search() -> None:
        for name in names:
            gs.nearest_regions(regions, name, 20, engine=gs.Engine("cpu"))

    return search, search


TASKS = (
    *("countries, divergences", "countries, all outputs"),
    *("districts, divergences", "districts, all outputs"),
    *("giants, divergences", "nearest of 5 districts"),
)


def once(task: str) -> float:
    """Seconds of a task in this process."""
    run, compile_ = work(task)
    compile_()
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def said(checkout: Path, *command: str | Path, folder: Path) -> str:
    """What a command says that runs the code of a checkout."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(checkout), "OMP_WAIT_POLICY": "PASSIVE"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def predicting(checkout: Path, folder: Path) -> float:
    """Seconds of ``geospot predict`` over the land, from a sweep of the checkout's own."""
    geospot = Path(sys.executable).with_name("geospot")
    own = folder / checkout.name
    if not own.exists():
        said(checkout, geospot, "sweep", f"out={own}", "device=cpu", folder=folder)
    scores = folder / "scores.csv"
    if not scores.exists():
        matrix = pd.read_csv(own / "matrix.csv", index_col=0)
        noise = np.random.default_rng(0).normal(0.0, 0.05, matrix.shape)
        (1.0 / (1.0 + 2.0 * matrix) + noise).to_csv(scores)
    out = folder / f"{checkout.name}-{time.monotonic_ns()}"
    asked = (
        f"sweep={own}",
        f"scores={scores}",
        "scores.kind=skill",
        "scores.change=raw",
        f"out={out}",
    )
    started = time.perf_counter()
    said(checkout, geospot, "predict", *asked, folder=folder)
    return time.perf_counter() - started


def main() -> None:
    from benchmarks.record import save

    checkouts = {"before": Path(sys.argv[1]).absolute(), "now": HERE}
    script = Path(__file__).absolute()
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        times: dict[str, dict[str, list[float]]] = {}
        for round_ in range(ROUNDS):
            for task in (*TASKS, "geospot predict"):
                for name, checkout in checkouts.items():
                    if task == "geospot predict":
                        if round_ == 0:
                            predicting(checkout, folder)  # encodes, and sweeps
                        seconds = predicting(checkout, folder)
                    else:
                        own = (sys.executable, script, "--task", task)
                        seconds = float(said(checkout, *own, folder=folder).splitlines()[-1])
                    times.setdefault(task, {}).setdefault(name, []).append(seconds)
                    sys.stderr.write(f"{task}, {name}: {seconds:.2f} s\n")
    for task, of_task in times.items():
        before, now = (float(np.median(of_task[name])) for name in ("before", "now"))
        figures[task] = f"{before:.2f} s before, {now:.2f} s now: {before / now:.2f} times as fast"
    save("before", figures)


if __name__ == "__main__":
    if sys.argv[1] == "--task":
        sys.stdout.write(f"{once(sys.argv[2])}\n")
    else:
        main()
