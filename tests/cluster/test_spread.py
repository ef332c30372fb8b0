"""What is shared out besides sweeps: on a cluster it is what it is in this process, bit for bit."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.cluster import RayPool, open_pool
from geospot_gpu.distances.columns import stored_in
from geospot_gpu.distances.pairwise import all_pairs
from geospot_gpu.distances.solve import PairSolver, chosen_outputs
from geospot_gpu.encoders import LocationEncoder, cache, location
from geospot_gpu.encoders.base import unit_rows
from geospot_gpu.encoders.location import EncodingJob
from geospot_gpu.engine.method import Method
from geospot_gpu.files.places import Folder
from geospot_gpu.runs import plan
from geospot_gpu.runs.baselines import shared_baselines
from geospot_gpu.runs.solving import solve
from geospot_gpu.runs.work import SweepJob
from geospot_gpu.transfer.evidence import load
from tests.helpers.clouds import random_regions
from tests.helpers.commands import Geospot
from tests.helpers.scored import PLAIN, REPORT, accuracies, points, scores

pytestmark = pytest.mark.slow
HERE = gs.Engine(device="cpu")
METHOD = Method(gs.GroundCost(), gs.Sinkhorn())


@pytest.fixture(scope="module")
def regions() -> gs.Regions:
    return random_regions(list(range(20, 32)))


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many of them."""
    monkeypatch.setattr(plan, "_LEAST_ENTRIES", {"cpu": 5000, "cuda": 5000})


def without_times(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: values for name, values in columns.items() if name != "seconds"}


