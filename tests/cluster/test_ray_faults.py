"""Faults on a Ray cluster of several nodes: every item is done, and its result is there once."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from geospot_gpu.cluster import Ray, RayPool
from geospot_gpu.cluster.ray_worker import Versions
from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.say import warn_once
from tests.helpers.jobs import Square, Squares, Task, tries
from tests.helpers.nodes import Nodes, on_loopback

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.cluster]

LONG = 120.0


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with on_loopback() as found:
        yield found


def done(
    pool: RayPool,
    items: list[Task],
    folder: Path,
    *,
    costs: list[float] | None = None,
    meanwhile: Callable[[Square], None] = lambda found: None,
) -> list[Square]:
    """The results of items, each there once and right."""
    found = []
    for index, square in pool.run(
        Squares(folder), items, costs or [1.0] * len(items), lambda item: f"task {item.number}"
    ):
        assert square.square == square.number**2
        assert square.number == items[index].number
        assert (folder / f"stored-{square.number}").exists()
        found.append(square)
        meanwhile(square)
    assert sorted(square.number for square in found) == sorted(item.number for item in items)
    return found


def test_all_nodes_work_and_the_largest_is_first(nodes: Nodes, tmp_path: Path) -> None:
    costs = [float(number) for number in range(40)]
    items = [Task(number, seconds=0.1) for number in range(40)]
    found = done(nodes.pool(), items, tmp_path, costs=costs)
    assert len({square.worker for square in found}) == 2
    assert {square.number for square in found[:4]} <= set(range(34, 40))
    assert all(tries(tmp_path, number) == 1 for number in range(2, 40))


def test_workers_stay_for_the_next_job(nodes: Nodes, tmp_path: Path) -> None:
    """Those that die between two jobs are made anew."""
    pool, items = nodes.pool(), [Task(number, seconds=0.1) for number in range(20)]
    workers = {square.worker for square in done(pool, items, tmp_path)}
    cubes = Squares(tmp_path, np.arange(1000) ** 3)
    second = dict(pool.run(cubes, items, [1.0] * 20))
    assert [second[k].square for k in range(20)] == [k**3 for k in range(20)]
    assert {square.worker for square in second.values()} == workers
    psutil.Process(workers.pop()).kill()
    done(pool, items, tmp_path)


def test_a_worker_is_killed_in_an_item(
    nodes: Nodes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    items = [Task(0, "die once"), *(Task(number, seconds=0.1) for number in range(1, 20))]
    done(nodes.pool(), items, tmp_path)
    assert tries(tmp_path, 0) == 2
    assert any("is gone" in text and "go to others" in text for text in caplog.messages)


def test_an_item_that_kills_every_worker_is_named_and_costs_no_other(
    nodes: Nodes, tmp_path: Path
) -> None:
    items = [Task(0, "die"), *(Task(number, seconds=0.1) for number in range(1, 8))]
    with pytest.raises(GeospotError, match=r"^task 0: failed 3 times, and all others are done: "):
        done(nodes.pool(), items, tmp_path)
    assert tries(tmp_path, 0) == 3
    assert all((tmp_path / f"stored-{number}").exists() for number in range(1, 8))


def test_items_that_fail(nodes: Nodes, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    warn_once.cache_clear()
    items = [Task(0, "fail"), Task(1, "fail twice")]
    items += [Task(number, "warn", seconds=0.1) for number in range(2, 20)]
    found: list[Square] = []
    with pytest.raises(GeospotError) as caught:
        done(nodes.pool(), items, tmp_path, meanwhile=found.append)
    expected = "task 0: failed 3 times, and all others are done: ValueError: 0 is no number"
    assert str(caught.value) == f"{expected} to square"
    assert "in compute" in str(caught.value.__cause__), "where it was raised"
    assert sorted(square.number for square in found) == list(range(1, 20))
    assert [tries(tmp_path, number) for number in (0, 1, 2)] == [3, 3, 1]
    warned = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.getMessage() for record in warned].count("squares are large") == 1


def test_a_slow_worker_holds_nobody_up(nodes: Nodes, tmp_path: Path) -> None:
    slow: list[int] = []

    def meanwhile(square: Square) -> None:
        if not slow:
            slow.append(square.worker)
            (tmp_path / f"slow-{square.worker}").touch()

    items = [Task(number, seconds=0.1) for number in range(60)]
    found = done(nodes.pool(), items, tmp_path, meanwhile=meanwhile)
    assert sum(square.worker == slow[0] for square in found) < 20


def test_the_disk_of_one_node_is_full(nodes: Nodes, tmp_path: Path) -> None:
    (tmp_path / "full-a").touch()
    items = [Task(number, seconds=0.1) for number in range(20)]
    found = done(nodes.pool(), items, tmp_path)
    assert len({square.worker for square in found}) == 1


def test_all_disks_are_full(nodes: Nodes, tmp_path: Path) -> None:
    found: list[Square] = []

    def meanwhile(square: Square) -> None:
        found.append(square)
        for name in "ab":
            (tmp_path / f"full-{name}").touch()

    items = [Task(number, seconds=0.1) for number in range(200)]
    with pytest.raises(GeospotError) as caught:
        done(nodes.pool(), items, tmp_path, meanwhile=meanwhile)
    expected = (
        "so that the rest was not tried: run/pairs: cannot be written (No space left on device)"
    )
    assert expected in str(caught.value)
    assert found
    assert all((tmp_path / f"stored-{square.number}").exists() for square in found)
    assert tries(tmp_path, 199) == 0, "nothing is computed in vain for long"


def test_other_versions_are_refused(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Versions.here()
    monkeypatch.setattr(Versions, "here", lambda: here._replace(geospot_gpu="9.9"))
    with pytest.raises(GeospotError) as caught:
        done(nodes.pool(), [Task(0)], tmp_path)
    assert f"has geospot_gpu {here.geospot_gpu} on Python {here.python}" in str(caught.value)
    assert "this process has 9.9" in str(caught.value)


def test_workers_that_cannot_begin(nodes: Nodes, tmp_path: Path) -> None:
    with pytest.raises(GeospotError, match="no worker can begin: there is no table of squares"):
        list(nodes.pool().run(Squares(tmp_path, None), [Task(0)], [1.0]))


def test_a_job_larger_than_the_object_store(nodes: Nodes, tmp_path: Path) -> None:
    """It goes to disk, whence all read it."""
    table = np.arange(25_000_000) ** 2  # 200 MB, and each store has 150 MiB
    found = dict(nodes.pool().run(Squares(tmp_path, table), [Task(3), Task(999)], [1.0, 1.0]))
    assert {index: square.square for index, square in found.items()} == {0: 9, 1: 999**2}


def test_nobody_waits_for_ever_for_workers(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes.pool()
    monkeypatch.setattr("geospot_gpu.cluster.ray_workers._GIVE_UP_AFTER", 0.0)
    expected = "each asks for 99 CPU and 0 GPU of one node, and the cluster has 2 CPU, 0 GPU"
    pool = RayPool(Ray(cpus_per_worker=99), "cpu")
    with pytest.raises(GeospotError, match=expected):
        done(pool, [Task(0)], tmp_path)


def test_a_node_is_lost_and_another_joins(nodes: Nodes, tmp_path: Path) -> None:
    changed: list[bool] = []

    def change(square: Square) -> None:
        if not changed:
            nodes.remove("b")  # with what it holds
            nodes.add("c")
            changed.append(True)

    items = [Task(number, "meet 2" if number < 4 else "meet 3") for number in range(20)]
    done(nodes.pool(), items, tmp_path, meanwhile=change)


def test_all_nodes_are_lost_and_another_joins(nodes: Nodes, tmp_path: Path) -> None:
    def change(square: Square) -> None:
        if not (tmp_path / "go on").exists():
            nodes.only()
            nodes.add("a")
            (tmp_path / "go on").touch()

    items = [Task(number, "meet 2" if number < 4 else "wait") for number in range(8)]
    found = done(nodes.pool(), items, tmp_path, meanwhile=change)
    assert len({square.worker for square in found}) >= 2


DRIVER = """
import sys
from pathlib import Path
from ray._private import ray_constants
from geospot_gpu.cluster import Ray, RayPool
from tests.helpers.jobs import Squares, Task

