"""The command line, as a user meets it."""

from __future__ import annotations

import json
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import image

import geospot_gpu as gs
from tests.helpers.commands import GEOSPOT, Geospot
from tests.helpers.folders import mounted_disk

TOWNS = (
    "points=table",
    "points.path=towns.csv",
    "points.region=town",
    "encoder=none",
    "regions.min_points=1",
    "device=cpu",
)
LAST_LINE = re.compile(r"pairs total=(\d+) computed=(\d+) reused=(\d+) unconverged=(\d+)")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def sweep(geospot: Geospot, towns: Path) -> Run:
    """Run ``geospot sweep`` on the towns with more arguments."""
    return lambda *arguments, **environment: geospot("sweep", *TOWNS, *arguments, **environment)


@pytest.fixture
def here(geospot_here: Geospot, towns: Path) -> Run:
    """The same in this process."""
    return lambda *arguments: geospot_here("sweep", *TOWNS, *arguments)


def counts(done: subprocess.CompletedProcess[str]) -> tuple[int, ...]:
    """Total, computed, reused and unconverged from the last line of stdout."""
    assert done.returncode == 0, done.stderr
    match = LAST_LINE.fullmatch(done.stdout.rstrip("\n").split("\n")[-1])
    assert match, done.stdout
    return tuple(int(number) for number in match.groups())


