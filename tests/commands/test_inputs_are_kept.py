"""No command destroys what is the user's, as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from geospot_gpu.config import overrides, settings
from tests.helpers.commands import Geospot
from tests.helpers.scored import NAMES, PLAIN, REPORT, TABLE, points

pytestmark = pytest.mark.usefixtures("few_models")

COMMANDS = {
    "transfer": ("transfer", *REPORT),
    "predict": ("predict", *REPORT, "targets=points.csv", "targets.region=region"),
    "explain": ("explain", "sweep=run", "source=r01", "target=r07"),
    "select": ("select", "sweep=run", "target=r03", "budget=20", "max_regions=2"),
    "points": ("select", "sweep=run", "target=r03", "budget=3", "over=points"),
    "nearest": ("nearest", *PLAIN, "target=r03", "k=2"),
}
FILES = {
    "transfer": {"correlations.parquet", "pairs.parquet", "transfer.png", "summary.json"},
    "predict": {"predictions.parquet", "summary.json"},
    "explain": {
        *("contributions.parquet", "contributions.geojson", "contributions.png", "summary.json"),
    },
    "select": {"selection.csv", "selection.png", "summary.json"},
    "points": {"points.parquet", "points.png", "summary.json"},
    "nearest": {"nearest.csv", "nearest.png", "summary.json"},
}


def refused(run: Geospot, *arguments: str) -> str:
    """The one line of a command that fails before it changes anything."""
    done = run(*arguments)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return line.removeprefix("error: ")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def inodes(folder: Path) -> dict[str, int]:
    """Which file has each name; there is no other."""
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {".geospot"}
    return {path.name: path.stat().st_ino for path in folder.iterdir() if path.is_file()}


def test_every_setting_that_names_a_file_is_an_input() -> None:
    """A new one is to be named as those are."""
    found = set()
    for command in settings.SCHEMAS:
        found |= {key.rpartition(".")[2] for key in overrides.text_keys(command)}
    others = {
        *("out", "sweep", "device", "cache", "root", "reference"),  # folders
        "transfer",  # a folder whose summary.json is an input: commands/test_selection.py
        *("predict", "select", "explain", "multirun"),  # folders that geospot report reads
        *("model", "weights"),  # of models, which no output is called like
        *("source", "target", "region", "lon", "lat", "weight", "id", "name", "score", "columns"),
        "label",
        *(
            "by",
            "over",
            "method",
            "have",
            "include",
            "exclude",
            "unions",
            "kind",
            "change",
            "purpose",
        ),
        *("invalid", "feature", "scaling", "precision", "memory_budget"),
        *("backend", "storage", "outputs", "shard", "pairs", "address"),
        *("arguments", "column", "crs", "mode", "order", "preset", "space", "spaces", "split"),
        *("units", "bands", "variable", "shots"),
    }
    assert found - others == {"path", "labels", "features", "prices"}


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_replaces_its_own_results_and_no_others(
    run: Geospot, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, arguments = tmp_path / "out", (*COMMANDS[command], "out=out")
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert set(files(out)) == FILES[command]

    write_text = Path.write_text

    def full(path: Path, text: str) -> int:
        if path.name == "summary.json":  # all others are written
            raise OSError(28, "No space left on device")
        return write_text(path, text)

    which = inodes(out)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        said = refused(run, *arguments)
    assert said == "out: cannot be written (No space left on device)"
    assert inodes(out) == which, "a file was written before all were"
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert inodes(out).keys() == which.keys()
    assert not set(inodes(out).values()) & set(which.values()), "one was not written together"
    # What is there is looked at before anything is computed.
    monkeypatch.setattr("geospot_gpu.config.objects.make_regions", None)
    before = files(out)
    for name in FILES[command]:
        (out / name).write_bytes(before[name] + b" ")
        said = refused(run, *arguments)
        assert said.startswith(f"out/{name}: was not written by geospot, or changed since: ")
        assert files(out) == before | {name: before[name] + b" "}
        (out / name).write_bytes(before[name])


@pytest.mark.slow
def test_one_folder_for_everything(run: Geospot, tmp_path: Path) -> None:
    """That of the sweep, where the sweep goes on afterwards."""
    before = files(tmp_path / "run")
    del before["manifest.json"]  # says where the points are, which were elsewhere before
    for arguments in COMMANDS.values():
        done = run(*arguments, "out=run")
        assert done.returncode == 0, done.stderr
    # The two kinds of selection are one command: the later one's results are there.
    expected = set().union(*FILES.values()) - FILES["select"] | {"summary.json"}
    assert expected <= set(files(tmp_path / "run"))
    assert not (tmp_path / "run" / "selection.csv").exists()
    assert "neighbours" not in json.loads((tmp_path / "run" / "summary.json").read_text())
    assert before.items() <= files(tmp_path / "run").items()
    again = run("sweep", *PLAIN, "out=run")
    assert "computed=0 reused=45" in again.stdout
    assert before.items() <= files(tmp_path / "run").items()
    assert run(*COMMANDS["explain"], "out=run").returncode == 0


@pytest.mark.slow
def test_an_input_is_never_replaced(run: Geospot, tmp_path: Path, swept: Path) -> None:
    table = points().assign(id=np.arange(300))
    for name in ("points.parquet", "predictions.parquet", "map.parquet"):
        table.to_parquet(tmp_path / name)
    prices = pd.DataFrame({"region": NAMES, "per_region": 0, "per_sample": 1})
    prices.to_csv(tmp_path / "selection.csv", index=False)
    table.to_csv(tmp_path / "nearest.csv", index=False)
    (tmp_path / "correlations.parquet").symlink_to("scores.csv")
    before = files(tmp_path)
    inputs = {
        "points.parquet": (*COMMANDS["points"], "pool=points.parquet"),
        "predictions.parquet": (*COMMANDS["predict"][:-2], "targets=./predictions.parquet"),
        "map.parquet": (*COMMANDS["predict"][:-2], "targets=run/../map.parquet"),
        "selection.csv": (*COMMANDS["select"], "quota=10", f"prices={tmp_path}/selection.csv"),
        "nearest.csv": ("nearest", "points=table", "points.path=nearest.csv", "target=r03"),
        "correlations.parquet": COMMANDS["transfer"],
        "summary.json": COMMANDS["explain"],  # the points of the sweep
    }
    for name, arguments in inputs.items():
        if name == "summary.json":
            (tmp_path / name).hardlink_to(swept / "points.csv")
            before = files(tmp_path)
        for more in ((), ("overwrite=true",)):
            said = refused(run, *arguments, "out=.", *more)
            assert said.startswith(f"{name}: is an input of this command and would be overwritten")
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("group", "arguments"),
    [
        ("against", ("against.path=out/summary.json",)),
        ("regions", ("regions=polygons", "regions.path=out/summary.json", "regions.name=a")),
        ("encoder", ("encoder=precomputed", "encoder.path=out/summary.json", "encoder.id=id")),
    ],
)
def test_inputs_of_every_group(
    run: Geospot, tmp_path: Path, group: str, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "summary.json").write_text("mine")
    said = refused(run, "nearest", *TABLE, *arguments, "target=r03", "out=out", "overwrite=true")
    assert said.startswith("out/summary.json: is an input"), group


def test_overwrite_replaces_what_is_no_input(run: Geospot, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "selection.csv").write_text("mine")
    (tmp_path / "out" / "notes.txt").write_text("mine, too")
    (tmp_path / "out" / "selection.png").symlink_to(tmp_path / "gone" / "selection.png")
    assert refused(run, *COMMANDS["select"], "out=out").startswith("out/selection.csv: was not ")
    done = run(*COMMANDS["select"], "out=out", "overwrite=true")
    assert done.returncode == 0, done.stderr
    assert set(files(tmp_path / "out")) == {*FILES["select"], "notes.txt"}
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine, too"
    assert not (tmp_path / "out" / "selection.png").is_symlink()
    assert not (tmp_path / "gone").exists()


@pytest.mark.slow
def test_a_map_of_an_earlier_run_does_not_stay(run: Geospot, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("out")
    (tmp_path / "out").mkdir()
    world = ("predict", *REPORT, "targets.degrees=45", "targets.points=40", "out=link")
    maps = {"map.parquet", "map.png"}
    assert run(*world).returncode == 0
    assert set(files(tmp_path / "out")) == FILES["predict"] | maps
    assert run(*COMMANDS["predict"], "out=link").returncode == 0
    assert set(files(tmp_path / "out")) == FILES["predict"]
    for name in maps:
        (tmp_path / "out" / name).write_text("mine")
    assert run(*COMMANDS["predict"], "out=link", "overwrite=true").returncode == 0
    assert set(files(tmp_path / "out")) == FILES["predict"] | maps
    assert refused(run, *world).startswith("link/map.parquet: was not written by geospot")


@pytest.mark.slow
def test_a_multirun_goes_into_its_folders_again(run: Geospot, tmp_path: Path) -> None:
    arguments = (*COMMANDS["select"], "-m", "method=union,nearest", "out=out")
    for more in ((), (), ("overwrite=true",)):
        done = run(*arguments, *more)
        assert done.returncode == 0, done.stderr
        for job in ("method=union", "method=nearest"):
            assert set(files(tmp_path / "out" / job)) == FILES["select"]
    (tmp_path / "out" / "method=union" / "selection.csv").write_text("mine")
    done = run(*arguments)
    assert done.returncode == 1
    assert "error: job 0: " in done.stderr
    assert "method=union/selection.csv: was not written by geospot" in done.stderr
    assert "error: job 1" not in done.stderr
    assert (tmp_path / "out" / "method=union" / "selection.csv").read_text() == "mine"


@pytest.mark.parametrize("command", COMMANDS)
def test_what_cannot_be_written_is_said_first(
    run: Geospot, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geospot_gpu.config.objects.make_regions", None)
    (tmp_path / "file").write_text("mine")
    assert refused(run, *COMMANDS[command], "out=file") == (
        "file: cannot be created (Not a directory)"
    )

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    assert refused(run, *COMMANDS[command], "out=out") == (
        "out: cannot be created (No space left on device)"
    )
    assert refused(run, *COMMANDS[command], "out=run") == (
        "run: cannot be written (No space left on device)"
    )
