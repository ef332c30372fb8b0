"""geospot convert, and folders that are named as the first argument."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.helpers.commands import Geospot
from tests.helpers.old_runs import aged
from tests.helpers.scored import PLAIN
from tests.helpers.swept import counts, the_error


@pytest.mark.parametrize("named", ["run", "sweep=run", "./solver.epsilon=0.01,it's ${x}"])
def test_a_run_is_converted_and_goes_on(named: str, run: Geospot, tmp_path: Path) -> None:
    folder = named.removeprefix("sweep=")
    if folder != "run":
        shutil.move(tmp_path / "run", tmp_path / folder)
    rows = aged(tmp_path / folder, each=20)
    done = run("convert", named)
    assert done.returncode == 0, done.stderr
    name = folder.removeprefix("./")
    lines = done.stdout.splitlines()
    assert lines[0] == f"{len(rows)} pairs of {name} are in blocks now"
    assert lines[1].startswith("3 files, 0.0 MiB before; 1 files, 0.0 MiB now")
    size = next((tmp_path / folder / "distances").iterdir()).stat().st_size
    assert lines[2:] == [f"pairs=45 files=1 bytes={size} damaged=0 lost=0"]

    again = run("convert", named)
    assert again.stdout == f"{name}: there is nothing to convert\npairs=0 lost=0\n"
    assert again.returncode == 0
    if folder == "run":
        assert counts(run("sweep", *PLAIN, "out=run")) == (45, 0, 45, 0)


def test_what_is_lost_or_left_out_is_said(
    run: Geospot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    aged(tmp_path / "run", each=20)
    bad = sorted((tmp_path / "run" / "distances").iterdir())[0]
    content = bytearray(bad.read_bytes())
    content[9] ^= 1
    bad.write_bytes(content)
    (tmp_path / "run" / "baselines").mkdir()
    (tmp_path / "run" / "baselines" / "part-0.parquet").touch()
    done = run("convert", "run")
    assert done.returncode == 0
    lost = int(done.stdout.rpartition("lost=")[2])
    assert lost in (5, 20)
    assert f"1 damaged files were set aside, with {lost} pairs or more: the same" in done.stdout
    assert "1 files of baselines removed: they are computed again when needed" in done.stdout
    assert f"{bad.relative_to(tmp_path)}: is damaged, its pairs have to" in caplog.text
    assert counts(run("sweep", *PLAIN, "out=run")) == (45, lost, 45 - lost, 0)


def test_no_run_is_nothing_to_convert(run: Geospot, tmp_path: Path) -> None:
    assert "nowhere: holds no sweep; make one with geospot" in the_error(run("convert", "nowhere"))
    assert "sweep is needed: give sweep=..." in the_error(run("convert"))
    assert "there is no setting 'solver.epsilon'" in the_error(run("convert", "solver.epsilon=1"))
    assert not (tmp_path / "nowhere").exists()
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["format"] == 2


def test_a_sweep_may_come_first_in_other_commands_too(run: Geospot) -> None:
    done = run("explain", "nowhere", "source=r00", "target=r01", "out=why")
    assert "nowhere: holds no sweep" in the_error(done)