def messages(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What stands on stderr; the progress bar, drawn again and again, as so many lines."""
    return [line for line in re.split(r"[\r\n]+", done.stderr) if line]


def the_error(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr of a command that failed."""
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = messages(done)
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


def test_a_sweep_run_twice(sweep: Run, tmp_path: Path) -> None:
    first = sweep("out=runs/towns")
    assert counts(first) == (6, 6, 0, 0)
    assert re.search(r"solving: 100%.* 6/6 \[.*<.*pairs/s\]", first.stderr), "the progress bar"
    assert all(line.startswith("solving: ") for line in messages(first)), "and nothing else"
    out = tmp_path / "runs" / "towns"
    assert sorted(path.name for path in out.iterdir()) == [
        *(".geospot", "distances", "heatmap.png", "identity.json", "manifest.json", "manifests"),
        *("matrix.csv", "regions", "regions.parquet"),
    ]
    assert not list(tmp_path.glob("outputs")), "no folder of Hydra"

    lines = first.stdout.splitlines()
    assert lines[0] == "4 regions, 6 pairs, by divergence:"
    assert re.fullmatch(r"  nearest   oslo - rome  0\.0891  in \[0\.08912, 0\.08913\]", lines[1])
    assert re.fullmatch(r"  farthest  rome - suva  0\.8392  in \[0\.83916, 0\.83916\]", lines[4])
    assert lines[-5] == "epsilon 0.01 blurs like 200 km of great circle (geo_weight 1)"
    assert lines[-4] == "not converged: 0 of 6; kernels: compiled kept 6"
    assert re.fullmatch(r"time: \d+\.\d s reading and encoding, \d+\.\d s solving", lines[-3])
    assert lines[-2] == "results in runs/towns"

    matrix = pd.read_csv(out / "matrix.csv", index_col=0)
    dataset = gs.open_run(out)
    assert matrix.index.tolist() == matrix.columns.tolist() == ["lima", "oslo", "rome", "suva"]
    np.testing.assert_allclose(matrix, dataset.divergence, rtol=1e-6)
    pixels = image.imread(out / "heatmap.png")
    assert min(pixels.shape[:2]) > 300
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 100
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["config"]["points"]["path"] == str(tmp_path / "towns.csv")
    assert manifest["config"]["out"] == "runs/towns"
    assert (manifest["seed"], manifest["max_points"], manifest["device"]) == (0, 1000, "cpu")

    shards = {path: path.read_bytes() for path in (out / "distances").iterdir()}
    second = sweep("out=runs/towns")
    assert counts(second) == (6, 0, 6, 0)
    assert second.stderr == "", "no bar where there is nothing to do"
    assert second.stdout.splitlines()[:-3] == lines[:-3]
    assert {path: path.read_bytes() for path in (out / "distances").iterdir()} == shards


def test_a_rectangular_sweep(here: Run, towns: Path, tmp_path: Path) -> None:
    table = pd.read_csv(towns).rename(columns={"lon": "lng", "town": "place"})
    table[table["place"] != "suva"].to_csv(tmp_path / "later.csv", index=False)
    done = here("out=r", "against.path=later.csv", "against.lon=lng", "against.region=place")
    assert counts(done) == (12, 12, 0, 0)
    assert done.stdout.startswith("4 x 3 regions, 12 pairs, by divergence:\n")
    matrix = pd.read_csv(tmp_path / "r" / "matrix.csv", index_col=0)
    assert matrix.shape == (4, 3)
    assert matrix.loc["oslo", "oslo"] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(("argument", "unconverged"), [("preset=paper", 0), ("solver=geomloss", 6)])
def test_solvers_without_a_divergence_show_the_transport_cost(
    argument: str, unconverged: int, here: Run, tmp_path: Path
) -> None:
    done = here("out=run", argument)
    assert counts(done) == (6, 6, 0, unconverged)
    value = "transport_cost" if argument == "preset=paper" else "divergence"
    assert f"6 pairs, by {value.replace('_', ' ')}:" in done.stdout
    matrix = pd.read_csv(tmp_path / "run" / "matrix.csv", index_col=0)
    dataset = gs.open_run(tmp_path / "run")
    np.testing.assert_allclose(matrix, dataset[value], rtol=1e-6)
    assert (tmp_path / "run" / "heatmap.png").stat().st_size > 10_000
    config = json.loads((tmp_path / "run" / "manifest.json").read_text())["config"]
    if argument == "preset=paper":
        assert config["cost"]["scaling"] == "pair_max"
        assert config["outputs"] == ["transport_cost"]
        assert "not converged: 0 of 6" in done.stdout
        assert "blurs like" not in done.stdout, "there is no one scale"
        assert "every pair has a scale of its own (cost.scaling=pair_max)" in done.stdout
        line = next(line for line in done.stdout.splitlines() if line.startswith("  nearest"))
        one, low, high = map(float, re.findall(r"\d\.\d+", line))
        assert low - 5e-5 <= one <= high + 5e-5  # the value is printed with fewer digits
    else:
        assert "  in [" not in done.stdout
        assert "not converged: unknown, solver=geomloss does not check" in done.stdout


def test_pairs_that_do_not_converge_are_no_failure(here: Run) -> None:
    done = here("out=run", "solver.max_iterations=1", "solver.tolerance=1e-6")
    assert counts(done) == (6, 6, 0, 6)
    assert "not converged: 6 of 6, largest marginal error" in done.stdout


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
    "out=run regions=polygons": "regions=polygons needs regions.path=... and regions.name=...",
    "out=run regions.degrees=5": "regions.degrees=5.0 has no effect without regions=grid",
    "out=run points=gallery": "points.path=towns.csv has no effect without points=table",
    "out=run against.lon=x": "against.lon=x has no effect without against.path=...",
    "out=run regions.max_points=many": "regions.max_points: Value 'many' of type 'str' could not",
    "out=run solver.max_iterations=null": "solver.max_iterations: Incompatible value 'None'",
    "out=run regions.include=lima": "regions.include is a list: write regions.include=[...]",
    "out=run solver.epsilon=1,2": "solver.epsilon=1,2 gives several values: add -m",
    "out=[a": "cannot read 'out=[a' as key=value: quote a value",
    "out=run cost=[[a]]": "cost=[[a]] is unknown: use one of cosine, euclidean, sqeuclidean",
    "out=run points=[a]": "points=[a] is unknown: use one of gallery, table",
    "out=run points={table:1}": "points={table:1} is unknown; did you mean 'table'?",
    "out=run regions=griid": "regions=griid is unknown; did you mean 'grid'?",
    "out=[a,b]": "out takes one value: give no list or mapping",
    "out=run here": "cannot read 'here' as key=value",
    "out=run --verbose": "there is no option '--verbose'; use one of -h, --help, -m",
    "out=run points.path=nowhere.csv": "nowhere.csv",
    "out=towns.csv": "towns.csv: cannot be created (Not a directory)",
    "-m out=a,b": "out cannot be swept",
    "-m solver.epsilon=1,2": "out is needed: give out=...",
    "-m out=run solver=sinkhorn,foo": "solver=foo is unknown: use one of geomloss, sinkhorn",
}


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


