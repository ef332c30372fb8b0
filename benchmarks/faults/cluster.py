"""A sweep on a Ray cluster of several nodes on this machine, disturbed in seven ways.

    python -m benchmarks.faults.cluster [FAULT ...]

The driver is a process of its own, and its workers are real; each waits a third of a second in
every block, and writes down which block it begins and ends, so that faults come while blocks run.
What is asked: the same table as undisturbed, nothing twice, at most the running blocks again.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import geospot_gpu as gs
from benchmarks.record import RESULTS, save
from geospot_gpu.files import Unwritable
from geospot_gpu.runs import sweep as sweeping
from geospot_gpu.runs.work import Done, SelfBlock, SweepJob, SweepWorker

REGIONS, POINTS = 60, 100
NODES = 3
PAUSE = 0.3
_FOLDER = "GEOSPOT_FAULTS"
"""Environment variable with the folder of one trial: what is wrong, and what was done."""


class FaultyJob(SweepJob):
    """A sweep whose workers do as the trial's folder says."""

    def worker(self, device: str) -> SweepWorker:
        return FaultyWorker(self, device)


class FaultyWorker(SweepWorker):
    """A worker that writes down what it does, and may be slow, fail, or have a full disk."""

    def __init__(self, job: SweepJob, device: str) -> None:
        super().__init__(job, device)
        import ray

        self._folder = Path(str(job.place)).parent
        self._faults = json.loads((self._folder / "faults.json").read_text())
        self._node = ray.get_runtime_context().get_node_id()
        self._slow = 1.0
        if "slow" in self._faults:
            try:
                (self._folder / "slow").touch(exist_ok=False)
                self._slow = float(self._faults["slow"])
            except FileExistsError:
                pass

    def compute(self, block: Any) -> Any:
        name = self.job.name(block)
        self._note("begin", name)
        if not isinstance(block, SelfBlock):
            time.sleep(PAUSE * self._slow)
            names = {self.job.regions.names[k] for side in self.job.positions(block) for k in side}
            if self._faults.get("fails") in names:
                raise ValueError("this region is more than anybody can bear")
        return super().compute(block)

    def store(self, solved: Any) -> Done:
        if self._faults.get("full") == self._node:
            raise Unwritable("No space left on device")
        done = super().store(solved)
        self._note("end", self.job.name(solved.block))
        return done

    def _note(self, what: str, name: str) -> None:
        line = json.dumps([what, name, os.getpid(), self._node, time.time()]) + "\n"
        with open(self._folder / "trace", "a") as file:
            file.write(line)


class Event(NamedTuple):
    """A line of what workers write down."""

    what: str
    name: str
    pid: int
    node: str
    at: float


class Trial:
    """One sweep, from its driver's start to its end."""

    def __init__(self, folder: Path, cluster: Any, faults: dict[str, object]) -> None:
        self.folder, self.cluster = folder, cluster
        folder.mkdir(parents=True)
        self.inject(faults)

    def inject(self, faults: dict[str, object]) -> None:
        """What is wrong from now on, for workers that begin."""
        (self.folder / "faults.json").write_text(json.dumps(faults))

    def start(self, kind: str = "plain") -> subprocess.Popen[str]:
        """Start a driver."""
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks.faults.cluster", "drive", str(self.folder), kind],
            env=os.environ | {"RAY_ADDRESS": self.cluster.address},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def events(self) -> list[Event]:
        """What workers have written down so far."""
        path = self.folder / "trace"
        if not path.exists():
            return []
        lines = path.read_text().splitlines()
        return [Event(*json.loads(line)) for line in lines if line.endswith("]")]

    def wait(self, ended: int) -> None:
        """Wait until so many blocks of pairs are stored."""
        until = time.monotonic() + 120
        while sum(e.what == "end" and "pairs" in e.name for e in self.events()) < ended:
            assert time.monotonic() < until, "nothing moves"
            time.sleep(0.02)

    def running(self) -> Event:
        """A block that a worker computes."""
        while True:
            last = {event.pid: event for event in self.events()}
            busy = [event for event in last.values() if event.what == "begin"]
            if busy:
                return max(busy, key=lambda event: event.at)
            time.sleep(0.01)

    def table(self) -> Any:
        """All that was stored, but for how long it took."""
        pairs = gs.Run.open(self.folder / "run").pairs
        return (
            pairs.drop(columns="seconds").sort_values(["source", "target"]).reset_index(drop=True)
        )

    def figures(self, expected: Any, seconds: float) -> dict[str, object]:
        """Whether it is as undisturbed, and what was done again."""
        import pyarrow.parquet as pq

        found = self.table()
        blocks = list((self.folder / "run" / "distances").glob("block-*.parquet"))
        rows = sum(pq.read_metadata(path).num_rows for path in blocks)
        begun = Counter(e.name for e in self.events() if e.what == "begin" and "pairs" in e.name)
        return {
            "same table": found.equals(expected),
            "stored twice": rows - len(found),
            "blocks": len(begun),
            "begun again": sum(begun.values()) - len(begun),
            "seconds": round(seconds, 1),
        }