ray_constants.ENABLE_RAY_CLUSTER = False
folder = Path(sys.argv[1])
items = [Task(k, "" if k < 5 else "wait") for k in range(10)]
todo = [item for item in items if not (folder / f"stored-{item.number}").exists()]
with RayPool(Ray(workers=2), "cpu") as pool:
    for _, square in pool.run(Squares(folder), todo, [1.0] * len(todo)):
        print(square.number, flush=True)
"""


def ended(process: subprocess.Popen[str], how: signal.Signals) -> int:
    """Its exit status. An interrupt is lost where it comes while Ray frees an object.

    Where every one is, it is killed in the end, as schedulers do with what does not stop.
    """
    for sent in (*(how,) * 6, signal.SIGKILL):
        process.send_signal(sent)
        try:
            return process.wait(LONG / 12)
        except subprocess.TimeoutExpired:
            pass
    raise AssertionError(f"does not end by signal {how}")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_driver_is_stopped_and_started_again(
    nodes: Nodes, tmp_path: Path, how: signal.Signals
) -> None:
    nodes.only("a")
    nodes.free()
    code = [sys.executable, "-c", DRIVER, str(tmp_path)]
    driver = subprocess.Popen(code, stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    # A worker has two items, in either order: the fifth may stand behind one that waits.
    first = [int(driver.stdout.readline()) for _ in range(4)]
    assert ended(driver, how) in (-how, -signal.SIGKILL)
    assert sorted(first) == list(range(4))
    left = [k for k in range(10) if not (tmp_path / f"stored-{k}").exists()]
    assert set(range(5, 10)) <= set(left)
    (tmp_path / "go on").touch()
    again = subprocess.run(code, capture_output=True, text=True, timeout=LONG)
    found = {int(line) for line in again.stdout.split()}
    # What ran when the driver died may have been stored since, by the worker that ran it.
    assert found <= set(left), again.stderr
    assert len(left) - len(found) <= 4
    assert all((tmp_path / f"stored-{k}").exists() for k in range(10))
    assert again.stderr == "", "Ray says nothing"
    assert all(tries(tmp_path, number) == 1 for number in range(4))
