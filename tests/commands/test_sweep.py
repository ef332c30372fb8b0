"""The command sweep, as a user meets it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import image

import geospot_gpu as gs
from tests.helpers.commands import Geospot
from tests.helpers.swept import LAST_LINE, Run, counts, messages, the_error


@pytest.mark.slow
def test_a_sweep_run_twice(sweep: Run, here: Run, tmp_path: Path) -> None:
    first = sweep("out=runs/towns")
    assert counts(first) == (6, 6, 0, 0)
    assert re.search(r"solving: 100%.* 6/6 \[.*<.*pairs(/s)?\]", first.stderr), "the progress bar"
    bars = ("self terms: ", "solving: ")
    assert all(line.startswith(bars) for line in messages(first)), "and nothing else"
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
    seconds = r"\d+\.\d s"
    assert re.fullmatch(
        f"time: {seconds} reading and encoding, {seconds} solving, {seconds} of it by workers",
        lines[-3],
    )
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
    second = here("out=runs/towns")
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


@pytest.mark.draws
@pytest.mark.parametrize("argument", ["preset=paper", "solver=geomloss"])
def test_other_solvers_show_what_they_compute(argument: str, here: Run, tmp_path: Path) -> None:
    done = here("out=run", argument)
    assert counts(done) == (6, 6, 0, 0)
    value = "transport_cost" if argument == "preset=paper" else "divergence"
    assert f"6 pairs, by {value.replace('_', ' ')}:" in done.stdout
    matrix = pd.read_csv(tmp_path / "run" / "matrix.csv", index_col=0)
    dataset = gs.open_run(tmp_path / "run")
    np.testing.assert_allclose(matrix, dataset[value], rtol=1e-6)
    assert (tmp_path / "run" / "heatmap.png").stat().st_size > 10_000
    assert "not converged: 0 of 6" in done.stdout
    config = json.loads((tmp_path / "run" / "manifest.json").read_text())["config"]
    if argument == "preset=paper":
        assert config["cost"]["scaling"] == "pair_max"
        assert config["outputs"] == ["transport_cost"]
        assert "blurs like" not in done.stdout, "there is no one scale"
        assert "every pair has a scale of its own (cost.scaling=pair_max)" in done.stdout
        line = next(line for line in done.stdout.splitlines() if line.startswith("  nearest"))
        one, low, high = map(float, re.findall(r"\d\.\d+", line))
        assert low - 5e-5 <= one <= high + 5e-5  # the value is printed with fewer digits
    else:
        assert "  in [" in done.stdout


@pytest.mark.parametrize(
    ("argument", "remedy"),
    [("solver.max_iterations=1", "solver.max_iterations"), ("solver=geomloss", "solver.scaling")],
)
def test_pairs_that_do_not_converge_are_no_failure(argument: str, remedy: str, here: Run) -> None:
    done = here("out=run", argument, "solver.tolerance=1e-6")
    assert counts(done) == (6, 6, 0, 6)
    assert "not converged: 6 of 6, largest marginal error" in done.stdout
    assert f"; raise {remedy}, solver.tolerance or solver.epsilon" in done.stdout


def test_a_folder_of_another_identity(here: Run, tmp_path: Path) -> None:
    counts(here("out=run"))
    manifest = (tmp_path / "run" / "manifest.json").read_bytes()
    assert the_error(here("out=run", "solver.epsilon=0.02")) == (
        "run holds another sweep (solver.epsilon=0.01 there, 0.02 here): continue it with its "
        "settings, or choose another folder with out=..."
    )
    assert (tmp_path / "run" / "manifest.json").read_bytes() == manifest


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_multirun_has_one_folder_per_point(here: Run, tmp_path: Path) -> None:
    """A failing job is told at once, by its number, and does not stop the others."""
    done = here("out=grid", "-m", "solver.epsilon=0.1,-1,0.2", "regions=column,default")
    assert done.returncode == 1
    errors = [line for line in messages(done) if not line.startswith(("self terms", "solving"))]
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


def test_the_nearest_alone(here: Run, geospot_here: Geospot, tmp_path: Path) -> None:
    here("out=r")
    matrix = pd.read_csv(tmp_path / "r" / "matrix.csv", index_col=0)
    done = here("out=r", "pairs=nearest", "k=1")
    assert counts(done) == (3, 0, 3, 0)
    lines = done.stdout.splitlines()
    assert lines[0] == "4 regions, the 1 nearest of each, by divergence: 3 pairs"
    solved = r"  solved [\d.]+% of 12 pairs, and bounded [\d.]+% by a half-step; "
    assert re.fullmatch(f"{solved}moments left out the others", lines[1])
    assert lines[2] == "  the order is certain: no interval overlaps with the next one's"
    table = pd.read_parquet(tmp_path / "r" / "neighbours.parquet")
    near = dict(zip(table["region"], table["neighbour"], strict=True))
    assert near == matrix.where(matrix > 0.0).idxmin().to_dict()
    for old in ("matrix.csv", "heatmap.png"):
        assert not (tmp_path / "r" / old).exists(), "of all pairs"
    (tmp_path / "scores.csv").write_text("source,target,score\nlima,oslo,0.5\nlima,rome,0.6\n")
    scored = ("scores.path=scores.csv", "scores.kind=accuracy", "scores.change=raw")
    error = the_error(geospot_here("transfer", "sweep=r", "out=t", *scored))
    assert error.startswith("r: has the 1 nearest regions of each alone, and all pairs are needed")
    for wrong, message in (
        (("pairs=nearest", "shard=1/2"), "shard=1/2 is of all pairs: leave it out"),
        (("pairs=nearest", "target_error=0.1"), "target_error=0.1 is of all pairs"),
        (("k=3",), "k=3 has no effect without pairs=nearest"),
        (("pairs=most",), "pairs='most' is unknown: use one of all, nearest"),
        (("pairs=nearest", "k=0"), "k=0: give how many regions to find of each, at least 1"),
    ):
        assert the_error(here("out=other", *wrong)).startswith(message)
    assert not (tmp_path / "other").exists()
