"""The command line: what it helps with, and what it says of mistakes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import geospot_gpu as gs
from geospot_gpu.config.settings import OPTIONS
from tests.helpers.commands import GEOSPOT, Geospot
from tests.helpers.swept import Run, the_error

BAD = {
    "out=run regions.include=[lima]": "only one region (lima): distances need two; group the",
    "out=run solver.epsilon=0": "solver.epsilon=0.0 must be positive",
    "out=run solver.epsilon=-0.5": "solver.epsilon=-0.5 must be positive",
    "out=run cost.geo_weight=0.5": "cost.geo_weight=0.5 needs features and encoder=none gives",
    "out=run solver.epsilom=1": "there is no setting 'solver.epsilom'; did you mean 'solver.epsil",
    "out=run solver=geomloss solver.scalin=1": "did you mean 'solver.scaling'?",
    "out=run epsilon=1": "there is no setting 'epsilon'; did you mean 'solver.epsilon'?",
    "out=run solvr=sinkhorn": "there is no setting 'solvr'; did you mean 'solver'?",
    "out=run +solver.omega=1": "there is no setting 'solver.omega'",
    "out=run +colour=red": "there is no setting 'colour'",
    "out=run solver=sinkhon": "solver=sinkhon is unknown; did you mean 'sinkhorn'?",
    "out=run engine.backend=cuda": "engine.backend='cuda' is unknown: use one of auto, triton, ",
    "out=run kernel=dense": "kernel=dense is now engine.storage=kept",
    "out=run kernel.name=triton": "kernel=triton is now engine.backend=triton",
    "out=run kernel=cuda": "kernel=cuda is now engine.backend=... engine.storage=...",
    "out=run preset=papre": "preset=papre is unknown; did you mean 'paper'?",
    "out=run encoder.name=clip": "encoder.name=clip is unknown: use one of geoclip, precomputed",
    "": "out is needed: give out=...",
    "out=": "out is needed: give out=...",
    "out=run points.path=null": "points=table needs points.path=...",
    "out=run points.split=[test]": "points.split=['test'] has no effect without a data set, as",
    "out=run points.split=test": "points.split is a list: write points.split=[...]",
    "out=run points=fmow points.path=null": "points=fmow needs points.root=...: the folder with",
    "out=run points=fmow root=.": "points.path=towns.csv has no effect without points=table",
    "out=run regions=polygons": "regions=polygons needs regions.path=...: the file of polygons",
    "out=run regions.degrees=5": "regions.degrees=5.0 has no effect without regions=grid",
    "out=run points=gallery": "points.path=towns.csv has no effect without points=table",
    "out=run against.lon=x": "against.lon=x has no effect without against.path=...",
    "out=run regions.max_points=many": "regions.max_points: Value 'many' of type 'str' could not",
    "out=run solver.max_iterations=null": "solver.max_iterations: Incompatible value 'None'",
    "out=run regions.include=lima": "regions.include is a list: write regions.include=[...]",
    "out=run solver.epsilon=1,2": "solver.epsilon=1,2 gives several values: add -m",
    "out=[a": "cannot read 'out=[a' as key=value: quote a value",
    "out=run cost=[[a]]": "cost=[[a]] is unknown: use one of cosine, euclidean, sqeuclidean",
    "out=run points=[a]": "points=[a] is unknown: use one of cropharvest, ",
    "out=run points={table:1}": "points={table:1} is unknown; did you mean 'table'?",
    "out=run regions=griid": "regions=griid is unknown; did you mean 'grid'?",
    "out=[a,b]": "out takes one value: give no list or mapping",
    "out=run here": "cannot read 'here' as key=value",
    "out=run --version": "there is no option '--version'; use one of -h, --help, -m",
    "out=run points.path=nowhere.csv": "nowhere.csv",
    "out=towns.csv": "towns.csv: cannot be created (Not a directory)",
    "-m out=a,b": "out cannot be swept",
    "-m solver.epsilon=1,2": "out is needed: give out=...",
    "-m out=run solver=sinkhorn,foo": "solver=foo is unknown: use one of sinkhorn, geomloss, emd",
}


@pytest.mark.slow
@pytest.mark.parametrize("arguments", BAD)
def test_a_mistake_gets_one_line_and_leaves_nothing(
    arguments: str, here: Run, tmp_path: Path
) -> None:
    done = here(*arguments.split())
    assert BAD[arguments] in the_error(done)
    assert done.stdout == ""
    assert not list(tmp_path.glob("run/distances"))


def test_a_mistake_on_the_terminal(sweep: Run) -> None:
    assert the_error(sweep("out=run", "solver.epsilom=1")) == (
        "there is no setting 'solver.epsilom'; did you mean 'solver.epsilon'?"
    )


def test_an_unknown_command(geospot: Geospot) -> None:
    expected = "there is no command 'swep'; did you mean 'sweep'?; see geospot --help"
    assert the_error(geospot("swep", "out=x")) == expected


def test_cuda_without_cuda(here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    done = here("out=run", "device=cuda")
    assert "CUDA device here; use device=cpu or auto" in the_error(done)


@pytest.mark.parametrize("arguments", [(), ("-h",), ("--help",)])
def test_help_is_quick_for_want_of_heavy_imports(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(GEOSPOT), *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "sweep" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "geospot_gpu.cli" in imported
    assert not imported & {"torch", "hydra", "omegaconf", "pandas", "numpy", "pyarrow"}


def test_help_of_the_sweep_names_every_group_and_option(geospot_here: Geospot) -> None:
    done = geospot_here("sweep", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    conf = Path(gs.__file__).parent / "conf"
    folders = {path.name for path in conf.iterdir() if path.is_dir()}
    groups = folders - {"__pycache__", "command"} | set(OPTIONS) - {"embed"}  # of another command
    assert groups >= {"points", "regions", "encoder", "cost", "solver", "engine", "preset"}
    for group in groups:
        line = re.search(rf"^  {group} +(.*)$", done.stdout, re.MULTILINE)
        assert line, group
        written = {path.stem for path in (conf / group).glob("*.yaml")}
        assert set(line[1].split(", ")) == written | set(OPTIONS.get(group, ()))
    assert "epsilon: 0.01" in done.stdout


def test_the_version(geospot: Geospot) -> None:
    assert geospot("--version").stdout == f"{gs.__version__}\n"