def test_a_folder_of_another_identity(here: Run, tmp_path: Path) -> None:
    counts(here("out=run"))
    manifest = (tmp_path / "run" / "manifest.json").read_bytes()
    assert the_error(here("out=run", "solver.epsilon=0.02")) == (
        "run holds another sweep (solver.epsilon=0.01 there, 0.02 here): continue it with its "
        "settings, or choose another folder with out=..."
    )
    assert (tmp_path / "run" / "manifest.json").read_bytes() == manifest


def test_a_damaged_shard_is_one_warning(sweep: Run, here: Run, tmp_path: Path) -> None:
    counts(here("out=run"))
    (shard,) = (tmp_path / "run" / "distances").iterdir()
    shard.write_bytes(shard.read_bytes()[:100])
    done = sweep("out=run")
    assert counts(done) == (6, 6, 0, 0)
    name = f"run/distances/{shard.name}"
    warning = f"warning: {name}: is damaged, its pairs have to be computed again"
    assert [line for line in messages(done) if not line.startswith("solving")] == [warning]
    assert counts(here("out=run")) == (6, 0, 6, 0)


def test_cuda_without_cuda(sweep: Run) -> None:
    done = sweep("out=run", "device=cuda", CUDA_VISIBLE_DEVICES="")
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


def test_help_of_the_sweep_names_every_group_and_option(geospot: Geospot) -> None:
    done = geospot("sweep", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    conf = Path(gs.__file__).parent / "conf"
    groups = [
        path
        for path in sorted(conf.iterdir())
        if path.is_dir() and path.name not in ("__pycache__", "command")
    ]
    assert len(groups) == 8
    for group in groups:
        options = {path.stem for path in group.glob("*.yaml")}
        line = re.search(rf"^  {group.name} +(.*)$", done.stdout, re.MULTILINE)
        assert line, group.name
        assert set(line[1].split(", ")) == options
    assert "epsilon: 0.01" in done.stdout


def test_the_version(geospot: Geospot) -> None:
    assert geospot("--version").stdout == f"{gs.__version__}\n"


def test_a_multirun_has_one_folder_per_point(sweep: Run, here: Run, tmp_path: Path) -> None:
    """A failing job is told at once, by its number, and does not stop the others."""
    done = sweep("out=grid", "-m", "solver.epsilon=0.1,-1,0.2", "regions=column,default")
    assert done.returncode == 1
    errors = [line for line in messages(done) if not line.startswith("solving")]
    assert errors == [
        "error: job 2: solver.epsilon=-1.0 must be positive: try 0.01",
        "error: job 3: solver.epsilon=-1.0 must be positive: try 0.01",
    ]
    jobs = [line for line in done.stdout.splitlines() if line.startswith("job ")]
    names = [
        f"regions={by},solver.epsilon={epsilon}"
        for epsilon in ("0.1", "-1", "0.2")
        for by in ("column", "default")
    ]
    assert jobs == [f"job {number}: {name}" for number, name in enumerate(names)]
    assert len(LAST_LINE.findall(done.stdout)) == 4
    assert {path.name for path in (tmp_path / "grid").iterdir() if path.is_dir()} == set(names)
    for name in names:
        whole = (tmp_path / "grid" / name / "manifest.json").exists()
        assert whole == ("-1" not in name)
    dataset = gs.open_run(tmp_path / "grid" / names[0])
    assert json.loads(dataset.attrs["manifest"])["identity"]["solver"]["epsilon"] == 0.1

    again = here("out=grid", "--multirun", "solver.epsilon=0.1,0.2", "regions=column,default")
    assert again.returncode == 0, again.stderr
    assert [match[:3] for match in LAST_LINE.findall(again.stdout)] == [("6", "0", "6")] * 4


def test_a_swept_path_is_one_folder(here: Run, towns: Path, tmp_path: Path) -> None:
    """Although points.path is among the fixed arguments as well."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "towns.csv").write_bytes(towns.read_bytes())
    done = here("-m", "out=grid", "points.path=towns.csv,more/towns.csv")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "grid").iterdir() if path.is_dir()} == {
        "points.path=towns.csv",
        "points.path=more-towns.csv",
    }


@pytest.fixture
def long_sweep(tmp_path: Path) -> list[str]:
    """Arguments of a sweep of 66 pairs in many shards, which takes some seconds."""
    generator = np.random.default_rng(0)
    count = 12 * 1200
    pd.DataFrame(
        {
            "town": np.repeat([f"t{k:02d}" for k in range(12)], 1200),
            "lon": generator.uniform(-180, 180, count),
            "lat": generator.uniform(-60, 60, count),
        }
    ).to_csv(tmp_path / "towns.csv", index=False)
    return [str(GEOSPOT), "sweep", *TOWNS, "out=run", "regions.max_points=null"]


def stop_after_some_shards(command: list[str], folder: Path, number: int) -> tuple[int, str]:
    """Start the command, send it a signal when two shards are there; its exit code and stderr."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        # Shells start jobs in the background with interrupts ignored, and that is handed on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while len(list(folder.glob("run/distances/part-*.parquet"))) < 2:
        assert process.poll() is None, "it ended before it could be stopped"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=120)
    return process.returncode, stderr


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_goes_on(
    number: signal.Signals, long_sweep: list[str], tmp_path: Path, geospot: Geospot
) -> None:
    code, stderr = stop_after_some_shards(long_sweep, tmp_path, number)
    if number != signal.SIGKILL:
        assert code == 130
        assert "Traceback" not in stderr
        assert stderr.splitlines()[-1] == (
            "interrupted; finished batches are kept, and the same command goes on from there"
        )
    else:
        assert code == -signal.SIGKILL
    shards = {path: path.read_bytes() for path in tmp_path.glob("run/distances/part-*.parquet")}
    done = sum(len(pd.read_parquet(path)) for path in shards)
    assert 0 < done < 66, "stopped in the middle"
    assert int(gs.open_run(tmp_path / "run").divergence.notnull().sum()) == 2 * done + 12

    total, computed, reused, _ = counts(geospot(*long_sweep[1:]))
    assert (total, computed, reused) == (66, 66 - done, done)
    assert all(path.read_bytes() == content for path, content in shards.items())
    pairs = pd.concat(pd.read_parquet(path) for path in tmp_path.glob("run/distances/*.parquet"))
    names = [f"t{k:02d}" for k in range(12)]
    expected_pairs = {(a, b) for a in names for b in names if a < b}
    assert sorted(zip(pairs["source"], pairs["target"], strict=True)) == sorted(expected_pairs)
    assert gs.open_run(tmp_path / "run").divergence.notnull().all()


