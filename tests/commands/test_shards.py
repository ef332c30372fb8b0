"""Shards of a sweep as processes: at once, killed and begun again."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.runs import plan
from tests.helpers.commands import Geospot
from tests.helpers.stored import all_pairs, blocks
from tests.helpers.swept import LEAST, TOWNS, Run, slow_sweep, the_error

LAST = re.compile(r"pairs total=66 computed=(\d+) reused=(\d+) unconverged=0 missing=(\d+)")
ARGUMENTS = ("sweep", *TOWNS, "regions.max_points=40")


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with points of 12 regions, whose 66 pairs are some ten blocks."""
    monkeypatch.setattr(plan, "_LEAST_ENTRIES", {"cpu": LEAST})
    generator = np.random.default_rng(0)
    pd.DataFrame(
        {
            "town": np.repeat([f"t{k:02d}" for k in range(12)], 50),
            "lon": generator.uniform(-90, 90, 600),
            "lat": generator.uniform(-60, 60, 600),
        }
    ).to_csv(tmp_path / "towns.csv", index=False)
    return tmp_path


def started(folder: Path, shard: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        slow_sweep(*ARGUMENTS[1:], "out=run", f"shard={shard}"),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def last(stdout: str) -> tuple[int, ...]:
    match = LAST.fullmatch(stdout.splitlines()[-1])
    assert match, stdout
    return tuple(int(number) for number in match.groups())


@pytest.mark.slow
def test_shards_at_once_one_of_them_killed(many: Path, geospot_here: Geospot) -> None:
    assert geospot_here(*ARGUMENTS, "out=whole").returncode == 0
    running = {shard: started(many, shard) for shard in ("1/2", "2/2")}
    deadline = time.monotonic() + 300
    while len(blocks(many / "run")) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running["2/2"].send_signal(signal.SIGKILL)
    ended = {shard: process.communicate(timeout=300) for shard, process in running.items()}
    assert [running[shard].returncode for shard in running] == [0, -signal.SIGKILL]
    stdout, stderr = ended["1/2"]
    computed = last(stdout)[0]
    assert f"shard 1/2 is done: {computed} computed now" in stdout
    assert re.search(r"missing yet: \d+ pairs, of shards .*2/2 \(\d+\)", stdout)
    assert re.search(rf"solving shard 1/2: 100%.* {computed}/{computed} \[", stderr)
    assert not (many / "run" / "matrix.csv").exists()
    parts = {path: path.read_bytes() for path in blocks(many / "run")}
    there = len(all_pairs(many / "run"))
    assert computed <= there < 66, "killed in the middle"
    assert gs.Run.open(many / "run").pairs.shape[0] == there, "it can be opened"

    again = geospot_here(*ARGUMENTS, "out=run", "shard=2/2")
    assert last(again.stdout) == (66 - there, there, 0)
    assert "farthest" in again.stdout
    assert (many / "run" / "matrix.csv").read_bytes() == (
        many / "whole" / "matrix.csv"
    ).read_bytes()
    assert parts.items() <= {path: path.read_bytes() for path in blocks(many / "run")}.items()
    pd.testing.assert_frame_equal(
        all_pairs(many / "run"), all_pairs(many / "whole"), check_exact=True
    )
    config = gs.Run.open(many / "run").manifest["config"]
    assert config["shard"] is None
    for asked in (["shard=1/2"], []):
        nothing = geospot_here(*ARGUMENTS, "out=run", *asked)
        assert "computed=0 reused=66" in nothing.stdout
        assert nothing.stdout.splitlines()[:5] == again.stdout.splitlines()[:5]


@pytest.mark.slow
def test_shards_at_once_leave_the_table_of_one_run(many: Path, geospot_here: Geospot) -> None:
    assert geospot_here(*ARGUMENTS, "out=whole").returncode == 0
    running = [started(many, f"{k}/2") for k in (1, 2)]
    found = []
    for process in running:
        stdout, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr
        assert "Traceback" not in stderr
        found.append(last(stdout))
    assert sum(computed for computed, _, _ in found) == 66, "nothing twice"
    assert all(sum(counts) == 66 for counts in found)
    assert min(missing for _, _, missing in found) == 0, "whoever ends last writes the rest"
    pd.testing.assert_frame_equal(
        all_pairs(many / "run"), all_pairs(many / "whole"), check_exact=True
    )
    for name in ("matrix.csv", "regions.parquet"):
        whole = (many / "whole" / name).read_bytes()
        assert (many / "run" / name).read_bytes() == whole
    names = [sorted(p.name for p in (many / x / "regions").iterdir()) for x in ("run", "whole")]
    assert names[0] == names[1], "and so are the self terms"


@pytest.mark.parametrize("shard", ["0/4", "5/4", "a/b", "3", "1/"])
def test_what_is_no_shard(shard: str, here: Run, tmp_path: Path) -> None:
    error = the_error(here("out=run", f"shard={shard}"))
    assert error == f"shard='{shard}': give k/n, with k from 1 to n, as in 1/4"
    assert not (tmp_path / "run").exists()


def test_more_shards_than_a_sweep_has_blocks(here: Run) -> None:
    assert the_error(here("out=run", "shard=2/3")) == (
        "shard=2/3: the 6 pairs of this sweep are 1 block of work on cpu: leave shard out"
    )
    assert "do not go together" in the_error(here("out=run", "shard=1/1", "target_error=0.1"))