def assert_equal(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_workers_are_those_of_the_block(cluster: gs.Engine) -> None:
    assert isinstance(cluster.pool(), RayPool)
    assert cluster.pool() is cluster.pool() is open_pool()
    other = gs.Engine(device="cpu", cluster=gs.Ray("local", workers=1))
    assert other.pool() is not open_pool()


def test_a_folder_is_the_same_to_workers_in_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sent = pickle.dumps(Folder("run").child("distances"))
    monkeypatch.chdir("/")
    assert str(pickle.loads(sent)) == str(tmp_path / "run" / "distances")


def test_a_worker_that_does_not_see_the_run_says_so(regions: gs.Regions, tmp_path: Path) -> None:
    grid = plan.Grid(regions.sizes, None, "cpu")
    keys = tuple(regions.names)
    job = SweepJob(Folder(tmp_path / "run"), regions, keys, grid, METHOD, HERE, ("divergence",))
    with pytest.raises(gs.GeospotError, match="run is not there on"):
        job.worker("cpu")


@pytest.mark.usefixtures("small_blocks")
def test_pairs(cluster: gs.Engine, regions: gs.Regions) -> None:
    left, right = all_pairs(5, len(regions) - 5)
    found = solve(regions, left, right, METHOD, engine=cluster)
    here = solve(regions, left, right, METHOD, engine=HERE)
    assert_equal(without_times(found.columns), without_times(here.columns))
    at_once = PairSolver(regions, METHOD, HERE).solve(left, right, chosen_outputs(None))
    for name in ("divergence", "std_error", "coverage_source_to_target"):  # in other company
        np.testing.assert_allclose(here[name], at_once[name], atol=1e-6)


def test_baselines(cluster: gs.Engine, regions: gs.Regions) -> None:
    left, right = all_pairs(len(regions), None)
    names = [column.name for column in stored_in("baselines")]
    expected = gs.baselines(regions, left, right)
    for engine in (HERE, cluster):
        found = shared_baselines(regions, left, right, names, engine)
        pd.testing.assert_frame_equal(found, expected, check_exact=True)
    some = shared_baselines(regions, left, right, ["energy_distance"], cluster)
    pd.testing.assert_frame_equal(some, expected[["energy_distance"]], check_exact=True)


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> gs.Run:
    """A run of regions with scores."""
    regions = gs.Regions.from_table(points(), region="region", encoder="none")
    return gs.sweep(tmp_path_factory.mktemp("swept") / "run", regions, engine=HERE)


def test_baselines_of_a_run(cluster: gs.Engine, swept: gs.Run, tmp_path: Path) -> None:
    shutil.copytree(swept.folder, tmp_path / "run")
    there = load(gs.Run.open(tmp_path / "run", engine=cluster)).distances
    here = load(gs.Run.open(swept.folder, engine=HERE)).distances
    assert_equal(there, here)
    stored = pd.read_parquet(tmp_path / "run" / "baselines")
    assert len(stored) == len(stored.drop_duplicates(["source", "target"])) == 45
    with pytest.MonkeyPatch.context() as patch:  # they are there, and nobody has to work
        patch.setattr(RayPool, "run", None)
        assert_equal(load(gs.Run.open(tmp_path / "run", engine=cluster)).distances, here)


@pytest.mark.usefixtures("few_models", "small_blocks")
def test_predictions(cluster: gs.Engine, swept: gs.Run) -> None:
    score, moved = accuracies(scores()), points().assign(lon=lambda table: table["lon"] + 7)
    places = gs.Points.build(lon=moved["lon"], lat=moved["lat"])
    tables = []
    for engine in (HERE, cluster):
        run = gs.Run.open(swept.folder, engine=engine)
        targets = run.regions_like(places, dict(moved.groupby("region").indices))
        tables.append(gs.predict_scores(run, score, targets=targets).table)
    pd.testing.assert_frame_equal(tables[0], tables[1], check_exact=True)
    assert len(tables[0]) == 100


NEW = ("targets=points.csv", "targets.region=region")
NEAREST = ("target=r03", "budget=20", "method=nearest", "by=energy_distance")
COMMANDS = {
    "select": (NEAREST, {"BaselineJob"}),
    "transfer": (REPORT[1:], {"BaselineJob"}),
    "predict": ((*REPORT[1:], *NEW), {"PairJob", "BaselineJob"}),
}
"""What each hands out, where nothing is stored beside the sweep yet."""


@pytest.mark.usefixtures("few_models", "cluster")
def test_commands(geospot_here: Geospot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes on from a sweep, wherever that was made, is done where the command says."""
    points().to_csv(tmp_path / "points.csv", index=False)
    scores().to_csv(tmp_path / "scores.csv", index=False)
    ray = ("engine=ray", "engine.address=local", "engine.workers=2")
    jobs, real = list[str](), RayPool.run

    def watched(self: RayPool, job: Any, *rest: Any) -> Any:
        jobs.append(type(job).__name__)
        return real(self, job, *rest)

    monkeypatch.setattr(RayPool, "run", watched)
    swept = geospot_here("sweep", *PLAIN, "device=cpu", "out=run", *ray)
    assert swept.returncode == 0, swept.stderr
    assert set(jobs) == {"SweepJob"}
    for command, (arguments, handed_out) in COMMANDS.items():
        jobs.clear()
        shutil.copytree(tmp_path / "run", tmp_path / command)
        typed = (f"sweep={command}", *arguments, f"out={command}-out")
        done = geospot_here(command, *typed, *ray)
        assert done.returncode == 0, done.stderr
        assert set(jobs) == handed_out
    jobs.clear()
    assert geospot_here("select", "sweep=run", *NEAREST, "out=here").returncode == 0
    assert jobs == [], "the sweep was made on a cluster, and this is not"
    chosen = [(tmp_path / out / "selection.csv").read_text() for out in ("here", "select-out")]
    assert chosen[0] == chosen[1]


# --- encoding


def places(count: int) -> gs.Points:
    generator = np.random.default_rng(0)
    lon, lat = generator.uniform(-180, 180, count), generator.uniform(-90, 90, count)
    return gs.Points.build(lon=lon, lat=lat)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many of them."""
    monkeypatch.setattr(cache, "MOST", 100)
    monkeypatch.setattr(location, "MANY", 500)


@pytest.mark.usefixtures("small_chunks")
def test_encoding(cluster: gs.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = places(600)
    rows = np.arange(len(table))
    with monkeypatch.context() as patch:
        patch.setattr(location, "MANY", len(table) + 1)
        here = gs.GeoClip(tmp_path / "here").encode(table, rows, "cpu")
    with monkeypatch.context() as patch:
        patch.setattr(gs.GeoClip, "load", None)  # not here
        there = gs.GeoClip(tmp_path / "there").encode(table, rows, "cpu")
    np.testing.assert_array_equal(there, here)
    kept = [
        {path.name: path.read_bytes() for path in (tmp_path / where).rglob("*.f32")}
        for where in ("here", "there")
    ]
    assert kept[0] == kept[1]
    assert len(kept[0]) > 6
    with monkeypatch.context() as patch:
        patch.setattr(RayPool, "run", None)
        again = gs.GeoClip(tmp_path / "there").encode(table, rows[::-1], "cpu")
        fewer = gs.GeoClip(tmp_path / "fewer").encode(table, rows[:499], "cpu")
    np.testing.assert_array_equal(again, here[::-1])
    np.testing.assert_allclose(fewer, here[:499], atol=5e-5)


class Wave(LocationEncoder):
    """An encoder as somebody adds it: vectors of two features."""

    version, dimension = "wave-1", 2

    def load(self, device: str) -> Callable[[Any], Any]:
        def model(lat_lon: Any) -> Any:
            angle = np.radians(lat_lon.sum(axis=1))
            return unit_rows(np.stack([np.cos(angle), np.sin(angle)], axis=1), str)

        return model


def test_an_encoder_of_ones_own_is_cached_and_can_be_sent(tmp_path: Path) -> None:
    table = places(10)
    found = Wave(tmp_path).encode(table, np.array([3, 1, 3]), "cpu")
    assert found.shape == (3, 2)
    np.testing.assert_array_equal(found[0], found[2])
    assert list(tmp_path.rglob("wave-1/*/*.f32"))
    assert Wave(tmp_path).encode(table, np.array([], int), "cpu").shape == (0, 2)
    sent = pickle.loads(pickle.dumps(EncodingJob(Wave(tmp_path), "wave-1")))
    worker = sent.worker("cpu")
    lat_lon = np.stack([table.lat, table.lon], axis=1)
    np.testing.assert_array_equal(worker.compute(lat_lon)[3], found[0])
    assert sent.name(lat_lon).startswith("encoding of 10 points from (lat, lon) (")
    with pytest.raises(gs.GeospotError, match="has encoder wave-1, and this process has wave-0"):
        EncodingJob(Wave(tmp_path), "wave-0").worker("cpu")


class Watched(Wave):
    """Notes within the block of which pool it encodes."""

    seen: ClassVar[list[RayPool | None]] = []

    def encode(self, points: gs.Points, rows: Any, device: str) -> Any:
        self.seen.append(open_pool())
        return super().encode(points, rows, device)


def test_points_to_choose_from_are_encoded_by_the_engine(tmp_path: Path) -> None:
    engine = gs.Engine(device="cpu", cluster=gs.Ray("local"))
    table = places(30)
    groups = {"a": np.arange(15), "b": np.arange(15, 30)}
    regions = gs.Regions.from_groups(table, groups, encoder=Watched(tmp_path))
    Watched.seen.clear()
    before = open_pool()
    gs.select_points(regions, "a", 2, engine=engine)
    (pool,) = Watched.seen
    assert pool is not None
    assert pool.is_of(gs.Ray("local"), "cpu")
    assert open_pool() is before