@pytest.mark.parametrize("limit", [1200, 6000, 20_000])
def test_files_that_may_not_grow(limit: int, towns: Path, tmp_path: Path, here: Run) -> None:
    """A full disk early and late in the run: for the identity, the regions, the heatmap."""
    done = subprocess.run(
        [str(GEOSPOT), "sweep", *TOWNS, "out=run"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 1
    (line,) = [line for line in messages(done) if not line.startswith("solving")]
    kept = "(; .* are kept, and the same command goes on from there)?"
    assert re.fullmatch(rf"error: run(/\S+)?: cannot be written \(File too large\){kept}", line)
    assert not list((tmp_path / "run").rglob(".*.tmp")), "nothing half written is left"
    shards = len(list(tmp_path.glob("run/distances/part-*.parquet")))
    assert counts(here("out=run"))[:2] == (6, 0 if shards else 6)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 32 KiB."""
    with mounted_disk(tmp_path / "disk", "32k") as folder:
        yield folder


def test_a_full_disk(small_disk: Path, sweep: Run, here: Run) -> None:
    done = sweep("out=disk/run")
    assert done.returncode == 1
    expected = (
        r"error: disk/run(/matrix.csv|/heatmap.png)?: cannot be written \(No space left on .*\); "
        "all distances are kept, and the same command goes on from there"
    )
    assert re.fullmatch(expected, messages(done)[-1])
    subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
    assert counts(here("out=disk/run")) == (6, 0, 6, 0)


@pytest.mark.parametrize("state", ["read-only", "full"])
def test_nothing_to_do_succeeds_on_any_disk(
    state: str, small_disk: Path, here: Run, caplog: pytest.LogCaptureFixture
) -> None:
    subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
    assert counts(here("out=disk/run")) == (6, 6, 0, 0)
    if state == "read-only":
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    else:
        with pytest.raises(OSError, match="No space left"):
            (small_disk / "filler").write_bytes(bytes(2**20))
    assert counts(here("out=disk/run")) == (6, 0, 6, 0)
    assert caplog.text == ""
    # The manifest would say something else, which is not worth a failure.
    assert counts(here("out=./disk/run")) == (6, 0, 6, 0)
    assert "nothing was to be computed, and what is there is kept: " in caplog.text
    assert "cannot be written" in caplog.text
    more = here("out=disk/run", "regions=grid", "regions.degrees=10")
    assert "cannot be written" in the_error(more)
    assert "finished batches are kept" not in more.stderr


def test_a_disk_that_may_not_be_written(small_disk: Path, here: Run) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    error = the_error(here("out=disk/run"))
    assert error == "disk/run: cannot be created (Read-only file system)"
    assert the_error(here("-m", "out=disk/run", "solver.epsilon=0.1,0.2")) == (
        "disk/run: Read-only file system"
    )


def test_a_reader_that_stops_reading(towns: Path, tmp_path: Path) -> None:
    command = [str(GEOSPOT), "sweep", *TOWNS, "out=run"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    assert process.wait(timeout=120) == 0
    assert (tmp_path / "run" / "matrix.csv").exists()


@pytest.mark.parametrize("name", ["matrix.csv", "heatmap.png", "regions.parquet", "manifest.json"])
def test_a_sweep_keeps_what_the_user_has_in_its_folder(
    name: str, here: Run, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).write_text("mine")
    error = the_error(here("out=run"))
    assert f"run/{name}: " in error
    assert "choose another folder with out=..." in error
    assert [path.name for path in (tmp_path / "run").iterdir()] == [name], "nothing was computed"
    assert (tmp_path / "run" / name).read_text() == "mine"
    if name != "manifest.json":
        assert here("out=run", "overwrite=true").returncode == 0
        assert (tmp_path / "run" / name).read_bytes() != b"mine"


def test_a_sweep_does_not_write_over_its_points(here: Run, towns: Path, tmp_path: Path) -> None:
    content = towns.read_bytes()
    towns.rename(tmp_path / "matrix.csv")
    for overwrite in ("false", "true"):
        done = here("points.path=matrix.csv", "out=.", f"overwrite={overwrite}")
        assert "matrix.csv: is an input of this command" in the_error(done)
    assert (tmp_path / "matrix.csv").read_bytes() == content


def test_a_matrix_of_fewer_regions_is_not_left_standing(
    here: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    three = here("out=run", "regions.include=[lima,oslo,rome]")
    assert three.returncode == 0
    assert (tmp_path / "run" / "matrix.csv").exists()
    monkeypatch.setattr("geospot_gpu.commands.sweep.LARGEST_MATRIX", 3)
    four = here("out=run")
    assert counts(four)[:2] == (6, 3)
    assert "no matrix.csv and heatmap.png of more than 3 regions" in four.stdout
    assert not (tmp_path / "run" / "matrix.csv").exists()
    assert not (tmp_path / "run" / "heatmap.png").exists()
    (tmp_path / "run" / "matrix.csv").write_text("mine")
    assert "run/matrix.csv: was not written by geospot" in the_error(here("out=run"))
    assert (tmp_path / "run" / "matrix.csv").read_text() == "mine"
    (tmp_path / "run" / "matrix.csv").unlink()
    assert here("out=run", "regions.include=[lima,oslo,rome]").returncode == 0
    matrix = pd.read_csv(tmp_path / "run" / "matrix.csv", index_col=0)
    assert matrix.index.tolist() == ["lima", "oslo", "rome"]


def test_the_home_folder_may_be_written_as_a_tilde(
    here: Run, geospot_here: Geospot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert here("out=~/run").returncode == 0
    assert here("-m", "out=~/grid", "solver.epsilon=0.1,0.2").returncode == 0
    explain = ("explain", "sweep=~/run", "source=oslo", "target=rome", "out=~/explained")
    assert geospot_here(*explain).returncode == 0
    names = {path.name for path in (tmp_path / "home").iterdir()}
    assert names == {"run", "grid", "explained"}
    assert not (tmp_path / "~").exists()