def drive(folder: Path, kind: str) -> None:
    """The driver of a trial."""
    vars(sweeping)["SweepJob"] = FaultyJob
    random = np.random.default_rng(0)
    count, points, features = REGIONS, POINTS, None
    if kind == "large":  # 80 MB of features, beside an object store of as much
        count, points = 20, 250
        features = random.normal(size=(count * points, 4096)).astype(np.float32)
        features /= np.linalg.norm(features, axis=1, keepdims=True)
    lon, lat = random.uniform(-170, 170, (count, 1)), random.uniform(-60, 60, (count, 1))
    shift = random.normal(size=(2, count, points))
    regions = gs.Regions.from_points(
        lon=(lon + shift[0]).ravel(),
        lat=(lat + shift[1]).ravel(),
        region=np.repeat([f"r{k:02d}" for k in range(count)], points),
        features=features,
    )
    from geospot_gpu.cluster import Ray

    engine = gs.Engine("cpu", cluster=Ray("auto"))
    try:
        gs.sweep(folder / "run", regions, engine=engine, outputs=["divergence"])
    except gs.GeospotError as error:
        print(error)
        sys.exit(1)


def ended(process: subprocess.Popen[str], code: int = 0) -> str:
    """Wait for a driver; what it said."""
    said, _ = process.communicate(timeout=300)
    assert process.returncode == code, said
    return said


def worker_killed(trial: Trial) -> None:
    """SIGKILL to a worker in a block."""
    driver = trial.start()
    trial.wait(4)
    os.kill(trial.running().pid, signal.SIGKILL)
    ended(driver)


def node_lost(trial: Trial) -> None:
    """A node goes, and another joins."""
    driver = trial.start()
    trial.wait(4)
    cluster = trial.cluster
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    trial.wait(8)
    cluster.add_node(num_cpus=1)
    ended(driver)


def driver_killed(trial: Trial) -> None:
    """SIGKILL to the driver, which is started again."""
    driver = trial.start()
    trial.wait(6)
    driver.kill()
    driver.wait()
    ended(trial.start())


def store_full(trial: Trial) -> None:
    """80 MB that all workers need, where object stores have room for 80 MB alone."""
    ended(trial.start("large"))


def disk_full(trial: Trial) -> None:
    """One node cannot write."""
    trial.inject({"full": next(iter(trial.cluster.worker_nodes)).node_id})
    ended(trial.start())


def slow_worker(trial: Trial) -> None:
    """One worker is ten times slower than the others."""
    trial.inject({"slow": 10})
    ended(trial.start())


def region_fails(trial: Trial) -> None:
    """One region makes its blocks fail every time, and is mended afterwards."""
    trial.inject({"fails": "r07"})
    said = ended(trial.start(), code=1)
    assert "r0" in said, said
    assert "more than anybody can bear" in said, said
    trial.inject({})
    ended(trial.start())


FAULTS: dict[str, Callable[[Trial], None]] = {
    "worker killed": worker_killed,
    "node lost, another joins": node_lost,
    "driver killed, started again": driver_killed,
    "object store full": store_full,
    "disk of a node full": disk_full,
    "worker ten times slower": slow_worker,
    "region fails every time": region_fails,
}


def measure(fault: str, folder: Path) -> dict[str, object]:
    """One fault on a cluster of its own, beside the same sweep undisturbed."""
    from ray.cluster_utils import Cluster

    room = 80 * 2**20 if fault == "object store full" else 160 * 2**20
    kind = "large" if fault == "object store full" else "plain"
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": room, "include_dashboard": False},
    )
    try:
        for _ in range(NODES - 1):
            cluster.add_node(num_cpus=1, object_store_memory=room)
        undisturbed = Trial(folder / "undisturbed", cluster, {})
        started = time.monotonic()
        ended(undisturbed.start(kind))
        alone = time.monotonic() - started
        trial = Trial(folder / "disturbed", cluster, {})
        started = time.monotonic()
        FAULTS[fault](trial)
        found = trial.figures(undisturbed.table(), time.monotonic() - started)
        return found | {"seconds undisturbed": round(alone, 1)}
    finally:
        cluster.shutdown()


def main() -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    path = RESULTS / "faults_cluster.json"
    rows: dict[str, object] = {}
    if path.exists():
        known = json.loads(path.read_text())["figures"]["faults"]["methods"]
        rows = {row["fault"]: row for row in known}
    for fault in sys.argv[1:] or FAULTS:
        with tempfile.TemporaryDirectory() as folder:
            rows[fault] = {"fault": fault} | measure(fault, Path(folder))
        figures = {"methods": [rows[name] for name in FAULTS if name in rows]}
        save("faults_cluster", {"faults": figures})


if __name__ == "__main__":
    if sys.argv[1:2] == ["drive"]:
        from benchmarks.faults import cluster as own  # by the name that workers know

        own.drive(Path(sys.argv[2]), sys.argv[3])
    else:
        main()
