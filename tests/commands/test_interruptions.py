"""A sweep that is stopped, or has nowhere to write, loses nothing that it finished."""

from __future__ import annotations

import re
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from tests.helpers.commands import GEOSPOT, Geospot
from tests.helpers.folders import mounted_disk
from tests.helpers.swept import TOWNS, Run, counts, messages, slow_sweep, the_error


@pytest.fixture
def long_sweep(tmp_path: Path) -> tuple[str, ...]:
    """Settings of a sweep of 66 pairs."""
    generator = np.random.default_rng(0)
    pd.DataFrame(
        {
            "town": np.repeat([f"t{k:02d}" for k in range(12)], 50),
            "lon": generator.uniform(-180, 180, 600),
            "lat": generator.uniform(-60, 60, 600),
        }
    ).to_csv(tmp_path / "towns.csv", index=False)
    return (*TOWNS, "out=run")


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
    while len(list(folder.glob("run/distances/block-*.parquet"))) < 2:
        assert process.poll() is None, "it ended before it could be stopped"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=120)
    return process.returncode, stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_goes_on(
    number: signal.Signals, long_sweep: tuple[str, ...], tmp_path: Path, geospot_here: Geospot
) -> None:
    code, stderr = stop_after_some_shards(slow_sweep(*long_sweep), tmp_path, number)
    if number != signal.SIGKILL:
        assert code == 130
        assert "Traceback" not in stderr
        assert stderr.splitlines()[-1] == (
            "interrupted; finished batches are kept, and the same command goes on from there"
        )
    else:
        assert code == -signal.SIGKILL
    shards = {path: path.read_bytes() for path in tmp_path.glob("run/distances/block-*.parquet")}
    done = sum(len(pd.read_parquet(path)) for path in shards)
    assert 0 < done < 66, "stopped in the middle"
    assert int(gs.open_run(tmp_path / "run").divergence.notnull().sum()) == 2 * done + 12

    total, computed, reused, _ = counts(geospot_here("sweep", *long_sweep))
    assert (total, computed, reused) == (66, 66 - done, done)
    assert all(path.read_bytes() == content for path, content in shards.items())
    pairs = pd.concat(pd.read_parquet(path) for path in tmp_path.glob("run/distances/*.parquet"))
    names = [f"t{k:02d}" for k in range(12)]
    expected_pairs = {(a, b) for a in names for b in names if a < b}
    assert sorted(zip(pairs["source"], pairs["target"], strict=True)) == sorted(expected_pairs)
    assert gs.open_run(tmp_path / "run").divergence.notnull().all()


@pytest.mark.slow
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
    shards = len(list(tmp_path.glob("run/distances/block-*.parquet")))
    assert counts(here("out=run"))[:2] == (6, 0 if shards else 6)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 32 KiB."""
    with mounted_disk(tmp_path / "disk", "32k") as folder:
        yield folder


@pytest.mark.draws
def test_a_full_disk(small_disk: Path, here: Run) -> None:
    done = here("out=disk/run")
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


@pytest.mark.slow
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
